//! Checkpoints: from where the partition is replayed. One at p is written only when every part and
//! timer bucket touched up to p is stored (design.md 4.3).

use std::collections::{BTreeMap, VecDeque};

use bus::{Checkpoint, CodecError, EntityId, PartName, PartPut, PartitionId, Position};

use super::{
    Action, Alarm, Now, Phase, Shard, StopReason,
    entity::{Slot, Stand},
    own_entity,
    summary::Summary,
};

/// Sixteenths of the interval between the checkpoints of neighbouring partitions: odd, so that all are used; near the golden
/// section, so that a few partitions are far apart, too.
const SPREAD: u64 = 11;

/// When checkpoints are due, and the one being made.
#[derive(Debug)]
pub(super) struct Checkpoints {
    begun_boot_ms: u64,
    /// Bytes of records since the last one was begun.
    log_bytes: usize,
    /// Position of the last one known to be stored.
    stored: Option<Position>,
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    checkpoint: Checkpoint,
    /// Parts that must be stored first, as of these positions.
    outstanding: BTreeMap<EntityId, BTreeMap<PartName, Position>>,
    to_ask: VecDeque<EntityId>,
    is_put: bool,
    attempts: u32,
}

impl Checkpoints {
    pub(super) fn after(stored: Option<Position>) -> Self {
        Self { begun_boot_ms: 0, log_bytes: 0, stored, active: None }
    }

    /// The partition is served from now on. The partitions of a node begin together; their first checkpoints are spread over
    /// the interval, and so all later ones, or every interval all of them would save at once and everybody else would wait.
    pub(super) fn started(&mut self, now: Now, partition: PartitionId, interval_ms: u64) {
        let sixteenths = u64::from(partition.0).wrapping_mul(SPREAD) % 16;
        self.begun_boot_ms = now.boot_ms.saturating_sub(interval_ms / 16 * sixteenths);
    }

    pub(super) fn logged(&mut self, bytes: usize) {
        self.log_bytes = self.log_bytes.saturating_add(bytes);
    }

    pub(super) fn stored(&self) -> Option<Position> {
        self.stored
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    pub(super) fn part_saved(&mut self, entity: EntityId, name: &PartName, position: Position) {
        let Some(active) = &mut self.active else { return };
        let Some(parts) = active.outstanding.get_mut(&entity) else { return };
        if parts.get(name).is_some_and(|needed| *needed <= position) {
            parts.remove(name);
        }
        if parts.is_empty() {
            active.outstanding.remove(&entity);
        }
    }

    /// An entity's save was begun too early for the checkpoint being made: it is asked again.
    pub(super) fn ask_again(&mut self, entity: EntityId) {
        if let Some(active) = &mut self.active
            && active.outstanding.contains_key(&entity)
        {
            active.to_ask.push_back(entity);
        }
    }
}

impl Shard {
    pub(super) fn checkpoint_on(&mut self, now: Now, out: &mut Vec<Action>) {
        if !self.checkpoints.is_active() && self.checkpoint_is_due(now) {
            self.begin_checkpoint(now, out);
        }
        let waiting = self.checkpoints.active.as_ref().map_or(0, |active| active.to_ask.len());
        for _ in 0..waiting {
            if self.saves.asked() >= self.settings.snapshots_in_flight_max {
                break;
            }
            let next = self.checkpoints.active.as_mut().and_then(|a| a.to_ask.pop_front());
            let Some(entity) = next else { break };
            self.want_snapshot(now, entity, out);
        }
        let Some(active) = &mut self.checkpoints.active else { return };
        if active.outstanding.is_empty() && !active.is_put {
            active.is_put = true;
            let checkpoint = active.checkpoint.clone();
            out.push(Action::PutCheckpoint { checkpoint, delay_ms: 0 });
        }
    }

    fn checkpoint_is_due(&self, now: Now) -> bool {
        let passed_ms = now.boot_ms.saturating_sub(self.checkpoints.begun_boot_ms);
        let is_time = passed_ms >= self.settings.checkpoint_interval_ms;
        let is_size = self.checkpoints.log_bytes >= self.settings.checkpoint_log_bytes;
        let serving = matches!(self.phase, Phase::Serving);
        serving && self.has_news() && (is_time || is_size)
    }

    /// Whether a checkpoint now would be later than the stored one.
    pub(super) fn has_news(&self) -> bool {
        self.checkpoints.stored.is_none_or(|stored| stored < self.commit.position)
    }

    pub(super) fn begin_checkpoint(&mut self, now: Now, out: &mut Vec<Action>) {
        self.checkpoints.begun_boot_ms = now.boot_ms;
        self.checkpoints.log_bytes = 0;
        let own = match self.own_puts() {
            Ok(puts) => puts,
            Err(error) => return self.stop(StopReason::Corrupt(error.to_string()), out),
        };
        let bytes = match Summary::of(self).encode() {
            Ok(bytes) => bytes,
            Err(error) => return self.stop(StopReason::Corrupt(error.to_string()), out),
        };
        let dirty = self.entities.iter().filter(|(_, s)| !s.dirty.is_empty() && !s.is_stuck());
        let mut outstanding: BTreeMap<EntityId, BTreeMap<PartName, Position>> =
            dirty.map(|(entity, slot)| (*entity, slot.dirty.clone())).collect();
        let to_ask = outstanding.keys().copied().collect();
        if !own.is_empty() {
            let entity = own_entity(self.owned.partition);
            let parts = own.iter().map(|put| (put.part.name.clone(), put.part.position));
            outstanding.insert(entity, parts.collect());
            self.saves.push_many(entity, own);
        }
        let checkpoint = Checkpoint { position: self.commit.position, bytes };
        let active = Active { checkpoint, outstanding, to_ask, is_put: false, attempts: 0 };
        self.checkpoints.active = Some(active);
    }

    /// Parts of the shard's own entity to be stored: timer buckets, and events set aside.
    fn own_puts(&mut self) -> Result<Vec<PartPut>, CodecError> {
        let partition = self.owned.partition;
        let mut puts = self.timers.dirty_parts(partition)?;
        for (entity, slot) in &mut self.entities {
            puts.extend(slot.aside_puts(*entity, partition, self.commit.position)?);
        }
        Ok(puts)
    }

    /// A part cannot be saved: no checkpoint now, replay grows, a human is told.
    pub(super) fn checkpoint_blocked(&mut self, now: Now, out: &mut Vec<Action>) {
        self.alarm(Alarm::CheckpointBlocked, out);
        self.checkpoints.begun_boot_ms = now.boot_ms;
        self.checkpoints.active = self.checkpoints.active.take().filter(|active| active.is_put);
    }

    pub(super) fn on_checkpointed(&mut self, stored: bool, out: &mut Vec<Action>) {
        let Some(active) = &mut self.checkpoints.active else { return };
        if !stored {
            active.attempts = active.attempts.saturating_add(1);
            let delay_ms = self.settings.retry_ms(active.attempts);
            let checkpoint = active.checkpoint.clone();
            return out.push(Action::PutCheckpoint { checkpoint, delay_ms });
        }
        let position = active.checkpoint.position;
        self.checkpoints.active = None;
        self.checkpoints.stored = Some(position);
        self.counts.checkpointed();
        // Parts being loaded may have been read before they were saved for this checkpoint.
        let may_forget = |slot: &&mut Slot| !slot.is_stuck() && slot.stand != Stand::Loading;
        for slot in self.entities.values_mut().filter(may_forget) {
            while slot.recent.front().is_some_and(|step| step.position <= position) {
                slot.recent.pop_front();
            }
        }
        self.entities.retain(|_, slot| !slot.is_empty());
    }
}
