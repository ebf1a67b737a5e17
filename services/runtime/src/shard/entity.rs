//! Entities of the partition: loading, dispatch, and what is kept of each since the checkpoint.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bus::{EntityId, Event, FormatLevel, PartName, Position, SavedPart};

use super::{
    Action, Alarm, Life, Now, Shard, StopReason, Ticket,
    save::Snapshot,
    ticket::{Pending, Progress},
};
use crate::host::{DecideInput, EntityError};

/// How an entity stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Saved only.
    Cold,
    /// Its parts are being read.
    Loading,
    /// In memory.
    Live,
    /// It failed at this ticket; its earlier steps must be durable before it is loaded again.
    Poisoned(Ticket),
    /// It cannot be made from what is stored; its inputs are dead-lettered.
    Quarantined(String),
}

/// One durable step's events.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) ticket: Ticket,
    pub(super) position: Position,
    pub(super) events: Vec<Event>,
}

/// What the shard keeps of one entity.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stand: Stand,
    pub(super) life: Life,
    /// Tickets not dispatched, in order.
    pub(super) queue: VecDeque<Ticket>,
    /// Tickets not durable.
    pub(super) undurable: BTreeSet<Ticket>,
    /// Durable events since the checkpoint.
    pub(super) recent: VecDeque<Recent>,
    /// Parts whose last durable step is not known to be saved.
    pub(super) dirty: BTreeMap<PartName, Position>,
    pub(super) snapshot: Snapshot,
    /// Last durable ticket when this life began: what its snapshots hold at least.
    pub(super) opened_through: Ticket,
    /// Earliest timer of the last staged step; `None`: the timer index knows.
    pub(super) staged_wake_ms: Option<Option<u64>>,
    pub(super) used_boot_ms: u64,
    /// Parts of the shard's own entity that hold events of it set aside.
    pub(super) aside: usize,
    /// Last step set aside.
    pub(super) aside_through: Option<Position>,
    /// It is to leave memory once it is saved, unless it is used before.
    pub(super) leaving: bool,
}

impl Slot {
    pub(super) fn cold() -> Self {
        Self {
            stand: Stand::Cold,
            life: 0,
            queue: VecDeque::new(),
            undurable: BTreeSet::new(),
            recent: VecDeque::new(),
            dirty: BTreeMap::new(),
            snapshot: Snapshot::Idle,
            opened_through: 0,
            staged_wake_ms: None,
            used_boot_ms: 0,
            aside: 0,
            aside_through: None,
            leaving: false,
        }
    }

    pub(super) fn admitted(&mut self, ticket: Ticket, boot_ms: u64) {
        self.queue.push_back(ticket);
        self.undurable.insert(ticket);
        self.used_boot_ms = boot_ms;
    }

    /// Nothing of it needs to stay in memory.
    pub(super) fn is_empty(&self) -> bool {
        self.stand == Stand::Cold
            && self.undurable.is_empty()
            && self.recent.is_empty()
            && self.dirty.is_empty()
            && self.aside == 0
            && matches!(self.snapshot, Snapshot::Idle)
    }

    /// Keeps a durable step's events for later loads. One that it has already (set aside, or read twice) is not
    /// kept again.
    pub(super) fn keep(&mut self, ticket: Ticket, position: Position, events: Vec<Event>) {
        if self.recent.back().is_some_and(|last| last.position >= position) {
            return;
        }
        for event in &events {
            match self.dirty.get_mut(&event.part) {
                Some(dirty) => *dirty = position,
                None => drop(self.dirty.insert(event.part.clone(), position)),
            }
        }
        self.recent.push_back(Recent { ticket, position, events });
    }

    /// Events that the saved parts do not hold yet.
    fn events_after(&self, saved: &BTreeMap<&PartName, Position>, all: bool) -> Vec<Event> {
        let is_later = |step: &Recent, event: &Event| {
            all || saved.get(&event.part).is_none_or(|position| *position < step.position)
        };
        let steps = self.recent.iter();
        steps.flat_map(|step| step.events.iter().filter(|e| is_later(step, e))).cloned().collect()
    }
}

impl Shard {
    pub(super) fn slot(&mut self, entity: EntityId) -> &mut Slot {
        self.entities.entry(entity).or_insert_with(Slot::cold)
    }

    /// Removes a slot that holds nothing.
    pub(super) fn forget_if_empty(&mut self, entity: EntityId) {
        if self.entities.get(&entity).is_some_and(Slot::is_empty) {
            self.entities.remove(&entity);
        }
    }

    /// Brings waiting tickets to the entity, loading it first if need be.
    pub(super) fn drive(&mut self, entity: EntityId, out: &mut Vec<Action>) {
        let Some(slot) = self.entities.get(&entity) else { return };
        let Some(first) = slot.queue.front().copied() else { return };
        if !self.may_dispatch(first) {
            return;
        }
        match slot.stand.clone() {
            Stand::Cold => self.load(entity, out),
            Stand::Live => self.dispatch_queue(entity, out),
            Stand::Quarantined(error) => self.refuse_queue(entity, &error),
            Stand::Loading | Stand::Poisoned(_) => {}
        }
    }

    pub(super) fn load(&mut self, entity: EntityId, out: &mut Vec<Action>) {
        self.next_life += 1;
        let life = self.next_life;
        let slot = self.slot(entity);
        slot.stand = Stand::Loading;
        slot.life = life;
        out.push(Action::Load { entity, life });
    }

    fn dispatch_queue(&mut self, entity: EntityId, out: &mut Vec<Action>) {
        let format = self.format();
        loop {
            let Some(slot) = self.entities.get(&entity) else { return };
            let life = slot.life;
            let Some(ticket) = slot.queue.front().copied() else { return };
            if !self.may_dispatch(ticket) {
                return;
            }
            self.slot(entity).queue.pop_front();
            if let Some(pending) = self.pending.get_mut(&ticket) {
                pending.progress = Progress::Dispatched(life);
                let input = Box::new(decide_input(pending, format));
                out.push(Action::Dispatch { life, ticket, input });
            }
        }
    }

    /// Dead-letters what waits for an entity that cannot be made.
    fn refuse_queue(&mut self, entity: EntityId, error: &str) {
        let queue = std::mem::take(&mut self.slot(entity).queue);
        for ticket in queue {
            if let Some(pending) = self.pending.get_mut(&ticket) {
                pending.progress = Progress::DeadLetter(error.to_owned());
            }
        }
    }

    pub(super) fn on_loaded(
        &mut self,
        now: Now,
        entity: EntityId,
        life: Life,
        parts: Vec<SavedPart>,
        out: &mut Vec<Action>,
    ) {
        let apply_all = self.settings.breaks.per_part_apply;
        let Some(slot) = self.entities.get_mut(&entity) else { return };
        if slot.life != life || slot.stand != Stand::Loading {
            return;
        }
        let saved: BTreeMap<&PartName, Position> =
            parts.iter().map(|part| (&part.name, part.position)).collect();
        let events = slot.events_after(&saved, apply_all);
        slot.stand = Stand::Live;
        slot.opened_through = slot.recent.back().map_or(0, |step| step.ticket);
        slot.used_boot_ms = now.boot_ms;
        self.live += 1;
        let found: Vec<(PartName, Position)> =
            parts.iter().map(|part| (part.name.clone(), part.position)).collect();
        for (name, position) in found {
            self.part_saved(entity, &name, position);
        }
        out.push(Action::Open { entity, life, parts, events });
        self.ask_if_wanted(now, entity, out);
        self.drive(entity, out);
    }

    pub(super) fn on_open_failed(
        &mut self,
        now: Now,
        entity: EntityId,
        life: Life,
        error: &EntityError,
        out: &mut Vec<Action>,
    ) {
        if let EntityError::UnknownVersion { .. } = error {
            let what = format!("entity {entity}: {error}");
            return self.stop(StopReason::UnknownVersion(what), out);
        }
        if !self.end_life(entity, life, out) {
            return;
        }
        self.alarm(Alarm::Quarantined, out);
        self.take_back(entity, life);
        self.poisoned.remove(&entity);
        let text = format!("the entity is quarantined: {error}");
        self.unask(entity);
        self.slot(entity).stand = Stand::Quarantined(text);
        self.checkpoint_blocked(now, out);
        self.drive(entity, out);
    }

    /// Ends a life; false when it is not the present one.
    pub(super) fn end_life(&mut self, entity: EntityId, life: Life, out: &mut Vec<Action>) -> bool {
        let Some(slot) = self.entities.get_mut(&entity) else { return false };
        if slot.life != life || slot.stand != Stand::Live {
            return false;
        }
        slot.stand = Stand::Cold;
        if matches!(slot.snapshot, Snapshot::Asked) {
            slot.snapshot = Snapshot::Wanted;
        }
        self.live = self.live.saturating_sub(1);
        out.push(Action::Close { life });
        true
    }

    /// Puts what was dispatched to this life and not decided back into the queue, in order.
    pub(super) fn take_back(&mut self, entity: EntityId, life: Life) {
        let Some(slot) = self.entities.get_mut(&entity) else { return };
        let mut queue: BTreeSet<Ticket> = slot.queue.drain(..).collect();
        for ticket in &slot.undurable {
            if let Some(pending) = self.pending.get_mut(ticket)
                && matches!(pending.progress, Progress::Dispatched(l) if l == life)
            {
                pending.progress = Progress::Waiting;
                queue.insert(*ticket);
            }
        }
        slot.queue = queue.into_iter().collect();
    }
}

fn decide_input(pending: &Pending, format: FormatLevel) -> DecideInput {
    DecideInput {
        header: pending.header.clone(),
        entity: pending.entity,
        occasion: pending.occasion.clone(),
        now_ms: pending.now_ms,
        foreign_calls_over_ms: pending.foreign_calls_over_ms,
        format,
    }
}
