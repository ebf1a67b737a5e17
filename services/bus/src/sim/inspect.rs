//! What a checker sees of the simulated store.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::SimBus;
use crate::{Checkpoint, EntityId, PartitionId, SavedPart, sim::store::Partition};

/// One change of the store, at the moment it is applied.
#[derive(Clone, Copy, Debug)]
pub enum Applied<'a> {
    /// An inbox entry was stored.
    Inbox(PartitionId, u64, &'a Bytes),
    /// A record was stored.
    Log(PartitionId, u64, &'a Bytes),
    /// A save replaced a part.
    Part(PartitionId, EntityId, &'a SavedPart),
    /// A checkpoint was replaced.
    Checkpoint(PartitionId, &'a Checkpoint),
}

/// Faults that a node meets without any fault being seen in what is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// Reads of a last record that a former leader answered.
    pub stale_last_reads: u64,
    /// Requests that landed after their callers gave up.
    pub late_landings: u64,
}

/// Told of every change in the order of application, while the store is locked: it must not ask the bus.
#[derive(Clone, Default)]
pub(super) struct Observer(Option<Arc<Observe>>);

type Observe = dyn Fn(Applied<'_>) + Send + Sync;

impl Observer {
    pub(super) fn tell(&self, applied: Applied<'_>) {
        if let Some(observe) = &self.0 {
            observe(applied);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl SimBus {
    /// Tells a checker of every change from now on, as it is applied. It must not ask the bus.
    pub fn observe(&self, observe: impl Fn(Applied<'_>) + Send + Sync + 'static) {
        self.world.store().observer = Observer(Some(Arc::new(observe)));
    }

    /// What was done to the nodes so far.
    #[must_use]
    pub fn harm(&self) -> Harm {
        self.world.store().harm
    }

    fn look<T: Default>(&self, partition: PartitionId, at: impl FnOnce(&Partition) -> T) -> T {
        self.world.store().partition(partition).map(at).unwrap_or_default()
    }

    /// Every inbox entry ever stored, with its sequence.
    #[must_use]
    pub fn inbox_entries(&self, partition: PartitionId) -> Vec<(u64, Bytes)> {
        self.look(partition, |held| held.inbox.history())
    }

    /// Every log record ever stored, with its sequence.
    #[must_use]
    pub fn records(&self, partition: PartitionId) -> Vec<(u64, Bytes)> {
        self.look(partition, |held| held.log.history())
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
