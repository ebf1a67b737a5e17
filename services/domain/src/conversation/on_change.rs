//! Meta says that a customer has another phone number or user id now (design.md section 5).
//!
//! Two user ids of one customer are one conversation from then on: the one with the smaller id keeps it. A phone
//! number is left behind: what is older goes on to the customer, what is newer is somebody else's (numbers are
//! recycled) and begins a conversation of its own, whose id follows from the address and the change.

use super::{
    Change, ChangeKind, ConversationEvent, ConversationInput,
    decide::{Arrival, Step},
    on_address::{forward_on, hand_over},
    state::{LowerState, Retired},
};
use crate::{EntityId, Hash16, MessageId, Millis};

/// Where a direct input goes whose sender is not the customer who left this address.
pub(super) fn successor(step: &Step<'_>, input: &ConversationInput) -> Option<EntityId> {
    let retired = step.core.retired?;
    let at_ms = match input {
        ConversationInput::Inbound(inbound) => inbound.at_ms,
        ConversationInput::Echo(echo) => echo.at_ms,
        ConversationInput::Preference(preference) => preference.at_ms,
        // Statuses tell of what was sent before, or name their request.
        _ => return None,
    };
    (at_ms > retired.at_ms).then_some(retired.to)
}

pub(super) fn on_change(step: &mut Step<'_>, arrival: Arrival<'_>, key: [u8; 16], change: &Change) {
    let at_ms = step.believable(change.changed_at.0);
    let input = ConversationInput::Changed(change.clone());
    match change.kind {
        ChangeKind::Return => return come_back(step, at_ms),
        ChangeKind::Number if arrival.direct => {
            if let Some(of_second_owner) = retire(step, at_ms, change.changed_at.1) {
                return send_on(step, of_second_owner, key, input);
            }
        }
        ChangeKind::Arrival => {
            if let Some(retired) = step.core.retired.filter(|retired| at_ms > retired.at_ms) {
                return step.tell_conversation(retired.to, input);
            }
        }
        _ => {}
    }
    if let Some(forward) = step.core.forward {
        return forward_on(step, &forward, key, &input);
    }
    match change.kind {
        ChangeKind::Number => number_changed(step, arrival.direct, change),
        ChangeKind::UserId => user_id_changed(step, change),
        ChangeKind::Arrival if change.other != step.me => {
            see_change(step, change, at_ms);
            step.pair(change.other, change.changed_at, change.via);
        }
        ChangeKind::Arrival | ChangeKind::Return => {}
    }
}

/// The customer leaves this address. Answers the second owner's conversation, when it was the second one who left.
fn retire(step: &mut Step<'_>, at_ms: Millis, change: MessageId) -> Option<EntityId> {
    let before = step.core.retired;
    let is_news = at_ms > step.core.returned_ms && before.is_none_or(|known| at_ms > known.at_ms);
    if !is_news {
        return None;
    }
    let to = successor_of(step.me, change);
    step.emit(ConversationEvent::Retired { at_ms, to });
    before.map(|Retired { to, .. }| to)
}

/// Both are keyed hashes, so that their mix is as good as one.
fn successor_of(me: EntityId, change: MessageId) -> EntityId {
    let Hash16(mine) = me.hash;
    let Hash16(theirs) = change.0;
    let mixed = u128::from_be_bytes(mine) ^ u128::from_be_bytes(theirs).rotate_left(64);
    EntityId { kind: me.kind, hash: Hash16(mixed.to_be_bytes()) }
}

fn come_back(step: &mut Step<'_>, at_ms: Millis) {
    if at_ms > step.core.returned_ms {
        step.emit(ConversationEvent::Unretired { at_ms });
    }
}

fn send_on(step: &mut Step<'_>, to: EntityId, key: [u8; 16], input: ConversationInput) {
    let (from, input) = (step.me, Box::new(input));
    step.tell_conversation(to, ConversationInput::Forwarded { from, key, input });
}

fn number_changed(step: &mut Step<'_>, direct: bool, change: &Change) {
    let at_ms = step.believable(change.changed_at.0);
    see_change(step, change, at_ms);
    if change.other == step.me {
        return come_back(step, at_ms);
    }
    let told = |step: &Step<'_>, kind| Change { kind, other: step.me, ..change.clone() };
    let known = step.core.lowers.get(&change.other).map(|lower| lower.state);
    if known == Some(LowerState::Joined) {
        let back = told(step, ChangeKind::Return);
        step.tell_conversation(change.other, ConversationInput::Changed(back));
    } else if direct {
        // A conversation that is known by phone only: the new address asks for it.
        let arrival = told(step, ChangeKind::Arrival);
        step.tell_conversation(change.other, ConversationInput::Changed(arrival));
    } else {
        step.pair(change.other, change.changed_at, change.via);
    }
}

/// Only roots come here; ids along forwards fall, so that it ends.
fn user_id_changed(step: &mut Step<'_>, change: &Change) {
    if change.other == step.me {
        return;
    }
    let at_ms = step.believable(change.changed_at.0);
    see_change(step, change, at_ms);
    if change.other < step.me {
        return hand_over(step, change.other, change.changed_at, change.via);
    }
    let known = step.core.lowers.get(&change.other).map(|lower| lower.state);
    if known != Some(LowerState::Joined) {
        let theirs = Change { other: step.me, ..change.clone() };
        step.tell_conversation(change.other, ConversationInput::Changed(theirs));
    }
}

/// Sends go to who the customer is now.
fn see_change(step: &mut Step<'_>, change: &Change, at_ms: Millis) {
    if step.core.contact.as_ref().is_none_or(|known| at_ms > known.at_ms) {
        let (via, who) = (change.via, change.who.clone());
        step.emit(ConversationEvent::IdentityChanged { via, who, at_ms });
    }
}
