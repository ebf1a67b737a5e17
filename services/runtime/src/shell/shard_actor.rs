//! The shard actor: owns one machine, translates messages into notices, and performs its actions. It decides
//! nothing itself.

use std::{collections::BTreeMap, sync::Arc};

use bus::{EntityId, PartitionId};
use chassis::task::{self, AbortOnDrop, TaskKind};
use metrics::{counter, gauge};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    calls::{Flag, SetOnDrop},
    committer::{CommitMsg, Committer, CommitterState},
    context::{Context, sleep_ms},
    entity_actor::EntityMsg,
    publisher::{PublishMsg, Publisher},
    reader::{ReadMsg, Reader, ReaderState},
    takeover::{TakeOver, TakeOverError},
};
use crate::{
    CallReturn,
    host::CallId,
    metrics as names,
    node::root::RootMsg,
    shard::{Action, Alarm, Life, Notice, Shard, ShardStatus},
};

pub(crate) struct ShardActor;

pub(crate) struct ShardArguments {
    pub(crate) context: Arc<Context>,
    pub(crate) partition: PartitionId,
    pub(crate) root: ActorRef<RootMsg>,
}

pub(crate) enum ShardMsg {
    /// The take-over ended.
    TookOver(Box<Result<(Shard, Vec<Alarm>), TakeOverError>>),
    /// Something the machine must know.
    Notice(Notice),
    /// A call ended. `settle` is used once its result is durably decided, dropped if that will not be.
    CallReturned { returned: CallReturn, settle: oneshot::Sender<()> },
    /// A tick that was scheduled for this moment of the boot clock.
    Tick { boot_ms: u64 },
    /// A live entity's actor ended.
    ChildEnded { actor: ActorId, error: String },
    /// Let the partition go in good order.
    Release,
    /// Say how it stands.
    Status(oneshot::Sender<ShardStatus>),
}

/// What is kept of a call.
pub(super) struct Call {
    pub(super) cancelled: Flag,
    pub(super) settle: Option<oneshot::Sender<()>>,
}

pub(super) struct LiveActor {
    pub(super) entity: EntityId,
    pub(super) actor: ActorRef<EntityMsg>,
}

pub(crate) struct ShardState {
    pub(super) context: Arc<Context>,
    pub(super) partition: PartitionId,
    pub(super) root: ActorRef<RootMsg>,
    pub(super) committer: ActorRef<CommitMsg>,
    pub(super) reader: ActorRef<ReadMsg>,
    pub(super) publisher: ActorRef<PublishMsg>,
    pub(super) machine: Option<Box<Shard>>,
    taking: Option<AbortOnDrop<()>>,
    release_wanted: bool,
    pub(super) lives: BTreeMap<Life, LiveActor>,
    pub(super) by_actor: BTreeMap<ActorId, Life>,
    pub(super) calls: BTreeMap<CallId, Call>,
    pub(super) fenced: SetOnDrop,
    /// When the next tick is scheduled, boot clock.
    tick_boot_ms: Option<u64>,
    counted: Counted,
    _alive: TaskTrackerToken,
}

/// Counters already given to the metrics.
#[derive(Default)]
struct Counted {
    steps: u64,
    dead_letters: u64,
    resends: u64,
    /// Told to the root last.
    lag_inputs: u64,
}

impl ShardState {
    /// Tells the machine and performs what it answers.
    async fn notice(&mut self, myself: &ActorRef<ShardMsg>, notice: Notice) {
        let Some(machine) = &mut self.machine else { return };
        if self.context.is_dead() {
            return;
        }
        let mut actions = Vec::new();
        machine.step(self.context.now(), notice, &mut actions);
        self.perform(myself, actions).await;
        self.schedule_tick(myself);
    }

    async fn took_over(
        &mut self,
        myself: &ActorRef<ShardMsg>,
        result: Result<(Shard, Vec<Alarm>), TakeOverError>,
    ) {
        self.taking = None;
        let (machine, alarms) = match result {
            Ok(taken) => taken,
            Err(error) => return self.ended(myself, error),
        };
        self.counted.dead_letters = machine.status().dead_letters;
        let epoch = machine.status().epoch;
        self.publish_epoch(epoch);
        let machine = self.machine.insert(Box::new(machine));
        let mut actions: Vec<Action> = alarms.into_iter().map(Action::Alarm).collect();
        machine.start(self.context.now(), &mut actions);
        self.perform(myself, actions).await;
        self.schedule_tick(myself);
        self.tell_root(RootMsg::ShardServes { partition: self.partition, epoch });
        if self.release_wanted {
            self.notice(myself, Notice::Release).await;
        }
    }

    /// The shard is over: whatever it still holds goes with the actor.
    pub(super) fn ended(&mut self, myself: &ActorRef<ShardMsg>, error: TakeOverError) {
        self.fenced.0.set();
        self.machine = None;
        self.publish_epoch(0);
        self.tell_root(RootMsg::ShardEnded { partition: self.partition, error });
        myself.stop(None);
    }

    pub(super) fn tell_root(&self, message: RootMsg) {
        // Without its root the node is gone, and this shard with it.
        drop(self.root.cast(message));
    }

    /// Sees to it that the machine hears of time no later than it asked.
    fn schedule_tick(&mut self, myself: &ActorRef<ShardMsg>) {
        let Some(machine) = &self.machine else { return };
        let now = self.context.now();
        let wait_ms = machine.next_tick_ms(now);
        let boot_ms = now.boot_ms.saturating_add(wait_ms);
        if self.tick_boot_ms.is_some_and(|at| at <= boot_ms) {
            return;
        }
        self.tick_boot_ms = Some(boot_ms);
        let shard = myself.clone();
        self.context.spawn(TaskKind::Maintenance, "shard-tick", async move {
            sleep_ms(wait_ms).await;
            // A shard that is gone needs no tick.
            drop(shard.cast(ShardMsg::Tick { boot_ms }));
        });
    }

    async fn tick(&mut self, myself: &ActorRef<ShardMsg>, boot_ms: u64) {
        if self.tick_boot_ms == Some(boot_ms) {
            self.tick_boot_ms = None;
        }
        self.notice(myself, Notice::Tick).await;
        if let Some(machine) = &self.machine {
            let status = machine.status();
            self.publish_metrics(&status);
            let inputs = u64::try_from(status.in_flight).unwrap_or(u64::MAX);
            if inputs != self.counted.lag_inputs {
                self.counted.lag_inputs = inputs;
                self.tell_root(RootMsg::ShardLags { partition: self.partition, inputs });
            }
        }
    }

    fn publish_epoch(&self, epoch: u64) {
        let (partition, node) = (self.partition.to_string(), self.context.name.clone());
        let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
        gauge!(names::EPOCH, "partition" => partition, "node" => node).set(epoch);
    }

    fn publish_metrics(&mut self, status: &ShardStatus) {
        let partition = self.partition.to_string();
        let gauges = [
            (names::STAGED, status.staged),
            (names::IN_FLIGHT, status.in_flight),
            (names::LIVE_ENTITIES, status.live),
            (names::TIMERS, status.timers),
            (names::CHANNEL_UNCONFIRMED, status.unconfirmed),
        ];
        for (name, value) in gauges {
            let value = u32::try_from(value).map_or(f64::MAX, f64::from);
            gauge!(name, "partition" => partition.clone()).set(value);
        }
        let counted = &mut self.counted;
        let counters = [
            (names::STEPS_TOTAL, status.steps, &mut counted.steps),
            (names::DEAD_LETTERS_TOTAL, status.dead_letters, &mut counted.dead_letters),
            (names::CHANNEL_RESENDS_TOTAL, status.resends, &mut counted.resends),
        ];
        for (name, total, given) in counters {
            counter!(name).increment(total.saturating_sub(*given));
            *given = total;
        }
    }

    /// A child ended: an entity is the machine's business; without one of its own parts the shard
    /// cannot go on, and the root starts it anew from what is durable.
    async fn child_ended(&mut self, myself: &ActorRef<ShardMsg>, actor: ActorId, error: String) {
        let parts = [self.committer.get_id(), self.reader.get_id(), self.publisher.get_id()];
        if parts.contains(&actor) {
            self.fenced.0.set();
            self.machine = None;
            self.publish_epoch(0);
            return myself.stop(Some(format!("a part of the shard ended: {error}")));
        }
        let Some(life) = self.by_actor.remove(&actor) else { return };
        if let Some(live) = self.lives.remove(&life) {
            let notice = Notice::EntityGone { entity: live.entity, life, error };
            self.notice(myself, notice).await;
        }
    }
}

impl Actor for ShardActor {
    type Msg = ShardMsg;
    type State = ShardState;
    type Arguments = ShardArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ShardMsg>,
        arguments: ShardArguments,
    ) -> Result<ShardState, ActorProcessingErr> {
        let ShardArguments { context, partition, root } = arguments;
        let shard = myself.clone();
        let _alive = context.alive();
        let committer = CommitterState { context: Arc::clone(&context), partition, shard, _alive };
        let shard = myself.clone();
        let _alive = context.alive();
        let reader = ReaderState { context: Arc::clone(&context), partition, shard, _alive };
        let cell: ActorCell = myself.get_cell();
        let (committer, _) = Actor::spawn_linked(None, Committer, committer, cell.clone()).await?;
        let (reader, _) = Actor::spawn_linked(None, Reader, reader, cell.clone()).await?;
        let publisher = Arc::clone(&context);
        let (publisher, _) = Actor::spawn_linked(None, Publisher, publisher, cell).await?;
        let shard = myself.clone();
        let take_over = TakeOver::new(Arc::clone(&context), partition);
        let of_task = Arc::clone(&context);
        let taking = task::spawn_abort_on_drop(TaskKind::Maintenance, "take-over", async move {
            if let Some(result) = of_task.mortal(Box::pin(take_over.run())).await {
                // A shard that was stopped meanwhile needs no answer.
                drop(shard.cast(ShardMsg::TookOver(Box::new(result))));
            }
        });
        Ok(ShardState {
            _alive: context.alive(),
            context,
            partition,
            root,
            committer,
            reader,
            publisher,
            machine: None,
            taking: Some(taking),
            release_wanted: false,
            lives: BTreeMap::new(),
            by_actor: BTreeMap::new(),
            calls: BTreeMap::new(),
            fenced: SetOnDrop::default(),
            tick_boot_ms: None,
            counted: Counted::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMsg>,
        message: ShardMsg,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShardMsg::Notice(notice) => state.notice(&myself, notice).await,
            ShardMsg::Tick { boot_ms } => state.tick(&myself, boot_ms).await,
            ShardMsg::TookOver(result) => state.took_over(&myself, *result).await,
            ShardMsg::CallReturned { returned, settle } => {
                // Without a machine `settle` is dropped, and the result goes to the inbox.
                if let Some(call) = state.calls.get_mut(&returned.call) {
                    call.settle = Some(settle);
                    state.notice(&myself, Notice::CallResult(returned)).await;
                }
            }
            ShardMsg::ChildEnded { actor, error } => {
                state.child_ended(&myself, actor, error).await;
            }
            ShardMsg::Release => {
                state.release_wanted = true;
                state.notice(&myself, Notice::Release).await;
            }
            ShardMsg::Status(answer) => {
                if let Some(machine) = &state.machine {
                    // Who asked may have stopped waiting.
                    drop(answer.send(machine.status()));
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<ShardMsg>,
        event: SupervisionEvent,
        _state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, error) = match event {
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                (cell.get_id(), reason.unwrap_or_else(|| "terminated".to_owned()))
            }
            SupervisionEvent::ActorFailed(cell, error) => (cell.get_id(), error.to_string()),
            _ => return Ok(()),
        };
        // Supervision overtakes messages: what the child said before it ended must be heard first.
        drop(myself.cast(ShardMsg::ChildEnded { actor, error }));
        Ok(())
    }
}
