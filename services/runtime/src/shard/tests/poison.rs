//! Poison, quarantine, and inputs that end the process.

use bus::{Place, Record, RecordBody};

use super::driver::{Driver, START_MS, Store, command, entity, keys, settings};
use crate::shard::{Action, Notice};

#[test]
fn poison_waits_is_retried_once_and_dead_lettered_while_others_go_on() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.input(vec![command(1, 1, "put a=before")]);
    driver.input(vec![command(2, 1, "panic;reply x"), command(3, 1, "put a=after")]);
    driver.input(vec![command(4, 2, "put a=other")]);
    assert_eq!(driver.loads, [entity(1), entity(2)], "its earlier step is not durable yet");
    driver.let_go();
    assert_eq!(driver.loads, [entity(1), entity(2), entity(1), entity(1)]);
    let steps = driver.store.steps();
    assert_eq!(keys(&driver.store), [1, 2, 3, 4]);
    let letter = steps[1].1.dead_letter.as_ref().unwrap();
    assert_eq!((letter.error.as_str(), steps[1].1.events.len()), ("told to panic", 0));
    assert_eq!(letter.input.body, "panic;reply x");
    assert!(driver.left[0].starts_with("reply r2 Err(\"told to panic\")"), "{:?}", driver.left);
    assert_eq!(driver.shard.status().dead_letters, 1);
    // The entity lost nothing: what came before and after is in it.
    driver.shard.settings.checkpoint_interval_ms = 1;
    driver.pass(10);
    assert_eq!(driver.store.part(entity(1), "a").unwrap().1, "before after ");
}

#[test]
fn poison_that_passes_is_decided() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "panic-once"), command(2, 1, "put a=2")]);
    let steps = driver.store.steps();
    assert!(steps.iter().all(|(_, step)| step.dead_letter.is_none()));
    assert_eq!(steps[0].1.events[0].body, "after-panic");
    assert_eq!(driver.loads.len(), 2);
}

#[test]
fn a_step_over_the_limits_is_poison() {
    let mut driver = Driver::new(settings());
    let texts = ["many 256", "many 257", "large 131000", "large 132000", "send 3 132000"];
    driver.input((1..).zip(texts).map(|(n, text)| command(n, 1, text)).collect());
    let dead: Vec<_> =
        driver.store.steps().iter().map(|(_, step)| step.dead_letter.is_some()).collect();
    assert_eq!(dead, [false, true, false, true, true]);
}

#[test]
fn a_poisoned_channel_message_takes_its_number() {
    let mut driver = Driver::new(settings());
    let messages = vec![super::driver::message(1, 1, "panic"), super::driver::message(2, 1, "x")];
    driver.input(messages);
    assert_eq!(keys(&driver.store), [1_001, 1_002]);
    let driver = Driver::over(driver.store, settings(), 2);
    assert_eq!(driver.stopped, None);
}

#[test]
fn an_entity_that_ended_unasked_is_loaded_again() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.hold.insert("dispatch");
    driver.input(vec![command(2, 1, "put a=2")]);
    let held = driver.take_held("dispatch");
    let [Action::Dispatch { life, .. }] = held.as_slice() else { panic!("{held:?}") };
    let (life, error) = (*life, "killed".to_owned());
    driver.tell(Notice::EntityGone { entity: entity(1), life, error });
    driver.let_go();
    assert_eq!(keys(&driver.store), [1, 2]);
    assert_eq!(driver.loads.len(), 2);
}

#[test]
fn an_entity_that_ended_with_undurable_steps_is_loaded_after_them() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.input(vec![command(2, 1, "put a=2")]);
    let (life, error) = (1, "killed".to_owned());
    driver.tell(Notice::EntityGone { entity: entity(1), life, error });
    driver.input(vec![command(3, 1, "put a=3")]);
    assert_eq!(driver.loads.len(), 1, "not yet");
    driver.let_go();
    assert_eq!(keys(&driver.store), [1, 2, 3]);
    driver.shard.settings.checkpoint_interval_ms = 1;
    driver.pass(10);
    assert_eq!(driver.store.part(entity(1), "a").unwrap().1, "1 2 3 ");
}

#[test]
fn an_entity_that_cannot_be_made_is_quarantined_and_set_aside() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=unloadable"), command(2, 2, "put a=1")]);
    // The next owner cannot load it; the partition goes on, and so do checkpoints.
    let mut driver = Driver::over(driver.store, settings(), 2);
    driver.input(vec![command(3, 1, "put a=3;reply x"), command(4, 2, "put a=4")]);
    let dead: Vec<_> =
        driver.store.steps().iter().map(|(_, step)| step.dead_letter.is_some()).collect();
    assert_eq!(dead, [false, false, true, false]);
    assert!(driver.alarms.contains(&"quarantined"));
    assert!(driver.left[0].contains("quarantined"), "{:?}", driver.left);
    driver.shard.settings.checkpoint_interval_ms = 1;
    driver.pass(10);
    let checkpoint = driver.store.checkpoint.clone().unwrap();
    assert_eq!(checkpoint.position, driver.shard.status().position);
    // A later owner finds the events, though replay starts after them.
    let mut driver = Driver::over(driver.store, settings(), 3);
    driver.input(vec![command(5, 1, "put a=5")]);
    let (_, step) = driver.store.steps().pop().unwrap();
    assert!(step.dead_letter.unwrap().error.contains("quarantined"));
}

fn tryings(store: &Store) -> Vec<Place> {
    let trying = |(_, record): (u64, Record)| match record.body {
        RecordBody::Trying { place } => Some(place),
        _ => None,
    };
    store.records().into_iter().filter_map(trying).collect()
}

/// A store whose owners ended `ends` times with the same input undecided.
fn store_after(ends: usize) -> Store {
    let mut store = Driver::new(settings()).store;
    store.put_inputs(vec![command(1, 1, "put a=suspect"), command(2, 2, "put a=next")]);
    for incarnation in 1..ends {
        store.take_over(u8::try_from(incarnation).unwrap() + 100);
    }
    store
}

#[test]
fn after_two_abnormal_ends_an_input_is_tried_alone() {
    let suspect = Place { seq: 3, index: 0 };
    let driver = Driver::over(store_after(1), settings(), 50);
    assert_eq!(tryings(&driver.store), [], "one end is no suspicion");
    let driver = Driver::over(store_after(2), settings(), 50);
    assert_eq!(tryings(&driver.store), [suspect]);
    assert_eq!(keys(&driver.store), [1, 2]);
    let kinds: Vec<_> = driver.store.records().iter().map(|(_, r)| kind(&r.body)).collect();
    assert_eq!(kinds, ["epoch", "epoch", "epoch", "trying", "steps", "steps"]);
    // Progress clears the suspicion.
    let driver = Driver::over(driver.store, settings(), 51);
    assert_eq!(tryings(&driver.store).len(), 1);
}

#[test]
fn timers_and_results_wait_while_an_input_is_tried() {
    let mut store = store_after(2);
    store.inbox.clear();
    store.put_inputs(vec![command(1, 1, "put a=suspect")]);
    let mut driver = Driver::over(store, settings(), 50);
    assert_eq!(keys(&driver.store), [1]);
    driver.input(vec![command(2, 1, &format!("wake {}", START_MS + 100))]);
    let mut store = driver.store;
    store.put_inputs(vec![command(3, 1, "put a=suspect")]);
    store.take_over(60);
    store.take_over(61);
    let mut driver = Driver::over(store, settings(), 62);
    assert_eq!(tryings(&driver.store).len(), 2);
    driver.pass(1_000);
    let last = driver.store.steps().pop().unwrap().1;
    assert_eq!(last.header.cause, bus::Cause::Timer, "the timer is decided afterwards");
    assert_eq!(keys(&driver.store), [1, 2, 3]);
}

#[test]
fn an_input_with_two_tries_that_ended_is_dead_lettered() {
    let mut store = store_after(2);
    for (incarnation, tries) in [(60, 1), (61, 2)] {
        let mut driver = Driver::over_holding(store, incarnation, &["dispatch"]);
        assert_eq!(tryings(&driver.store).len(), tries);
        assert!(driver.store.steps().is_empty());
        assert_eq!(driver.take_held("dispatch").len(), 1, "alone");
        store = driver.store;
    }
    let driver = Driver::over(store, settings(), 62);
    let steps = driver.store.steps();
    assert!(steps[0].1.dead_letter.as_ref().unwrap().error.contains("ended the process"));
    assert!(steps[1].1.dead_letter.is_none());
    assert_eq!(keys(&driver.store), [1, 2]);
    assert_eq!(driver.loads, [entity(2)]);
}

fn kind(body: &RecordBody) -> &'static str {
    match body {
        RecordBody::Epoch { .. } => "epoch",
        RecordBody::Trying { .. } => "trying",
        RecordBody::Released => "released",
        RecordBody::Steps(_) => "steps",
    }
}
