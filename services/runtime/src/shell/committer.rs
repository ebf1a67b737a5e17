//! The committer: the shard's requests to its log, one at a time and in order. What an outcome means is
//! the machine's business.

use std::sync::Arc;

use bus::{LogAppendError, PartitionId};
use bytes::Bytes;
use metrics::{counter, histogram};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    context::{Context, sleep_ms},
    shard_actor::ShardMsg,
};
use crate::{
    metrics::{APPEND_SECONDS, RECORD_BYTES, RECORDS_TOTAL},
    shard::{AppendAnswer, Notice, Why},
};

pub(crate) struct Committer;

pub(crate) struct CommitterState {
    pub(crate) context: Arc<Context>,
    pub(crate) partition: PartitionId,
    pub(crate) shard: ActorRef<ShardMsg>,
    pub(crate) _alive: TaskTrackerToken,
}

pub(crate) enum CommitMsg {
    Append { number: u64, expected_last: u64, record: Bytes, delay_ms: u64 },
    ReadLast { why: Why, delay_ms: u64 },
}

impl CommitterState {
    async fn append(&self, number: u64, expected_last: u64, record: Bytes) -> Notice {
        let bytes = record.len();
        let sent_boot_us = self.context.clock.boot_us();
        let appended = self.context.bus.log.append(self.partition, expected_last, record).await;
        let (answer, label) = match appended {
            Ok(seq) => (AppendAnswer::Stored(seq), "stored"),
            Err(LogAppendError::Conflict) => (AppendAnswer::Conflict, "conflict"),
            Err(LogAppendError::Unknown(_)) => (AppendAnswer::Unknown, "unknown"),
            Err(LogAppendError::TooLarge { .. }) => (AppendAnswer::TooLarge, "too_large"),
            Err(LogAppendError::Closed) => return Notice::BusClosed,
        };
        let took_us = self.context.clock.boot_us().saturating_sub(sent_boot_us);
        let took = std::time::Duration::from_micros(took_us);
        histogram!(APPEND_SECONDS, "answer" => label).record(took.as_secs_f64());
        if matches!(answer, AppendAnswer::Stored(_)) {
            counter!(RECORDS_TOTAL).increment(1);
            histogram!(RECORD_BYTES).record(u32::try_from(bytes).map_or(f64::MAX, f64::from));
        }
        Notice::Appended { number, answer, sent_boot_ms: sent_boot_us / 1_000 }
    }

    async fn read_last(&self, why: Why) -> Notice {
        let sent_boot_ms = self.context.clock.boot_ms();
        match self.context.bus.log.last(self.partition).await {
            Err(bus::BusError::Closed) => Notice::BusClosed,
            answer => {
                let answer = answer.map_err(|error| error.to_string());
                Notice::Last { why, answer, sent_boot_ms }
            }
        }
    }
}

impl Actor for Committer {
    type Msg = CommitMsg;
    type State = CommitterState;
    type Arguments = CommitterState;

    async fn pre_start(
        &self,
        _myself: ActorRef<CommitMsg>,
        state: CommitterState,
    ) -> Result<CommitterState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<CommitMsg>,
        message: CommitMsg,
        state: &mut CommitterState,
    ) -> Result<(), ActorProcessingErr> {
        let (CommitMsg::Append { delay_ms, .. } | CommitMsg::ReadLast { delay_ms, .. }) = message;
        let answer = async {
            sleep_ms(delay_ms).await;
            match message {
                CommitMsg::Append { number, expected_last, record, .. } => {
                    state.append(number, expected_last, record).await
                }
                CommitMsg::ReadLast { why, .. } => state.read_last(why).await,
            }
        };
        if let Some(notice) = state.context.mortal(answer).await {
            // A shard that is gone needs no answer.
            drop(state.shard.cast(ShardMsg::Notice(notice)));
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<CommitMsg>,
        _event: SupervisionEvent,
        _state: &mut CommitterState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
