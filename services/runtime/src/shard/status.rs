//! The observable state of a shard.

use std::collections::BTreeMap;

use bus::{PartitionId, Place, Position};

use super::{Alarm, Shard};

/// Where a shard stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reads, decides, appends.
    Serving,
    /// Being let go in good order.
    Releasing {
        /// Whether its last checkpoint was begun.
        checkpointed: bool,
    },
    /// Over.
    Stopped,
}

/// A shard, as tests and operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardStatus {
    /// The partition.
    pub partition: PartitionId,
    /// Where it stands.
    pub phase: Phase,
    /// Epoch of this owner.
    pub epoch: u64,
    /// Last durable inbox place.
    pub place: Place,
    /// Last durable position.
    pub position: Position,
    /// Sequence of the last record.
    pub last_seq: u64,
    /// Position of the stored checkpoint.
    pub checkpoint: Option<Position>,
    /// Live entities.
    pub live: usize,
    /// Entities known (live, dirty, or with events since the checkpoint).
    pub known: usize,
    /// Tickets not staged.
    pub undecided: usize,
    /// Tickets staged and not in a record.
    pub staged: usize,
    /// Inbox inputs read and not durable.
    pub in_flight: usize,
    /// Channel messages durable here and not confirmed by their targets.
    pub unconfirmed: usize,
    /// Entities with a timer.
    pub timers: usize,
    /// Steps made durable by this owner.
    pub steps: u64,
    /// Records appended by this owner, and their bytes.
    pub records: u64,
    /// Bytes of those records.
    pub record_bytes: u64,
    /// Dead letters of the partition.
    pub dead_letters: u64,
    /// Times a channel append was repeated.
    pub resends: u64,
    /// Checkpoints stored by this owner.
    pub checkpoints: u64,
    /// Alarms by name.
    pub alarms: BTreeMap<Alarm, u64>,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    steps: u64,
    records: u64,
    record_bytes: u64,
    dead_letters: u64,
    resends: u64,
    checkpoints: u64,
    alarms: BTreeMap<Alarm, u64>,
}

impl Counts {
    pub(super) fn after(dead_letters: u64) -> Self {
        Self { dead_letters, ..Self::default() }
    }

    pub(super) fn alarm(&mut self, alarm: Alarm) {
        *self.alarms.entry(alarm).or_default() += 1;
    }

    pub(super) fn appending(&mut self, bytes: usize) {
        self.records += 1;
        self.record_bytes += u64::try_from(bytes).unwrap_or(0);
    }

    pub(super) fn step(&mut self, is_dead_letter: bool) {
        self.steps += 1;
        self.dead_letters += u64::from(is_dead_letter);
    }

    pub(super) fn resent(&mut self) {
        self.resends += 1;
    }

    pub(super) fn checkpointed(&mut self) {
        self.checkpoints += 1;
    }

    pub(super) fn dead_letters(&self) -> u64 {
        self.dead_letters
    }
}

impl Shard {
    /// The observable state.
    #[must_use]
    pub fn status(&self) -> ShardStatus {
        let counts = &self.counts;
        ShardStatus {
            partition: self.owned.partition,
            phase: self.phase,
            epoch: self.owned.epoch.head.epoch,
            place: self.place,
            position: self.commit.position,
            last_seq: self.commit.last.seq,
            checkpoint: self.checkpoints.stored(),
            live: self.live,
            known: self.entities.len(),
            undecided: self.pending.len(),
            staged: self.staged.len(),
            in_flight: self.intake.inputs(),
            unconfirmed: self.channels.values().map(super::Channel::waiting).sum(),
            timers: self.timers.len(),
            steps: counts.steps,
            records: counts.records,
            record_bytes: counts.record_bytes,
            dead_letters: counts.dead_letters,
            resends: counts.resends,
            checkpoints: counts.checkpoints,
            alarms: counts.alarms.clone(),
        }
    }
}
