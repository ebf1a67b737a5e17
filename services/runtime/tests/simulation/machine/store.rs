//! The durable world of the machine layer: what each request does to it, at once.

use std::collections::BTreeMap;

use bus::{
    Checkpoint, EntityId, PartName, PartPut, PartitionId, ReadLimit, Record, RecordBody, SavedPart,
    sim::Applied,
};
use bytes::Bytes;

use crate::check::Checker;

type Entries = BTreeMap<PartitionId, Vec<(u64, Bytes)>>;

/// What is stored, and the checker that sees each change.
#[derive(Debug)]
pub(super) struct Store {
    inbox: Entries,
    log: Entries,
    parts: BTreeMap<(EntityId, PartName), SavedPart>,
    checkpoints: BTreeMap<PartitionId, Checkpoint>,
    seq: u64,
    /// When each record was stored.
    stored_ms: BTreeMap<u64, u64>,
    pub(super) checker: Checker,
}

fn after(entries: &Entries, partition: PartitionId, after: u64) -> &[(u64, Bytes)] {
    let entries = entries.get(&partition).map_or(&[][..], Vec::as_slice);
    &entries[entries.partition_point(|(seq, _)| *seq <= after)..]
}

impl Store {
    pub(super) fn new(checker: Checker) -> Self {
        let (inbox, log, parts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (checkpoints, stored_ms) = (BTreeMap::new(), BTreeMap::new());
        Self { inbox, log, parts, checkpoints, seq: 0, stored_ms, checker }
    }

    pub(super) fn append_inbox(&mut self, partition: PartitionId, entry: Bytes) -> u64 {
        self.seq += 1;
        self.checker.on_applied(Applied::Inbox(partition, self.seq, &entry));
        self.inbox.entry(partition).or_default().push((self.seq, entry));
        self.seq
    }

    pub(super) fn read_inbox(
        &self,
        partition: PartitionId,
        last: u64,
        limit: ReadLimit,
    ) -> Vec<(u64, Bytes)> {
        after(&self.inbox, partition, last).iter().take(limit.values).cloned().collect()
    }

    pub(super) fn last_input(&self, partition: PartitionId) -> u64 {
        after(&self.inbox, partition, 0).last().map_or(0, |(seq, _)| *seq)
    }

    /// `None`: the log does not end at `expected_last`.
    pub(super) fn append_log(
        &mut self,
        partition: PartitionId,
        expected_last: u64,
        record: Bytes,
    ) -> Option<u64> {
        if self.last_record(partition).map_or(0, |(seq, _)| seq) != expected_last {
            return None;
        }
        self.seq += 1;
        self.checker.on_applied(Applied::Log(partition, self.seq, &record));
        self.stored_ms.insert(self.seq, self.checker.now_ms);
        self.log.entry(partition).or_default().push((self.seq, record));
        Some(self.seq)
    }

    pub(super) fn last_record(&self, partition: PartitionId) -> Option<(u64, Bytes)> {
        after(&self.log, partition, 0).last().cloned()
    }

    /// What a leader answers that was deposed then, and before the last record.
    pub(super) fn last_known(
        &self,
        partition: PartitionId,
        deposed_ms: u64,
    ) -> Option<(u64, Bytes)> {
        let is_known = |(seq, _): &&(u64, Bytes)| self.stored_ms[seq] <= deposed_ms;
        after(&self.log, partition, 0).iter().rev().skip(1).find(is_known).cloned()
    }

    /// The same, just before the partition was last taken.
    pub(super) fn last_before_take_over(&self, partition: PartitionId) -> Option<(u64, Bytes)> {
        let is_epoch = |(_, bytes): &&(u64, Bytes)| {
            matches!(Record::decode(bytes).unwrap().body, RecordBody::Epoch { .. })
        };
        let mut records = after(&self.log, partition, 0).iter().rev();
        records.find(is_epoch);
        records.next().cloned()
    }

    pub(super) fn records_after(&self, partition: PartitionId, last: u64) -> Vec<(u64, Bytes)> {
        after(&self.log, partition, last).to_vec()
    }

    pub(super) fn load(&self, entity: EntityId) -> Vec<SavedPart> {
        let parts = self.parts.range((entity, PartName::default())..);
        parts.take_while(|((held, _), _)| *held == entity).map(|(_, part)| part.clone()).collect()
    }

    pub(super) fn put(&mut self, partition: PartitionId, puts: &[PartPut]) {
        for PartPut { entity, part } in puts {
            let key = (*entity, part.name.clone());
            if self.parts.get(&key).is_none_or(|stored| stored.position < part.position) {
                self.checker.on_applied(Applied::Part(partition, *entity, part));
                self.parts.insert(key, part.clone());
            }
        }
    }

    pub(super) fn checkpoint(&self, partition: PartitionId) -> Option<Checkpoint> {
        self.checkpoints.get(&partition).cloned()
    }

    pub(super) fn put_checkpoint(&mut self, partition: PartitionId, checkpoint: Checkpoint) {
        let stored = self.checkpoints.get(&partition);
        if stored.is_none_or(|stored| stored.position < checkpoint.position) {
            self.checker.on_applied(Applied::Checkpoint(partition, &checkpoint));
            self.checkpoints.insert(partition, checkpoint);
        }
    }
}
