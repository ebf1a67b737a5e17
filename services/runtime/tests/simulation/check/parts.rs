//! Saved parts and checkpoints.

use std::collections::BTreeSet;

use bus::{Checkpoint, EntityId, PartName, PartPut, PartitionId, Place, Position, SavedPart};
use serde::Deserialize;

use super::{
    Checker, Rule,
    steps::{PartKey, hash},
};
use crate::toy::KIND;

/// What a checkpoint says, read without the runtime's types.
#[derive(Debug, Deserialize)]
struct Summary {
    place: Place,
    taken: Vec<(PartitionId, u64)>,
    channels: Vec<Channel>,
}

#[derive(Debug, Deserialize)]
struct Channel {
    target: PartitionId,
    confirmed: u64,
    durable: u64,
}

#[derive(Debug, Deserialize)]
struct Aside {
    entity: EntityId,
    steps: Vec<AsideStep>,
}

#[derive(Debug, Deserialize)]
struct AsideStep {
    position: Position,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    timers: Vec<Timer>,
}

#[derive(Debug, Deserialize)]
struct Timer {
    entity: EntityId,
    wake_ms: u64,
}

impl Checker {
    /// A save was stored.
    pub(super) fn on_part(&mut self, partition: PartitionId, entity: EntityId, part: &SavedPart) {
        self.report.count("saved parts");
        let now_ms = self.now_ms;
        self.report.note(now_ms, || format!("part {entity} {} {:?}", part.name.0, part.position));
        let key: PartKey = (entity, part.name.clone());
        let earlier = self.stored.insert(key, part.position);
        if earlier.is_some_and(|earlier| earlier > part.position) {
            self.broken(Rule::SavedPart, || {
                format!("{entity} {:?} over {earlier:?}: {:?}", part.name, part.position)
            });
        }
        if entity.kind == KIND {
            self.check_part(entity, part);
        } else {
            let held = self.held.get_mut(&partition).unwrap();
            held.own.insert(part.name.clone(), part.clone());
        }
    }

    /// A node asks to save.
    pub(crate) fn on_save(&mut self, puts: &[PartPut]) {
        for put in puts.iter().filter(|put| put.entity.kind == KIND) {
            self.check_part(put.entity, &put.part);
        }
    }

    /// A part is what replay gives at its position.
    fn check_part(&mut self, entity: EntityId, part: &SavedPart) {
        let versions = self.versions.get(&(entity, part.name.clone()));
        let found = versions.and_then(|versions| {
            let at = versions.binary_search_by_key(&part.position, |(position, _)| *position);
            at.ok().map(|at| versions[at].1)
        });
        if found != Some(hash(part.bytes.as_ref())) {
            let what = if found.is_some() { "other bytes" } else { "no such step" };
            self.broken(Rule::SavedPart, || {
                format!("{entity} {:?} at {:?}: {what}", part.name, part.position)
            });
        }
    }

    pub(super) fn on_checkpoint(&mut self, partition: PartitionId, checkpoint: &Checkpoint) {
        self.report.count("checkpoints");
        let (now_ms, at) = (self.now_ms, checkpoint.position);
        self.report.note(now_ms, || format!("checkpoint {partition} {at:?}"));
        let held = self.held.get_mut(&partition).unwrap();
        let went_back = held.checkpoint.is_some_and(|earlier| earlier >= at);
        held.checkpoint = Some(at);
        let mut wrong: Vec<String> = self.unsaved(partition, at);
        wrong.extend(self.wrong_timers(partition, at));
        wrong.extend(self.wrong_summary(partition, checkpoint));
        if went_back {
            wrong.push("it went back".to_owned());
        }
        if !wrong.is_empty() {
            self.broken(Rule::Checkpoint, || format!("partition {partition} {at:?}: {wrong:?}"));
        }
    }

    /// Parts touched up to `at` that are not stored as of their last touch up to it.
    fn unsaved(&self, partition: PartitionId, at: Position) -> Vec<String> {
        let own = self
            .versions
            .iter()
            .filter(|((entity, _), _)| entity.partition(self.partitions) == partition);
        let aside = self.set_aside(partition);
        let missing = own.filter_map(|(key, versions)| {
            let touched = versions.iter().rev().find(|(position, _)| *position <= at)?.0;
            let stored = self.stored.get(key).copied();
            let is_aside = aside.contains(&(key.0, touched));
            let late = !is_aside && stored.is_none_or(|stored| stored < touched);
            late.then(|| format!("{} {:?} {touched:?} stored {stored:?}", key.0, key.1))
        });
        missing.collect()
    }

    /// Steps of entities that cannot be made, kept beside the checkpoint.
    fn set_aside(&self, partition: PartitionId) -> BTreeSet<(EntityId, Position)> {
        let own = self.held(partition).own.iter();
        let aside = own.filter(|(name, _)| name.0.starts_with("aside/"));
        let aside = aside.filter_map(|(_, part)| part.bytes.as_ref());
        let aside = aside.map(|bytes| bus::decode::<Aside>(bytes).unwrap());
        aside.flat_map(|a| a.steps.into_iter().map(move |s| (a.entity, s.position))).collect()
    }

    /// Timers set up to `at` that no stored bucket holds, and stale ones that one does.
    fn wrong_timers(&self, partition: PartitionId, at: Position) -> Vec<String> {
        let held = self.held(partition);
        let is_bucket = |name: &PartName| name.0.starts_with(|first: char| first.is_ascii_digit());
        let buckets = held.own.iter().filter(|(name, _)| is_bucket(name));
        let stored = buckets.filter_map(|(_, part)| part.bytes.as_ref());
        let stored: Vec<(EntityId, u64)> = stored
            .map(|bytes| bus::decode::<Bucket>(bytes).unwrap())
            .flat_map(|bucket| bucket.timers)
            .map(|timer| (timer.entity, timer.wake_ms))
            .collect();
        let set = held.wakes.iter().filter(|(_, (_, since))| *since <= at);
        let mut wrong = Vec::new();
        for (entity, (wake_ms, _)) in set {
            let kept: Vec<u64> =
                stored.iter().filter(|(e, _)| e == entity).map(|(_, wake)| *wake).collect();
            if kept.iter().copied().ne(*wake_ms) {
                wrong.push(format!("timer of {entity} at {wake_ms:?} stored {kept:?}"));
            }
        }
        wrong
    }

    fn wrong_summary(&self, partition: PartitionId, checkpoint: &Checkpoint) -> Option<String> {
        let summary: Summary = bus::decode(&checkpoint.bytes).unwrap();
        let Some(mark) = self.held(partition).marks.get(&checkpoint.position.seq) else {
            return Some("no such record".to_owned());
        };
        let taken = summary.taken.into_iter().collect();
        let is_right = |channel: &Channel| {
            let arrived = self.held.get(&channel.target)?.arrived.get(&partition).copied();
            let sent = mark.sent.get(&channel.target).copied().unwrap_or(0);
            Some(channel.durable == sent && channel.confirmed <= arrived.unwrap_or(0))
        };
        let channels = summary.channels.iter().all(|channel| is_right(channel) == Some(true));
        let same = summary.place == mark.place && mark.taken == taken && channels;
        (!same).then(|| format!("it says {:?} {taken:?} {:?}", summary.place, summary.channels))
    }
}
