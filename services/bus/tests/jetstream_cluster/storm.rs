//! The conformance suite on three servers, while one leader after the other is killed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bus::{
    conformance::{Case, Verdict, cases},
    jetstream::{self, Options},
};
use futures::{StreamExt as _, stream};
use testkit::{nats::NatsCluster, wait_for};
use tokio::{sync::watch, time::timeout};

use super::{WITHIN, options, patient::patient};

/// Longest a case may take, over as many elections as there are.
const CASE_WITHIN: Duration = Duration::from_secs(180);
/// Cases that run at a time: so few that many are left when a leader has died and another one leads.
const AT_ONCE: usize = 3;
/// Cases that have begun when a leader dies, and of which kind of stream: of the case that began last.
const KILLS: [(usize, &str); 4] = [(2, "LOG_0"), (9, "INBOX_0"), (16, "STATES_0"), (23, "LEASES")];

/// Signals have no leader, and are lost with the server that carries them: that is what best effort means. Theirs are the first
/// cases, while nothing is killed.
fn has_leader(name: &str) -> bool {
    !name.starts_with("signals_")
}

/// The suite as it runs.
struct Suite {
    servers: Vec<String>,
    repeated: Arc<AtomicU64>,
    /// Cases that run or ran, in the order in which they began.
    begun: watch::Sender<Vec<&'static str>>,
}

impl Suite {
    async fn run(&self, name: &'static str, case: Case) -> (&'static str, Verdict) {
        // An installation of the case's own.
        let options = Options { prefix: name.to_owned(), ..options(self.servers.clone()) };
        let init = async || jetstream::init(options.clone()).await.ok();
        wait_for(WITHIN, "the streams of a case", init).await.unwrap();
        let connect = async || jetstream::connect(options.clone()).await.ok();
        let bus = wait_for(WITHIN, "a connection", connect).await.unwrap();
        self.begun.send_modify(|begun| begun.push(name));
        let late = |_| Err(format!("not over within {CASE_WITHIN:?}"));
        let verdict = timeout(CASE_WITHIN, case(patient(bus, Arc::clone(&self.repeated)))).await;
        (name, verdict.unwrap_or_else(late))
    }

    async fn run_all(&self, cases: Vec<(&'static str, Case)>) -> Vec<(&'static str, Verdict)> {
        let runs = stream::iter(cases).map(|(name, case)| self.run(name, case));
        runs.buffer_unordered(AT_ONCE).collect().await
    }

    /// Kills leaders, each of another kind of stream, in the middle of a case.
    async fn kill_in_turn(&self, cluster: &mut NatsCluster) {
        let mut begun = self.begun.subscribe();
        for (count, kind) in KILLS {
            let enough = timeout(CASE_WITHIN, begun.wait_for(|begun| begun.len() >= count));
            let name = *enough.await.unwrap().unwrap().last().unwrap();
            let stream = format!("{}_{kind}", name.to_ascii_uppercase());
            let killed = cluster.kill_leader(&stream).await.unwrap();
            cluster.restart(killed).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_conformance_suite_holds_while_one_leader_after_the_other_is_killed() {
    let mut cluster = NatsCluster::start(3).await.unwrap();
    let repeated = Arc::<AtomicU64>::default();
    let (begun, _) = watch::channel(Vec::new());
    let suite = Suite { servers: cluster.urls(), repeated: Arc::clone(&repeated), begun };
    let (led, without): (Vec<_>, Vec<_>) =
        cases().into_iter().partition(|(name, _)| has_leader(name));
    let mut verdicts = suite.run_all(without).await;
    suite.begun.send_modify(Vec::clear);
    let (stormy, ()) = tokio::join!(suite.run_all(led), suite.kill_in_turn(&mut cluster));
    verdicts.extend(stormy);
    let ran = verdicts.len();
    let failed: Vec<_> = verdicts.into_iter().filter(|(_, verdict)| verdict.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let repeated = repeated.load(Ordering::Relaxed);
    println!("{ran} cases, {} leaders killed, {repeated} requests repeated", KILLS.len());
    assert!(repeated > 0, "the suite noticed nothing of the kills");
}
