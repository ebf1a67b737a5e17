//! Sends, their outcomes and statuses.

use super::world::*;
use crate::{RequestId, conversation::*, number::NumberInput};

fn sent() -> (World, RequestId) {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    let request = world.sent(Some("ann"), false);
    (world, request)
}

fn of(request: RequestId, status: Status) -> ConversationInput {
    ConversationInput::Status(Status { request: Some(request), ..status })
}

/// whatsapp.md P2: a status arrives before the send call has returned.
#[test]
fn a_status_before_the_outcome_proves_the_send_and_joins_later() {
    let (mut world, request) = sent();
    world.give(B, of(request, status(50, StatusKind::Sent, T0 + S)));
    let seen = world.number.last().cloned().unwrap();
    assert!(
        matches!(seen, NumberInput::StatusSeen { request: r, failed: None, .. } if r == request)
    );
    let told = world.number.len();
    world.give(B, of(request, status(50, StatusKind::Delivered, T0 + 2 * S)));
    assert_eq!(world.number.len(), told, "one proof is enough");
    world.outcome(request, accepted(50, T0));
    let joined = ConversationSignal::Status {
        message: message(50),
        status: StatusKind::Delivered,
        at_ms: T0 + 2 * S,
    };
    assert_eq!(world.signals.last(), Some(&joined));
    world.give(B, of(request, status(50, StatusKind::Read, T0 + 3 * S)));
    assert_eq!(world.number.len(), told, "the outcome is known");
}

#[test]
fn a_failure_by_status_before_the_outcome_is_told_with_its_code() {
    let (mut world, request) = sent();
    world.give(B, of(request, status(50, StatusKind::Sent, T0 + S)));
    world.give(B, of(request, status(50, StatusKind::Failed, T0 + 2 * S)));
    let seen = world.number.last().unwrap();
    assert!(matches!(seen, NumberInput::StatusSeen { failed: Some(131_026), .. }));
}

/// whatsapp.md P1 and repeats.
#[test]
fn statuses_never_go_back_and_repeats_record_nothing() {
    let (mut world, _) = sent();
    world.give(B, ConversationInput::Status(status(50, StatusKind::Read, T0 + 3 * S)));
    let signals = world.signals.len();
    world.give(B, ConversationInput::Status(status(50, StatusKind::Delivered, T0 + 2 * S)));
    assert_eq!(world.signals.len(), signals);
    let events = world.events.len();
    world.give(B, ConversationInput::Status(status(50, StatusKind::Delivered, T0 + 2 * S)));
    assert_eq!(world.events.len(), events);
    assert_eq!(world.thread.statuses[&message(50)].delivered_ms, Some(T0 + 2 * S));
    // Failed after delivered: no state moves, but who watches is told.
    world.give(B, ConversationInput::Status(status(50, StatusKind::Failed, T0 + 9 * S)));
    let told = ConversationSignal::Status {
        message: message(50),
        status: StatusKind::Failed,
        at_ms: T0 + 9 * S,
    };
    assert_eq!(world.signals.last(), Some(&told));
    assert_eq!(world.thread.statuses[&message(50)].shown(), Some(StatusKind::Read));
}

/// INDEX: seq_api_send_status_then_echo_same_wamid, in both orders.
#[test]
fn an_echo_of_our_own_send_is_swallowed_or_gives_back_what_it_took() {
    let (mut world, request) = sent();
    world.outcome(request, accepted(50, T0 + S));
    world.echo(50, T0 + S);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
    assert!(!world.thread.messages.contains_key(&message(50)));

    let (mut world, request) = sent();
    world.give(B, of(request, status(50, StatusKind::Sent, T0 + S)));
    world.echo(50, T0 + S);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });

    for by_status in [true, false] {
        let (mut world, request) = sent();
        world.at(T0 + S).echo(50, T0 + S);
        assert_eq!(world.floor(), Floor::Phone);
        if by_status {
            world.give(B, of(request, status(50, StatusKind::Sent, T0 + S)));
        } else {
            world.outcome(request, accepted(50, T0 + S));
        }
        assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
    }
}

/// An answer that never arrives is no answer.
#[test]
fn a_program_whose_send_failed_has_not_answered() {
    let failed = SendOutcome::Failed { code: 131_047, told: "window".into() };
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.command(None, CommandKind::Assign { agent: agent("ann") });
    let (first, second) = (world.sent(Some("ann"), false), world.sent(Some("ann"), false));
    assert_eq!(world.get(B).waiting_since_ms(), None);
    world.outcome(first, failed.clone());
    assert_eq!(world.get(B).waiting_since_ms(), None, "the second may arrive");
    world.outcome(second, accepted(50, T0 + S));
    world.give(B, ConversationInput::Status(status(50, StatusKind::Failed, T0 + 2 * S)));
    assert_eq!(world.get(B).waiting_since_ms(), Some(T0));

    let mut world = World::new(bot_rules());
    world.inbound(1, T0);
    let request = world.sent(None, true);
    assert_eq!((world.floor(), world.get(B).item()), (Floor::Nobody, None));
    world.outcome(request, failed);
    assert_eq!(world.last_wanted().3, T0);
}

#[test]
fn a_delivered_answer_stays_one_whatever_fails_later() {
    let mut world = World::new(bot_rules());
    world.inbound(1, T0);
    let request = world.sent(None, true);
    world.outcome(request, accepted(50, T0 + S));
    world.give(B, ConversationInput::Status(status(50, StatusKind::Delivered, T0 + 2 * S)));
    world.give(B, ConversationInput::Status(status(50, StatusKind::Failed, T0 + 3 * S)));
    assert_eq!(world.get(B).waiting_since_ms(), None);
}

#[test]
fn an_outcome_comes_once_and_a_later_proof_still_counts() {
    let (mut world, request) = sent();
    world.outcome(request, SendOutcome::Unknown);
    let events = world.events.len();
    world.outcome(request, SendOutcome::Cancelled);
    assert_eq!(world.events.len(), events);
    world.outcome(request, accepted(50, T0 + S));
    assert_eq!(world.thread.outcomes[&request], accepted(50, T0 + S));
    let events = world.events.len();
    world.outcome(request, accepted(50, T0 + S));
    assert_eq!(world.events.len(), events);
}

#[test]
fn a_status_of_an_unknown_message_is_kept_without_opening_anything() {
    let mut world = World::new(bot_rules());
    let who = Some(sealed("who"));
    let read = Status { who, ..status(50, StatusKind::Read, T0) };
    world.give(B, ConversationInput::Status(read));
    assert_eq!(world.thread.statuses[&message(50)].read_ms, Some(T0));
    assert_eq!(world.get(B).window_until_ms(), 0);
    assert!(world.number.is_empty() && world.workspace.is_empty());
}
