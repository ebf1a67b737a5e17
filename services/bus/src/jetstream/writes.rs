//! The inbox and the log: appends here, reads in `reads.rs`.

use std::sync::Arc;

use async_nats::Client;
use async_trait::async_trait;
use bytes::Bytes;

use super::{
    names::Table,
    publish::{Refusal, publish},
    reads::Reads,
};
use crate::{
    AppendError, BusError, INBOX_ENTRY_BYTES_MAX, Inbox, Log, LogAppendError, PartitionId,
    RECORD_BYTES_MAX, ReadLimit,
    limits::{check_entry, check_record},
};

pub(super) struct JetInbox {
    pub(super) ingress: Client,
    pub(super) reads: Arc<Reads>,
}

pub(super) struct JetLog {
    pub(super) commit: Client,
    pub(super) reads: Arc<Reads>,
}

#[async_trait]
impl Inbox for JetInbox {
    async fn append(&self, partition: PartitionId, entry: Bytes) -> Result<u64, AppendError> {
        check_entry(partition, self.reads.partitions, &entry)?;
        let names = &self.reads.names;
        let stream = names.stream(Table::Inbox, partition);
        let (subject, bytes) = (names.entry(Table::Inbox, partition), entry.len());
        let published = publish(&self.ingress, &stream, subject, None, entry).await;
        published.map_err(|refusal| match refusal {
            Refusal::TooLarge => AppendError::TooLarge { bytes, max: INBOX_ENTRY_BYTES_MAX },
            Refusal::Full(why) => AppendError::Full(why),
            Refusal::Unknown(why) => AppendError::Unknown(why),
            Refusal::Conflict => AppendError::Unknown("a conflict nobody asked for".to_owned()),
        })
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.reads.poll(Table::Inbox, partition, after, limit).await
    }

    async fn last(&self, partition: PartitionId) -> Result<u64, BusError> {
        let last = self.reads.last(Table::Inbox, partition).await?;
        Ok(last.map_or(0, |(seq, _)| seq))
    }

    async fn first(&self, partition: PartitionId) -> Result<u64, BusError> {
        self.reads.first(Table::Inbox, partition).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        self.reads.trim(Table::Inbox, partition, through).await
    }
}

#[async_trait]
impl Log for JetLog {
    async fn append(
        &self,
        partition: PartitionId,
        expected_last: u64,
        record: Bytes,
    ) -> Result<u64, LogAppendError> {
        check_record(partition, self.reads.partitions, &record)?;
        let names = &self.reads.names;
        let stream = names.stream(Table::Log, partition);
        let (subject, bytes) = (names.entry(Table::Log, partition), record.len());
        let published = publish(&self.commit, &stream, subject, Some(expected_last), record).await;
        published.map_err(|refusal| match refusal {
            Refusal::Conflict => LogAppendError::Conflict,
            Refusal::TooLarge => LogAppendError::TooLarge { bytes, max: RECORD_BYTES_MAX },
            Refusal::Full(why) | Refusal::Unknown(why) => LogAppendError::Unknown(why),
        })
    }

    async fn last(&self, partition: PartitionId) -> Result<Option<(u64, Bytes)>, BusError> {
        self.reads.last(Table::Log, partition).await
    }

    async fn first(&self, partition: PartitionId) -> Result<u64, BusError> {
        self.reads.first(Table::Log, partition).await
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.reads.read_now(Table::Log, partition, after, limit).await
    }

    async fn tail(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.reads.poll(Table::Log, partition, after, limit).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        self.reads.trim(Table::Log, partition, through).await
    }
}
