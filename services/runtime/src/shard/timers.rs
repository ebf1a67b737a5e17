//! The timer index: (earliest wake, entity), derived from durable steps and saved in hourly buckets
//! (design.md 4.5). A bucket is a part of a pseudo-entity, so it is saved and replayed as any part is.

use std::collections::{BTreeMap, BTreeSet};

use bus::{
    BusinessId, CodecError, EntityId, FORMAT_VERSION, PartName, PartPut, PartitionId, Position,
    SavedPart, check_version, decode, encode,
};
use serde::{Deserialize, Serialize};

/// Hash shards of one hour, so that no bucket outgrows a part.
const SHARDS: u128 = 64;
/// Names of hours repeat weekly: a bucket emptied is used again, so their number is bounded. Each entry
/// holds its exact time.
const HOURS: u64 = 168;
const HOUR_MS: u64 = 3_600_000;

/// The shard's own entity: its parts are the buckets of the timer index, and events set aside.
#[must_use]
pub fn own_entity(partition: PartitionId) -> EntityId {
    let [low, high] = partition.0.to_le_bytes();
    let mut hash = [0; 16];
    let [first, second, ..] = &mut hash;
    (*first, *second) = (low, high);
    EntityId { kind: 0xFF, hash }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bucket {
    shard: u8,
    hour: u8,
}

impl Bucket {
    fn of(entity: EntityId, wake_ms: u64) -> Self {
        let shard = u8::try_from((u128::from_le_bytes(entity.hash) >> 64) % SHARDS).unwrap_or(0);
        let hour = u8::try_from(wake_ms / HOUR_MS % HOURS).unwrap_or(0);
        Self { shard, hour }
    }

    fn name(self) -> PartName {
        PartName(format!("{:02}/{:03}", self.shard, self.hour))
    }

    fn parse(name: &PartName) -> Option<Self> {
        let (shard, hour) = name.0.split_once('/')?;
        Some(Self { shard: shard.parse().ok()?, hour: hour.parse().ok()? })
    }
}

/// Saved form of a bucket.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u16,
    timers: Vec<Timer>,
}

/// One entity's earliest timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Timer {
    entity: EntityId,
    wake_ms: u64,
    business: BusinessId,
}

#[derive(Debug)]
struct Entry {
    wake_ms: u64,
    business: BusinessId,
    /// `wake_ms`, or later while it backs off.
    due_ms: u64,
    /// A ticket for it is on its way.
    out: bool,
    failures: u32,
}

/// What came of a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// The entity changed; a timer still due is due at once.
    Changed,
    /// Nothing changed, or the wake was dead-lettered: not before `retry_ms`.
    Failed { retry_ms: u64 },
    /// The entity had decided it already, in a step that is not durable yet: not before `retry_ms`.
    Early { retry_ms: u64 },
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: BTreeMap<EntityId, Entry>,
    /// Entries not out, by when they are due.
    due: BTreeSet<(u64, EntityId)>,
    buckets: BTreeMap<Bucket, BTreeSet<EntityId>>,
    dirty: BTreeMap<Bucket, Position>,
    out: usize,
}

impl Timers {
    /// Sets an entity's earliest timer, as its durable step says.
    pub(super) fn set(
        &mut self,
        entity: EntityId,
        wake_ms: Option<u64>,
        business: &BusinessId,
        position: Position,
    ) {
        let old = self.entries.get(&entity).map(|entry| (entry.wake_ms, &entry.business));
        if old == wake_ms.map(|wake| (wake, business)) {
            return;
        }
        let old = self.entries.remove(&entity);
        if let Some(entry) = &old {
            self.due.remove(&(entry.due_ms, entity));
            let bucket = Bucket::of(entity, entry.wake_ms);
            if let Some(entities) = self.buckets.get_mut(&bucket) {
                entities.remove(&entity);
            }
            self.dirty.insert(bucket, position);
        }
        let (is_out, failures) = old.map_or((false, 0), |entry| (entry.out, entry.failures));
        let Some(wake_ms) = wake_ms else {
            self.out = self.out.saturating_sub(usize::from(is_out));
            return;
        };
        let bucket = Bucket::of(entity, wake_ms);
        self.buckets.entry(bucket).or_default().insert(entity);
        self.dirty.insert(bucket, position);
        if !is_out {
            self.due.insert((wake_ms, entity));
        }
        let business = business.clone();
        let entry = Entry { wake_ms, business, due_ms: wake_ms, out: is_out, failures };
        self.entries.insert(entity, entry);
    }

    /// Earliest timer of an entity.
    pub(super) fn wake_of(&self, entity: EntityId) -> Option<u64> {
        self.entries.get(&entity).map(|entry| entry.wake_ms)
    }

    pub(super) fn failures_of(&self, entity: EntityId) -> u32 {
        self.entries.get(&entity).map_or(0, |entry| entry.failures)
    }

    /// When the next timer is due.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    pub(super) fn out(&self) -> usize {
        self.out
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes the next entity that is due at `now_ms`.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<(EntityId, u64, BusinessId)> {
        let (due_ms, entity) = *self.due.first()?;
        if due_ms > now_ms {
            return None;
        }
        self.due.pop_first();
        let entry = self.entries.get_mut(&entity)?;
        entry.out = true;
        self.out += 1;
        Some((entity, entry.wake_ms, entry.business.clone()))
    }

    /// Lets every entity whose timer is due by `by_ms`, and does not back off, be woken once at `now_ms` already. Its timer stays
    /// what it is.
    pub(super) fn hasten(&mut self, now_ms: u64, by_ms: u64) {
        let from = (now_ms.saturating_add(1), EntityId { kind: 0, hash: [0; 16] });
        let later = self.due.range(from..).take_while(|(due_ms, _)| *due_ms <= by_ms);
        let hastened: Vec<(u64, EntityId)> = later.copied().collect();
        for (due_ms, entity) in hastened {
            let Some(entry) = self.entries.get_mut(&entity) else { continue };
            if entry.failures == 0 {
                entry.due_ms = now_ms;
                self.due.remove(&(due_ms, entity));
                self.due.insert((now_ms, entity));
            }
        }
    }

    /// A wake has been decided.
    pub(super) fn came_back(&mut self, entity: EntityId, back: Back) {
        let Some(entry) = self.entries.get_mut(&entity) else { return };
        if !entry.out {
            return;
        }
        entry.out = false;
        self.out = self.out.saturating_sub(1);
        entry.due_ms = match back {
            Back::Changed => {
                entry.failures = 0;
                entry.wake_ms
            }
            Back::Failed { retry_ms } => {
                entry.failures = entry.failures.saturating_add(1);
                entry.wake_ms.max(retry_ms)
            }
            Back::Early { retry_ms } => entry.wake_ms.max(retry_ms),
        };
        self.due.insert((entry.due_ms, entity));
    }

    /// Buckets touched since they were saved, with the last step that touched them.
    pub(super) fn dirty_parts(&self, partition: PartitionId) -> Result<Vec<PartPut>, CodecError> {
        let entity = own_entity(partition);
        let put = |(bucket, position): (&Bucket, &Position)| {
            let bytes = self.encode_bucket(*bucket)?;
            let part = SavedPart { name: bucket.name(), position: *position, bytes };
            Ok(PartPut { entity, part })
        };
        self.dirty.iter().map(put).collect()
    }

    fn encode_bucket(&self, bucket: Bucket) -> Result<Option<bytes::Bytes>, CodecError> {
        let timer = |entity: &EntityId| {
            let entry = self.entries.get(entity)?;
            let business = entry.business.clone();
            Some(Timer { entity: *entity, wake_ms: entry.wake_ms, business })
        };
        let entities = self.buckets.get(&bucket).into_iter().flatten();
        let timers: Vec<Timer> = entities.filter_map(timer).collect();
        match timers.is_empty() {
            true => Ok(None),
            false => encode(&Saved { version: FORMAT_VERSION, timers }).map(Some),
        }
    }

    /// Every entity's earliest timer.
    pub(super) fn into_entries(self) -> Vec<(EntityId, u64, BusinessId)> {
        let entry = |(entity, entry): (EntityId, Entry)| (entity, entry.wake_ms, entry.business);
        self.entries.into_iter().map(entry).collect()
    }

    /// A bucket is stored as of `position`.
    pub(super) fn saved(&mut self, name: &PartName, position: Position) {
        let Some(bucket) = Bucket::parse(name) else { return };
        if self.dirty.get(&bucket).is_some_and(|dirty| *dirty <= position) {
            self.dirty.remove(&bucket);
        }
        if self.buckets.get(&bucket).is_some_and(BTreeSet::is_empty) {
            self.buckets.remove(&bucket);
        }
    }
}

/// The buckets of a partition that is put together of these timers, as of `position`.
///
/// # Errors
/// When a bucket has no encoded form.
pub(crate) fn buckets_of(
    partition: PartitionId,
    entries: Vec<(EntityId, u64, BusinessId)>,
    position: Position,
) -> Result<Vec<PartPut>, CodecError> {
    let mut timers = Timers::default();
    for (entity, wake_ms, business) in entries {
        timers.set(entity, Some(wake_ms), &business, position);
    }
    timers.dirty_parts(partition)
}

/// Rebuilds the index: saved buckets, each as of its own position, then later steps.
#[derive(Debug, Default)]
pub(super) struct TimerReplay {
    buckets: BTreeMap<Bucket, Replayed>,
}

#[derive(Debug, Default)]
struct Replayed {
    position: Position,
    touched: bool,
    timers: BTreeMap<EntityId, (u64, BusinessId)>,
}

impl TimerReplay {
    /// Starts from the saved buckets.
    ///
    /// # Errors
    /// When a bucket cannot be read.
    pub(super) fn from_parts(parts: &[SavedPart]) -> Result<Self, CodecError> {
        let mut replay = Self::default();
        for part in parts {
            let Some(bucket) = Bucket::parse(&part.name) else { continue };
            let mut timers = BTreeMap::new();
            if let Some(bytes) = &part.bytes {
                let saved: Saved = decode(bytes)?;
                check_version(saved.version, FORMAT_VERSION)?;
                timers
                    .extend(saved.timers.into_iter().map(|t| (t.entity, (t.wake_ms, t.business))));
            }
            let replayed = Replayed { position: part.position, touched: false, timers };
            replay.buckets.insert(bucket, replayed);
        }
        Ok(replay)
    }

    /// Applies one step to each bucket that does not hold it yet.
    pub(super) fn apply(
        &mut self,
        entity: EntityId,
        wake_ms: Option<u64>,
        business: &BusinessId,
        position: Position,
    ) {
        let shard = Bucket::of(entity, 0).shard;
        let first = Bucket { shard, hour: 0 };
        let last = Bucket { shard, hour: u8::MAX };
        for (_, bucket) in self.buckets.range_mut(first..=last) {
            if bucket.position < position && bucket.timers.remove(&entity).is_some() {
                bucket.position = position;
                bucket.touched = true;
            }
        }
        let Some(wake_ms) = wake_ms else { return };
        let bucket = self.buckets.entry(Bucket::of(entity, wake_ms)).or_default();
        // `<=`: the removal above may just have moved it to this very step.
        if bucket.position < position || (bucket.touched && bucket.position == position) {
            bucket.timers.insert(entity, (wake_ms, business.clone()));
            bucket.position = position;
            bucket.touched = true;
        }
    }

    pub(super) fn finish(self) -> Timers {
        let mut timers = Timers::default();
        for (bucket, replayed) in &self.buckets {
            for (entity, (wake_ms, business)) in &replayed.timers {
                timers.set(*entity, Some(*wake_ms), business, replayed.position);
            }
            timers.dirty.remove(bucket);
        }
        let touched = self.buckets.iter().filter(|(_, replayed)| replayed.touched);
        timers.dirty = touched.map(|(bucket, replayed)| (*bucket, replayed.position)).collect();
        timers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(n: u8) -> EntityId {
        EntityId { kind: 1, hash: [n; 16] }
    }

    fn at(seq: u64) -> Position {
        Position { generation: 1, seq, index: 0 }
    }

    fn business() -> BusinessId {
        BusinessId("b".to_owned())
    }

    fn live(steps: &[(u8, Option<u64>)]) -> Timers {
        let mut timers = Timers::default();
        for (seq, (n, wake_ms)) in (1..).zip(steps) {
            timers.set(entity(*n), *wake_ms, &business(), at(seq));
        }
        timers
    }

    fn content(timers: &Timers) -> Vec<(EntityId, u64)> {
        timers.entries.iter().map(|(entity, entry)| (*entity, entry.wake_ms)).collect()
    }

    /// Whatever buckets were saved ahead of the checkpoint, replay ends in the same index.
    #[test]
    fn replay_rebuilds_the_index_from_buckets_saved_at_any_time() {
        let hour = HOUR_MS;
        let steps: Vec<(u8, Option<u64>)> = vec![
            (1, Some(10)),
            (2, Some(hour + 5)),
            (1, Some(hour + 7)),
            (1, Some(20)),
            (2, None),
            (3, Some(2 * hour)),
            (1, Some(hour + 1)),
            (3, Some(30)),
            (1, None),
            (1, Some(40)),
        ];
        let expected = content(&live(&steps));
        for checkpoint in 0..=steps.len() {
            for ahead in checkpoint..=steps.len() {
                let mut parts: BTreeMap<PartName, SavedPart> = BTreeMap::new();
                let early = live(&steps[..checkpoint]).dirty_parts(PartitionId(0)).unwrap();
                let late = live(&steps[..ahead]).dirty_parts(PartitionId(0)).unwrap();
                // Every second bucket was saved ahead of the checkpoint.
                let late = late.into_iter().step_by(2);
                parts.extend(early.into_iter().chain(late).map(|p| (p.part.name.clone(), p.part)));
                let parts: Vec<SavedPart> = parts.into_values().collect();
                let mut replay = TimerReplay::from_parts(&parts).unwrap();
                for (seq, (n, wake_ms)) in (1..).zip(&steps).skip(checkpoint) {
                    replay.apply(entity(*n), *wake_ms, &business(), at(seq));
                }
                assert_eq!(content(&replay.finish()), expected, "{checkpoint} {ahead}");
            }
        }
    }

    #[test]
    fn a_due_entity_is_handed_out_once_until_it_comes_back() {
        let mut timers = live(&[(1, Some(10)), (2, Some(20))]);
        assert_eq!(timers.take_due(9), None);
        assert_eq!(timers.take_due(15).unwrap().0, entity(1));
        assert_eq!(timers.take_due(15), None);
        timers.came_back(entity(1), Back::Failed { retry_ms: 100 });
        assert_eq!(timers.take_due(15), None);
        assert_eq!(timers.failures_of(entity(1)), 1);
        assert_eq!(timers.take_due(100).unwrap().0, entity(2));
        assert_eq!(timers.take_due(100).unwrap().0, entity(1));
        timers.set(entity(1), Some(50), &business(), at(9));
        timers.came_back(entity(1), Back::Changed);
        assert_eq!(timers.take_due(50).unwrap().0, entity(1));
        timers.set(entity(1), None, &business(), at(10));
        assert_eq!((timers.out(), timers.len()), (1, 1));
    }

    #[test]
    fn a_bucket_is_clean_once_its_last_step_is_saved() {
        let mut timers = live(&[(1, Some(10)), (1, None)]);
        let puts = timers.dirty_parts(PartitionId(3)).unwrap();
        assert_eq!(puts.len(), 1);
        let part = &puts[0].part;
        assert_eq!((part.position, part.bytes.is_none()), (at(2), true));
        timers.saved(&part.name, at(1));
        assert_eq!(timers.dirty_parts(PartitionId(3)).unwrap().len(), 1);
        timers.saved(&part.name, at(2));
        assert!(timers.dirty_parts(PartitionId(3)).unwrap().is_empty());
    }
}
