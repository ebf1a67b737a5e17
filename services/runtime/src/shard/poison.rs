//! Poison: a decision that panics, refuses or is too large (design.md 4.4).
//!
//! The entity's earlier steps become durable, it is loaded again, the input is tried once more, then
//! dead-lettered. Its later inputs wait meanwhile; other entities go on deciding, and staging waits.

use bus::EntityId;

use super::{
    Action, Life, Now, Outcome, Shard, StopReason, Ticket, entity::Stand, size, ticket::Progress,
};

/// How often a decision may fail before its input is dead-lettered.
const TRIES_MAX: u8 = 2;

impl Shard {
    pub(super) fn on_decided(
        &mut self,
        now: Now,
        life: Life,
        ticket: Ticket,
        outcome: Outcome,
        out: &mut Vec<Action>,
    ) {
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        if !matches!(pending.progress, Progress::Dispatched(l) if l == life) {
            return;
        }
        let entity = pending.entity;
        match outcome {
            Outcome::UnknownVersion(what) => self.stop(StopReason::UnknownVersion(what), out),
            Outcome::Poison(error) => self.poison(entity, life, ticket, error, out),
            Outcome::Decided(decided) => match size::check(&decided.decision) {
                Err(error) => self.poison(entity, life, ticket, error, out),
                Ok(_) => {
                    pending.progress = Progress::Done(decided);
                    if self.settings.breaks.ordered_staging {
                        self.stage_ticket(now, ticket, out);
                    }
                }
            },
        }
    }

    pub(super) fn on_entity_gone(
        &mut self,
        now: Now,
        entity: EntityId,
        life: Life,
        error: String,
        out: &mut Vec<Action>,
    ) {
        let Some(slot) = self.entities.get(&entity) else { return };
        let with_it = |ticket: &&Ticket| {
            let progress = self.pending.get(ticket).map(|pending| &pending.progress);
            matches!(progress, Some(Progress::Dispatched(l)) if *l == life)
        };
        if let Some(ticket) = slot.undurable.iter().find(with_it).copied() {
            return self.poison(entity, life, ticket, error, out);
        }
        // What it decided must be durable before it is loaded again, though nothing failed.
        let decided = slot.undurable.iter().rev().find(|ticket| !slot.queue.contains(ticket));
        let after_all = decided.map(|ticket| ticket + 1);
        if !self.end_life(entity, life, out) {
            return;
        }
        if let Some(ticket) = after_all {
            self.slot(entity).stand = Stand::Poisoned(ticket);
            self.poisoned.insert(entity);
        } else {
            self.ask_if_wanted(now, entity, out);
        }
    }

    fn poison(
        &mut self,
        entity: EntityId,
        life: Life,
        ticket: Ticket,
        error: String,
        out: &mut Vec<Action>,
    ) {
        if !self.end_life(entity, life, out) {
            return;
        }
        self.take_back(entity, life);
        if let Some(pending) = self.pending.get_mut(&ticket) {
            pending.tries = pending.tries.saturating_add(1);
            pending.error = error;
        }
        self.slot(entity).stand = Stand::Poisoned(ticket);
        self.poisoned.insert(entity);
    }

    /// Goes on with every poisoned entity whose earlier steps are durable.
    pub(super) fn heal(&mut self, now: Now, out: &mut Vec<Action>) {
        for entity in self.poisoned.clone() {
            let Some(slot) = self.entities.get_mut(&entity) else { continue };
            let Stand::Poisoned(ticket) = slot.stand else { continue };
            if slot.undurable.range(..ticket).next().is_some() {
                continue;
            }
            self.poisoned.remove(&entity);
            slot.stand = Stand::Cold;
            if let Some(pending) = self.pending.get_mut(&ticket)
                && pending.tries >= TRIES_MAX
            {
                slot.queue.retain(|waiting| *waiting != ticket);
                pending.progress = Progress::DeadLetter(std::mem::take(&mut pending.error));
            }
            self.drive(entity, out);
            self.ask_if_wanted(now, entity, out);
        }
    }
}
