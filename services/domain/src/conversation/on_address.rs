//! Several addresses of one customer: pairing, joining, forwarding (design.md section 5).

use super::{
    CommandAnswer, ConversationEvent, ConversationInput, ConversationTimer, Via,
    decide::Step,
    merge,
    state::{Conversation, Forward, LowerState},
};
use crate::{EntityId, MessageId, Millis, number::NumberInput, persist};

/// A known pairing is told to the lower address again after so long, ms, so that it can tell which of two
/// conversations that name it is the later one. Numbers are recycled over weeks, not hours.
const PAIRING_EVERY_MS: Millis = 24 * 3_600_000;

impl Step<'_> {
    /// A webhook named `lower` beside this address.
    pub(super) fn pair(&mut self, lower: EntityId, paired_at: (Millis, MessageId), via: Via) {
        if lower == self.me {
            return;
        }
        let known = self.core.lowers.get(&lower);
        let news = match known.map(|known| (known.state, known.asked_at)) {
            None => true,
            Some((LowerState::Joining, _)) => false,
            Some((LowerState::Joined, (asked_ms, _))) => {
                paired_at.0 >= asked_ms.saturating_add(PAIRING_EVERY_MS)
            }
            Some((LowerState::Elsewhere, asked_at)) => paired_at > asked_at,
        };
        if !news {
            return;
        }
        let first = known.is_none();
        self.emit(ConversationEvent::Joining { lower, paired_at });
        let from = self.me;
        self.tell_conversation(lower, ConversationInput::Join { from, paired_at, via });
        if first && !self.core.timers.contains_key(&ConversationTimer::Join) {
            let due_ms = self.now_ms.saturating_add(self.rules.join_timeout_ms);
            self.set_timer(ConversationTimer::Join, Some(due_ms));
        }
    }

    /// No answer came in time: go on without.
    pub(super) fn end_joins(&mut self) {
        let lowers = self.core.lowers.iter();
        let open = lowers.filter(|(_, lower)| lower.state == LowerState::Joining);
        for lower in open.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.emit(ConversationEvent::JoinEnded { lower });
        }
        self.care();
    }

    fn after_join(&mut self) {
        if !self.core.is_joining() {
            self.set_timer(ConversationTimer::Join, None);
            self.care();
        }
    }
}

/// A higher address asks for what this one has.
pub(super) fn on_join(
    step: &mut Step<'_>,
    from: EntityId,
    paired_at: (Millis, MessageId),
    via: Via,
) {
    // The customer has left this address: whoever is named beside it now has it, and what came since.
    if let Some(retired) = step.core.retired.filter(|retired| paired_at.0 > retired.at_ms) {
        if from != retired.to {
            let join = ConversationInput::Join { from, paired_at, via };
            step.tell_conversation(retired.to, join);
        }
        return answer(step, from, true);
    }
    // Forwards only go up in rank: who forwards here, or is asked to, is never forwarded to.
    if from == step.me || step.core.lowers.contains_key(&from) {
        return answer(step, from, false);
    }
    match step.core.forward {
        None => hand_over(step, from, paired_at, via),
        Some(forward) if paired_at <= forward.paired_at => {
            answer(step, from, forward.to == from);
        }
        // It ever pointed elsewhere, or has handed over already: only the pointer moves.
        Some(forward) => {
            step.emit(ConversationEvent::Forwarding { to: from, paired_at });
            answer(step, from, true);
            if forward.to != from {
                answer(step, forward.to, false);
            }
        }
    }
}

pub(super) fn hand_over(
    step: &mut Step<'_>,
    to: EntityId,
    paired_at: (Millis, MessageId),
    via: Via,
) {
    step.drop_awaited();
    let mut handed = step.base.clone();
    step.out.events.iter().for_each(|event| handed.apply(event));
    let blank = handed == Conversation::default();
    // On the same channel as the requests themselves, so that each finds its request.
    let number = step.core.via().unwrap_or(via).number;
    for request in step.core.pending_bot() {
        let not_after_ms = step.core.pending.get(&request).map_or(0, |p| p.not_after_ms);
        step.tell_number(number, NumberInput::Cancel { request, not_after_ms });
    }
    step.emit(ConversationEvent::Forwarding { to, paired_at });
    if blank {
        return answer(step, to, true);
    }
    let from = step.me;
    // No conversation is without an encoded form; were there one, nothing could be handed over.
    let state = persist::encode(&handed).unwrap_or_default();
    step.tell_conversation(to, ConversationInput::Absorb { from, state });
}

fn answer(step: &mut Step<'_>, to: EntityId, forwards: bool) {
    let from = step.me;
    step.tell_conversation(to, ConversationInput::NothingToJoin { from, forwards });
}

/// Sends on what came to an address that forwards.
pub(super) fn forward_on(
    step: &mut Step<'_>,
    forward: &Forward,
    key: [u8; 16],
    input: &ConversationInput,
) {
    let to = match input {
        ConversationInput::Inbound(_)
        | ConversationInput::Echo(_)
        | ConversationInput::Preference(_)
        | ConversationInput::Changed(_) => forward.to,
        ConversationInput::Status(status) if status.request.is_none() => forward.to,
        // The caller waits for an answer here, and the conversation could not give it.
        ConversationInput::Command(_) => {
            step.out.reply = Some(CommandAnswer::Moved { to: forward.heir });
            return;
        }
        // About what we asked for while we were a conversation.
        _ => forward.heir,
    };
    let (from, input) = (step.me, Box::new(input.clone()));
    step.tell_conversation(to, ConversationInput::Forwarded { from, key, input });
}

/// A lower address handed over what it had.
pub(super) fn on_absorb(step: &mut Step<'_>, from: EntityId, state: &[u8]) {
    merge::absorb(step, from, state);
    step.after_join();
}

/// A lower address has nothing to hand over, or was lost to a later pairing.
pub(super) fn on_nothing_to_join(step: &mut Step<'_>, lower: EntityId, forwards: bool) {
    let known = step.core.lowers.get(&lower).map(|known| known.state);
    let now = if forwards { LowerState::Joined } else { LowerState::Elsewhere };
    if known != Some(now) {
        step.emit(if forwards {
            ConversationEvent::JoinEnded { lower }
        } else {
            ConversationEvent::LowerMoved { lower }
        });
    }
    step.after_join();
}
