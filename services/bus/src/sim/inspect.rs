//! What a checker sees of the simulated store.

use bytes::Bytes;

use super::SimBus;
use crate::{Checkpoint, EntityId, PartitionId, SavedPart, sim::store::Partition};

impl SimBus {
    fn look<T: Default>(&self, partition: PartitionId, at: impl FnOnce(&Partition) -> T) -> T {
        self.world.store().partition(partition).map(at).unwrap_or_default()
    }

    /// Every inbox entry ever stored, with its sequence.
    #[must_use]
    pub fn inbox_entries(&self, partition: PartitionId) -> Vec<(u64, Bytes)> {
        self.look(partition, |held| held.inbox.entries.clone())
    }

    /// Every log record ever stored, with its sequence.
    #[must_use]
    pub fn records(&self, partition: PartitionId) -> Vec<(u64, Bytes)> {
        self.look(partition, |held| held.log.entries.clone())
    }

    /// The parts as they are stored now.
    #[must_use]
    pub fn saved_parts(&self, partition: PartitionId) -> Vec<(EntityId, SavedPart)> {
        self.look(partition, |held| {
            held.parts.iter().map(|((entity, _), part)| (*entity, part.clone())).collect()
        })
    }

    /// Every save that replaced a stored part, in the order it was applied.
    #[must_use]
    pub fn saves(&self, partition: PartitionId) -> Vec<(EntityId, SavedPart)> {
        self.look(partition, |held| held.saves.clone())
    }

    /// The stored checkpoint.
    #[must_use]
    pub fn stored_checkpoint(&self, partition: PartitionId) -> Option<Checkpoint> {
        self.look(partition, |held| held.checkpoint.clone())
    }

    /// Digest over everything stored so far, in the order it was applied: two runs of one seed are
    /// equal if and only if their digests are.
    #[must_use]
    pub fn digest(&self) -> String {
        self.world.store().digest.finalize().to_hex().to_string()
    }
}
