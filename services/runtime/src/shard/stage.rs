//! Staging: decided tickets become steps, strictly in ticket order.

use bus::{Cause, ChannelMessage, DeadLetter, Header, Input, Position, Step};
use bytes::Bytes;

use super::{
    Action, Alarm, Decided, Now, Shard, Ticket, size,
    ticket::{Effects, Pending, Progress, Staged},
};
use crate::host::{Decision, Occasion, OutMessage};

impl Shard {
    /// Stages every ticket that is decided and has no undecided one before it.
    pub(super) fn stage(&mut self, now: Now, out: &mut Vec<Action>) {
        self.heal(now, out);
        while let Some((ticket, pending)) = self.pending.first_key_value() {
            if matches!(pending.progress, Progress::Waiting | Progress::Dispatched(_)) {
                return;
            }
            let ticket = *ticket;
            self.stage_ticket(now, ticket, out);
        }
    }

    pub(super) fn stage_ticket(&mut self, now: Now, ticket: Ticket, out: &mut Vec<Action>) {
        let Some(mut pending) = self.pending.remove(&ticket) else { return };
        let progress = std::mem::replace(&mut pending.progress, Progress::Waiting);
        let mut staged = match progress {
            Progress::Done(decided) if pending.is_wake() && is_nothing(&decided.decision) => {
                return self.wake_was_idle(now, ticket, &pending, decided.wake_ms, out);
            }
            Progress::Done(decided) => self.stage_decision(ticket, &pending, *decided),
            Progress::DeadLetter(error) => self.stage_dead_letter(ticket, &pending, error, out),
            Progress::Dropped | Progress::Waiting | Progress::Dispatched(_) => {
                empty(ticket, &pending)
            }
        };
        if self.settings.breaks.gate {
            let effects = std::mem::take(&mut staged.effects);
            self.let_out(now, staged.entity, effects, Position::default(), out);
        }
        self.staged.push_back(staged);
    }

    fn stage_decision(&mut self, ticket: Ticket, pending: &Pending, decided: Decided) -> Staged {
        let Decided { decision, wake_ms } = decided;
        let bytes = size::check(&decision).unwrap_or(size::STEP_BYTES_MAX);
        let Decision { events, messages, calls, cancels, signals, reply } = decision;
        let messages = messages.into_iter().map(|message| self.number(pending, message)).collect();
        self.slot(pending.entity).staged_wake_ms = Some(wake_ms);
        let step = Step {
            header: pending.header.clone(),
            entity: pending.entity,
            place: pending.place,
            now_ms: pending.now_ms,
            events,
            messages,
            wake_ms,
            dead_letter: None,
        };
        let answer = Ok(reply.unwrap_or_else(Bytes::new));
        let effects = Effects { calls, cancels, signals, reply: reply_of(pending, answer) };
        let bytes = bytes + size::bare_step(&pending.header.business, None);
        Staged { step: Some(step), effects, bytes, ..empty(ticket, pending) }
    }

    fn stage_dead_letter(
        &mut self,
        ticket: Ticket,
        pending: &Pending,
        error: String,
        out: &mut Vec<Action>,
    ) -> Staged {
        self.alarm(Alarm::DeadLetter, out);
        let letter = DeadLetter { error: error.clone(), input: pending.letter() };
        let bytes = size::bare_step(&pending.header.business, Some(&letter));
        let step = Step {
            header: pending.header.clone(),
            entity: pending.entity,
            place: pending.place,
            now_ms: pending.now_ms,
            events: Vec::new(),
            messages: Vec::new(),
            wake_ms: self.wake_after_dead_letter(pending),
            dead_letter: Some(letter),
        };
        let effects = Effects { reply: reply_of(pending, Err(error)), ..Effects::default() };
        Staged { step: Some(step), effects, bytes, ..empty(ticket, pending) }
    }

    /// Gives an outgoing message its number on its channel.
    fn number(&mut self, pending: &Pending, message: OutMessage) -> ChannelMessage {
        let OutMessage { target: entity, business, key, body } = message;
        let target = entity.partition(self.owned.partitions);
        let number = self.channels.entry(target).or_default().next_number();
        let cause = Cause::Channel {
            source: self.owned.partition,
            generation: self.owned.epoch.head.generation,
            number,
            position: None,
        };
        let trace = pending.header.trace;
        let header = Header { key, business, cause, trace, received_ms: pending.now_ms };
        let input = Input { header, target: entity, body, reply_to: None };
        ChannelMessage { target, number, input }
    }
}

/// A staged ticket that records nothing but its place.
fn empty(ticket: Ticket, pending: &Pending) -> Staged {
    Staged {
        ticket,
        entity: pending.entity,
        step: None,
        place: pending.place,
        taken: pending.taken,
        effects: Effects::default(),
        bytes: 0,
        credit: pending.credit,
        wake: pending.is_wake(),
        settles: pending.direct_call(),
        result: matches!(pending.occasion, Occasion::CallResult { .. }),
    }
}

fn reply_of(
    pending: &Pending,
    answer: Result<Bytes, String>,
) -> Option<(String, bus::Key, Result<Bytes, String>)> {
    pending.reply_to.clone().map(|topic| (topic, pending.header.key, answer))
}

/// A decision that changes nothing and sends nothing.
fn is_nothing(decision: &Decision) -> bool {
    decision.events.is_empty()
        && decision.messages.is_empty()
        && decision.calls.is_empty()
        && decision.cancels.is_empty()
        && decision.signals.is_empty()
        && decision.reply.is_none()
}
