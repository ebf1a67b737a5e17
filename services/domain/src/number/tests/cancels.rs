//! Conversations take requests back.

use super::kit::{HOUR_MS, RECONCILE_MS, World, accepted, id, key, not_started, request, unknown};
use crate::{
    conversation::SendOutcome,
    number::{Lane, NumberInput},
};

#[test]
fn what_waits_is_cancelled() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Bot));
    world.ask(request(1, 2, Lane::Bot));
    world.ask(request(1, 3, Lane::Bot));
    world.cancel(id(1, 2));
    assert_eq!(world.outcome(id(1, 2)), Some(&SendOutcome::Cancelled));
    world.result(key(1, 1, 1), &accepted(1));
    assert_eq!(world.left(), [id(1, 1), id(1, 3)]);
}

#[test]
fn what_is_in_flight_is_taken_back_at_the_door_and_its_result_decides() {
    let mut world = World::new(20);
    for customer in 1..=2 {
        world.ask(request(customer, 1, Lane::Bot));
        world.cancel(id(customer, 1));
        world.cancel(id(customer, 1));
    }
    assert_eq!(world.cancels, [key(1, 1, 1), key(2, 1, 1)]);
    assert_eq!(world.told, []);
    world.result(key(1, 1, 1), &not_started());
    world.result(key(2, 1, 1), &accepted(2));
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Cancelled));
    assert!(world.is_accepted(id(2, 1), false), "too late to take it back");
    assert_eq!(world.calls.len(), 2);
}

#[test]
fn a_cancelled_message_of_unknown_outcome_is_not_repeated() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &unknown());
    world.cancel(id(1, 1));
    world.pass(RECONCILE_MS);
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Unknown));
    assert_eq!(world.calls.len(), 1);
}

#[test]
fn a_cancel_before_its_request_is_kept() {
    let mut world = World::new(20);
    world.cancel(id(1, 1));
    world.reload();
    world.ask(request(1, 1, Lane::Agent));
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Cancelled));
    assert_eq!(world.left(), []);
}

#[test]
fn a_cancel_of_what_has_ended_changes_nothing() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &accepted(1));
    let before = world.parts();
    world.cancel(id(1, 1));
    assert_eq!(world.parts(), before);
}

#[test]
fn kept_cancels_are_bounded_and_lapse() {
    let mut world = World::new(20);
    for n in 0..1_000 {
        world.cancel(id(1, n));
    }
    let size = crate::persist::encode(&world.number.part("number").unwrap()).unwrap().len();
    assert!(size < 64 * 1024, "{size} bytes");
    world.pass(2 * HOUR_MS);
    let before = world.parts();
    world.cancel(id(2, 1));
    assert_eq!(world.parts(), before, "its request would have lapsed");
}

#[test]
fn what_is_given_up_ends_as_unknown_and_nothing_of_it_leaves() {
    let mut world = World::new(10);
    for customer in 1..=200 {
        world.ask(request(customer, 1, Lane::Agent));
    }
    assert!(!world.attempts().is_empty(), "nothing is under way");
    // One step holds only so many.
    for _ in 0..4 {
        world.input(&NumberInput::GiveUp);
    }
    for customer in 1..=200 {
        assert_eq!(world.outcome(id(customer, 1)), Some(&SendOutcome::Unknown), "{customer}");
    }
    let begun = world.attempts();
    for call in &begun {
        assert!(world.cancels.contains(call), "{call:?} may still start");
    }
    world.pass(60_000);
    assert_eq!(world.attempts(), begun, "something still leaves");
    // What is asked for later is sent.
    world.ask(request(7, 2, Lane::Agent));
    assert_eq!(world.attempts().last(), Some(&key(7, 2, 1)));
}
