//! Saves: encoded parts of live entities. A saved state is an output: it passes the gate (design.md 4.2).

use std::collections::{BTreeMap, VecDeque};

use bus::{EntityId, PartName, PartPut, Position, SavedPart, VALUE_BYTES_MAX};
use bytes::Bytes;

use super::{
    Action, Alarm, Life, Now, Shard, Ticket,
    entity::{Slot, Stand},
    own_entity, size,
};

/// Most parts and bytes of one save; an entity's parts stay together. Appends of all partitions may wait for one, about a
/// millisecond on the embedded bus.
const SAVE_PARTS_MAX: usize = 64;
const SAVE_BYTES_MAX: usize = 2 * 1024 * 1024;

type Parts = Vec<(PartName, Option<Bytes>)>;

/// How the saving of one entity stands.
#[derive(Debug)]
pub(super) enum Snapshot {
    /// Nobody asked.
    Idle,
    /// To be asked for as soon as the entity is live.
    Wanted,
    /// The entity was asked.
    Asked,
    /// The parts hold decisions up to this ticket, which is not durable yet.
    Held { through: Ticket, parts: Parts },
    /// Queued or with the bus.
    Saving,
}

/// Saves of the whole shard.
#[derive(Debug, Default)]
pub(super) struct Saves {
    queue: VecDeque<(EntityId, Vec<PartPut>)>,
    flight: Vec<(EntityId, Vec<PartPut>)>,
    attempts: u32,
    /// Entities wanted or asked.
    asked: usize,
}

impl Saves {
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    pub(super) fn push(&mut self, entity: EntityId, puts: Vec<PartPut>) {
        self.queue.push_back((entity, puts));
    }

    /// As [`Saves::push`], for parts that need not stay together.
    pub(super) fn push_many(&mut self, entity: EntityId, puts: Vec<PartPut>) {
        let mut puts = puts.into_iter().peekable();
        while puts.peek().is_some() {
            self.push(entity, puts.by_ref().take(SAVE_PARTS_MAX).collect());
        }
    }

    fn next_batch(&mut self) -> Vec<(EntityId, Vec<PartPut>)> {
        let (mut parts, mut bytes) = (0, 0);
        let mut batch = Vec::new();
        while let Some((entity, puts)) = self.queue.pop_front() {
            parts += puts.len();
            bytes +=
                puts.iter().filter_map(|p| p.part.bytes.as_ref()).map(Bytes::len).sum::<usize>();
            let is_full = parts > SAVE_PARTS_MAX || bytes > SAVE_BYTES_MAX;
            if is_full && !batch.is_empty() {
                self.queue.push_front((entity, puts));
                break;
            }
            batch.push((entity, puts));
        }
        batch
    }
}

impl Shard {
    /// Asks for the unsaved parts of an entity, loading it first if need be.
    pub(super) fn want_snapshot(&mut self, now: Now, entity: EntityId, out: &mut Vec<Action>) {
        let slot = self.slot(entity);
        if matches!(slot.snapshot, Snapshot::Idle) {
            slot.snapshot = Snapshot::Wanted;
            self.saves.asked += 1;
            self.ask_if_wanted(now, entity, out);
        }
    }

    pub(super) fn ask_if_wanted(&mut self, now: Now, entity: EntityId, out: &mut Vec<Action>) {
        let format = self.format();
        let Some(slot) = self.entities.get_mut(&entity) else { return };
        if !matches!(slot.snapshot, Snapshot::Wanted) {
            return;
        }
        if slot.dirty.is_empty() {
            self.unask(entity);
            return self.entity_saved(now, entity, out);
        }
        match slot.stand {
            Stand::Cold => self.load(entity, out),
            Stand::Loading | Stand::Poisoned(_) => {}
            Stand::Quarantined(_) => {
                self.unask(entity);
                self.checkpoint_blocked(now, out);
            }
            Stand::Live => {
                slot.snapshot = Snapshot::Asked;
                let parts = slot.dirty.keys().cloned().collect();
                out.push(Action::Snapshot { life: slot.life, parts, format });
            }
        }
    }

    /// Nobody waits for this entity's parts any more.
    pub(super) fn unask(&mut self, entity: EntityId) {
        let Some(slot) = self.entities.get_mut(&entity) else { return };
        if matches!(slot.snapshot, Snapshot::Wanted | Snapshot::Asked) {
            slot.snapshot = Snapshot::Idle;
            self.saves.asked = self.saves.asked.saturating_sub(1);
        }
    }

    pub(super) fn on_snapshot(
        &mut self,
        now: Now,
        entity: EntityId,
        life: Life,
        through: Ticket,
        parts: Result<Parts, String>,
        out: &mut Vec<Action>,
    ) {
        let Some(slot) = self.entities.get_mut(&entity) else { return };
        if slot.life != life || !matches!(slot.snapshot, Snapshot::Asked) {
            return;
        }
        self.saves.asked = self.saves.asked.saturating_sub(1);
        let fits = |(_, bytes): &(PartName, Option<Bytes>)| {
            bytes.as_ref().is_none_or(|bytes| bytes.len() <= VALUE_BYTES_MAX)
        };
        match parts {
            Ok(parts) if parts.iter().all(fits) => {
                let through = through.max(slot.opened_through);
                slot.snapshot = Snapshot::Held { through, parts };
                self.release_held_snapshot(now, entity, out);
            }
            _ => {
                slot.snapshot = Snapshot::Idle;
                self.alarm(Alarm::PartUnsavable, out);
                self.checkpoint_blocked(now, out);
            }
        }
    }

    /// Lets a snapshot pass the gate once every decision in it is durable.
    pub(super) fn release_held_snapshot(
        &mut self,
        now: Now,
        entity: EntityId,
        out: &mut Vec<Action>,
    ) {
        let Some(slot) = self.entities.get_mut(&entity) else { return };
        let Snapshot::Held { through, .. } = &slot.snapshot else { return };
        let through = *through;
        if slot.undurable.range(..=through).next().is_some() {
            return;
        }
        let Snapshot::Held { parts, .. } = std::mem::replace(&mut slot.snapshot, Snapshot::Saving)
        else {
            return;
        };
        let puts = positioned(slot, entity, through, parts);
        let part_is_large = |put: &PartPut| {
            put.part.bytes.as_ref().is_some_and(|bytes| bytes.len() > size::PART_BYTES_MAX)
        };
        if puts.iter().any(part_is_large) {
            self.alarm(Alarm::PartUnsavable, out);
        }
        match puts.is_empty() {
            true => self.entity_saved(now, entity, out),
            false => self.saves.push(entity, puts),
        }
    }

    pub(super) fn save_next(&mut self, out: &mut Vec<Action>) {
        if self.saves.flight.is_empty() && !self.saves.queue.is_empty() {
            self.saves.flight = self.saves.next_batch();
            self.send_saves(out);
        }
    }

    fn send_saves(&self, out: &mut Vec<Action>) {
        let puts = self.saves.flight.iter().flat_map(|(_, puts)| puts).cloned().collect();
        out.push(Action::Save { puts, delay_ms: self.settings.retry_ms(self.saves.attempts) });
    }

    pub(super) fn on_saved(&mut self, now: Now, stored: bool, out: &mut Vec<Action>) {
        if self.saves.flight.is_empty() {
            return;
        }
        if !stored {
            self.saves.attempts = self.saves.attempts.saturating_add(1);
            return self.send_saves(out);
        }
        self.saves.attempts = 0;
        for (entity, puts) in std::mem::take(&mut self.saves.flight) {
            for put in puts {
                self.part_saved(entity, &put.part.name, put.part.position);
            }
            self.entity_saved(now, entity, out);
        }
    }

    /// A part is known to be stored as of `position` at least.
    pub(super) fn part_saved(&mut self, entity: EntityId, name: &PartName, position: Position) {
        if entity == own_entity(self.owned.partition) {
            self.timers.saved(name, position);
        } else if let Some(slot) = self.entities.get_mut(&entity)
            && slot.dirty.get(name).is_some_and(|dirty| *dirty <= position)
        {
            slot.dirty.remove(name);
        }
        self.checkpoints.part_saved(entity, name, position);
    }

    /// A round of saving an entity is over.
    fn entity_saved(&mut self, now: Now, entity: EntityId, out: &mut Vec<Action>) {
        if let Some(slot) = self.entities.get_mut(&entity) {
            slot.snapshot = Snapshot::Idle;
        }
        self.checkpoints.ask_again(entity);
        self.passivate_if_asked(now, entity, out);
        self.forget_if_empty(entity);
    }
}

/// Gives each part the position of the last step that touched it among those the snapshot holds. A part
/// without one was not touched since the checkpoint: it is stored already.
fn positioned(slot: &Slot, entity: EntityId, through: Ticket, parts: Parts) -> Vec<PartPut> {
    let mut touched: BTreeMap<&PartName, Position> = BTreeMap::new();
    for step in slot.recent.iter().filter(|step| step.ticket <= through) {
        touched.extend(step.events.iter().map(|event| (&event.part, step.position)));
    }
    let put = |(name, bytes): (PartName, Option<Bytes>)| {
        let position = *touched.get(&name)?;
        Some(PartPut { entity, part: SavedPart { name, position, bytes } })
    };
    parts.into_iter().filter_map(put).collect()
}
