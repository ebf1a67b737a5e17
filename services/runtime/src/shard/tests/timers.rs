//! Timers.

use bus::Cause;

use super::driver::{Driver, START_MS, command, settings};
use crate::shard::Action;

fn causes(driver: &Driver) -> Vec<Cause> {
    driver.store.steps().iter().map(|(_, step)| step.header.cause).collect()
}

#[test]
fn a_timer_is_decided_when_it_is_due_by_whoever_owns_the_partition() {
    let mut driver = Driver::new(settings());
    let wake = format!("wake {}", START_MS + 5_000);
    driver.input(vec![command(1, 1, &wake)]);
    driver.pass(4_000);
    assert_eq!(causes(&driver), [Cause::Command]);
    assert_eq!(driver.shard.next_tick_ms(driver.now), 1_000);
    driver.pass(1_000);
    let (_, step) = driver.store.steps().pop().unwrap();
    assert_eq!((step.header.cause, step.wake_ms), (Cause::Timer, None));
    assert_eq!(step.header.business.0, "b", "the tenant is remembered");
    assert_eq!((step.now_ms, step.place), (START_MS + 5_000, None));
    driver.pass(100_000);
    assert_eq!(causes(&driver).len(), 2);
}

#[test]
fn the_index_survives_with_and_without_a_checkpoint() {
    for checkpoints in [false, true] {
        let mut driver = Driver::new(settings());
        let wake = format!("wake {}", START_MS + 5_000);
        driver.input(vec![command(1, 1, &wake), command(2, 2, &wake)]);
        if checkpoints {
            driver.shard.settings.checkpoint_interval_ms = 1;
            driver.pass(10);
            assert!(driver.store.checkpoint.is_some());
        }
        let mut driver = Driver::over(driver.store, settings(), 2);
        assert_eq!(driver.shard.status().timers, 2);
        driver.pass(5_000);
        let timers = causes(&driver).into_iter().filter(|cause| *cause == Cause::Timer);
        assert_eq!(timers.count(), 2);
    }
}

#[test]
fn one_wake_is_out_per_entity() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, &format!("wake {}", START_MS + 10))]);
    let mut driver = Driver::over_holding(driver.store, 2, &["dispatch"]);
    driver.pass(10);
    driver.pass(10);
    assert_eq!(driver.take_held("dispatch").len(), 1);
}

#[test]
fn a_wake_that_changes_nothing_backs_off_and_alarms() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, &format!("wake {}", START_MS + 10))]);
    // The next owner's entity states the timer but does nothing about it.
    driver.hold.insert("dispatch");
    driver.pass(10);
    let mut wakes = 0;
    for _ in 0..300 {
        for action in driver.take_held("dispatch") {
            let Action::Dispatch { life, ticket, .. } = action else { panic!() };
            wakes += 1;
            let wake_ms = Some(START_MS + 10);
            let decided = crate::shard::Decided { wake_ms, ..Default::default() };
            let outcome = crate::shard::Outcome::Decided(Box::new(decided));
            driver.tell(crate::shard::Notice::Decided { life, ticket, outcome });
        }
        driver.pass(100);
    }
    // In 30 s with waits of 1, 2, 4, 8, 16 s.
    assert_eq!(wakes, 5);
    assert!(driver.alarms.iter().all(|alarm| *alarm == "wake_stuck"));
    assert_eq!(driver.alarms.len(), wakes);
    assert_eq!(causes(&driver), [Cause::Command], "nothing to record");
}

#[test]
fn a_poisoned_wake_is_put_off_longer_each_time() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, &format!("wake {}", START_MS + 10))]);
    driver.hold.insert("dispatch");
    driver.pass(10);
    let mut at = Vec::new();
    for _ in 0..100 {
        while let Some(action) = driver.take_held("dispatch").pop() {
            let Action::Dispatch { life, ticket, .. } = action else { panic!() };
            let outcome = crate::shard::Outcome::Poison("told so".to_owned());
            driver.tell(crate::shard::Notice::Decided { life, ticket, outcome });
        }
        driver.pass(100);
    }
    for (_, step) in driver.store.steps().iter().skip(1) {
        assert!(step.dead_letter.is_some());
        at.push(step.wake_ms.unwrap() - step.now_ms);
    }
    assert_eq!(at, [1_000, 2_000, 4_000, 8_000]);
}

#[test]
fn timers_are_decided_a_few_at_a_time() {
    let mut few = settings();
    few.wakes_in_flight_max = 3;
    let mut driver = Driver::new(few);
    let wake = format!("wake {}", START_MS + 100);
    driver.input((1..=10).map(|n| command(n, n, &wake)).collect());
    driver.hold.insert("append");
    driver.pass(100);
    assert_eq!((driver.shard.status().staged, driver.held.len()), (2, 1));
    driver.let_go();
    assert_eq!(driver.store.steps().len(), 20);
}
