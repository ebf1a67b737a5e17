//! No marketing to who wants none, as of the intent to send (invariant 7).

use super::kit::{World, accepted, id, key, refused, request};
use crate::number::{Lane, NumberInput, PauseReason, Retry, SendRequest};

const STOPPED_CODE: u32 = 131_050;

fn template(lane: Lane, marketing: bool, marketing_stopped: bool) -> SendRequest {
    SendRequest { free_form: false, marketing, marketing_stopped, ..request(1, 1, lane) }
}

fn wish(customer: u8, stopped: bool) -> NumberInput {
    let requests = (1..=4).map(|n| id(customer, n)).collect();
    NumberInput::MarketingWished { requests, stopped }
}

#[test]
fn who_wants_no_marketing_gets_everything_else() {
    // Lane, declared as marketing, stopped; and whether it leaves.
    let table = [
        (template(Lane::Utility, true, true), false),
        (template(Lane::Utility, true, false), true),
        (template(Lane::Utility, false, true), true),
        (template(Lane::Campaign, false, true), false),
        (template(Lane::Campaign, true, true), false),
        (template(Lane::Campaign, true, false), true),
        (SendRequest { marketing_stopped: true, ..request(1, 1, Lane::Agent) }, true),
        (SendRequest { marketing_stopped: true, ..request(1, 1, Lane::Bot) }, true),
    ];
    for (asked, leaves) in table {
        let mut world = World::new(20);
        world.ask(asked.clone());
        assert_eq!(world.calls.len(), usize::from(leaves), "{asked:?}");
        assert_eq!(world.is_failed(id(1, 1), STOPPED_CODE), !leaves, "{asked:?}");
    }
}

/// A number that judges a message by what its conversation knew when it asked.
fn judges_when_asked(asked: &SendRequest) -> bool {
    !(asked.is_marketing() && asked.marketing_stopped)
}

/// "I wrote STOP, and the offer came all the same": the campaign was taken on while marketing was welcome, and then waited for
/// hours because the channel was paused.
#[test]
fn complaint_an_offer_that_waited_does_not_come_after_stop() {
    let mut world = World::new(20);
    world.ask(request(2, 1, Lane::Agent));
    world.result(key(2, 1, 1), &refused(190, Retry::Stop(PauseReason::Token)));
    let offer = template(Lane::Campaign, false, false);
    let code = SendRequest { request: id(1, 2), ..template(Lane::Utility, false, false) };
    world.ask(offer.clone());
    world.ask(code);
    world.input(&wish(1, true));
    world.reload();
    world.pass(300_000);
    world.result(key(2, 1, 2), &accepted(1));

    assert_eq!(world.left()[2..], [id(1, 2)], "what is not marketing goes on");
    world.result(key(1, 2, 1), &accepted(2));

    assert!(judges_when_asked(&offer), "the complaint");
    assert!(world.is_failed(id(1, 1), STOPPED_CODE));
    assert_eq!(world.calls.len(), 3);
}

#[test]
fn a_resume_before_its_turn_lets_it_leave_and_one_after_it_changes_nothing() {
    let mut world = World::new(20);
    world.ask(request(2, 1, Lane::Agent));
    world.result(key(2, 1, 1), &refused(190, Retry::Stop(PauseReason::Token)));
    world.ask(template(Lane::Campaign, false, true));
    world.input(&wish(1, false));
    world.pass(300_000);
    world.result(key(2, 1, 2), &accepted(1));
    assert_eq!(world.left()[2..], [id(1, 1)]);
    world.result(key(1, 1, 1), &accepted(2));

    world.ask(SendRequest { request: id(1, 2), ..template(Lane::Campaign, false, true) });
    assert!(world.is_failed(id(1, 2), STOPPED_CODE));
    let before = world.parts();
    world.input(&wish(1, false));
    assert_eq!(world.parts(), before, "what has ended stays as it was told");
}

#[test]
fn an_attempt_after_a_refusal_is_judged_anew() {
    let mut world = World::new(20);
    world.ask(template(Lane::Utility, true, false));
    world.input(&wish(1, true));
    world.result(key(1, 1, 1), &refused(131_000, Retry::ServiceBackoff));
    world.pass(60_000);
    assert_eq!(world.calls.len(), 1);
    assert!(world.is_failed(id(1, 1), STOPPED_CODE));
}
