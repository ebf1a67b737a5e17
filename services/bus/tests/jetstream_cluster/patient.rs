//! A bus whose user keeps the rules of design.md 4.2: what the bus could not serve is asked again, and an append of unknown
//! outcome is sent again with the same bytes. Servers of a cluster may elect leaders at any time, and meanwhile serve nothing.
//!
//! An entry that was sent again may be in the inbox twice. Its user tells repeats by their keys; this one by their bodies, and
//! passes them over, so that the cases of the suite see what they appended. Where a copy that lags serves it, a page may be
//! short: this user reads on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bus::{
    AppendError, Bus, BusError, Checkpoint, EntityId, Inbox, Leases, Log, LogAppendError,
    NodeLease, PartPut, PartitionId, ReadLimit, SavedPart, ScanMark, ScanPage, States,
    VALUE_BYTES_MAX,
};
use bytes::Bytes;
use testkit::wait_until;
use tokio::time::sleep;

use super::WITHIN;

const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The same bus with patience, which counts the requests that it had to make again; signals are best effort as they are.
pub(crate) fn patient(bus: Bus, repeated: Arc<AtomicU64>) -> Bus {
    let known = Mutex::default();
    let all = Arc::new(Patient { bus: bus.clone(), repeated, known });
    Bus { inbox: all.clone(), log: all.clone(), states: all.clone(), leases: all, ..bus }
}

struct Patient {
    bus: Bus,
    repeated: Arc<AtomicU64>,
    known: Mutex<Known>,
}

/// What this user knows to be stored: nobody else writes.
#[derive(Default)]
struct Known {
    /// Sequences of entries and of records that were acknowledged and not trimmed.
    entries: BTreeMap<PartitionId, BTreeSet<u64>>,
    records: BTreeMap<PartitionId, BTreeSet<u64>>,
    /// Entries that are on their way, or were sent more than once, and the sequence acknowledged in the end.
    doubtful: BTreeMap<(PartitionId, Bytes), Option<u64>>,
}

/// Takes what a trim removes off the list, and says how much that is: everything up to `through` but the last.
fn trimmed(held: &mut BTreeSet<u64>, through: u64) -> u64 {
    let Some(last) = held.last().copied() else { return 0 };
    let before = held.len();
    held.retain(|seq| *seq > through || *seq == last);
    u64::try_from(before - held.len()).unwrap_or(u64::MAX)
}

/// Whether no entry more fits.
fn is_full(found: &[(u64, Bytes)], limit: ReadLimit) -> bool {
    let bytes: usize = found.iter().map(|(_, body)| body.len()).sum();
    found.len() >= limit.values || bytes >= limit.bytes
}

/// The beginning of a page that keeps both limits, and at least one entry.
fn within(found: Vec<(u64, Bytes)>, limit: ReadLimit) -> Vec<(u64, Bytes)> {
    let mut bytes = 0;
    let fits = |(n, entry): (usize, (u64, Bytes))| {
        bytes += entry.1.len();
        (n == 0 || (n < limit.values && bytes <= limit.bytes)).then_some(entry)
    };
    found.into_iter().enumerate().map_while(fits).collect()
}

impl Patient {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn again(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
        sleep(AGAIN_AFTER).await;
    }

    /// Whether some of these are not acknowledged: another one of the same body may be.
    fn is_open(&self, partition: PartitionId, found: &[(u64, Bytes)]) -> bool {
        let known = self.known();
        let is_open = |body: &Bytes| known.doubtful.get(&(partition, body.clone())) == Some(&None);
        found.iter().any(|(_, body)| is_open(body))
    }

    fn without_repeats(
        &self,
        partition: PartitionId,
        mut found: Vec<(u64, Bytes)>,
    ) -> Vec<(u64, Bytes)> {
        let known = self.known();
        found.retain(|(seq, body)| {
            let counts = known.doubtful.get(&(partition, body.clone()));
            counts.is_none_or(|counts| *counts == Some(*seq))
        });
        found
    }

    fn has_doubts(&self, partition: PartitionId) -> bool {
        self.known().doubtful.keys().any(|(of, _)| *of == partition)
    }
}

/// Asks until there is an answer. A macro: asynchronous closures are not `Send` for every lifetime yet.
macro_rules! ask {
    ($patient:expr, $request:expr) => {
        loop {
            match $request.await {
                Err(BusError::Unavailable(_)) => $patient.again().await,
                answer => break answer,
            }
        }
    };
}

impl Patient {
    /// Records read on to the limits or the end of the log.
    async fn filled(
        &self,
        partition: PartitionId,
        mut found: Vec<(u64, Bytes)>,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        while let Some((last, _)) = found.last().filter(|_| !is_full(&found, limit)) {
            let more = ask!(self, self.bus.log.read(partition, *last, limit))?;
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        Ok(within(found, limit))
    }
}

/// Trims until there is an answer. An attempt without one may have trimmed, so then our own list says how much is gone.
macro_rules! trim {
    ($patient:expr, $held:ident, $partition:expr, $through:expr, $request:expr) => {{
        let mut is_sure = !$patient.has_doubts($partition);
        let answer = loop {
            match $request.await {
                Err(BusError::Unavailable(_)) => {
                    is_sure = false;
                    $patient.again().await;
                }
                answer => break answer,
            }
        };
        let mut known = $patient.known();
        let ours = trimmed(known.$held.entry($partition).or_default(), $through);
        answer.map(|gone| if is_sure { gone } else { ours })
    }};
}

#[async_trait]
impl Inbox for Patient {
    async fn append(&self, partition: PartitionId, entry: Bytes) -> Result<u64, AppendError> {
        let doubt = (partition, entry.clone());
        self.known().doubtful.insert(doubt.clone(), None);
        let mut attempts = 1;
        let answer = loop {
            match self.bus.inbox.append(partition, entry.clone()).await {
                Err(AppendError::Unknown(_)) => self.again().await,
                answer => break answer,
            }
            attempts += 1;
        };
        let mut known = self.known();
        if let Ok(seq) = answer {
            known.entries.entry(partition).or_default().insert(seq);
        }
        if let (Ok(seq), true) = (&answer, attempts > 1) {
            known.doubtful.insert(doubt, Some(*seq));
        } else {
            known.doubtful.remove(&doubt);
        }
        answer
    }

    async fn read(
        &self,
        partition: PartitionId,
        mut after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        loop {
            let has_doubts = self.has_doubts(partition);
            let wider = match has_doubts {
                false => limit,
                // Among so many more entries there are as many as were asked for.
                true => ReadLimit { values: usize::MAX, bytes: usize::MAX },
            };
            let end = Inbox::last(self, partition).await?;
            let mut found = ask!(self, self.bus.inbox.read(partition, after, wider))?;
            while let Some((last, _)) = found.last().filter(|(last, _)| *last < end) {
                if is_full(&found, wider) {
                    break;
                }
                found.extend(ask!(self, self.bus.inbox.read(partition, *last, wider))?);
            }
            if self.is_open(partition, &found) || (!has_doubts && self.has_doubts(partition)) {
                let settled = || !self.is_open(partition, &found);
                let settled = wait_until(WITHIN, "an acknowledgement of what was found", settled);
                settled.await.map_err(|late| BusError::Unavailable(late.to_string()))?;
                continue;
            }
            let last = found.last().map_or(after, |(seq, _)| *seq);
            let found = within(self.without_repeats(partition, found), limit);
            if !found.is_empty() {
                return Ok(found);
            }
            after = last;
        }
    }

    async fn last(&self, partition: PartitionId) -> Result<u64, BusError> {
        ask!(self, self.bus.inbox.last(partition))
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        trim!(self, entries, partition, through, self.bus.inbox.trim(partition, through))
    }
}

#[async_trait]
impl Log for Patient {
    async fn append(
        &self,
        partition: PartitionId,
        expected_last: u64,
        record: Bytes,
    ) -> Result<u64, LogAppendError> {
        let mut unknown = false;
        let answer = loop {
            match self.bus.log.append(partition, expected_last, record.clone()).await {
                Err(LogAppendError::Unknown(_)) => {
                    unknown = true;
                    self.again().await;
                }
                // With ourselves, if the record is there and was not known to be before.
                Err(LogAppendError::Conflict) if unknown => {
                    let last = Log::last(self, partition).await;
                    let ours = last.ok().flatten().filter(|(seq, found)| {
                        let held = self.known().records.get(&partition).cloned();
                        *found == record && !held.unwrap_or_default().contains(seq)
                    });
                    break ours.map(|(seq, _)| seq).ok_or(LogAppendError::Conflict);
                }
                answer => break answer,
            }
        };
        if let Ok(seq) = answer {
            self.known().records.entry(partition).or_default().insert(seq);
        }
        answer
    }

    async fn last(&self, partition: PartitionId) -> Result<Option<(u64, Bytes)>, BusError> {
        ask!(self, self.bus.log.last(partition))
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        let found = ask!(self, self.bus.log.read(partition, after, limit))?;
        self.filled(partition, found, limit).await
    }

    async fn tail(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        let found = ask!(self, self.bus.log.tail(partition, after, limit))?;
        self.filled(partition, found, limit).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        trim!(self, records, partition, through, self.bus.log.trim(partition, through))
    }
}

#[async_trait]
impl States for Patient {
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError> {
        ask!(self, self.bus.states.load(partition, entity))
    }

    async fn put(&self, partition: PartitionId, puts: Vec<PartPut>) -> Result<(), BusError> {
        let bytes = |put: &PartPut| put.part.bytes.as_ref().map_or(0, Bytes::len);
        if puts.iter().any(|put| bytes(put) > VALUE_BYTES_MAX) {
            // Refused for its size, today and tomorrow.
            return self.bus.states.put(partition, puts).await;
        }
        ask!(self, self.bus.states.put(partition, puts.clone()))
    }

    async fn scan(
        &self,
        partition: PartitionId,
        from: Option<ScanMark>,
    ) -> Result<ScanPage, BusError> {
        ask!(self, self.bus.states.scan(partition, from.clone()))
    }

    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError> {
        ask!(self, self.bus.states.checkpoint(partition))
    }

    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError> {
        ask!(self, self.bus.states.put_checkpoint(partition, checkpoint.clone()))
    }
}

#[async_trait]
impl Leases for Patient {
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError> {
        ask!(self, self.bus.leases.renew(node, info.clone()))
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        ask!(self, self.bus.leases.list())
    }

    async fn release(&self, node: &str) -> Result<(), BusError> {
        ask!(self, self.bus.leases.release(node))
    }
}
