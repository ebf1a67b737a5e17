//! The phone and the floor (design.md section 5).

use super::world::*;
use crate::{conversation::*, number::NumberInput, workspace::WorkspaceInput};

fn echo_seen(world: &World) -> Vec<u64> {
    let seen = world.number.iter().filter_map(|input| match input {
        NumberInput::EchoSeen { text_hash, .. } => Some(*text_hash),
        _ => None,
    });
    seen.collect()
}

/// routing.md 47: the bot talks over the owner who answered from the phone.
#[test]
fn the_phone_takes_the_floor_from_the_bot_and_its_queued_words_are_taken_back() {
    let mut world = World::new(bot_rules());
    world.inbound(1, T0);
    let question = world.requests()[0].request;
    world.at(T0 + 20 * S).echo(2, T0 + 20 * S);
    assert_eq!(world.floor(), Floor::Phone);
    assert_eq!(world.cancelled(), [question]);
    assert!(world.events.contains(&ConversationEvent::SendCancelled { request: question }));
    world.outcome(question, SendOutcome::Cancelled);
    assert_eq!(world.floor(), Floor::Phone, "its end hands over nothing");
    // The customer goes on with the phone: the bot does not hear it.
    world.at(T0 + MIN).say(B, inbound(3, T0 + MIN), "buy");
    assert_eq!((world.said(), world.workspace.len()), (vec!["question".to_owned()], 0));
    assert!(matches!(
        world.signals.iter().rfind(|s| matches!(s, ConversationSignal::Floor(_))),
        Some(ConversationSignal::Floor(Floor::Phone))
    ));
}

#[test]
fn a_waiting_item_is_parked_and_comes_back_with_its_age_when_the_phone_falls_silent() {
    let mut world = World::new(bot_rules());
    world.inbound(1, T0);
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "buy");
    world.at(T0 + 2 * MIN).echo(3, T0 + 2 * MIN);
    let dropped = world.workspace.last().unwrap();
    assert!(matches!(dropped, WorkspaceInput::Dropped { version: 2, .. }));
    assert_eq!(world.get(B).waiting_since_ms(), None);
    world.at(T0 + 3 * MIN).say(B, inbound(4, T0 + 3 * MIN), "and?");
    world.pass(T0 + 13 * MIN - 1);
    assert_eq!(world.floor(), Floor::Phone);
    world.pass(T0 + 13 * MIN);
    assert_eq!(world.floor(), Floor::Nobody);
    let (item, version, queue, since_ms) = world.last_wanted();
    assert_eq!((item.n, version, queue, since_ms), (2, 1, "sales".into(), T0));
    assert_eq!(world.floor_changes().last().unwrap().1, FloorCause::PhoneAnswerTimeout);
}

#[test]
fn the_phones_owner_gets_the_item_and_gives_it_back_after_silence() {
    let mut world = World::new(Rules { phone_owner: Some(agent("boss")), ..plain_rules() });
    world.inbound(1, T0);
    world.at(T0 + MIN).echo(2, T0 + MIN);
    let claimed = world.workspace.last().cloned().unwrap();
    assert!(
        matches!(claimed, WorkspaceInput::Claimed { agent: a, version: 2, .. } if a == agent("boss"))
    );
    assert_eq!(world.floor(), Floor::Phone);
    world.pass(T0 + 31 * MIN);
    assert_eq!(world.floor(), Floor::Nobody);
    assert!(matches!(world.workspace.last(), Some(WorkspaceInput::Dropped { .. })));
    world.inbound(3, T0 + 31 * MIN);
    assert_eq!(world.last_wanted().0.n, 2);
}

#[test]
fn a_desk_agent_stays_assigned_and_gets_the_floor_back_when_the_phone_does_not_answer() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.assign("ann");
    world.at(T0 + MIN).sent(Some("ann"), false);
    world.at(T0 + 2 * MIN).echo(2, T0 + 2 * MIN);
    assert_eq!(world.floor(), Floor::Phone);
    assert_eq!(world.get(B).item().unwrap().1, Some(&agent("ann")));
    world.at(T0 + 3 * MIN).inbound(3, T0 + 3 * MIN);
    world.pass(T0 + 13 * MIN);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
}

#[test]
fn silence_on_both_sides_ends_the_phones_floor() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.at(T0 + MIN).echo(2, T0 + MIN);
    world.at(T0 + 20 * MIN).echo(3, T0 + 20 * MIN);
    world.pass(T0 + 50 * MIN - 1);
    assert_eq!(world.floor(), Floor::Phone);
    world.pass(T0 + 50 * MIN);
    assert_eq!(world.floor(), Floor::Nobody);
    assert_eq!(world.floor_changes().last().unwrap().1, FloorCause::PhoneFloorTimeout);
    assert_eq!(world.get(B).wake_ms(), None);
}

/// What takes nothing: late, older than the desk's last word, automatic, no speech.
#[test]
fn some_echoes_join_the_thread_and_take_nothing() {
    use crate::content::ContentKind;
    let late = echo(9, T0 + MIN);
    let fresh = echo(9, T0 + 40 * MIN);
    let automatic = Echo { configured_automatic: true, ..fresh.clone() };
    let of = |kind| Echo { kind, target: Some(message(1)), ..fresh.clone() };
    let table = [
        late,
        automatic,
        of(ContentKind::Edit),
        of(ContentKind::Revoke),
        of(ContentKind::Reaction),
    ];
    for echo in table {
        let mut world = World::new(plain_rules());
        world.inbound(1, T0);
        let item = world.last_wanted();
        world.at(T0 + 40 * MIN);
        world.give(B, ConversationInput::Echo(echo.clone()));
        assert_eq!((world.floor(), world.last_wanted()), (Floor::Nobody, item), "{echo:?}");
        assert_eq!(world.get(B).waiting_since_ms(), Some(T0));
        assert!(world.thread.messages.contains_key(&message(9)));
    }
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.at(T0 + MIN).sent(Some("ann"), false);
    world.echo(2, T0 + 30 * S);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
}

#[test]
fn a_message_the_phone_answered_before_it_came_to_us_starts_nothing() {
    let mut world = World::new(plain_rules());
    world.at(T0 + MIN).echo(2, T0 + MIN);
    world.inbound(1, T0);
    assert_eq!(world.get(B).waiting_since_ms(), None);
    // In the same second nobody can tell which was first: then the customer is looked after.
    world.inbound(3, T0 + MIN);
    assert_eq!(world.get(B).waiting_since_ms(), Some(T0 + MIN));
}

#[test]
fn the_number_is_asked_about_echoes_that_follow_within_eight_seconds_in_any_order() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.at(T0 + 9 * S).echo(2, T0 + 8 * S);
    assert_eq!(echo_seen(&world), [2]);
    world.at(T0 + 10 * S).echo(3, T0 + 9 * S);
    assert_eq!(echo_seen(&world), [2]);

    let mut world = World::new(plain_rules());
    world.at(T0 + 9 * S).echo(2, T0 + 3 * S);
    assert!(echo_seen(&world).is_empty());
    world.inbound(1, T0);
    assert_eq!(echo_seen(&world), [2]);
}

#[test]
fn an_automatic_echo_gives_the_floor_back_to_the_bot_that_asks_again_only_if_it_was_cut() {
    for cut in [false, true] {
        let mut world = World::new(bot_rules());
        world.inbound(1, T0);
        let question = world.requests()[0].request;
        if !cut {
            world.outcome(question, accepted(100, T0 + S));
        }
        world.at(T0 + 2 * S).echo(2, T0 + 2 * S);
        world.give(B, ConversationInput::EchoWasAutomatic { message: message(2) });
        assert!(matches!(world.floor(), Floor::Bot { .. }));
        assert_eq!(world.said().len(), if cut { 2 } else { 1 });
        assert_eq!(world.get(B).waiting_since_ms(), Some(T0));
        world.at(T0 + MIN).say(B, inbound(3, T0 + MIN), "invoice");
        assert_eq!(world.last_wanted().2, "billing".into());
    }
}

#[test]
fn an_automatic_echo_gives_back_the_parked_item_with_its_age() {
    for owner in [None, Some(agent("boss"))] {
        let mut world = World::new(Rules { phone_owner: owner, ..plain_rules() });
        world.inbound(1, T0);
        world.at(T0 + 2 * S).echo(2, T0 + 2 * S);
        world.give(B, ConversationInput::EchoWasAutomatic { message: message(2) });
        assert_eq!(world.floor(), Floor::Nobody);
        assert_eq!((world.last_wanted().2, world.last_wanted().3), ("general".into(), T0));
        assert_eq!(world.get(B).item().unwrap().1, None);
    }
}

/// What the greeting seemed to answer, nobody has answered.
#[test]
fn an_automatic_echo_leaves_a_late_message_unanswered() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.at(T0 + S).sent(None, false);
    world.at(T0 + 6 * S).echo(2, T0 + 5 * S);
    world.give(B, ConversationInput::EchoWasAutomatic { message: message(2) });
    assert_eq!(world.get(B).waiting_since_ms(), None);
    world.inbound(3, T0 + 3 * S);
    assert_eq!(world.get(B).waiting_since_ms(), Some(T0 + 3 * S));
}

#[test]
fn a_person_after_an_automatic_echo_keeps_the_floor() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.at(T0 + 2 * S).echo(2, T0 + 2 * S);
    world.at(T0 + 5 * S).echo(3, T0 + 5 * S);
    world.give(B, ConversationInput::EchoWasAutomatic { message: message(2) });
    assert_eq!(world.floor(), Floor::Phone);
    world.give(B, ConversationInput::EchoWasAutomatic { message: message(3) });
    assert_eq!(world.floor(), Floor::Nobody);
    // Of an echo that is no cause any more, nothing follows.
    world.sent(Some("ann"), false);
    world.give(B, ConversationInput::EchoWasAutomatic { message: message(3) });
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
}

#[test]
fn a_conversation_begun_on_the_phone_stays_there_until_the_phone_is_silent() {
    let mut world = World::new(bot_rules());
    world.echo(1, T0);
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "buy");
    assert!(world.said().is_empty() && world.workspace.is_empty());
    world.pass(T0 + 11 * MIN);
    assert_eq!((world.floor(), world.last_wanted().3), (Floor::Nobody, T0 + MIN));
}
