//! The gate: nothing leaves before the record that caused it is durable (design.md, invariant 3).

use bus::{EntityId, Position, RecordHead, Reply, Step};

use super::{
    Action, Now, Shard, StopReason, Why,
    ticket::{Effects, Staged},
};
use crate::host::{CallId, CallRequest};

/// What waits for a younger proof that we are last, in order.
#[derive(Debug)]
pub(super) enum Held {
    Call { entity: EntityId, request: CallRequest },
    Cancel(CallId),
}

impl Shard {
    /// One staged ticket's record is durable.
    pub(super) fn item_is_durable(
        &mut self,
        now: Now,
        item: Staged,
        position: Position,
        out: &mut Vec<Action>,
    ) {
        let Staged { ticket, entity, step, place, effects, credit, wake, .. } = item;
        if place.is_some() {
            self.intake.settle(credit);
        }
        if let Some(slot) = self.entities.get_mut(&entity) {
            slot.undurable.remove(&ticket);
        }
        if let Some(step) = step {
            self.counts.step(step.dead_letter.is_some());
            self.step_is_durable(now, ticket, wake, step, position, out);
            self.let_out(now, entity, effects, position, out);
        }
        if let Some(call) = item.settles {
            out.push(Action::Settled(call));
        }
        self.release_held_snapshot(now, entity, out);
    }

    fn step_is_durable(
        &mut self,
        now: Now,
        ticket: u64,
        wake: bool,
        step: Step,
        position: Position,
        out: &mut Vec<Action>,
    ) {
        let Step { header, entity, events, messages, wake_ms, .. } = step;
        let changed = !events.is_empty();
        for message in messages {
            self.channels.entry(message.target).or_default().durable(message, position);
        }
        if changed {
            self.slot(entity).keep(ticket, position, events);
        }
        self.timers.set(entity, wake_ms, &header.business, position);
        if wake {
            self.wake_is_durable(now, entity, changed, out);
        }
    }

    /// Lets the effects of a durable step leave.
    pub(super) fn let_out(
        &mut self,
        now: Now,
        entity: EntityId,
        effects: Effects,
        position: Position,
        out: &mut Vec<Action>,
    ) {
        let Effects { calls, cancels, signals, reply } = effects;
        let held = &mut self.commit.held;
        held.extend(calls.into_iter().map(|request| Held::Call { entity, request }));
        held.extend(cancels.into_iter().map(Held::Cancel));
        self.let_calls_out(now, out);
        out.extend(signals.into_iter().map(Action::Signal));
        if let Some((topic, key, result)) = reply {
            out.push(Action::Reply { topic, reply: Reply::new(key, result, Some(position)) });
        }
    }

    /// Whether a record is to be appended for what only a stored one shows: that we are last.
    pub(super) fn wants_proof(&self) -> bool {
        let calls = !self.commit.held.is_empty() && !self.settings.breaks.leader_reads;
        calls || self.intake.has_gap()
    }

    /// Lets calls go while the proof that we are last is young enough. Else they wait for the next record: a late commit
    /// is followed by another one, never by a later `start_by` (design.md 4.5).
    pub(super) fn let_calls_out(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.commit.held.is_empty() {
            return;
        }
        let start_by_boot_ms = match self.settings.breaks.start_by {
            true => u64::MAX,
            false => self.commit.shown_boot_ms.saturating_add(self.settings.start_by_ms),
        };
        if now.boot_ms >= start_by_boot_ms {
            if self.settings.breaks.leader_reads {
                self.verify(out);
            }
            return;
        }
        out.extend(self.commit.held.drain(..).map(|held| match held {
            Held::Call { entity, request } => Action::Call { entity, request, start_by_boot_ms },
            Held::Cancel(call) => Action::Cancel(call),
        }));
    }

    /// An owner without commits learns of a fence by asking.
    pub(super) fn verify_if_idle(&mut self, now: Now, out: &mut Vec<Action>) {
        let asked_ms = now.boot_ms.saturating_sub(self.commit.asked_boot_ms);
        if asked_ms >= self.settings.verify_ms {
            self.verify(out);
        }
    }

    /// Asks the leader whether we are still last.
    pub(super) fn verify(&mut self, out: &mut Vec<Action>) {
        if !self.commit.confirming {
            self.commit.confirming = true;
            out.push(Action::ReadLast { why: Why::Confirm, delay_ms: 0 });
        }
    }

    /// The leader's last record, read because nothing was committed for long, or because another node claims the partition. It
    /// may show us fenced; that we are not, it cannot show.
    pub(super) fn on_confirmed(
        &mut self,
        now: Now,
        last: Option<(u64, RecordHead)>,
        sent_boot_ms: u64,
        out: &mut Vec<Action>,
    ) {
        self.commit.confirming = false;
        let (known_seq, own) = (self.commit.last.seq, self.commit.last.head.incarnation);
        match last {
            // A record of our own before the last one comes from a leader that was deposed.
            Some((seq, head)) if head.incarnation == own && seq >= known_seq => {
                self.commit.asked_boot_ms = self.commit.asked_boot_ms.max(sent_boot_ms);
                self.commit.older_reads = 0;
                if self.settings.breaks.leader_reads {
                    self.commit.shown_boot_ms = self.commit.shown_boot_ms.max(sent_boot_ms);
                    self.let_calls_out(now, out);
                }
            }
            Some((seq, _)) if seq > known_seq => self.stop(StopReason::Fenced, out),
            _ => {
                self.commit.confirming = true;
                self.leader_is_behind(Why::Confirm, out);
            }
        }
    }
}
