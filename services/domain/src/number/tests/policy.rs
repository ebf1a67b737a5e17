//! What each way of waiting does to the message, its lane and its channel.

use super::kit::{HOUR_MS, START_MS, World, accepted, config, id, key, refused, request};
use crate::{
    conversation::SendOutcome,
    number::{Lane, NumberAnswer, NumberInput, PauseReason, Retry, SendRequest, Wait, WaitScope},
};

fn wait(scope: WaitScope, first_ms: u64, attempts_max: Option<u32>) -> Retry {
    Retry::Wait(Wait { scope, first_ms, attempts_max })
}

fn lasting(customer: u8, lane: Lane, hours: u64) -> SendRequest {
    SendRequest { not_after_ms: START_MS + hours * HOUR_MS, ..request(customer, 1, lane) }
}

#[test]
fn a_paused_channel_is_tried_by_one_call_and_goes_on_when_that_is_accepted() {
    let mut world = World::new(20);
    for customer in 1..=4 {
        world.ask(request(customer, 1, Lane::Agent));
    }
    for customer in 1..=4 {
        world.result(key(customer, 1, 1), &refused(190, Retry::Stop(PauseReason::Token)));
    }
    let (cause, until_ms) = world.number.paused().unwrap();
    assert_eq!((cause.reason, cause.code, cause.times), (PauseReason::Token, 190, 1));
    assert_eq!(until_ms, START_MS + 300_000);
    world.pass(299_999);
    assert_eq!(world.calls.len(), 4);
    world.pass(1);
    assert_eq!(world.calls.len(), 5, "one call tries");
    let probe = world.calls[4].key;
    world.result(probe, &refused(190, Retry::Stop(PauseReason::Token)));
    world.reload();
    let (cause, until_ms) = world.number.paused().unwrap();
    assert_eq!((cause.times, until_ms), (2, START_MS + 900_000), "longer each time in a row");
    world.pass(600_000);
    assert_eq!(world.calls.len(), 6);
    let probe = world.calls[5].key;
    world.result(probe, &accepted(1));
    assert_eq!(world.number.paused(), None);
    assert_eq!(world.calls.len(), 9, "the rest follows");
}

#[test]
fn a_paused_channel_goes_on_when_it_is_configured_again() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.ask(request(2, 1, Lane::Agent));
    world.result(key(1, 1, 1), &refused(368, Retry::Stop(PauseReason::Policy)));
    world.result(key(2, 1, 1), &accepted(2));
    assert_eq!(world.number.paused(), None, "an accepted call proves that it works");
    assert_eq!(world.attempts()[2..], [key(1, 1, 2)], "and everything goes on");
    world.result(key(1, 1, 2), &refused(368, Retry::Stop(PauseReason::Policy)));
    assert!(world.number.paused().is_some());
    world.input(&NumberInput::Configure(config(20)));
    assert_eq!(world.attempts()[3..], [key(1, 1, 3)]);
}

#[test]
fn who_waited_for_a_paused_channel_is_told_why() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &refused(131_042, Retry::Stop(PauseReason::Payment)));
    world.ask(SendRequest { not_after_ms: START_MS + 1_000, ..request(2, 1, Lane::Agent) });
    world.pass(2_000);
    let told = PauseReason::Payment.told().to_owned();
    assert_eq!(world.outcome(id(2, 1)), Some(&SendOutcome::Failed { code: 131_042, told }));
}

#[test]
fn a_message_waits_longer_each_time_and_only_so_often() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Bot));
    let retry = wait(WaitScope::Message, 5_000, Some(3));
    world.result(key(1, 1, 1), &refused(131_053, retry));
    world.pass(5_000);
    world.result(key(1, 1, 2), &refused(131_053, retry));
    world.pass(9_999);
    assert_eq!(world.calls.len(), 2);
    world.pass(1);
    world.result(key(1, 1, 3), &refused(131_053, retry));
    assert!(world.is_failed(id(1, 1), 131_053), "three attempts in all");
}

#[test]
fn held_marketing_is_not_tried_before_a_day_and_then_two() {
    let mut world = World::new(20);
    let retry = wait(WaitScope::Message, 24 * HOUR_MS, None);
    world.ask(lasting(1, Lane::Campaign, 100));
    world.ask(lasting(2, Lane::Campaign, 23));
    world.result(key(2, 1, 1), &refused(131_049, retry));
    assert!(world.is_failed(id(2, 1), 131_049), "it would lapse before");
    world.result(key(1, 1, 1), &refused(131_049, retry));
    world.pass(24 * HOUR_MS - 1);
    assert_eq!(world.calls.len(), 2);
    world.pass(1);
    assert_eq!(world.calls.len(), 3);
    world.result(key(1, 1, 2), &refused(131_049, retry));
    world.pass(48 * HOUR_MS - 1);
    assert_eq!(world.calls.len(), 3);
    world.pass(1);
    assert_eq!(world.calls.len(), 4);
}

#[test]
fn a_spam_limit_stops_campaigns_and_nothing_else() {
    let mut world = World::new(20);
    let retry = wait(WaitScope::Lane(Lane::Campaign), HOUR_MS, None);
    for customer in 1..=2 {
        world.ask(lasting(customer, Lane::Campaign, 5));
    }
    world.result(key(1, 1, 1), &refused(131_048, retry));
    world.result(key(2, 1, 1), &accepted(1));
    world.ask(lasting(3, Lane::Campaign, 5));
    world.ask(request(4, 1, Lane::Agent));
    assert_eq!(world.left(), [id(1, 1), id(2, 1), id(4, 1)]);
    world.result(key(4, 1, 1), &refused(131_048, retry));
    assert!(world.is_failed(id(4, 1), 131_048), "an agent is told at once");
    world.reload();
    world.pass(HOUR_MS);
    assert_eq!(world.left()[3..], [id(1, 1), id(3, 1)]);
}

#[test]
fn maintenance_pauses_the_number_for_a_minute() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &refused(131_057, wait(WaitScope::Number, 60_000, None)));
    world.ask(request(2, 1, Lane::Agent));
    world.pass(59_999);
    assert_eq!(world.calls.len(), 1);
    world.pass(1);
    assert_eq!(world.calls.len(), 3);
}

#[test]
fn a_throttle_halves_the_rate_and_it_recovers() {
    let mut world = World::new(80);
    world.ask(request(1, 1, Lane::Agent));
    assert_eq!(world.calls[0].rate_per_s, None);
    world.result(key(1, 1, 1), &refused(130_429, Retry::NumberBackoff));
    world.pass(1_000);
    assert_eq!(world.calls[1].rate_per_s, Some(40), "half, and a hundredth per second back");
    world.result(key(1, 1, 2), &accepted(1));
    world.pass(25_000);
    world.ask(request(2, 1, Lane::Agent));
    assert_eq!(world.calls[2].rate_per_s, Some(60));
    world.pass(25_000);
    world.ask(request(3, 1, Lane::Agent));
    assert_eq!(world.calls[3].rate_per_s, None, "as configured again");
}

#[test]
fn a_number_says_how_much_may_wait_and_when_there_is_room() {
    let mut world = World::new(1);
    let room = |world: &World, wanted| {
        let input = NumberInput::Room { wanted };
        let occasion = crate::number::Occasion::Input { key: [0; 16], input: &input };
        let outcome = world.number.decide(super::kit::me(), occasion, world.now_ms, 0, world.level);
        assert_eq!(outcome.events, []);
        match outcome.reply {
            Some(NumberAnswer::Room { waiting, limit, retry_after_ms }) => {
                (waiting, limit, retry_after_ms)
            }
            other => panic!("{other:?}"),
        }
    };
    for customer in 1..=10 {
        world.ask(request(customer, 1, Lane::Campaign));
    }
    assert_eq!(room(&world, 490), (10, 500, 0));
    assert_eq!(room(&world, 495), (10, 500, 5_000), "five leave in five seconds");
}
