//! Outside calls: run by tasks of the node that outlive the shard (design.md 4.5).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{AppendError, EntityId, InboxEntry, PartitionId};
use chassis::{
    failpoint,
    task::{self, TaskKind},
};
use metrics::counter;
use ractor::ActorRef;
use tokio::sync::oneshot;

use super::{context::Context, shard_actor::ShardMsg};
use crate::{
    CallReturn,
    host::{CallRequest, CallResult, Door, TooLate},
    metrics::CALLS_TOTAL,
};

/// How often the append of a result whose shard has gone is tried. The entity reconciles without it.
const FORWARD_TRIES_MAX: u32 = 100;

/// A flag that several tasks see; closed for good once set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Sets its flag when dropped: however a shard ends, its door closes.
#[derive(Debug, Default)]
pub(crate) struct SetOnDrop(pub(crate) Flag);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// One call on its way.
pub(crate) struct OutsideCall {
    pub(crate) partition: PartitionId,
    pub(crate) entity: EntityId,
    pub(crate) request: CallRequest,
    pub(crate) start_by_boot_ms: u64,
    pub(crate) fenced: Flag,
    pub(crate) cancelled: Flag,
    pub(crate) shard: ActorRef<ShardMsg>,
}

impl OutsideCall {
    pub(crate) fn start(self, context: &Arc<Context>) {
        let context_of_task = Arc::clone(context);
        context.spawn_call(self.run(context_of_task));
    }

    async fn run(self, context: Arc<Context>) {
        let result = self.call(&context).await;
        let label = match &result {
            CallResult::Done(_) => "done",
            CallResult::NotStarted(_) => "not_started",
            CallResult::Unknown(_) => "unknown",
        };
        counter!(CALLS_TOTAL, "result" => label).increment(1);
        failpoint::hit("call|result");
        let Self { partition, entity, request, shard, .. } = self;
        let CallRequest { call, business, .. } = request;
        let returned = CallReturn { entity, business, call, result };
        let (settle, settled) = oneshot::channel();
        let message = ShardMsg::CallReturned { returned: returned.clone(), settle };
        if shard.cast(message).is_ok() && settled.await.is_ok() {
            return;
        }
        forward(&context, partition, returned).await;
    }

    /// Runs the executor within the hard limit; its panic or its silence leaves the outcome unknown.
    async fn call(&self, context: &Arc<Context>) -> CallResult {
        let limit = Duration::from_millis(context.settings.shard.hard_limit_ms);
        let executor = Arc::clone(&context.executor);
        let (request, door) = (self.request.clone(), self.door(context));
        let call = async move { tokio::time::timeout(limit, executor.call(request, door)).await };
        // A task of its own, so that its panic ends only itself.
        let task = task::spawn_abort_on_drop(TaskKind::Call, "executor", call);
        match task.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => CallResult::Unknown("no answer within the hard limit".to_owned()),
            Err(error) => CallResult::Unknown(error.to_string()),
        }
    }

    fn door(&self, context: &Arc<Context>) -> Door {
        let clock = context.clock.clone();
        let always_open = context.settings.shard.breaks.start_by;
        let start_by_boot_ms = self.start_by_boot_ms;
        let (fenced, cancelled) = (self.fenced.clone(), self.cancelled.clone());
        let dead = context.dead.clone();
        Door::new(move || {
            if dead.is_cancelled() {
                Err(TooLate::Fenced)
            } else if cancelled.is_set() {
                Err(TooLate::Cancelled)
            } else if always_open {
                Ok(())
            } else if fenced.is_set() {
                Err(TooLate::Fenced)
            } else if clock.boot_ms() >= start_by_boot_ms {
                Err(TooLate::StartBy)
            } else {
                Ok(())
            }
        })
    }
}

/// Appends a result whose shard has gone to the inbox, for whoever owns the partition now.
async fn forward(context: &Context, partition: PartitionId, returned: CallReturn) {
    let input = returned.into_input(context.clock.wall_ms());
    let entry = match input.and_then(|input| InboxEntry::new(vec![input]).encode()) {
        Ok(entry) => entry,
        Err(error) => return tracing::error!(%partition, %error, "call result cannot be encoded"),
    };
    for attempts in 1..=FORWARD_TRIES_MAX {
        match context.bus.inbox.append(partition, entry.clone()).await {
            Ok(_) => return,
            Err(error @ (AppendError::Closed | AppendError::TooLarge { .. })) => {
                return tracing::warn!(%partition, %error, "call result is lost; it reconciles");
            }
            Err(AppendError::Unknown(_) | AppendError::Full(_)) => context.pause(attempts).await,
        }
    }
    tracing::warn!(%partition, "call result is lost; it reconciles");
}
