//! The conformance suite while one leader after the other is killed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{
    Bus,
    conformance::{Case, Verdict, cases},
    jetstream::{self, Options},
};
use futures::future::join_all;
use testkit::{nats::NatsCluster, wait_for, wait_until};
use tokio::time::timeout;

use super::{
    WITHIN, options,
    patient::{Toll, patient},
};

/// Longest a case may take, over as many elections as there are.
const CASE_WITHIN: Duration = Duration::from_secs(180);
/// Leaders killed; afterwards what is left of the suite runs to its end.
const KILLS_MAX: usize = 6;
/// Answers, of all cases together, between one election and the next kill.
const CALM: u64 = 20;
const STREAMS: [&str; 4] = ["LOG_0", "INBOX_0", "STATES_0", "LEASES"];

/// Signals have no leader, and are lost with the server that carries them: that is what best effort means.
fn has_leader(name: &str) -> bool {
    !name.starts_with("signals_")
}

/// An installation of the case's own.
async fn installation(cluster: &NatsCluster, name: &str) -> Bus {
    let options = Options { prefix: name.to_owned(), ..options(cluster.urls()) };
    let init = async || jetstream::init(options.clone()).await.ok();
    wait_for(WITHIN, "the streams of a case", init).await.unwrap();
    jetstream::connect(options).await.unwrap()
}

async fn run(name: &'static str, case: Case, bus: Bus) -> (&'static str, Verdict) {
    let late = |_| Err(format!("not over within {CASE_WITHIN:?}"));
    (name, timeout(CASE_WITHIN, case(bus)).await.unwrap_or_else(late))
}

/// Kills leaders, each of another case and another kind of stream, and answers how many.
async fn kill_in_turn(
    cluster: &mut NatsCluster,
    names: &[&'static str],
    toll: &Toll,
    over: &AtomicBool,
) -> usize {
    let is_over = || over.load(Ordering::Relaxed);
    let mut kills = 0;
    for (name, kind) in names.iter().cycle().zip(STREAMS.iter().cycle()).take(KILLS_MAX) {
        let calm = toll.answered.load(Ordering::Relaxed) + CALM;
        let calmed = || is_over() || toll.answered.load(Ordering::Relaxed) >= calm;
        wait_until(WITHIN, "the suite to go on", calmed).await.unwrap();
        if is_over() {
            break;
        }
        let stream = format!("{}_{kind}", name.to_ascii_uppercase());
        let killed = cluster.leader_of(&stream).await.unwrap();
        cluster.kill(killed).unwrap();
        kills += 1;
        let elected = async || cluster.leader_of(&stream).await.ok().filter(|new| *new != killed);
        wait_for(WITHIN, "another leader", elected).await.unwrap();
        cluster.restart(killed).await.unwrap();
    }
    kills
}

#[tokio::test]
async fn every_case_holds_while_one_leader_after_the_other_is_killed() {
    let mut cluster = NatsCluster::start(3).await.unwrap();
    let cases: Vec<_> = cases().into_iter().filter(|(name, _)| has_leader(name)).collect();
    let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
    let toll = Arc::<Toll>::default();
    let mut ready = Vec::new();
    for (name, case) in cases {
        let bus = installation(&cluster, name).await;
        ready.push((name, case, patient(bus, Arc::clone(&toll))));
    }
    let over = AtomicBool::new(false);
    let suite = async {
        let runs = ready.into_iter().map(|(name, case, bus)| run(name, case, bus));
        let verdicts = join_all(runs).await;
        over.store(true, Ordering::Relaxed);
        verdicts
    };
    let (verdicts, kills) = tokio::join!(suite, kill_in_turn(&mut cluster, &names, &toll, &over));
    let failed: Vec<_> = verdicts.into_iter().filter(|(_, verdict)| verdict.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let repeated = toll.repeated.load(Ordering::Relaxed);
    println!("{} cases, {kills} leaders killed, {repeated} requests repeated", names.len());
    assert!(kills > 1 && repeated > 0, "the suite noticed nothing of {kills} kills");
}
