//! Saved states, packed: the servers keep every subject of a stream in memory, so a part has no subject
//! of its own (docs/decisions/0013).
//!
//! A partition's entities lie in 4,096 *buckets* by hash. A bucket is one subject, and its last message holds
//! all parts of its entities; it is replaced under its expected last sequence, each part only by one of a
//! higher position. A load is one read from the stream's leader. Puts to a bucket that is being written
//! wait and become one write. 64 partitions make 262,144 subjects at most (32,768 in each of 8 streams), and
//! 10,000,000 entities of 1 KiB make buckets of about 40 KiB.
//!
//! A bucket beyond 64 KiB is *split* into eight: by entity, so that an entity's parts stay together and
//! a load is one read more; or, where one entity fills it, by part, and a load reads the eight at once. A split joins all
//! parts into the new buckets before the old one says that it is split. As parts are only ever
//! joined, by position, and never removed, a split that is given up or repeated by somebody else does no harm. A
//! part alone may fill a bucket up to the size limit of values: none is ever refused for the company it keeps.
//!
//! A checkpoint is a subject of its own.

mod bucket;
mod scan;
mod writer;

use std::sync::Arc;

use async_nats::{Client, jetstream::message::StreamMessage};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    names::Names,
    publish::{Refusal, last_of, publish},
    streams,
};
use crate::{
    BusError, Checkpoint, EntityId, FORMAT_VERSION, PartPut, PartitionId, Position, SavedPart,
    ScanMark, ScanPage, States, decode, encode,
    limits::{check_checkpoint, check_partition, check_puts},
};
use writer::Buckets;

/// Attempts of one replacement; each lost one means that somebody else replaced the checkpoint meanwhile.
const ATTEMPTS_MAX: usize = 8;

pub(super) struct JetStates {
    client: Client,
    names: Arc<Names>,
    partitions: u16,
    buckets: Arc<Buckets>,
}

/// A checkpoint as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u16,
    position: Position,
    bytes: Bytes,
}

impl Saved {
    fn read(message: &StreamMessage) -> Result<Self, BusError> {
        let corrupt = |why: String| {
            BusError::Corrupt(format!("checkpoint at sequence {}: {why}", message.sequence))
        };
        let saved: Self = decode(&message.payload).map_err(|error| corrupt(error.to_string()))?;
        if saved.version == 0 || saved.version > FORMAT_VERSION {
            return Err(corrupt(format!("version {} is not known to this build", saved.version)));
        }
        Ok(saved)
    }
}

impl JetStates {
    pub(super) fn new(client: Client, names: Arc<Names>, partitions: u16) -> Self {
        let buckets = Arc::new(Buckets::new(client.clone(), Arc::clone(&names)));
        Self { client, names, partitions, buckets }
    }

    async fn stored(&self, partition: PartitionId) -> Result<Option<(u64, Saved)>, BusError> {
        let context = streams::context(&self.client);
        let (stream, subject) =
            (self.names.states_stream(partition), self.names.checkpoint(partition));
        let last = last_of(&context, &stream, &subject).await?;
        last.map(|message| Ok((message.sequence, Saved::read(&message)?))).transpose()
    }
}

#[async_trait]
impl States for JetStates {
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError> {
        check_partition(partition, self.partitions)?;
        let mut parts: Vec<_> = self.buckets.load(partition, entity).await?;
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(parts.into_iter().map(SavedPart::from).collect())
    }

    async fn put(&self, partition: PartitionId, puts: Vec<PartPut>) -> Result<(), BusError> {
        check_partition(partition, self.partitions)?;
        check_puts(&puts)?;
        self.buckets.save(partition, puts.into_iter().map(Into::into).collect()).await
    }

    async fn scan(
        &self,
        partition: PartitionId,
        from: Option<ScanMark>,
    ) -> Result<ScanPage, BusError> {
        check_partition(partition, self.partitions)?;
        scan::page(&streams::context(&self.client), &self.names, partition, from).await
    }

    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError> {
        check_partition(partition, self.partitions)?;
        let stored = self.stored(partition).await?;
        Ok(stored.map(|(_, saved)| Checkpoint { position: saved.position, bytes: saved.bytes }))
    }

    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError> {
        check_partition(partition, self.partitions)?;
        check_checkpoint(&checkpoint)?;
        let Checkpoint { position, bytes } = checkpoint;
        let saved = Saved { version: FORMAT_VERSION, position, bytes };
        let payload = encode(&saved).map_err(|error| BusError::Unavailable(error.to_string()))?;
        let (stream, subject) =
            (self.names.states_stream(partition), self.names.checkpoint(partition));
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.stored(partition).await?;
            if stored.as_ref().is_some_and(|(_, stored)| stored.position >= position) {
                return Ok(());
            }
            let expected = stored.map_or(0, |(seq, _)| seq);
            let published =
                publish(&self.client, &stream, subject.clone(), Some(expected), payload.clone());
            match published.await {
                Ok(_) => return Ok(()),
                Err(Refusal::Conflict) => {}
                Err(refusal) => return Err(refusal.unavailable()),
            }
        }
        Err(Refusal::Conflict.unavailable())
    }
}
