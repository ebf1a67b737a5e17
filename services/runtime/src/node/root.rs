//! The root supervisor of a node: which shards run, what follows when one ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bus::{FormatLevel, PartitionId};
use metrics::{gauge, histogram};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Readiness, info::Served, placement::Event};
use crate::{
    metrics::{PARTITIONS, TAKE_SECONDS},
    shard::{Notice, StopReason},
    shell::{
        context::Context,
        shard_actor::{ShardActor, ShardArguments, ShardMsg},
        takeover::TakeOverError,
    },
};

pub(crate) struct Root;

pub(crate) struct RootArguments {
    pub(crate) context: Arc<Context>,
    pub(crate) ready: watch::Sender<Readiness>,
    /// Hears when something changes that the lease says.
    pub(crate) changed: mpsc::Sender<Event>,
}

/// How the partitions stand, for the lease.
pub(crate) struct Stands {
    pub(crate) owned: BTreeSet<PartitionId>,
    pub(crate) served: BTreeMap<PartitionId, Served>,
    pub(crate) cannot_serve: BTreeSet<PartitionId>,
    /// Not to be taken by this node for the moment.
    pub(crate) waits: BTreeSet<PartitionId>,
}

pub(crate) enum RootMsg {
    /// These are for this node to take.
    Free(Vec<PartitionId>),
    /// Whether the leases can be renewed and read.
    InTouch(bool),
    /// Take one, whoever owns it.
    Take { partition: PartitionId, answer: oneshot::Sender<Result<(), TakeOverError>> },
    /// Let one go in good order.
    Release { partition: PartitionId, answer: oneshot::Sender<()> },
    /// Another node names itself the owner of this one by a later epoch.
    Verify(PartitionId),
    /// The installation's format level.
    Format(FormatLevel),
    /// Let all go, and take none any more.
    Stop(oneshot::Sender<()>),
    /// What to say in the lease.
    Stands(oneshot::Sender<Stands>),
    /// The shards.
    Shards(oneshot::Sender<Vec<(PartitionId, ActorRef<ShardMsg>)>>),
    /// A shard serves its partition.
    ShardServes { partition: PartitionId, epoch: u64 },
    /// Inputs that a shard has read and not durably decided.
    ShardLags { partition: PartitionId, inputs: u64 },
    /// A shard is over, and says why.
    ShardEnded { partition: PartitionId, error: TakeOverError },
    /// A shard's actor ended.
    ActorEnded { actor: ActorId, error: String },
}

struct ShardEntry {
    actor: ActorRef<ShardMsg>,
    /// When it began to take its partition.
    began_ms: u64,
    /// While it serves.
    served: Option<Served>,
    /// Being let go, or given up already.
    over: bool,
    taking: Vec<oneshot::Sender<Result<(), TakeOverError>>>,
    releasing: Vec<oneshot::Sender<()>>,
}

pub(crate) struct RootState {
    context: Arc<Context>,
    ready: watch::Sender<Readiness>,
    changed: mpsc::Sender<Event>,
    shards: BTreeMap<PartitionId, ShardEntry>,
    /// Partitions not to be taken again before this moment of the boot clock.
    not_before_ms: BTreeMap<PartitionId, u64>,
    /// Partitions this node cannot serve, until it is told to take them or starts anew.
    cannot_serve: BTreeMap<PartitionId, StopReason>,
    placed: bool,
    in_touch: bool,
    stopping: Option<Vec<oneshot::Sender<()>>>,
    _alive: TaskTrackerToken,
}

impl RootState {
    async fn free(&mut self, myself: &ActorRef<RootMsg>, free: Vec<PartitionId>) {
        if self.stopping.is_some() {
            return;
        }
        let now_ms = self.context.clock.boot_ms();
        for partition in free {
            let waits = self.not_before_ms.get(&partition).is_some_and(|at| *at > now_ms);
            let cannot = self.cannot_serve.contains_key(&partition);
            if !waits && !cannot && !self.shards.contains_key(&partition) {
                self.start_shard(myself, partition).await;
            }
        }
        self.placed = true;
        self.tell_readiness();
    }

    async fn start_shard(&mut self, myself: &ActorRef<RootMsg>, partition: PartitionId) {
        self.not_before_ms.remove(&partition);
        let (context, root) = (Arc::clone(&self.context), myself.clone());
        let arguments = ShardArguments { context, partition, root };
        match Actor::spawn_linked(None, ShardActor, arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                let (taking, releasing) = (Vec::new(), Vec::new());
                let began_ms = self.context.clock.boot_ms();
                let entry =
                    ShardEntry { actor, began_ms, served: None, over: false, taking, releasing };
                self.shards.insert(partition, entry);
            }
            Err(error) => {
                tracing::error!(%partition, %error, "shard actor did not start");
                self.wait_before(partition, self.context.settings.retake_ms);
            }
        }
    }

    async fn take(
        &mut self,
        myself: &ActorRef<RootMsg>,
        partition: PartitionId,
        answer: oneshot::Sender<Result<(), TakeOverError>>,
    ) {
        if self.stopping.is_some() {
            return;
        }
        self.cannot_serve.remove(&partition);
        if !self.shards.contains_key(&partition) {
            self.start_shard(myself, partition).await;
        }
        if let Some(entry) = self.shards.get_mut(&partition) {
            if entry.served.is_some() {
                // Who asked may have stopped waiting; so everywhere here.
                drop(answer.send(Ok(())));
            } else {
                entry.taking.push(answer);
            }
        }
        self.tell_readiness();
    }

    fn release(&mut self, partition: PartitionId, answer: oneshot::Sender<()>) {
        match self.shards.get_mut(&partition) {
            None => {
                let _ = answer.send(());
            }
            Some(entry) => {
                entry.releasing.push(answer);
                drop(entry.actor.cast(ShardMsg::Release));
            }
        }
    }

    fn verify(&self, partition: PartitionId) {
        if let Some(entry) = self.shards.get(&partition) {
            drop(entry.actor.cast(ShardMsg::Notice(Notice::Verify)));
        }
    }

    /// One that is still taking its partition has read it itself, or hears it the next time.
    fn format(&self, level: FormatLevel) {
        for entry in self.shards.values() {
            drop(entry.actor.cast(ShardMsg::Notice(Notice::Format(level))));
        }
    }

    fn stop(&mut self, myself: &ActorRef<RootMsg>, answer: oneshot::Sender<()>) {
        self.stopping.get_or_insert_default().push(answer);
        for entry in self.shards.values() {
            drop(entry.actor.cast(ShardMsg::Release));
        }
        self.end_if_stopped(myself);
    }

    fn end_if_stopped(&mut self, myself: &ActorRef<RootMsg>) {
        if let Some(answers) = self.stopping.take_if(|_| self.shards.is_empty()) {
            for answer in answers {
                let _ = answer.send(());
            }
            myself.stop(None);
        }
    }

    fn serves(&mut self, partition: PartitionId, epoch: u64) {
        if let Some(entry) = self.shards.get_mut(&partition) {
            entry.served = Some(Served { epoch, lag_inputs: 0 });
            for answer in entry.taking.drain(..) {
                drop(answer.send(Ok(())));
            }
            let took_ms = self.context.clock.boot_ms().saturating_sub(entry.began_ms);
            histogram!(TAKE_SECONDS).record(Duration::from_millis(took_ms));
            tracing::info!(%partition, epoch, took_ms, "partition served");
        }
        self.tell_readiness();
        self.tell_changed();
    }

    /// A shard said why it is over; its actor follows.
    fn shard_ended(&mut self, partition: PartitionId, error: TakeOverError) {
        if let Some(entry) = self.shards.get_mut(&partition) {
            entry.served = None;
            entry.over = true;
            for answer in entry.taking.drain(..) {
                drop(answer.send(Err(error.clone())));
            }
        }
        tracing::info!(%partition, %error, "partition no longer served");
        match error {
            TakeOverError::Lost | TakeOverError::Stopped(StopReason::Fenced) => {
                self.wait_before(partition, self.context.settings.fenced_wait_ms);
            }
            TakeOverError::Stopped(StopReason::Released | StopReason::BusClosed) => {
                self.wait_before(partition, self.context.settings.retake_ms);
            }
            TakeOverError::Stopped(reason) => {
                tracing::error!(%partition, error = %reason, "this node cannot serve the partition");
                self.cannot_serve.insert(partition, reason);
            }
        }
    }

    async fn actor_ended(&mut self, myself: &ActorRef<RootMsg>, actor: ActorId, error: &str) {
        let mut ended = self.shards.iter().filter(|(_, entry)| entry.actor.get_id() == actor);
        let Some(partition) = ended.next().map(|(partition, _)| *partition) else { return };
        let Some(entry) = self.shards.remove(&partition) else { return };
        if !entry.over {
            // A fault of the shard itself: it starts anew from what is durable.
            tracing::error!(%partition, error, "shard actor failed");
            self.wait_before(partition, self.context.settings.retake_ms);
        }
        for answer in entry.releasing {
            let _ = answer.send(());
        }
        // Who asked for it while it was ending gets the next one.
        if !entry.taking.is_empty() && self.stopping.is_none() {
            self.start_shard(myself, partition).await;
            if let Some(next) = self.shards.get_mut(&partition) {
                next.taking = entry.taking;
            }
        }
        self.tell_readiness();
        self.tell_changed();
        self.end_if_stopped(myself);
    }

    fn tell_changed(&self) {
        // Where many events wait, the follower looks soon anyway; without it the node is ending.
        drop(self.changed.try_send(Event::Changed));
    }

    fn lags(&mut self, partition: PartitionId, inputs: u64) {
        let entry = self.shards.get_mut(&partition);
        if let Some(served) = entry.and_then(|entry| entry.served.as_mut()) {
            served.lag_inputs = inputs;
        }
    }

    fn wait_before(&mut self, partition: PartitionId, wait_ms: u64) {
        let at = self.context.clock.boot_ms() + self.context.random.jitter_ms(wait_ms);
        self.not_before_ms.insert(partition, at);
    }

    fn tell_readiness(&self) {
        let serving = self.shards.values().filter(|entry| entry.served.is_some()).count();
        let readiness = Readiness {
            placed: self.placed,
            in_touch: self.in_touch,
            owned: self.shards.len(),
            serving,
            cannot_serve: self.cannot_serve.len(),
        };
        gauge!(PARTITIONS).set(u32::try_from(serving).map_or(f64::MAX, f64::from));
        self.ready.send_replace(readiness);
    }

    fn stands(&self) -> Stands {
        let now_ms = self.context.clock.boot_ms();
        let served = |(partition, entry): (&PartitionId, &ShardEntry)| {
            entry.served.map(|served| (*partition, served))
        };
        let waits = self.not_before_ms.iter().filter(|(_, at_ms)| **at_ms > now_ms);
        Stands {
            owned: self.shards.keys().copied().collect(),
            served: self.shards.iter().filter_map(served).collect(),
            cannot_serve: self.cannot_serve.keys().copied().collect(),
            waits: waits.map(|(partition, _)| *partition).collect(),
        }
    }

    fn shard_actors(&self) -> Vec<(PartitionId, ActorRef<ShardMsg>)> {
        self.shards.iter().map(|(partition, e)| (*partition, e.actor.clone())).collect()
    }
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = RootState;
    type Arguments = RootArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<RootMsg>,
        arguments: RootArguments,
    ) -> Result<RootState, ActorProcessingErr> {
        Ok(RootState {
            _alive: arguments.context.alive(),
            context: arguments.context,
            ready: arguments.ready,
            changed: arguments.changed,
            shards: BTreeMap::new(),
            not_before_ms: BTreeMap::new(),
            cannot_serve: BTreeMap::new(),
            placed: false,
            in_touch: false,
            stopping: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMsg>,
        message: RootMsg,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Free(free) => state.free(&myself, free).await,
            RootMsg::Take { partition, answer } => state.take(&myself, partition, answer).await,
            RootMsg::Release { partition, answer } => state.release(partition, answer),
            RootMsg::Verify(partition) => state.verify(partition),
            RootMsg::Format(level) => state.format(level),
            RootMsg::Stop(answer) => state.stop(&myself, answer),
            RootMsg::Stands(answer) => drop(answer.send(state.stands())),
            RootMsg::InTouch(in_touch) => {
                state.in_touch = in_touch;
                state.tell_readiness();
            }
            RootMsg::Shards(answer) => drop(answer.send(state.shard_actors())),
            RootMsg::ShardServes { partition, epoch } => state.serves(partition, epoch),
            RootMsg::ShardLags { partition, inputs } => state.lags(partition, inputs),
            RootMsg::ShardEnded { partition, error } => state.shard_ended(partition, error),
            RootMsg::ActorEnded { actor, error } => {
                state.actor_ended(&myself, actor, &error).await;
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMsg>,
        event: SupervisionEvent,
        _state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, error) = match event {
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                (cell.get_id(), reason.unwrap_or_default())
            }
            SupervisionEvent::ActorFailed(cell, error) => (cell.get_id(), error.to_string()),
            _ => return Ok(()),
        };
        // After what the shard said itself: supervision overtakes messages.
        drop(myself.cast(RootMsg::ActorEnded { actor, error }));
        Ok(())
    }
}
