//! An entity that cannot be made does not hold up the partition: its unsaved events are set aside as parts
//! of the shard's own entity, so that checkpoints go on. A build that can make it again finds them.

use std::collections::BTreeMap;

use bus::{
    CodecError, EntityId, Event, FORMAT_VERSION, PartName, PartPut, PartitionId, Position,
    SavedPart, check_version, decode, encode,
};
use serde::{Deserialize, Serialize};

use super::{
    entity::{Recent, Slot, Stand},
    own_entity,
};

/// Bytes of events in one part, about.
const CHUNK_BYTES: usize = 48 * 1024;
const PREFIX: &str = "aside/";

/// Saved form of some steps of one entity.
#[derive(Debug, Serialize, Deserialize)]
struct Aside {
    version: u16,
    entity: EntityId,
    steps: Vec<AsideStep>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AsideStep {
    position: Position,
    events: Vec<Event>,
}

fn name(entity: EntityId, number: usize) -> PartName {
    PartName(format!("{PREFIX}{entity}/{number:04}"))
}

impl Slot {
    /// Whether it has events that only the log and this memory hold, and no way to save them as parts.
    pub(super) fn is_stuck(&self) -> bool {
        matches!(self.stand, Stand::Quarantined(_)) && !self.dirty.is_empty()
    }

    /// Parts of the shard's own entity that must be stored before a checkpoint: events to set aside, or the
    /// removal of what was set aside and is saved now.
    pub(super) fn aside_puts(
        &mut self,
        entity: EntityId,
        partition: PartitionId,
        now: Position,
    ) -> Result<Vec<PartPut>, CodecError> {
        let put = |name, position, bytes| {
            let part = SavedPart { name, position, bytes };
            PartPut { entity: own_entity(partition), part }
        };
        let last = self.recent.back().map(|step| step.position);
        if self.is_stuck() && last > self.aside_through {
            let chunks = chunks(&self.recent);
            self.aside = self.aside.max(chunks.len());
            self.aside_through = last;
            let puts = chunks.into_iter().enumerate().map(|(number, steps)| {
                let position = steps.last().map_or(now, |step| step.position);
                let aside = Aside { version: FORMAT_VERSION, entity, steps };
                Ok(put(name(entity, number), position, Some(encode(&aside)?)))
            });
            return puts.collect();
        }
        if self.aside > 0 && self.dirty.is_empty() && self.stand == Stand::Live {
            let numbers = 0..std::mem::take(&mut self.aside);
            self.aside_through = None;
            return Ok(numbers.map(|number| put(name(entity, number), now, None)).collect());
        }
        Ok(Vec::new())
    }
}

/// Events that the saved parts of an entity may not hold, as parts of the own entity of whichever partition it goes to.
///
/// # Errors
/// When they have no encoded form.
pub(super) fn later_events(entity: EntityId, slot: &Slot) -> Result<Vec<SavedPart>, CodecError> {
    let part = |(number, steps): (usize, Vec<AsideStep>)| {
        let position = steps.last().map(|step| step.position).unwrap_or_default();
        let aside = Aside { version: FORMAT_VERSION, entity, steps };
        Ok(SavedPart { name: name(entity, number), position, bytes: Some(encode(&aside)?) })
    };
    chunks(&slot.recent).into_iter().enumerate().map(part).collect()
}

fn chunks<'a>(recent: impl IntoIterator<Item = &'a Recent>) -> Vec<Vec<AsideStep>> {
    let mut chunks: Vec<Vec<AsideStep>> = Vec::new();
    let mut room = 0_usize;
    for step in recent {
        let bytes = step.events.iter().map(|event| event.body.len() + 64).sum::<usize>();
        let step = AsideStep { position: step.position, events: step.events.clone() };
        match chunks.last_mut() {
            Some(chunk) if bytes <= room => chunk.push(step),
            _ => {
                chunks.push(vec![step]);
                room = CHUNK_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    chunks
}

/// Entities with events set aside, as a new owner finds them.
///
/// # Errors
/// When a part cannot be read.
pub(super) fn restore(parts: &[SavedPart]) -> Result<BTreeMap<EntityId, Slot>, CodecError> {
    let mut slots: BTreeMap<EntityId, Slot> = BTreeMap::new();
    // Names sort by entity and number, so steps come in order.
    let mut parts: Vec<_> = parts.iter().filter(|part| part.name.0.starts_with(PREFIX)).collect();
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    for bytes in parts.into_iter().filter_map(|part| part.bytes.as_ref()) {
        let aside: Aside = decode(bytes)?;
        check_version(aside.version, FORMAT_VERSION)?;
        let slot = slots.entry(aside.entity).or_insert_with(Slot::cold);
        slot.aside += 1;
        for AsideStep { position, events } in aside.steps {
            slot.keep(0, position, events);
            slot.aside_through = slot.aside_through.max(Some(position));
        }
    }
    Ok(slots)
}
