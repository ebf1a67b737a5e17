//! Complaints of users of other products, with their circumstances, and beside each the rule that caused it.

use std::collections::VecDeque;

use super::kit::{START_MS, World, accepted, id, key, message, refused, request, unknown};
use crate::{
    RequestId,
    conversation::SendOutcome,
    number::{Lane, Retry},
};

/// "All WhatsApp inboxes silent for hours": one queue for everything, and a campaign of minutes in front of the answers.
#[test]
fn complaint_29_a_campaign_does_not_silence_the_desk() {
    const RATE: u32 = 1;
    let mut world = World::new(RATE);
    let mut naive: VecDeque<RequestId> = VecDeque::new();
    for customer in 1..=20 {
        for n in 1..=12 {
            naive.push_back(id(customer, n));
            world.ask(request(customer, n, Lane::Campaign));
        }
    }
    let answer = request(250, 1, Lane::Agent);
    naive.push_back(answer.request);
    world.ask(answer.clone());
    let behind = naive.iter().position(|queued| *queued == answer.request).unwrap();
    assert!(behind as u64 / u64::from(RATE) >= 200, "the complaint: minutes on this number alone");

    // What was granted before may leave first: a quarter of a second, or one message.
    let mut met = 0;
    while !world.left().contains(&answer.request) {
        let call = world.calls[met].key;
        met += 1;
        assert!(met <= (RATE as usize / 4).max(1), "the answer waits behind the campaign");
        world.result(call, &accepted(1));
    }
    assert_eq!(world.now_ms, START_MS);
}

/// A client that sends again whatever it got no answer for, and what the customer's phone then shows and Meta bills.
#[derive(Default)]
struct SendsAgain {
    delivered: u32,
}

impl SendsAgain {
    fn call(&mut self, reaches_meta: bool, answered: bool) -> bool {
        self.delivered += u32::from(reaches_meta);
        answered
    }
}

/// "Cannot resend failed without double billing": the call of a template timed out, and it had arrived.
#[test]
fn complaint_49_what_may_have_arrived_is_not_sent_and_billed_again() {
    let mut naive = SendsAgain::default();
    if !naive.call(true, false) {
        naive.call(true, true);
    }
    assert_eq!(naive.delivered, 2, "the complaint");

    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Utility));
    world.result(key(1, 1, 1), &unknown());
    world.pass(60_000);
    assert_eq!(world.calls.len(), 1, "nothing goes a second time");
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Unknown), "and it is said");
    // Meta's status tells, also late: one message, one price.
    world.status(id(1, 1), None);
    let told = world.outcome(id(1, 1));
    assert!(matches!(told, Some(SendOutcome::Accepted { message: it, .. }) if *it == message(1)));

    // What certainly never left may be sent again by hand, as a message of its own.
    world.ask(request(2, 1, Lane::Utility));
    world.result(key(2, 1, 1), &refused(132_001, Retry::Never));
    assert!(world.is_failed(id(2, 1), 132_001));
    world.ask(request(2, 2, Lane::Utility));
    world.result(key(2, 2, 1), &accepted(2));
    assert!(world.is_accepted(id(2, 2), false));
    assert_eq!(world.calls.len(), 3);
}
