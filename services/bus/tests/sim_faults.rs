//! The simulated bus: each fault does what it says, and a seed repeats.

use std::time::Duration;

use bus::{
    AppendError, BusError, EntityId, LogAppendError, PartName, PartPut, PartitionId, Position,
    ReadLimit, SavedPart, conformance,
    sim::{Breaks, Faults, Harm, Link, SimBus},
};
use bytes::Bytes;
use tokio::time::{sleep, timeout};

const P0: PartitionId = PartitionId(0);
const LATER: Duration = Duration::from_secs(60);

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(part: &str, seq: u64) -> PartPut {
    PartPut {
        entity: EntityId { kind: 1, hash: [1; 16] },
        part: SavedPart {
            name: PartName::from(part),
            position: Position { generation: 0, seq, index: 0 },
            bytes: Some(body(&format!("{part} {seq}"))),
        },
    }
}

fn sim_with(faults: Faults) -> SimBus {
    let sim = SimBus::new(1, 2);
    sim.set_faults(faults);
    sim
}

/// Several nodes under every fault at once; what they did is in the digest.
async fn history(seed: u64) -> String {
    let sim = SimBus::new(seed, 2);
    sim.set_faults(Faults {
        lost: 0.05,
        unanswered: 0.1,
        late: 0.1,
        slow: 0.3,
        full: 0.02,
        unavailable: 0.05,
        stale: 0.1,
        signal_lost: 0.1,
        ..Faults::default()
    });
    let nodes = (0..4).map(|n| {
        let bus = sim.node(&format!("node-{n}"));
        async move {
            let partition = PartitionId(n % 2);
            for step in 0..40 {
                let text = body(&format!("node {n} step {step}"));
                drop(bus.inbox.append(partition, text.clone()).await);
                if let Ok(last) = bus.log.last(partition).await {
                    let last = last.map_or(0, |(seq, _)| seq);
                    drop(bus.log.append(partition, last, text).await);
                }
                drop(bus.states.put(partition, vec![put("main", step), put("side", step)]).await);
            }
        }
    });
    futures::future::join_all(nodes).await;
    sleep(LATER).await;
    sim.digest()
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_and_another_differs() {
    let first = history(11).await;
    assert_eq!(first, history(11).await);
    assert_ne!(first, history(12).await);
}

#[tokio::test(start_paused = true)]
async fn a_lost_append_is_unknown_and_never_stored() {
    let sim = sim_with(Faults { lost: 1.0, ..Faults::default() });
    let bus = sim.node("a");
    let append = bus.inbox.append(P0, body("x")).await;
    assert!(matches!(append, Err(AppendError::Unknown(_))), "{append:?}");
    assert!(matches!(bus.log.last(P0).await, Err(BusError::Unavailable(_))));
    sleep(LATER).await;
    assert!(sim.inbox_entries(P0).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_append_is_unknown_and_stored() {
    let sim = sim_with(Faults { unanswered: 1.0, ..Faults::default() });
    let bus = sim.node("a");
    let append = bus.log.append(P0, 0, body("x")).await;
    assert!(matches!(append, Err(LogAppendError::Unknown(_))), "{append:?}");
    sim.set_faults(Faults::default());
    let again = bus.log.append(P0, 0, body("x")).await;
    assert!(matches!(again, Err(LogAppendError::Conflict)), "{again:?}");
    assert_eq!(bus.log.last(P0).await.unwrap().unwrap().1, body("x"));
}

#[tokio::test(start_paused = true)]
async fn a_late_append_lands_after_its_caller_gave_up_and_is_still_fenced() {
    let sim = sim_with(Faults { late: 1.0, ..Faults::default() });
    let bus = sim.node("a");
    let append = bus.log.append(P0, 0, body("late")).await;
    assert!(matches!(append, Err(LogAppendError::Unknown(_))), "{append:?}");
    assert!(sim.records(P0).is_empty(), "it landed before its caller gave up");
    assert_eq!(sim.harm().late_landings, 0);
    sleep(LATER).await;
    assert_eq!(sim.records(P0).len(), 1);
    assert_eq!(sim.harm().late_landings, 1);

    let landed = sim.records(P0)[0].0;
    drop(bus.log.append(P0, landed, body("too late")).await);
    sim.set_faults(Faults::default());
    bus.log.append(P0, landed, body("winner")).await.unwrap();
    sleep(LATER).await;
    let bodies: Vec<_> = sim.records(P0).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [body("late"), body("winner")]);
}

#[tokio::test(start_paused = true)]
async fn a_former_leader_answers_an_older_last_record_and_only_once() {
    let sim = SimBus::new(1, 2);
    let bus = sim.node("a");
    let mut records = Vec::new();
    let mut last = 0;
    // The third was stored as long ago as a former leader may have been deposed.
    for n in 0..6 {
        last = bus.log.append(P0, last, body(&format!("{n}"))).await.unwrap();
        records.push((last, body(&format!("{n}"))));
        sleep(Duration::from_millis(2_500)).await;
    }
    // It does not know of a trim either.
    bus.log.trim(P0, records[3].0).await.unwrap();
    sim.set_faults(Faults { stale: 1.0, ..Faults::default() });
    let mut behind = std::collections::BTreeSet::new();
    for n in 1..=100 {
        let former = bus.log.last(P0).await.unwrap();
        let known = |former| records.iter().position(|record| *record == former).unwrap() + 1;
        behind.insert(records.len() - former.map_or(0, known));
        assert_eq!(bus.log.last(P0).await.unwrap().as_ref(), records.last(), "after the {n}th");
    }
    // None of these took the partition: before it was taken there was nothing.
    assert_eq!(behind.into_iter().collect::<Vec<_>>(), [1, 2, 3, 6]);
    assert_eq!(sim.harm(), Harm { stale_last_reads: 100, late_landings: 0 });
    // What is appended is still compared with what is stored.
    let refused = bus.log.append(P0, records[4].0, body("x")).await;
    assert!(matches!(refused, Err(LogAppendError::Conflict)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_former_leader_may_know_no_record_at_all() {
    let sim = sim_with(Faults { stale: 1.0, ..Faults::default() });
    let bus = sim.node("a");
    let seq = bus.log.append(P0, 0, body("first")).await.unwrap();
    assert_eq!(bus.log.last(P0).await.unwrap(), None);
    assert_eq!(bus.log.last(P0).await.unwrap(), Some((seq, body("first"))));
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_outlives_its_caller() {
    let sim = sim_with(Faults { slow: 1.0, ..Faults::default() });
    let bus = sim.node("a");
    let given_up = timeout(Duration::from_millis(1), bus.inbox.append(P0, body("x"))).await;
    assert!(given_up.is_err());
    assert!(sim.inbox_entries(P0).is_empty());
    sleep(LATER).await;
    assert_eq!(sim.inbox_entries(P0).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_save_may_be_stored_in_part() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let sim = SimBus::new(seed, 1);
        sim.set_faults(Faults { unanswered: 1.0, ..Faults::default() });
        let saved = sim.node("a").states.put(P0, vec![put("a", 1), put("b", 1)]).await;
        assert!(matches!(saved, Err(BusError::Unavailable(_))), "{saved:?}");
        seen.insert(sim.saved_parts(P0).len());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_inputs_only() {
    let sim = sim_with(Faults { full: 1.0, ..Faults::default() });
    let bus = sim.node("a");
    assert!(matches!(bus.inbox.append(P0, body("x")).await, Err(AppendError::Full(_))));
    bus.log.append(P0, 0, body("x")).await.unwrap();
    assert!(sim.inbox_entries(P0).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cut_node_hears_nothing_until_the_link_is_up() {
    let sim = SimBus::new(1, 1);
    let (cut, other) = (sim.node("cut"), sim.node("other"));
    let mut signals = cut.signals.subscribe("x").await.unwrap();
    sim.set_link("cut", Link::Cut);
    assert!(matches!(cut.inbox.append(P0, body("x")).await, Err(AppendError::Unknown(_))));
    assert!(matches!(cut.log.last(P0).await, Err(BusError::Unavailable(_))));
    other.signals.publish("x", body("lost")).await.unwrap();
    let seq = other.inbox.append(P0, body("seen later")).await.unwrap();
    assert!(timeout(LATER, cut.inbox.read(P0, 0, ReadLimit::default())).await.is_err());
    let next = tokio::time::timeout(LATER, signals.next()).await;
    assert!(next.is_err(), "{next:?}");
    sim.set_link("cut", Link::Up);
    let read = cut.inbox.read(P0, 0, ReadLimit::default()).await.unwrap();
    assert_eq!(read, [(seq, body("seen later"))]);
}

/// What a node that hears nothing sends is done all the same: to the others it lives.
#[tokio::test(start_paused = true)]
async fn a_deaf_node_is_heard_and_hears_nothing() {
    let sim = SimBus::new(1, 1);
    let (deaf, other) = (sim.node("deaf"), sim.node("other"));
    let mut to_deaf = deaf.signals.subscribe("x").await.unwrap();
    let mut from_deaf = other.signals.subscribe("y").await.unwrap();
    let first = deaf.leases.renew("deaf", body("before")).await.unwrap();
    sim.set_link("deaf", Link::Deaf);

    let renewed = deaf.leases.renew("deaf", body("after")).await;
    assert!(matches!(renewed, Err(BusError::Unavailable(_))), "{renewed:?}");
    let leases = other.leases.list().await.unwrap();
    assert!(leases["deaf"].renewal > first && leases["deaf"].info == body("after"));
    assert!(deaf.leases.list().await.is_err());
    let appended = deaf.log.append(P0, 0, body("record")).await;
    assert!(matches!(appended, Err(LogAppendError::Unknown(_))), "{appended:?}");
    assert_eq!(sim.records(P0).len(), 1);
    let appended = deaf.inbox.append(P0, body("entry")).await;
    assert!(matches!(appended, Err(AppendError::Unknown(_))), "{appended:?}");
    deaf.signals.publish("y", body("heard")).await.unwrap();
    assert_eq!(from_deaf.next().await.unwrap().unwrap().body, body("heard"));

    other.signals.publish("x", body("lost")).await.unwrap();
    assert!(timeout(LATER, to_deaf.next()).await.is_err());
    assert!(timeout(LATER, deaf.inbox.read(P0, 0, ReadLimit::default())).await.is_err());
    assert!(deaf.leases.release("deaf").await.is_err());
    assert!(other.leases.list().await.unwrap().is_empty(), "released, and not told so");
    sim.set_link("deaf", Link::Up);
    assert_eq!(deaf.inbox.read(P0, 0, ReadLimit::default()).await.unwrap()[0].1, body("entry"));
    assert!(deaf.leases.renew("deaf", body("again")).await.unwrap() > leases["deaf"].renewal);
}

/// An answer that is under way when the node goes deaf is lost.
#[tokio::test(start_paused = true)]
async fn a_node_that_goes_deaf_misses_the_answer_under_way() {
    let sim = sim_with(Faults { slow: 1.0, ..Faults::default() });
    let bus = sim.node("a");
    let append = bus.inbox.append(P0, body("x"));
    tokio::pin!(append);
    assert!(timeout(Duration::ZERO, &mut append).await.is_err());
    sim.set_link("a", Link::Deaf);
    assert!(matches!(append.await, Err(AppendError::Unknown(_))));
    assert_eq!(sim.inbox_entries(P0).len(), 1);
}

/// A renewal or a release may be lost, or land and not be answered; none lands when its node has gone on.
#[tokio::test(start_paused = true)]
async fn a_renewal_without_an_answer_has_landed_or_never_will() {
    let sim = SimBus::new(1, 1);
    let (bus, other) = (sim.node("a"), sim.node("other"));
    let faults = [
        Faults { unanswered: 1.0, ..Faults::default() },
        Faults { late: 1.0, ..Faults::default() },
        Faults { lost: 1.0, ..Faults::default() },
    ];
    for (faults, lands) in faults.into_iter().zip([true, true, false]) {
        for (n, text) in ["renewed", "released"].into_iter().enumerate() {
            sim.set_faults(faults.clone());
            let failed = match n {
                0 => bus.leases.renew("a", body(text)).await.is_err(),
                _ => bus.leases.release("a").await.is_err(),
            };
            assert!(failed, "{faults:?} answered");
            sim.set_faults(Faults::default());
            let found = other.leases.list().await.unwrap().len();
            assert_eq!(found, usize::from(lands && n == 0), "{text} with {faults:?}");
            sleep(LATER).await;
            assert_eq!(other.leases.list().await.unwrap().len(), found, "{text} with {faults:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_node_stands_still_and_its_late_record_is_fenced() {
    let sim = SimBus::new(1, 1);
    let (paused, other) = (sim.node("paused"), sim.node("other"));
    sim.set_link("paused", Link::Paused);
    let late = paused.log.append(P0, 0, body("old owner"));
    tokio::pin!(late);
    assert!(timeout(LATER, &mut late).await.is_err());
    other.log.append(P0, 0, body("new owner")).await.unwrap();
    sim.set_link("paused", Link::Up);
    assert!(matches!(late.await, Err(LogAppendError::Conflict)));
}

#[tokio::test(start_paused = true)]
async fn sequences_have_gaps() {
    let sim = SimBus::new(1, 1);
    let bus = sim.node("a");
    let mut seqs = Vec::new();
    for _ in 0..100 {
        seqs.push(bus.inbox.append(P0, body("x")).await.unwrap());
    }
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(seqs.windows(2).any(|pair| pair[0] + 1 < pair[1]));
}

#[tokio::test(start_paused = true)]
async fn the_switches_break_what_they_name() {
    let sim = SimBus::new(1, 1);
    let bus = sim.node("a");
    bus.log.append(P0, 0, body("one")).await.unwrap();
    bus.states.put(P0, vec![put("main", 5)]).await.unwrap();
    let breaks = Breaks { ignore_expected_last: true, unconditional_save: true };
    sim.set_breaks(breaks);
    bus.log.append(P0, 0, body("no fence")).await.unwrap();
    bus.states.put(P0, vec![put("main", 4)]).await.unwrap();
    assert_eq!(sim.records(P0).len(), 2);
    assert_eq!(sim.saved_parts(P0)[0].1.position.seq, 4);
    sim.set_breaks(Breaks::default());
    assert!(bus.log.append(P0, 0, body("fenced")).await.is_err());
    bus.states.put(P0, vec![put("main", 3)]).await.unwrap();
    assert_eq!(sim.saved_parts(P0)[0].1.position.seq, 4);
    assert_eq!(sim.saves(P0).len(), 2);
}

/// The suite that every adapter passes fails on a bus without its promises.
#[tokio::test(start_paused = true)]
async fn the_conformance_suite_bites() {
    let broken = |breaks| {
        let sim = SimBus::new(1, conformance::PARTITIONS);
        sim.set_breaks(breaks);
        sim.node("a")
    };
    let no_fence = Breaks { ignore_expected_last: true, ..Breaks::default() };
    assert!(conformance::log_refuses_a_wrong_last(broken(no_fence)).await.is_err());
    assert!(conformance::log_refuses_a_resent_record(broken(no_fence)).await.is_err());
    assert!(conformance::log_has_one_winner(broken(no_fence)).await.is_err());
    let no_order = Breaks { unconditional_save: true, ..Breaks::default() };
    assert!(conformance::states_keep_the_newest(broken(no_order)).await.is_err());
    assert!(conformance::states_keep_a_tombstone(broken(no_order)).await.is_err());
    assert!(conformance::states_keep_the_newest_checkpoint(broken(no_order)).await.is_err());
}
