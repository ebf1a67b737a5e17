//! What leaves next.

use super::kit::{HOUR_MS, START_MS, World, accepted, config, id, key, request};
use crate::{
    Sealed,
    conversation::SendOutcome,
    number::{Lane, Number, NumberInput},
};

#[test]
fn at_most_a_quarter_of_a_second_is_ahead_of_the_door() {
    let mut world = World::new(20);
    for customer in 1..=20 {
        world.ask(request(customer, 1, Lane::Agent));
    }
    assert_eq!(world.left(), (1..=5).map(|customer| id(customer, 1)).collect::<Vec<_>>());
    world.result(key(3, 1, 1), &accepted(3));
    assert_eq!(world.left().last(), Some(&id(6, 1)));
    world.depart(&[key(1, 1, 1), key(2, 1, 1), key(2, 1, 1), key(9, 1, 1)]);
    assert_eq!(world.left().len(), 8, "calls that have left make room, however long they take");
    assert_eq!(world.number.n_in_flight(), 7);
}

#[test]
fn a_slow_provider_does_not_cap_the_number_below_its_rate() {
    let mut world = World::new(20);
    for customer in 1..=100 {
        world.ask(request(customer, 1, Lane::Campaign));
    }
    // Calls leave every 50 ms and take 4 s.
    let mut at = 0;
    while world.now_ms < START_MS + 4_000 {
        world.pass(50);
        let leaves = world.calls[at].key;
        world.depart(&[leaves]);
        at += 1;
    }
    assert_eq!(at, 80, "the rate for four seconds, without one result");
    world.reload();
    assert_eq!(world.number.n_in_flight(), world.calls.len());
}

#[test]
fn slow_numbers_starve_no_lane_and_keep_a_slot_for_agents() {
    for rate in [1, 3, 7] {
        let mut world = World::new(rate);
        for customer in 1..=60 {
            world.ask(request(customer, 1, Lane::Bot));
            world.ask(request(customer + 60, 1, Lane::Utility));
            world.ask(request(customer + 120, 1, Lane::Campaign));
        }
        let count = |world: &World, lane| world.calls.iter().filter(|c| c.lane == lane).count();
        for at in 0..28 {
            let call = world.calls[at].key;
            world.result(call, &accepted(1));
        }
        let counts = [Lane::Bot, Lane::Utility, Lane::Campaign].map(|lane| count(&world, lane));
        assert!(counts[0] >= 15 && counts[1] >= 7 && counts[2] >= 4, "{rate}/s: {counts:?}");
        let before = world.calls.len();
        world.ask(request(200, 1, Lane::Agent));
        assert_eq!(world.calls.len(), before + 1, "an agent waits for nobody's call");
    }
}

#[test]
fn a_lane_saves_no_turns_up_while_it_has_nothing_to_send() {
    let mut world = World::new(20);
    for customer in 1..=100 {
        world.ask(request(customer, 1, Lane::Campaign));
    }
    for at in 0..50 {
        let call = world.calls[at].key;
        world.result(call, &accepted(1));
    }
    let before = world.calls.len();
    for customer in 101..=150 {
        world.ask(request(customer, 1, Lane::Bot));
    }
    for at in 50..75 {
        let call = world.calls[at].key;
        world.result(call, &accepted(1));
    }
    let campaigns = world.calls[before..].iter().filter(|c| c.lane == Lane::Campaign).count();
    assert!(campaigns >= 4, "{campaigns} of {}", world.calls.len() - before);
}

#[test]
fn one_call_per_customer_in_order() {
    let mut world = World::new(80);
    for n in 1..=3 {
        world.ask(request(1, n, Lane::Bot));
    }
    assert_eq!(world.left(), [id(1, 1)]);
    world.result(key(1, 1, 1), &accepted(1));
    world.result(key(1, 2, 1), &accepted(2));
    assert_eq!(world.left(), [id(1, 1), id(1, 2), id(1, 3)]);
}

#[test]
fn an_agents_reply_finds_a_slot_among_campaigns() {
    let mut world = World::new(20);
    for customer in 1..=50 {
        world.ask(request(customer, 1, Lane::Campaign));
    }
    assert_eq!(world.calls.len(), 4, "one slot stays free for agents");
    world.ask(request(60, 1, Lane::Agent));
    assert_eq!(world.left().last(), Some(&id(60, 1)));
}

#[test]
fn an_agents_reply_does_not_wait_for_a_campaign_to_the_same_customer() {
    let mut world = World::new(20);
    for customer in 1..=50 {
        world.ask(request(customer, 1, Lane::Campaign));
    }
    world.ask(request(50, 2, Lane::Agent));
    assert_eq!(world.left().last(), Some(&id(50, 2)));
}

#[test]
fn a_bots_message_before_an_agents_leaves_in_the_agents_lane() {
    let mut world = World::new(20);
    for customer in 1..=30 {
        world.ask(request(customer, 1, Lane::Bot));
    }
    world.ask(request(30, 2, Lane::Agent));
    assert_eq!(world.left().last(), Some(&id(30, 1)), "the order of a customer is kept");
    assert_eq!(world.calls.last().map(|call| call.lane), Some(Lane::Agent));
    world.result(key(30, 1, 1), &accepted(1));
    assert_eq!(world.left().last(), Some(&id(30, 2)));
}

#[test]
fn a_busy_bot_slows_campaigns_down_and_does_not_stop_them() {
    let mut world = World::new(20);
    for customer in 1..=100 {
        world.ask(request(customer, 1, Lane::Bot));
        world.ask(request(customer + 100, 1, Lane::Campaign));
    }
    for at in 0..60 {
        let call = world.calls[at].key;
        world.result(call, &accepted(1));
    }
    let campaigns = world.calls.iter().filter(|call| call.lane == Lane::Campaign).count();
    assert!((10..=20).contains(&campaigns), "{campaigns} of {}", world.calls.len());
}

#[test]
fn nothing_free_form_leaves_outside_the_window() {
    let mut world = World::new(20);
    let closed =
        crate::number::SendRequest { window_until_ms: START_MS, ..request(1, 1, Lane::Agent) };
    world.ask(closed.clone());
    assert!(world.is_failed(id(1, 1), 131_047));
    let template = crate::number::SendRequest { free_form: false, ..closed };
    world.ask(crate::number::SendRequest { request: id(1, 2), ..template });
    assert_eq!(world.left(), [id(1, 2)]);
}

#[test]
fn what_waits_too_long_ends() {
    let mut world = World::new(1);
    world.ask(request(1, 1, Lane::Agent));
    world.ask(crate::number::SendRequest {
        not_after_ms: START_MS + 100,
        ..request(2, 1, Lane::Agent)
    });
    world.pass(100);
    assert_eq!(world.outcome(id(2, 1)), None, "it may still leave");
    world.pass(1);
    assert_eq!(world.outcome(id(2, 1)), Some(&SendOutcome::Cancelled));
}

#[test]
fn nothing_leaves_before_the_first_configuration() {
    let mut world = World::new(20);
    (world.number, world.watch) = (Number::default(), super::watch::Watch::default());
    world.ask(request(1, 1, Lane::Agent));
    assert_eq!(world.left(), []);
    world.input(&NumberInput::Configure(config(20)));
    assert_eq!(world.left(), [id(1, 1)]);
}

#[test]
fn a_repeated_request_is_ignored() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &accepted(1));
    world.ask(request(1, 1, Lane::Agent));
    assert_eq!(world.left(), [id(1, 1)]);
    assert_eq!(world.told.len(), 1);
}

#[test]
fn ended_requests_are_forgotten_after_a_while() {
    let mut world = World::new(20);
    for customer in 1..=5 {
        world.ask(request(customer, 1, Lane::Agent));
        world.result(key(customer, 1, 1), &accepted(1));
    }
    assert_eq!(world.number.part_names().len(), 6);
    world.pass(HOUR_MS);
    assert_eq!(world.number.part_names(), ["number"]);
    assert_eq!(world.number.wake_ms(), None);
}

#[test]
fn large_messages_leave_in_steps_that_fit() {
    let mut world = World::new(1_000);
    world.input(&NumberInput::Configure(config(0)));
    for customer in 1..=12 {
        let content = Sealed { key_id: 1, bytes: vec![0; 60_000] };
        world.ask(crate::number::SendRequest { content, ..request(customer, 1, Lane::Agent) });
    }
    assert_eq!(world.calls.len(), 1);
    world.input(&NumberInput::Configure(config(1_000)));
    assert!(world.calls.len() < 5, "{} in one step", world.calls.len());
    world.pass(0);
    assert_eq!(world.calls.len(), 12);
}
