//! Saved states: a part is the last message of its subject.

use std::{collections::BTreeMap, sync::Arc};

use async_nats::{Client, jetstream::message::StreamMessage};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    names::Names,
    publish::{Refusal, last_of, next_of, publish},
    streams,
};
use crate::{
    BusError, Checkpoint, EntityId, FORMAT_VERSION, PartPut, PartitionId, Position, SavedPart,
    States, decode, encode,
    limits::{check_checkpoint, check_partition, check_puts},
};

/// Saves of one call that are on their way at the same time.
const SAVES_AT_ONCE: usize = 32;
/// Attempts of one conditional save; each lost one means that somebody else saved the part meanwhile.
const ATTEMPTS_MAX: usize = 8;

pub(super) struct JetStates {
    pub(super) client: Client,
    pub(super) names: Arc<Names>,
    pub(super) partitions: u16,
}

/// A saved part or checkpoint as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u16,
    position: Position,
    bytes: Option<Bytes>,
}

impl Saved {
    fn read(message: &StreamMessage) -> Result<Self, BusError> {
        let corrupt = |why: String| {
            BusError::Corrupt(format!("saved value at sequence {}: {why}", message.sequence))
        };
        let saved: Self = decode(&message.payload).map_err(|error| corrupt(error.to_string()))?;
        if saved.version == 0 || saved.version > FORMAT_VERSION {
            return Err(corrupt(format!("version {} is not known to this build", saved.version)));
        }
        Ok(saved)
    }
}

impl JetStates {
    async fn stored(&self, subject: &str) -> Result<Option<(u64, Saved)>, BusError> {
        let context = streams::context(&self.client);
        let last = last_of(&context, &self.names.states_stream(), subject).await?;
        last.map(|message| Ok((message.sequence, Saved::read(&message)?))).transpose()
    }

    /// Replaces the subject's last message if its position is lower.
    async fn save(
        &self,
        subject: String,
        position: Position,
        bytes: Option<Bytes>,
    ) -> Result<(), BusError> {
        let saved = Saved { version: FORMAT_VERSION, position, bytes };
        let payload = encode(&saved).map_err(|error| BusError::Unavailable(error.to_string()))?;
        let stream = self.names.states_stream();
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.stored(&subject).await?;
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

#[async_trait]
impl States for JetStates {
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError> {
        check_partition(partition, self.partitions)?;
        let context = streams::context(&self.client);
        let (stream, subjects) = (self.names.states_stream(), self.names.parts(partition, entity));
        let mut parts = BTreeMap::new();
        let mut from = 1;
        // A part that is saved meanwhile moves ahead and is met again, newer.
        while let Some(message) = next_of(&context, &stream, &subjects, from).await? {
            from = message.sequence + 1;
            let saved = Saved::read(&message)?;
            let name = Names::part_name(&message.subject).ok_or_else(|| {
                BusError::Corrupt(format!("the subject {} names no part", message.subject))
            })?;
            parts.insert(
                name.clone(),
                SavedPart { name, position: saved.position, bytes: saved.bytes },
            );
        }
        Ok(parts.into_values().collect())
    }

    async fn put(&self, partition: PartitionId, puts: Vec<PartPut>) -> Result<(), BusError> {
        check_partition(partition, self.partitions)?;
        check_puts(&puts)?;
        let saves = puts.into_iter().map(|put| {
            let subject = self.names.part(partition, put.entity, &put.part.name);
            self.save(subject, put.part.position, put.part.bytes)
        });
        stream::iter(saves).buffer_unordered(SAVES_AT_ONCE).try_collect().await
    }

    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError> {
        check_partition(partition, self.partitions)?;
        let stored = self.stored(&self.names.checkpoint(partition)).await?;
        Ok(stored.map(|(_, saved)| Checkpoint {
            position: saved.position,
            bytes: saved.bytes.unwrap_or_default(),
        }))
    }

    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError> {
        check_partition(partition, self.partitions)?;
        check_checkpoint(&checkpoint)?;
        let subject = self.names.checkpoint(partition);
        self.save(subject, checkpoint.position, Some(checkpoint.bytes)).await
    }
}
