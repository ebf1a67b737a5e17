//! The bot's one question.

use super::world::*;
use crate::conversation::*;

fn asked() -> World {
    let mut world = World::new(bot_rules());
    world.say(B, inbound(1, T0), "hi");
    assert_eq!(world.said(), ["question"]);
    assert_eq!(world.floor(), Floor::Bot { turn: 1 });
    assert!(world.workspace.is_empty());
    let question = world.requests()[0].clone();
    world.outcome(question.request, accepted(100, T0 + S));
    world
}

#[test]
fn an_answer_leads_to_its_queue_with_the_age_of_the_first_message() {
    let table = [
        ("buy", "sales"),
        ("2", "billing"),
        ("Billing", "billing"),
        ("an AGENT please", "general"),
    ];
    for (answer, queue) in table {
        let mut world = asked();
        world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), answer);
        assert_eq!(world.said(), ["question", "handoff"], "{answer}");
        assert_eq!(world.floor(), Floor::Nobody);
        let (.., queued, since_ms) = world.last_wanted();
        assert_eq!((queued, since_ms), (queue.into(), T0), "{answer}");
        assert!(world.cancelled().is_empty(), "the hand-off text may finish");
        assert!(world.floor_changes().contains(&(Floor::Nobody, FloorCause::HandOff)));
    }
}

#[test]
fn after_the_fallback_the_next_miss_hands_over() {
    let mut world = asked();
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "what?");
    assert_eq!(world.said(), ["question", "fallback"]);
    assert_eq!(world.floor(), Floor::Bot { turn: 2 });
    world.at(T0 + 2 * MIN).say(B, inbound(3, T0 + 2 * MIN), "really?");
    assert_eq!(world.said(), ["question", "fallback", "handoff"]);
    assert_eq!(world.last_wanted().2, "general".into());
}

#[test]
fn what_was_written_before_the_question_is_no_wrong_answer_but_may_be_a_right_one() {
    let mut world = asked();
    world.say(B, inbound(2, T0), "are you there");
    assert_eq!(world.said(), ["question"]);
    world.say(B, inbound(3, T0), "I want to buy");
    assert_eq!(world.last_wanted().2, "sales".into());
}

/// The customer never saw the question: no answer will come.
#[test]
fn a_question_that_did_not_arrive_hands_over() {
    let failed = SendOutcome::Failed { code: 131_026, told: "undeliverable".into() };
    for outcome in [failed, SendOutcome::Unknown, SendOutcome::Cancelled] {
        let mut world = World::new(bot_rules());
        world.inbound(1, T0);
        let request = world.requests()[0].request;
        world.outcome(request, outcome);
        assert_eq!(world.floor(), Floor::Nobody);
        assert_eq!(world.last_wanted().2, "general".into());
        assert_eq!(world.said(), ["question"], "no hand-off text after a failure");
    }
    let mut world = asked();
    world.give(B, ConversationInput::Status(status(100, StatusKind::Failed, T0 + 2 * S)));
    assert_eq!(world.last_wanted().2, "general".into());
}

/// The status that says so came before the answer of the call, without our opaque id.
#[test]
fn a_question_known_as_failed_before_its_answer_hands_over_with_it() {
    let mut world = World::new(bot_rules());
    world.inbound(1, T0);
    let request = world.requests()[0].request;
    world.give(B, ConversationInput::Status(status(100, StatusKind::Failed, T0 + S)));
    assert!(world.workspace.is_empty());
    world.outcome(request, accepted(100, T0 + S));
    assert_eq!(world.last_wanted().2, "general".into());
}

#[test]
fn only_the_first_message_of_an_episode_meets_the_bot() {
    let mut world = asked();
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "buy");
    world.assign("ann");
    let (item, version, ..) = world.last_wanted();
    world.sent(Some("ann"), false);
    world.news(item, version, WorkspaceNews::Unassigned);
    world.command(None, CommandKind::Resolve);
    world.at(T0 + H).say(B, inbound(3, T0 + H), "hi again");
    assert_eq!(world.said().iter().filter(|said| *said == "question").count(), 2);
    assert!(matches!(world.floor(), Floor::Bot { turn: 2 }));
}

#[test]
fn a_message_that_comes_a_day_late_goes_to_people() {
    let mut world = World::new(bot_rules());
    world.at(T0 + 30 * H).inbound(1, T0);
    assert!(world.said().is_empty(), "the window is closed");
    assert_eq!(world.last_wanted().3, T0);
}

#[test]
fn an_agent_may_step_in_and_the_bot_is_cut_off() {
    let mut world = World::new(bot_rules());
    world.inbound(1, T0);
    let question = world.requests()[0].request;
    world.sent(Some("ann"), false);
    assert_eq!(world.cancelled(), [question]);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
    // It had left all the same: then it is in the thread as sent, and changes nothing else.
    let floor = world.floor();
    world.outcome(question, accepted(100, T0 + S));
    assert_eq!(world.thread.outcomes[&question], accepted(100, T0 + S));
    assert_eq!(world.floor(), floor);
}
