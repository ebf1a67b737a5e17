//! Performing what the machine asks for.

use std::sync::Arc;

use bus::{BusError, EntityId, Event, PartPut, PartitionId, SavedPart, Signal};
use bytes::Bytes;
use chassis::{failpoint, task::TaskKind};
use metrics::counter;
use ractor::{Actor, ActorRef};

use super::{
    calls::{Flag, OutsideCall},
    committer::CommitMsg,
    context::{Context, sleep_ms},
    entity_actor::{EntityActor, EntityArguments, EntityMsg},
    publisher::PublishMsg,
    reader::ReadMsg,
    shard_actor::{Call, LiveActor, ShardMsg, ShardState},
};
use crate::{
    metrics::ALARMS_TOTAL,
    shard::{Action, Life, Notice},
};

impl ShardState {
    pub(super) async fn perform(&mut self, myself: &ActorRef<ShardMsg>, actions: Vec<Action>) {
        for action in actions {
            if self.context.is_dead() {
                return;
            }
            self.perform_one(myself, action).await;
        }
    }

    async fn perform_one(&mut self, myself: &ActorRef<ShardMsg>, action: Action) {
        match action {
            Action::Open { entity, life, parts, events } => {
                // Boxed: starting an actor takes a large future, and this one is made anew for every message of the shard.
                Box::pin(self.open(myself, entity, life, parts, events)).await;
            }
            Action::Dispatch { life, ticket, input } => {
                self.tell_entity(life, EntityMsg::Decide { ticket, input });
            }
            Action::Snapshot { life, parts, format } => {
                self.tell_entity(life, EntityMsg::Snapshot { parts, format });
            }
            Action::Close { life } => self.close(life),
            Action::Append { number, expected_last, record, results, steps, delay_ms } => {
                hit_before_append(steps, results);
                let append = CommitMsg::Append { number, expected_last, record, delay_ms };
                drop(self.committer.cast(append));
            }
            Action::ReadLast { why, delay_ms } => {
                drop(self.committer.cast(CommitMsg::ReadLast { why, delay_ms }));
            }
            Action::Read { after, limit } => drop(self.reader.cast(ReadMsg(after, limit))),
            Action::Call { entity, request, start_by_boot_ms } => {
                failpoint::hit("commit|call");
                self.call(myself, entity, request, start_by_boot_ms);
            }
            Action::Cancel(call) => {
                if let Some(call) = self.calls.get(&call) {
                    call.cancelled.set();
                }
            }
            Action::Settled(call) => {
                if let Some(settle) = self.calls.remove(&call).and_then(|call| call.settle) {
                    // The task may have been ended with its node.
                    let _ = settle.send(());
                }
            }
            Action::Refused(call) => drop(self.calls.remove(&call)),
            Action::CloseDoor => self.fenced.0.set(),
            Action::Alarm(alarm) => {
                counter!(ALARMS_TOTAL, "name" => alarm.name()).increment(1);
                tracing::warn!(partition = %self.partition, alarm = alarm.name(), "alarm");
            }
            Action::Reached(seq) => {
                let Signal { topic, body } = bus::decided_signal(self.partition, seq);
                self.publish(topic, body);
            }
            Action::Signal(signal) => self.publish(signal.topic, signal.body),
            Action::Reply { topic, reply } => match reply.encode() {
                Ok(body) => self.publish(topic, body),
                Err(error) => tracing::error!(%error, "reply not encoded"),
            },
            Action::Stop(reason) => self.ended(myself, reason.into()),
            request => self.request(myself, request),
        }
    }

    /// Requests to the bus that run beside each other, each in a task of its own.
    fn request(&self, myself: &ActorRef<ShardMsg>, action: Action) {
        let (context, partition) = (Arc::clone(&self.context), self.partition);
        let shard = myself.clone();
        let answered = move |notice: Notice| {
            // A shard that is gone needs no answer.
            drop(shard.cast(ShardMsg::Notice(notice)));
        };
        match action {
            Action::Load { entity, life } => self.spawn("load", async move {
                answered(load(&context, partition, entity, life).await);
            }),
            Action::Send { target, entry, delay_ms } => self.spawn("channel-append", async move {
                sleep_ms(delay_ms).await;
                answered(send(&context, target, entry).await);
            }),
            Action::Save { puts, delay_ms } => self.spawn("save", async move {
                sleep_ms(delay_ms).await;
                answered(save(&context, partition, puts).await);
            }),
            Action::PutCheckpoint { checkpoint, delay_ms } => {
                self.spawn("checkpoint", async move {
                    sleep_ms(delay_ms).await;
                    failpoint::hit("checkpoint");
                    let put = context.bus.states.put_checkpoint(partition, checkpoint).await;
                    answered(stored(put, |stored| Notice::Checkpointed { stored }));
                })
            }
            // Performed above.
            _ => {}
        }
    }

    fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.context.spawn(TaskKind::Maintenance, name, future);
    }

    fn publish(&self, topic: String, body: Bytes) {
        if !self.context.bus.signals.is_heard(&topic) {
            return;
        }
        // The publisher ends with this shard only.
        drop(self.publisher.cast(PublishMsg(topic, body)));
    }

    async fn open(
        &mut self,
        myself: &ActorRef<ShardMsg>,
        entity: EntityId,
        life: Life,
        parts: Vec<SavedPart>,
        events: Vec<Event>,
    ) {
        let host = Arc::clone(&self.context.host);
        let arguments = EntityArguments { host, shard: myself.clone(), entity, life };
        let spawned = Actor::spawn_linked(None, EntityActor, arguments, myself.get_cell()).await;
        // It starts without doing anything, so it fails only while this shard is being stopped.
        let Ok((actor, _)) = spawned else { return };
        drop(actor.cast(EntityMsg::Open { parts, events }));
        self.by_actor.insert(actor.get_id(), life);
        self.lives.insert(life, LiveActor { entity, actor });
    }

    /// An entity that ended unasked is reported by supervision.
    fn tell_entity(&self, life: Life, message: EntityMsg) {
        if let Some(live) = self.lives.get(&life) {
            drop(live.actor.cast(message));
        }
    }

    fn close(&mut self, life: Life) {
        if let Some(live) = self.lives.remove(&life) {
            self.by_actor.remove(&live.actor.get_id());
            live.actor.stop(None);
        }
    }

    fn call(
        &mut self,
        myself: &ActorRef<ShardMsg>,
        entity: EntityId,
        request: crate::host::CallRequest,
        start_by_boot_ms: u64,
    ) {
        let cancelled = Flag::default();
        let call = Call { cancelled: cancelled.clone(), settle: None };
        self.calls.insert(request.call, call);
        let outside = OutsideCall {
            partition: self.partition,
            entity,
            request,
            start_by_boot_ms,
            fenced: self.fenced.0.clone(),
            cancelled,
            shard: myself.clone(),
        };
        outside.start(&self.context);
    }
}

fn hit_before_append(steps: usize, results: bool) {
    if results {
        failpoint::hit("result|commit");
    }
    if steps > 0 {
        failpoint::hit("decide|commit");
    }
}

async fn load(context: &Context, partition: PartitionId, entity: EntityId, life: Life) -> Notice {
    let mut attempts = 0;
    loop {
        match context.bus.states.load(partition, entity).await {
            Ok(parts) => return Notice::Loaded { entity, life, parts },
            Err(BusError::Closed) => return Notice::BusClosed,
            Err(error) => tracing::debug!(%partition, %error, "load failed"),
        }
        attempts += 1;
        context.pause(attempts).await;
    }
}

async fn send(context: &Context, target: PartitionId, entry: Bytes) -> Notice {
    let appended = context.bus.inbox.append(target, entry).await;
    if let Err(error) = &appended {
        tracing::debug!(%target, %error, "channel append not acknowledged");
    }
    Notice::Sent { target, stored: appended.is_ok() }
}

async fn save(context: &Context, partition: PartitionId, puts: Vec<PartPut>) -> Notice {
    stored(context.bus.states.put(partition, puts).await, |stored| Notice::Saved { stored })
}

fn stored(result: Result<(), BusError>, notice: impl FnOnce(bool) -> Notice) -> Notice {
    match result {
        Ok(()) => notice(true),
        Err(BusError::Closed) => Notice::BusClosed,
        Err(error) => {
            tracing::warn!(%error, "save not acknowledged");
            notice(false)
        }
    }
}
