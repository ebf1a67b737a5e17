//! The checker: replays every log from zero as it grows, by rules written here a second time, and judges
//! whatever is stored and whatever leaves a node at the moment it does.

mod calls;
mod finish;
mod leaving;
mod parts;
mod records;
mod report;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex},
};

use bus::{
    EntityId, InboxEntry, Incarnation, Input, Key, PartName, PartitionId, Place, Position,
    RecordHead, SavedPart, sim::Applied,
};
use bytes::Bytes;
use runtime::host::CallId;

pub(crate) use calls::{Decider, Started};
pub(crate) use report::{Report, Rule, is_expected};
pub(crate) use steps::SIMULATED;

use crate::toy::state::Account;

/// One partition as its log tells it.
#[derive(Debug, Default)]
struct Held {
    inbox: BTreeMap<Place, Input>,
    last: Option<(u64, RecordHead)>,
    epochs: Vec<EpochSeen>,
    place: Place,
    now_ms: u64,
    position: Position,
    /// Last channel number taken per source.
    taken: BTreeMap<PartitionId, u64>,
    /// Messages sent per target, in order of their numbers.
    sent: BTreeMap<PartitionId, Vec<(Input, Position)>>,
    /// Steps by position.
    steps: BTreeMap<Position, StepSeen>,
    /// The state of the partition after each record.
    marks: BTreeMap<u64, Mark>,
    /// Earliest timers, and the steps that set them.
    wakes: BTreeMap<EntityId, (Option<u64>, Position)>,
    /// Parts of the shard's own entity.
    own: BTreeMap<PartName, SavedPart>,
    checkpoint: Option<Position>,
    trying: Option<records::TryingSeen>,
    released: bool,
    /// Numbers of each channel that stand in this inbox.
    arrived: BTreeMap<PartitionId, u64>,
}

#[derive(Debug)]
struct EpochSeen {
    number: u64,
    node: String,
    incarnation: Incarnation,
    stored_ms: u64,
    /// It has decided something in the belief that no earlier owner's call can be running.
    alone: bool,
}

#[derive(Debug)]
struct StepSeen {
    key: Key,
    dead: bool,
}

#[derive(Clone, Debug)]
struct Mark {
    place: Place,
    taken: BTreeMap<PartitionId, u64>,
    sent: BTreeMap<PartitionId, u64>,
}

/// The checker of one run.
#[derive(Debug)]
pub(crate) struct Checker {
    pub(crate) now_ms: u64,
    pub(crate) report: Report,
    stored_hash: DefaultHasher,
    partitions: u16,
    start_by_ms: u64,
    held: BTreeMap<PartitionId, Held>,
    accounts: BTreeMap<EntityId, Account>,
    /// Every value each part has had, by the step that made it.
    versions: BTreeMap<(EntityId, PartName), Vec<(Position, u64)>>,
    stored: BTreeMap<(EntityId, PartName), Position>,
    calls: BTreeMap<CallId, calls::Asked>,
    acked: BTreeSet<Key>,
    decided: BTreeMap<Key, Position>,
    dead: BTreeMap<Key, Position>,
    spoiled: BTreeSet<EntityId>,
    /// Whose live entity was ended for no reason of its own.
    struck: BTreeSet<EntityId>,
    minted: u64,
    /// Money in payments that were dead-lettered.
    dead_money: u64,
}

impl Checker {
    pub(crate) fn new(partitions: u16, start_by_ms: u64, verbose: bool) -> Self {
        Self {
            now_ms: 0,
            report: Report::new(verbose),
            stored_hash: DefaultHasher::new(),
            partitions,
            start_by_ms,
            held: (0..partitions).map(|id| (PartitionId(id), Held::default())).collect(),
            accounts: BTreeMap::new(),
            versions: BTreeMap::new(),
            stored: BTreeMap::new(),
            calls: BTreeMap::new(),
            acked: BTreeSet::new(),
            decided: BTreeMap::new(),
            dead: BTreeMap::new(),
            spoiled: BTreeSet::new(),
            struck: BTreeSet::new(),
            minted: 0,
            dead_money: 0,
        }
    }

    /// Digest of everything that was stored.
    pub(crate) fn stored_digest(&self) -> String {
        format!("{:016x}", self.stored_hash.finish())
    }

    /// Something was stored.
    pub(crate) fn on_applied(&mut self, applied: Applied<'_>) {
        match applied {
            Applied::Inbox(partition, seq, body) | Applied::Log(partition, seq, body) => {
                (partition, seq, body).hash(&mut self.stored_hash);
            }
            Applied::Part(_, entity, part) => {
                (entity, &part.name, part.position, &part.bytes).hash(&mut self.stored_hash);
            }
            Applied::Checkpoint(partition, checkpoint) => {
                (partition, checkpoint.position).hash(&mut self.stored_hash);
            }
        }
        match applied {
            Applied::Inbox(partition, seq, body) => self.on_inbox(partition, seq, body),
            Applied::Log(partition, seq, body) => self.on_log(partition, seq, body),
            Applied::Part(partition, entity, part) => self.on_part(partition, entity, part),
            Applied::Checkpoint(partition, checkpoint) => {
                self.on_checkpoint(partition, checkpoint);
            }
        }
    }

    fn on_inbox(&mut self, partition: PartitionId, seq: u64, body: &Bytes) {
        let entry = InboxEntry::decode(body).unwrap();
        let now_ms = self.now_ms;
        self.report.note(now_ms, || {
            let keys: Vec<_> = entry.inputs.iter().map(|input| input.header.key).collect();
            format!("inbox {partition} {seq}: {keys:?}")
        });
        let held = self.held.get_mut(&partition).unwrap();
        for (index, input) in (0_u32..).zip(entry.inputs) {
            if let bus::Cause::Channel { source, number, .. } = input.header.cause {
                let arrived = held.arrived.entry(source).or_default();
                *arrived = (*arrived).max(number);
            }
            held.inbox.insert(Place { seq, index }, input);
        }
    }

    /// A client was told that its inputs are in the inbox at `seq`.
    pub(crate) fn on_acked(&mut self, partition: PartitionId, seq: u64, keys: &[Key]) {
        let held = self.held.get(&partition).unwrap();
        let entry = held.inbox.range(Place { seq, index: 0 }..=Place { seq, index: u32::MAX });
        let stored: Vec<Key> = entry.map(|(_, input)| input.header.key).collect();
        if stored != keys {
            self.report.broken(self.now_ms, Rule::Acked, || format!("{keys:?} at {seq}"));
        }
        self.acked.extend(keys);
    }

    /// An account cannot be made for a while: what it is told meanwhile may be dead-lettered.
    pub(crate) fn on_spoiled(&mut self, entity: EntityId) {
        let now_ms = self.now_ms;
        self.report.note(now_ms, || format!("{entity} cannot be made"));
        self.report.count("accounts spoiled");
        self.spoiled.insert(entity);
    }

    /// A live entity ends for no reason of its own: the input in its hands has failed once.
    pub(crate) fn on_struck(&mut self, entity: EntityId) {
        self.struck.insert(entity);
    }

    pub(crate) fn account(&self, entity: EntityId) -> Option<&Account> {
        self.accounts.get(&entity)
    }
}

/// The checker with the time it goes by; shared by all that happens in one run.
#[derive(Clone)]
pub(crate) struct Judge {
    checker: Arc<Mutex<Checker>>,
    time: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl Judge {
    pub(crate) fn new(checker: Checker, time: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { checker: Arc::new(Mutex::new(checker)), time: Arc::new(time) }
    }

    pub(crate) fn with<T>(&self, judge: impl FnOnce(&mut Checker) -> T) -> T {
        let now_ms = (self.time)();
        let mut checker = self.checker.lock().unwrap();
        checker.now_ms = now_ms;
        judge(&mut checker)
    }

    /// A line of the event log.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        self.with(|checker| {
            let now_ms = checker.now_ms;
            checker.report.note(now_ms, text);
        });
    }

    /// Counts something that happened, for the coverage of the simulation itself.
    pub(crate) fn count(&self, what: &'static str) {
        self.with(|checker| checker.report.count(what));
    }
}
