//! The inbox reader: one read at a time, each with the credit the machine gave.

use std::sync::Arc;

use bus::{BusError, PartitionId, ReadLimit};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{context::Context, shard_actor::ShardMsg};
use crate::shard::Notice;

pub(crate) struct Reader;

pub(crate) struct ReaderState {
    pub(crate) context: Arc<Context>,
    pub(crate) partition: PartitionId,
    pub(crate) shard: ActorRef<ShardMsg>,
    pub(crate) _alive: TaskTrackerToken,
}

/// Read after this sequence, this much.
pub(crate) struct ReadMsg(pub(crate) u64, pub(crate) ReadLimit);

impl ReaderState {
    async fn read(&self, after: u64, limit: ReadLimit) -> Notice {
        let mut attempts = 0;
        loop {
            match self.context.bus.inbox.read(self.partition, after, limit).await {
                Ok(entries) if !entries.is_empty() => return Notice::Entries(entries),
                Ok(_) => {}
                Err(BusError::Closed) => return Notice::BusClosed,
                Err(error) => {
                    tracing::warn!(partition = %self.partition, %error, "inbox read failed");
                }
            }
            attempts += 1;
            self.context.pause(attempts).await;
        }
    }
}

impl Actor for Reader {
    type Msg = ReadMsg;
    type State = ReaderState;
    type Arguments = ReaderState;

    async fn pre_start(
        &self,
        _myself: ActorRef<ReadMsg>,
        state: ReaderState,
    ) -> Result<ReaderState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<ReadMsg>,
        ReadMsg(after, limit): ReadMsg,
        state: &mut ReaderState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(notice) = state.context.mortal(state.read(after, limit)).await {
            // A shard that is gone needs no answer.
            drop(state.shard.cast(ShardMsg::Notice(notice)));
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<ReadMsg>,
        _event: SupervisionEvent,
        _state: &mut ReaderState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
