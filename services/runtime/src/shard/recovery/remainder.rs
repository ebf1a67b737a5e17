//! What a partition holds beside the saved parts of its entities, read without taking it over: for who moves the
//! installation to another bus.

use std::collections::BTreeMap;

use bus::{
    BusinessId, EntityId, FormatLevel, Incarnation, Input, PartitionId, Place, RecordHead,
    SavedPart,
};

use super::{Recovery, unreadable};
use crate::shard::{Link, Owned, StopReason, channel::Channel, quarantine};

/// It, as of the log's last record.
#[derive(Debug, Default)]
pub(crate) struct Remainder {
    /// Last inbox place decided.
    pub(crate) place: Place,
    /// Last channel number taken per source partition.
    pub(crate) taken: BTreeMap<PartitionId, u64>,
    /// Messages not known to have arrived, by target partition, in order of their numbers.
    pub(crate) messages: BTreeMap<PartitionId, Vec<(u64, Input)>>,
    /// Every entity's earliest timer.
    pub(crate) timers: Vec<(EntityId, u64, BusinessId)>,
    /// Events that saved parts may not hold, as parts of the own entity of the partition where their entity will be: an
    /// owner finds them there as it finds events set aside.
    pub(crate) later: Vec<(EntityId, Vec<SavedPart>)>,
    /// Time of the last decision, Unix ms.
    pub(crate) last_now_ms: u64,
}

impl Owned {
    /// What a reader pretends to own: as if it had written an `Epoch` after the log's last record.
    pub(crate) fn in_mind(partition: PartitionId, partitions: u16, last: Link) -> Self {
        let head = RecordHead {
            generation: last.head.generation,
            epoch: last.head.epoch + 1,
            incarnation: Incarnation([0; 16]),
            number: 0,
            previous_seq: last.seq,
        };
        Self {
            partition,
            partitions,
            epoch: Link { seq: last.seq + 1, head },
            had_owner: true,
            shown_boot_ms: 0,
            acked_boot_ms: 0,
            inbox_last: 0,
            format: FormatLevel::FIRST,
        }
    }
}

impl Recovery {
    /// What was gathered up to the log's last record, for a recovery begun with [`Owned::in_mind`].
    ///
    /// # Errors
    /// When that record was not reached along the chain, or something has no encoded form.
    pub(crate) fn into_remainder(self) -> Result<Remainder, StopReason> {
        let last_seq = self.owned.epoch.head.previous_seq;
        if self.link.is_none_or(|link| link.seq != last_seq) {
            let what = "the chain of records does not reach the last one";
            return Err(StopReason::Corrupt(what.to_owned()));
        }
        let mut later = Vec::new();
        for (entity, slot) in &self.entities {
            let parts = quarantine::later_events(*entity, slot)
                .map_err(|error| unreadable("an event", &error))?;
            if !parts.is_empty() {
                later.push((*entity, parts));
            }
        }
        let waiting = |(target, channel): (PartitionId, Channel)| (target, channel.into_waiting());
        Ok(Remainder {
            place: self.place,
            taken: self.taken,
            messages: self.channels.into_iter().map(waiting).collect(),
            timers: self.timers.finish().into_entries(),
            later,
            last_now_ms: self.last_now_ms,
        })
    }
}
