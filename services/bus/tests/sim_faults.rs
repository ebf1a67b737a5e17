//! The simulated bus: each fault does what it says, and a seed repeats.

use std::time::Duration;

use bus::{
    AppendError, BusError, EntityId, LogAppendError, PartName, PartPut, PartitionId, Position,
    ReadLimit, SavedPart, conformance,
    sim::{Breaks, Faults, Link, SimBus},
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
    sleep(LATER).await;
    assert_eq!(sim.records(P0).len(), 1);

    let landed = sim.records(P0)[0].0;
    drop(bus.log.append(P0, landed, body("too late")).await);
    sim.set_faults(Faults::default());
    bus.log.append(P0, landed, body("winner")).await.unwrap();
    sleep(LATER).await;
    let bodies: Vec<_> = sim.records(P0).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [body("late"), body("winner")]);
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
