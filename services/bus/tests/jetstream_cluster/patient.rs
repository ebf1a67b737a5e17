//! A bus whose user keeps the rules of design.md 4.2: what the bus could not serve is asked again, and an append of unknown
//! outcome is sent again with the same bytes. Servers of a cluster may elect leaders at any time, and meanwhile serve nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bus::{
    AppendError, Bus, BusError, Checkpoint, EntityId, Inbox, Leases, Log, LogAppendError,
    NodeLease, PartPut, PartitionId, ReadLimit, SavedPart, ScanMark, ScanPage, States,
    VALUE_BYTES_MAX,
};
use bytes::Bytes;
use tokio::time::sleep;

const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The same bus with patience; signals are best effort as they are.
pub(crate) fn patient(bus: Bus) -> Bus {
    let all = Arc::new(Patient(bus.clone()));
    Bus { inbox: all.clone(), log: all.clone(), states: all.clone(), leases: all, ..bus }
}

struct Patient(Bus);

/// Asks until there is an answer. A macro: asynchronous closures are not `Send` for every lifetime yet.
macro_rules! ask {
    ($request:expr) => {
        loop {
            match $request.await {
                Err(BusError::Unavailable(_)) => sleep(AGAIN_AFTER).await,
                answer => break answer,
            }
        }
    };
}

#[async_trait]
impl Inbox for Patient {
    async fn append(&self, partition: PartitionId, entry: Bytes) -> Result<u64, AppendError> {
        loop {
            match self.0.inbox.append(partition, entry.clone()).await {
                Err(AppendError::Unknown(_)) => sleep(AGAIN_AFTER).await,
                answer => return answer,
            }
        }
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        ask!(self.0.inbox.read(partition, after, limit))
    }

    async fn last(&self, partition: PartitionId) -> Result<u64, BusError> {
        ask!(self.0.inbox.last(partition))
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        ask!(self.0.inbox.trim(partition, through))
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
        loop {
            match self.0.log.append(partition, expected_last, record.clone()).await {
                Err(LogAppendError::Unknown(_)) => {
                    unknown = true;
                    sleep(AGAIN_AFTER).await;
                }
                // With ourselves, if the record is there.
                Err(LogAppendError::Conflict) if unknown => {
                    let last = Log::last(self, partition).await;
                    let ours = last.ok().flatten().filter(|(_, found)| *found == record);
                    return ours.map(|(seq, _)| seq).ok_or(LogAppendError::Conflict);
                }
                answer => return answer,
            }
        }
    }

    async fn last(&self, partition: PartitionId) -> Result<Option<(u64, Bytes)>, BusError> {
        ask!(self.0.log.last(partition))
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        ask!(self.0.log.read(partition, after, limit))
    }

    async fn tail(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        ask!(self.0.log.tail(partition, after, limit))
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        ask!(self.0.log.trim(partition, through))
    }
}

#[async_trait]
impl States for Patient {
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError> {
        ask!(self.0.states.load(partition, entity))
    }

    async fn put(&self, partition: PartitionId, puts: Vec<PartPut>) -> Result<(), BusError> {
        let bytes = |put: &PartPut| put.part.bytes.as_ref().map_or(0, Bytes::len);
        if puts.iter().any(|put| bytes(put) > VALUE_BYTES_MAX) {
            // Refused for its size, today and tomorrow.
            return self.0.states.put(partition, puts).await;
        }
        ask!(self.0.states.put(partition, puts.clone()))
    }

    async fn scan(
        &self,
        partition: PartitionId,
        from: Option<ScanMark>,
    ) -> Result<ScanPage, BusError> {
        ask!(self.0.states.scan(partition, from.clone()))
    }

    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError> {
        ask!(self.0.states.checkpoint(partition))
    }

    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError> {
        ask!(self.0.states.put_checkpoint(partition, checkpoint.clone()))
    }
}

#[async_trait]
impl Leases for Patient {
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError> {
        ask!(self.0.leases.renew(node, info.clone()))
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        ask!(self.0.leases.list())
    }

    async fn release(&self, node: &str) -> Result<(), BusError> {
        ask!(self.0.leases.release(node))
    }
}
