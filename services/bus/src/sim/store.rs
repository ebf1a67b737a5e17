//! What the simulated bus holds, and how each request changes it.

use std::collections::BTreeMap;

use bytes::Bytes;
use chassis::clock::Clock;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::{
    Breaks, Faults, Silence,
    inspect::{Applied, Harm, Observer},
    link::{Deposed, Wire},
};
use crate::{
    Checkpoint, EntityId, PartName, PartPut, PartitionId, Position, ReadLimit, Record, RecordBody,
    SavedPart,
};

/// Most sequences the store skips at once.
const GAP_MAX: u64 = 3;

#[derive(Debug)]
pub(super) struct Store {
    pub(super) faults: Faults,
    pub(super) silence: Silence,
    pub(super) breaks: Breaks,
    pub(super) observer: Observer,
    pub(super) harm: Harm,
    wires: BTreeMap<String, Wire>,
    partitions: BTreeMap<PartitionId, Partition>,
    inbox_seq: u64,
    log_seq: u64,
    rng: ChaCha8Rng,
    pub(super) digest: blake3::Hasher,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) inbox: Feed,
    pub(super) log: Feed,
    pub(super) parts: BTreeMap<(EntityId, PartName), SavedPart>,
    pub(super) saves: Vec<(EntityId, SavedPart)>,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Partition {
    pub(super) fn parts_of(&self, entity: EntityId) -> Vec<SavedPart> {
        let from = (entity, PartName::default());
        self.parts
            .range(from..)
            .take_while(|((held, _), _)| *held == entity)
            .map(|(_, part)| part.clone())
            .collect()
    }

    pub(super) fn all_parts(&self) -> Vec<PartPut> {
        let put = |((entity, _), part): (&(EntityId, PartName), &SavedPart)| PartPut {
            entity: *entity,
            part: part.clone(),
        };
        self.parts.iter().map(put).collect()
    }
}

fn is_epoch(body: &Bytes) -> bool {
    Record::decode(body).is_ok_and(|record| matches!(record.body, RecordBody::Epoch { .. }))
}

/// One partition's subject in a stream.
#[derive(Debug)]
pub(super) struct Feed {
    entries: Vec<(u64, Bytes)>,
    /// What was trimmed, for the checker and for leaders that do not know it.
    trimmed: Vec<(u64, Bytes)>,
    last: watch::Sender<u64>,
    /// When each entry was stored.
    stored_ms: BTreeMap<u64, u64>,
    time: Clock,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            trimmed: Vec::new(),
            last: watch::Sender::default(),
            stored_ms: BTreeMap::new(),
            time: Clock::virtual_from(0),
        }
    }
}

impl Feed {
    pub(super) fn last(&self) -> Option<&(u64, Bytes)> {
        self.entries.last()
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last().map_or(0, |(seq, _)| *seq)
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    pub(super) fn after(&self, after: u64, limit: ReadLimit) -> Vec<(u64, Bytes)> {
        let start = self.entries.partition_point(|(seq, _)| *seq <= after);
        let mut bytes = 0;
        self.entries
            .iter()
            .skip(start)
            .take(limit.values.max(1))
            .take_while(|(_, body)| {
                let first = bytes == 0;
                bytes += body.len().max(1);
                first || bytes <= limit.bytes
            })
            .cloned()
            .collect()
    }

    /// What a leader answers that was deposed then, and before the last entry: nor does it know of any trim since.
    pub(super) fn last_known(&self, deposed: Deposed) -> Option<(u64, Bytes)> {
        let mut before_last = self.trimmed.iter().chain(&self.entries).rev().skip(1);
        let found = match deposed {
            Deposed::Ago(ago_ms) => {
                let deposed_ms = self.time.boot_ms().saturating_sub(ago_ms);
                let stored_ms = |seq| self.stored_ms.get(seq).copied();
                before_last.find(|(seq, _)| stored_ms(seq) <= Some(deposed_ms))
            }
            Deposed::BeforeTakeOver => {
                // Whoever took it may have appended since.
                let taken = self.last().filter(|(_, body)| !is_epoch(body));
                if taken.is_some() {
                    before_last.find(|(_, body)| is_epoch(body));
                }
                before_last.next()
            }
        };
        found.cloned()
    }

    /// Everything ever stored.
    pub(super) fn history(&self) -> Vec<(u64, Bytes)> {
        self.trimmed.iter().chain(&self.entries).cloned().collect()
    }

    fn trim(&mut self, through: u64) -> u64 {
        let through = through.min(self.last_seq().saturating_sub(1));
        let gone = self.entries.partition_point(|(seq, _)| *seq <= through);
        self.trimmed.extend(self.entries.drain(..gone));
        u64::try_from(gone).unwrap_or(u64::MAX)
    }

    fn push(&mut self, seq: u64, body: Bytes) {
        self.entries.push((seq, body));
        self.stored_ms.insert(seq, self.time.boot_ms());
        self.last.send_replace(seq);
    }
}

impl Store {
    pub(super) fn new(partitions: u16, rng: ChaCha8Rng) -> Self {
        Self {
            faults: Faults::default(),
            silence: Silence::default(),
            breaks: Breaks::default(),
            observer: Observer::default(),
            harm: Harm::default(),
            wires: BTreeMap::new(),
            partitions: (0..partitions).map(|id| (PartitionId(id), Partition::default())).collect(),
            inbox_seq: 0,
            log_seq: 0,
            rng,
            digest: blake3::Hasher::new(),
        }
    }

    pub(super) fn wire(&mut self, name: &str, new: impl FnOnce() -> Wire) -> Wire {
        self.wires.entry(name.to_owned()).or_insert_with(new).clone()
    }

    pub(super) fn partition(&self, partition: PartitionId) -> Option<&Partition> {
        self.partitions.get(&partition)
    }

    fn partition_mut(&mut self, partition: PartitionId) -> &mut Partition {
        self.partitions.entry(partition).or_default()
    }

    fn gap(&mut self) -> u64 {
        if self.rng.random_ratio(1, 4) { self.rng.random_range(1..=GAP_MAX) } else { 0 }
    }

    fn note(&mut self, kind: &str, partition: PartitionId, seq: u64, body: &[u8]) {
        self.digest.update(kind.as_bytes());
        self.digest.update(&partition.0.to_le_bytes());
        self.digest.update(&seq.to_le_bytes());
        self.digest.update(&body.len().to_le_bytes());
        self.digest.update(body);
    }

    pub(super) fn append_inbox(&mut self, partition: PartitionId, body: Bytes) -> u64 {
        self.inbox_seq += 1 + self.gap();
        let seq = self.inbox_seq;
        self.note("inbox", partition, seq, &body);
        self.observer.tell(Applied::Inbox(partition, seq, &body));
        self.partition_mut(partition).inbox.push(seq, body);
        seq
    }

    /// `None`: the log does not end at `expected_last`.
    pub(super) fn append_log(
        &mut self,
        partition: PartitionId,
        expected_last: u64,
        body: Bytes,
    ) -> Option<u64> {
        let last = self.partition_mut(partition).log.last_seq();
        if last != expected_last && !self.breaks.ignore_expected_last {
            return None;
        }
        self.log_seq += 1 + self.gap();
        let seq = self.log_seq;
        self.note("log", partition, seq, &body);
        self.observer.tell(Applied::Log(partition, seq, &body));
        self.partition_mut(partition).log.push(seq, body);
        Some(seq)
    }

    pub(super) fn trim_inbox(&mut self, partition: PartitionId, through: u64) -> u64 {
        self.note("trim inbox", partition, through, &[]);
        self.partition_mut(partition).inbox.trim(through)
    }

    pub(super) fn trim_log(&mut self, partition: PartitionId, through: u64) -> u64 {
        self.note("trim log", partition, through, &[]);
        self.partition_mut(partition).log.trim(through)
    }

    pub(super) fn put(&mut self, partition: PartitionId, puts: &[PartPut]) {
        for put in puts {
            let unconditional = self.breaks.unconditional_save;
            let key = (put.entity, put.part.name.clone());
            let stored = self.partition_mut(partition).parts.get(&key);
            if !unconditional && stored.is_some_and(|part| part.position >= put.part.position) {
                continue;
            }
            let bytes = put.part.bytes.clone().unwrap_or_default();
            self.note(&format!("part {:?} {:?}", put.entity, put.part), partition, 0, &bytes);
            self.observer.tell(Applied::Part(partition, put.entity, &put.part));
            let held = self.partition_mut(partition);
            held.saves.push((put.entity, put.part.clone()));
            held.parts.insert(key, put.part.clone());
        }
    }

    pub(super) fn put_checkpoint(&mut self, partition: PartitionId, checkpoint: Checkpoint) {
        let stored = self.partition_mut(partition).checkpoint.as_ref();
        let lower = stored.is_none_or(|stored| stored.position < checkpoint.position);
        if lower || self.breaks.unconditional_save {
            let Position { generation, seq, index } = checkpoint.position;
            let kind = format!("checkpoint {generation} {index}");
            self.note(&kind, partition, seq, &checkpoint.bytes);
            self.observer.tell(Applied::Checkpoint(partition, &checkpoint));
            self.partition_mut(partition).checkpoint = Some(checkpoint);
        }
    }
}
