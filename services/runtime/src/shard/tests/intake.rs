//! Credit, the channel rule, and inputs that no entity can take.

use bus::{EntityId, PartitionId, RecordBody};

use super::driver::{Driver, command, entity_in, keys, message, settings};
use crate::{
    CallReturn,
    host::CallResult,
    shard::{Action, StopReason},
};

#[test]
fn channel_messages_are_decided_once_in_order() {
    let mut driver = Driver::new(settings());
    driver.input(vec![message(1, 1, "put a=1"), message(2, 2, "put a=1")]);
    driver.input(vec![message(1, 1, "put a=1"), message(2, 2, "put a=1"), message(3, 1, "x")]);
    assert_eq!(keys(&driver.store), [1_001, 1_002, 1_003]);
    let records = driver.store.records();
    let RecordBody::Steps(steps) = &records.last().unwrap().1.body else { panic!() };
    assert_eq!(steps.taken, [(PartitionId(2), 3)]);
    assert_eq!((steps.place.seq, steps.place.index), (6, 2));
    // The next owner knows what was taken.
    let mut driver = Driver::over(driver.store, settings(), 2);
    driver.input(vec![message(3, 1, "x"), message(4, 1, "x")]);
    assert_eq!(keys(&driver.store), [1_001, 1_002, 1_003, 1_004]);
}

#[test]
fn repeats_alone_advance_the_place() {
    let mut driver = Driver::new(settings());
    driver.input(vec![message(1, 1, "put a=1")]);
    driver.input(vec![message(1, 1, "put a=1")]);
    assert_eq!(keys(&driver.store), [1_001]);
    assert_eq!(driver.shard.status().place.seq, 6);
    assert_eq!(driver.shard.status().in_flight, 0);
}

#[test]
fn a_gap_stops_the_partition_and_is_never_skipped() {
    let mut driver = Driver::new(settings());
    driver.input(vec![message(1, 1, "put a=1"), message(3, 1, "put a=1")]);
    driver.let_go();
    assert!(matches!(driver.stopped, Some(StopReason::ChannelGap { expected: 2, number: 3, .. })));
    assert_eq!(driver.alarms, ["channel_gap"]);
    assert!(!keys(&driver.store).contains(&1_003));
}

/// The inbox is trimmed behind the new owner's checkpoint while the former one still reads.
#[test]
fn a_gap_before_a_former_owner_only_says_that_it_is_fenced() {
    let mut former = Driver::new(settings());
    former.hold.insert("append");
    former.input(vec![message(1, 1, "put a=1"), message(3, 1, "put a=1")]);
    let proof = former.take_held("append").pop().unwrap();
    let own = former.store.last().unwrap();
    let new = Driver::over(former.store.clone(), settings(), 2);
    former.store = new.store;
    assert_ne!(former.store.last().unwrap(), own);
    former.perform_held(proof);
    former.let_go();
    assert_eq!((former.stopped, former.alarms), (Some(StopReason::Fenced), vec![]));
}

#[test]
fn the_broken_channel_rule_decides_repeats() {
    let mut settings = settings();
    settings.breaks.channel = true;
    let mut driver = Driver::new(settings);
    driver.input(vec![message(1, 1, "x"), message(1, 1, "x"), message(3, 1, "x")]);
    assert_eq!(keys(&driver.store), [1_001, 1_001, 1_003]);
}

#[test]
fn reading_stops_without_credit_and_goes_on_with_it() {
    let mut settings = settings();
    settings.inputs_in_flight_max = 3;
    let mut driver = Driver::new(settings);
    driver.hold.extend(["append", "read"]);
    // The first read is out already.
    for n in 1..=5 {
        driver.store.put_inputs(vec![command(n, 1, "put a=1")]);
    }
    driver.run();
    assert_eq!(driver.shard.status().in_flight, 5, "a read may bring more than the credit");
    assert!(driver.take_held("read").is_empty());
    let append = driver.take_held("append").pop().unwrap();
    driver.perform_held(append);
    let append = driver.take_held("append").pop().unwrap();
    driver.perform_held(append);
    let reads = driver.take_held("read");
    let [Action::Read { after: 15, limit }] = reads.as_slice() else { panic!("{reads:?}") };
    assert_eq!(limit.values, 3);
}

#[test]
fn inputs_that_no_entity_can_take_are_dead_lettered() {
    let mut driver = Driver::new(settings());
    let mut foreign = command(1, 1, "put a=1;reply x");
    foreign.target = entity_in(1, 1);
    let mut reserved = command(2, 1, "put a=1");
    reserved.target = EntityId { kind: 0xFF, ..reserved.target };
    let mut no_result = command(3, 1, "put a=1");
    no_result.header.cause = bus::Cause::CallResult;
    driver.input(vec![foreign, reserved, no_result, command(4, 1, "put a=1")]);
    driver.store.inbox.push((9, bytes::Bytes::from_static(b"no entry")));
    driver.run();
    let steps = driver.store.steps();
    let dead: Vec<_> = steps.iter().map(|(_, step)| step.dead_letter.is_some()).collect();
    assert_eq!(dead, [true, true, true, false, true]);
    assert!(steps[0].1.events.is_empty());
    assert_eq!(steps[4].1.dead_letter.as_ref().unwrap().input.body, "no entry");
    assert_eq!(driver.shard.status().dead_letters, 4);
    assert!(driver.left[0].contains("another partition"), "{:?}", driver.left);
}

#[test]
fn a_call_result_in_the_inbox_is_one_to_its_entity() {
    let mut driver = Driver::new(settings());
    let returned = CallReturn {
        entity: super::driver::entity(5),
        business: bus::BusinessId::default(),
        call: super::driver::key(44),
        result: CallResult::Unknown("x".to_owned()),
    };
    driver.input(vec![returned.into_input(9).unwrap()]);
    let (_, step) = driver.store.steps().pop().unwrap();
    assert_eq!((step.events[0].body.as_ref(), step.place.is_some()), (&b"result-44"[..], true));
}
