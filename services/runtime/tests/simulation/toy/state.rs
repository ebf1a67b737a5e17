//! An account's state: parts, events, and what each event does to its part.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use bus::{EntityId, Event, Key, PartName, SavedPart};
use bytes::Bytes;
use runtime::host::EntityError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Answer, calls::Calls};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Balance {
    pub(crate) cents: i64,
    credits: u64,
    debits: u64,
}

/// Numbered entries, one per step that changed anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Diary {
    pub(crate) count: u64,
    chain: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Alarm {
    pub(crate) due_ms: u64,
    pub(crate) broken_until_ms: u64,
    pub(crate) pay: Option<(EntityId, u64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Alarms {
    pub(crate) set: BTreeMap<u64, Alarm>,
    pub(crate) fired: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) left: u32,
    pub(crate) done: u32,
}

/// One account. The job is a part that comes and goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) balance: Balance,
    pub(crate) diary: Diary,
    pub(crate) memory: BTreeMap<Key, Answer>,
    pub(crate) alarms: Alarms,
    pub(crate) calls: Calls,
    pub(crate) job: Option<Job>,
}

/// A change of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A numbered entry; `before` is the digest of the whole live account before this step.
    Entered {
        n: u64,
        before: u64,
    },
    Remembered {
        key: Key,
        answer: Answer,
    },
    Credited {
        amount: u64,
        minted: bool,
    },
    Debited {
        amount: u64,
    },
    AlarmSet {
        id: u64,
        alarm: Alarm,
    },
    AlarmFired {
        id: u64,
    },
    Call(super::calls::CallChange),
    JobAt {
        left: u32,
    },
    Padded(Bytes),
    Poison,
}

impl Change {
    pub(crate) fn part(&self) -> &'static str {
        match self {
            Self::Entered { .. } | Self::Poison | Self::Padded(_) => "diary",
            Self::Remembered { .. } => "memory",
            Self::Credited { .. } | Self::Debited { .. } => "balance",
            Self::AlarmSet { .. } | Self::AlarmFired { .. } => "alarms",
            Self::Call(_) => "calls",
            Self::JobAt { .. } => "job",
        }
    }

    pub(crate) fn event(&self) -> Event {
        Event { part: self.part().into(), body: bus::encode(self).unwrap() }
    }

    pub(crate) fn read(event: &Event) -> Result<Self, EntityError> {
        bus::decode(&event.body).map_err(|error| EntityError::Unreadable(error.to_string()))
    }
}

fn read<T: DeserializeOwned + Default>(bytes: Option<&Bytes>) -> Result<T, EntityError> {
    let Some(bytes) = bytes else { return Ok(T::default()) };
    bus::decode(bytes).map_err(|error| EntityError::Unreadable(error.to_string()))
}

impl Account {
    pub(crate) fn load(parts: &[SavedPart]) -> Result<Self, EntityError> {
        let mut account = Self::default();
        for part in parts {
            let bytes = part.bytes.as_ref();
            match part.name.0.as_str() {
                "balance" => account.balance = read(bytes)?,
                "diary" => account.diary = read(bytes)?,
                "memory" => account.memory = read(bytes)?,
                "alarms" => account.alarms = read(bytes)?,
                "calls" => account.calls = read(bytes)?,
                "job" => account.job = read(bytes)?,
                other => return Err(EntityError::Broken(format!("no part {other}"))),
            }
        }
        Ok(account)
    }

    pub(crate) fn part(&self, name: &PartName) -> Option<Bytes> {
        let encoded = match name.0.as_str() {
            "balance" => bus::encode(&self.balance),
            "diary" => bus::encode(&self.diary),
            "memory" => bus::encode(&self.memory),
            "alarms" => bus::encode(&self.alarms),
            "calls" => bus::encode(&self.calls),
            "job" => bus::encode(&Some(self.job.as_ref()?)),
            _ => return None,
        };
        Some(encoded.unwrap())
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Entered { n, .. } => {
                self.diary.count += 1;
                self.diary.chain = self.diary.chain.wrapping_mul(31).wrapping_add(*n);
            }
            Change::Remembered { key, answer } => drop(self.memory.insert(*key, *answer)),
            Change::Credited { amount, .. } => {
                self.balance.cents += i64::try_from(*amount).unwrap();
                self.balance.credits += 1;
            }
            Change::Debited { amount } => {
                self.balance.cents -= i64::try_from(*amount).unwrap();
                self.balance.debits += 1;
            }
            Change::AlarmSet { id, alarm } => drop(self.alarms.set.insert(*id, *alarm)),
            Change::AlarmFired { id } => {
                self.alarms.set.remove(id);
                self.alarms.fired += 1;
            }
            Change::Call(change) => self.calls.apply(change),
            Change::JobAt { left: 0 } => self.job = None,
            Change::JobAt { left } => {
                let done = self.job.as_ref().map_or(0, |job| job.done + 1);
                self.job = Some(Job { left: *left, done });
            }
            Change::Padded(pad) => {
                self.diary.chain = self.diary.chain.wrapping_add(pad.len() as u64);
            }
            Change::Poison => panic!("toy: told to panic in apply"),
        }
    }

    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let alarms = self.alarms.set.values().map(|alarm| alarm.due_ms);
        alarms.chain(self.calls.due_ms()).min()
    }

    /// Digest of all of it.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}
