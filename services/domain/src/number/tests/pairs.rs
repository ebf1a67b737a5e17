//! The pair rate as debt: a message per 6 s to one customer, 45 borrowed from the future.

use proptest::prelude::*;

use super::kit::{START_MS, World, accepted, id, request};
use crate::number::{Lane, SendRequest};

/// Everything is accepted the moment it leaves.
fn accept_all(world: &mut World) {
    let mut done = 0;
    while done < world.calls.len() {
        let key = world.calls[done].key;
        world.result(key, &accepted(1));
        done += 1;
    }
}

fn long(customer: u8, n: u64, lane: Lane) -> SendRequest {
    SendRequest { not_after_ms: START_MS + 20 * 3_600_000, ..request(customer, n, lane) }
}

#[test]
fn a_burst_of_45_then_one_every_six_seconds_and_others_go_on() {
    let mut world = World::new(80);
    for n in 1..=60 {
        world.ask(long(1, n, Lane::Bot));
    }
    accept_all(&mut world);
    assert_eq!(world.left().len(), 45);
    world.ask(long(2, 1, Lane::Bot));
    assert_eq!(world.left().last(), Some(&id(2, 1)), "another customer does not wait");
    world.pass(5_999);
    assert_eq!(world.left().len(), 46);
    for more in 1..=3 {
        world.pass(if more == 1 { 1 } else { 6_000 });
        assert_eq!(world.left().len(), 46 + more);
        let key = world.calls.last().unwrap().key;
        world.result(key, &accepted(1));
    }
}

#[test]
fn a_debt_survives_a_take_over() {
    let mut world = World::new(80);
    for n in 1..=50 {
        world.ask(long(1, n, Lane::Agent));
    }
    accept_all(&mut world);
    assert_eq!(world.left().len(), 45);
    for _ in 0..5 {
        world.pass(6_000);
        accept_later(&mut world);
    }
    world.pass(31_000);
    world.reload();
    let before = world.left().len();
    assert_eq!(before, 50, "five drained in half a minute");
    for n in 51..=100 {
        world.ask(long(1, n, Lane::Agent));
    }
    accept_later(&mut world);
    assert!(
        world.left().len() - before <= 6,
        "{} after the take-over",
        world.left().len() - before
    );
}

fn accept_later(world: &mut World) {
    loop {
        let open: Vec<_> = world.number.in_flight().collect();
        if open.is_empty() {
            return;
        }
        for key in open {
            world.result(key, &accepted(1));
        }
    }
}

#[test]
fn in_debt_the_conversation_goes_before_the_campaign() {
    let mut world = World::new(80);
    for n in 1..=45 {
        world.ask(long(1, n, Lane::Bot));
    }
    accept_all(&mut world);
    world.ask(long(1, 46, Lane::Campaign));
    world.ask(long(1, 47, Lane::Utility));
    world.ask(long(1, 48, Lane::Agent));
    world.ask(long(1, 49, Lane::Bot));
    let mut order = Vec::new();
    for _ in 0..4 {
        world.pass(6_000);
        let key = world.calls.last().unwrap().key;
        order.push(key.request.n);
        world.result(key, &accepted(1));
    }
    assert_eq!(order, [48, 49, 47, 46]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// The watcher checks the debt at every intent; here: the debt is used, and nothing is left behind.
    #[test]
    fn bursts_go_as_fast_as_the_debt_allows(
        bursts in prop::collection::vec((1_u8..3, 1_u64..40, 0_u64..60_000), 1..8),
        reload in any::<bool>(),
    ) {
        let mut world = World::new(80);
        let mut asked = 0;
        for (at, (customer, count, pause_ms)) in bursts.iter().enumerate() {
            for n in 0..*count {
                world.ask(long(*customer, at as u64 * 100 + n + 1, Lane::Agent));
                asked += 1;
            }
            accept_later(&mut world);
            if reload {
                world.reload();
            }
            let until_ms = world.now_ms + pause_ms;
            while let Some(wake_ms) = world.number.wake_ms().filter(|at_ms| *at_ms <= until_ms) {
                world.pass(wake_ms.saturating_sub(world.now_ms));
                accept_later(&mut world);
            }
            world.pass(until_ms - world.now_ms);
        }
        for _ in 0..asked {
            accept_later(&mut world);
            world.pass(6_000);
        }
        prop_assert_eq!(world.left().len(), asked);
    }
}
