use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::v1::{Refused, SendTaken};

use super::*;
use crate::table::Key;

const LATER_US: u64 = u64::MAX / 4;

fn desk() -> (Arc<Sim>, Brain) {
    let mut scenario = crate::fixture::scenario();
    scenario.desk.reject_share = 0.0;
    scenario.desk.ignore_share = 0.0;
    scenario.desk.resolve_after = 2;
    let sim = Sim::new(scenario, None);
    sim.with(|state, now_us| state.talk(true, now_us));
    let mut brain = Brain::new(AgentId::from_row(0), "c".to_owned());
    brain.learn("conv", ChatId::from_row(0));
    (sim, brain)
}

fn answer(number: u64, result: Answer) -> CommandResult {
    CommandResult {
        command_id: Some(CommandId { client: "c".to_owned(), number }),
        result: Some(result),
    }
}

fn taken(number: u64) -> CommandResult {
    answer(number, Answer::SendTaken(SendTaken { opaque_id: "o".to_owned() }))
}

fn refused(number: u64, reason: RefusalReason) -> CommandResult {
    answer(number, Answer::Refused(Refused { reason: reason.into(), text: String::new() }))
}

fn requests(brain: &mut Brain, sim: &Sim) -> Vec<Request> {
    brain.act(sim, LATER_US).into_iter().filter_map(|request| request.request).collect()
}

fn sends(requests: &[Request]) -> Vec<&SendMessage> {
    requests
        .iter()
        .filter_map(|r| if let Request::Send(send) = r { Some(send) } else { None })
        .collect()
}

#[test]
fn an_offer_is_confirmed_once_seen_and_accepted_once() {
    let (sim, mut brain) = desk();
    let confirmed = brain.on_offer(&sim, "offer".to_owned(), "conv".to_owned(), 10);
    assert!(matches!(confirmed.request, Some(Request::OfferDelivered(_))));
    brain.on_offer(&sim, "offer".to_owned(), "conv".to_owned(), 20);
    assert!(matches!(requests(&mut brain, &sim).as_slice(), [Request::AcceptOffer(_)]));
    assert_eq!(sim.with(|state, _| state.stats.offers), 1);
    brain.on_result(&sim, answer(1, Answer::Done(api::v1::Done {})));
    assert_eq!(sim.with(|state, _| state.stats.accepted), 1);
    assert!(sim.agents_are_quiet());
}

#[test]
fn each_customer_message_is_answered_and_the_last_reply_resolves() {
    let (sim, mut brain) = desk();
    brain.on_assigned(&sim, "conv");
    brain.on_customer_message(&sim, "conv");
    let first = requests(&mut brain, &sim);
    assert_eq!(sends(&first).len(), 1, "one answer for what was waiting");
    brain.on_result(&sim, taken(1));
    brain.on_customer_message(&sim, "conv");
    let second = requests(&mut brain, &sim);
    assert_ne!(sends(&first)[0].content, sends(&second)[0].content, "texts are unique");
    brain.on_result(&sim, taken(2));
    assert!(matches!(requests(&mut brain, &sim).as_slice(), [Request::Resolve(_)]));
    brain.on_result(&sim, answer(3, Answer::Done(api::v1::Done {})));
    brain.on_customer_message(&sim, "conv");
    assert!(requests(&mut brain, &sim).is_empty(), "no longer ours");
}

#[test]
fn when_customers_have_gone_home_a_desk_is_cleared() {
    let (sim, mut brain) = desk();
    brain.learn("other", ChatId::from_row(1));
    brain.on_assigned(&sim, "conv");
    requests(&mut brain, &sim);
    brain.on_result(&sim, taken(1));
    brain.on_assigned(&sim, "other");
    assert_eq!(sends(&requests(&mut brain, &sim)).len(), 1);
    assert!(requests(&mut brain, &sim).is_empty(), "one answered, one about to be");
    sim.with(|state, _| state.closing = true);
    assert!(matches!(requests(&mut brain, &sim).as_slice(), [Request::Resolve(_)]), "conv");
    assert!(requests(&mut brain, &sim).is_empty(), "once");
    brain.on_result(&sim, taken(2));
    assert!(matches!(requests(&mut brain, &sim).as_slice(), [Request::Resolve(_)]), "other");
}

#[test]
fn what_was_not_answered_is_sent_again_under_the_same_id() {
    let (sim, mut brain) = desk();
    brain.on_assigned(&sim, "conv");
    let sent = brain.act(&sim, LATER_US);
    assert_eq!(brain.unanswered(), sent);
    assert_eq!(sim.commands_open.load(Ordering::Relaxed), 1);
    brain.on_result(&sim, refused(1, RefusalReason::Unavailable));
    assert_eq!(brain.act(&sim, LATER_US), sent);
    brain.on_result(&sim, taken(1));
    assert!(brain.unanswered().is_empty());
}

#[test]
fn under_the_phones_floor_the_agent_takes_it() {
    let (sim, mut brain) = desk();
    brain.on_assigned(&sim, "conv");
    requests(&mut brain, &sim);
    brain.on_result(&sim, refused(1, RefusalReason::PhoneHasFloor));
    let again = requests(&mut brain, &sim);
    assert!(sends(&again)[0].take_floor);
}
