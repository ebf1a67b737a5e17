//! A node: the shards one process owns, under one root supervisor.

mod format;
pub(crate) mod info;
mod neighbours;
mod owners;
mod placement;
mod plan;
pub(crate) mod root;
mod survey;
mod word;

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, BusError, PartitionId};
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use ractor::{Actor, ActorRef, SpawnErr};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Placement, Random, Settings,
    host::{Executor, Host},
    shard::ShardStatus,
    shell::{context::Context, takeover::TakeOverError},
};
pub use owners::{Owners, PartitionOwner};
use placement::Event;
use root::{Root, RootMsg};
pub use survey::{NodeView, ProcessView, Survey, survey};
pub use word::{drain_node, move_partition, raise_format_level};

/// How long a shard may take to say how it stands.
const STATUS_WITHIN: Duration = Duration::from_secs(2);

/// How long a killed node may take to let its bus go.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What a node is made of.
#[derive(Clone)]
pub struct NodeOptions {
    /// The bus of the installation.
    pub bus: Bus,
    /// Makes the entities.
    pub host: Arc<dyn Host>,
    /// Carries out their calls.
    pub executor: Arc<dyn Executor>,
    /// Time.
    pub clock: Clock,
    /// Incarnations and jitter.
    pub random: Random,
    /// Name of the node, unique among live nodes; the same after a restart.
    pub name: String,
    /// Settings.
    pub settings: Settings,
}

impl NodeOptions {
    /// Options with the system's clock and randomness, and default settings.
    pub fn new(
        bus: Bus,
        host: Arc<dyn Host>,
        executor: Arc<dyn Executor>,
        name: impl Into<String>,
    ) -> Self {
        let (clock, random) = (Clock::system(), Random::system());
        let (name, settings) = (name.into(), Settings::default());
        Self { bus, host, executor, clock, random, name, settings }
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a node did not start or could not be told something.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its root actor did not start.
    #[error("the node did not start")]
    Spawn(#[from] SpawnErr),
    /// Its lease could not be written.
    #[error("the lease could not be written")]
    Lease(#[source] BusError),
    /// The leases could not be read.
    #[error("the leases could not be read")]
    ReadLeases(#[source] BusError),
    /// The signal could not be published.
    #[error("the nodes could not be told")]
    Signal(#[source] BusError),
    /// What it says of itself has no encoded form.
    #[error("the lease or the signal could not be encoded")]
    Encode(#[from] bus::CodecError),
    /// The installation has no such partition.
    #[error("there is no partition {0}")]
    NoSuchPartition(PartitionId),
    /// It has stopped.
    #[error("the node has stopped")]
    Stopped,
    /// The partition could not be taken.
    #[error("the partition could not be taken")]
    TakeOver(#[from] TakeOverError),
    /// The time given was over.
    #[error("the time given was over")]
    Deadline,
}

/// How a partition of a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionStatus {
    /// Being taken over.
    Taking,
    /// Served.
    Serving(Box<ShardStatus>),
}

/// A running node. Dropping it does not stop it.
pub struct Node {
    context: Arc<Context>,
    root: ActorRef<RootMsg>,
    readiness: watch::Receiver<Readiness>,
    owners: watch::Receiver<Owners>,
    events: mpsc::Sender<Event>,
}

/// How many partitions a node owns and serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether placement has looked at least once (never with [`crate::Placement::Manual`]).
    pub placed: bool,
    /// Whether the bus answers: false once the leases could not be renewed and read for a lease period.
    pub in_touch: bool,
    /// Partitions owned or being taken.
    pub owned: usize,
    /// Partitions served.
    pub serving: usize,
    /// Partitions this node found it cannot serve.
    pub cannot_serve: usize,
}

impl Readiness {
    /// The bus answers, and everything it owns is served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.placed && self.in_touch && self.owned == self.serving && self.cannot_serve == 0
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.context.name).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node: writes its lease, then takes partitions as its placement says.
    ///
    /// # Errors
    /// When its root actor does not start.
    pub async fn start(options: NodeOptions) -> Result<Self, NodeError> {
        let context = Context::new(options);
        let (ready, readiness) = watch::channel(Readiness::default());
        let (events, heard) = mpsc::channel(placement::EVENTS_MAX);
        let (tell_owners, owners) = watch::channel(Owners::new());
        let changed = events.clone();
        let arguments = root::RootArguments { context: Arc::clone(&context), ready, changed };
        let (root, ended) = Actor::spawn(None, Root, arguments).await?;
        let ending = context.ending.clone();
        let watched = async move {
            drop(ended.await);
            if ending.is_cancelled() {
                Ok(())
            } else {
                Err("the root supervisor of the node ended")
            }
        };
        task::spawn_fallible(TaskKind::Core, "node-root", watched).detach();
        let of_follower = (events.clone(), heard);
        let follower =
            placement::Follower::new(Arc::clone(&context), root.clone(), of_follower, tell_owners);
        context.spawn(TaskKind::Follower, "lease", follower.run());
        Ok(Self { context, root, readiness, owners, events })
    }

    /// Takes a partition, whoever owns it, and waits until it is served or the attempt failed.
    ///
    /// # Errors
    /// When it could not be taken, or the node has stopped.
    pub async fn take(&self, partition: PartitionId) -> Result<(), NodeError> {
        if partition.0 >= self.context.bus.partitions {
            return Err(NodeError::NoSuchPartition(partition));
        }
        let (answer, answered) = oneshot::channel();
        self.tell(RootMsg::Take { partition, answer })?;
        Ok(answered.await.map_err(|_| NodeError::Stopped)??)
    }

    /// Lets a partition go in good order and waits until it is gone. A partition it does not own is gone.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn release(&self, partition: PartitionId) -> Result<(), NodeError> {
        let (answer, answered) = oneshot::channel();
        self.tell(RootMsg::Release { partition, answer })?;
        answered.await.map_err(|_| NodeError::Stopped)
    }

    /// How the partitions of this node stand.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn status(&self) -> Result<Vec<(PartitionId, PartitionStatus)>, NodeError> {
        self.watch().status().await
    }

    /// A handle that only asks, for whoever outlives the owner of the node.
    #[must_use]
    pub fn watch(&self) -> NodeWatch {
        NodeWatch { root: self.root.clone() }
    }

    /// How many partitions are owned and served; follow it with [`watch::Receiver::wait_for`].
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Who owns what in the whole installation, as this node sees it; at most one renewal old while the node is in touch.
    #[must_use]
    pub fn owners(&self) -> watch::Receiver<Owners> {
        self.owners.clone()
    }

    /// Hands every partition over to other nodes, a few at a time, and takes none any more; ends when all are served
    /// elsewhere, or there is nobody to serve them. The node goes on living, to be stopped.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn drain(&self) -> Result<(), NodeError> {
        if self.context.settings.placement == Placement::Manual {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.events.send(Event::Drain(answer)).await.map_err(|_| NodeError::Stopped)?;
        answered.await.map_err(|_| NodeError::Stopped)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// Drains within half of the time given, lets every partition go in good order that is left, gives the lease up, and ends. What is not done by the
    /// deadline is cut off, as a crash would: the next owner recovers it.
    ///
    /// # Errors
    /// [`NodeError::Deadline`] when it had to cut something off.
    pub async fn stop(self, within: Duration) -> Result<(), NodeError> {
        let stopped = tokio::time::timeout(within, self.stop_in_order(within / 2)).await;
        self.kill();
        // Everything was told to end; what holds the bus lets it go at its next await.
        drop(tokio::time::timeout(GONE_WITHIN, self.context.gone()).await);
        stopped.map_err(|_| NodeError::Deadline)?
    }

    async fn stop_in_order(&self, drain_within: Duration) -> Result<(), NodeError> {
        if tokio::time::timeout(drain_within, self.drain()).await.is_err() {
            tracing::warn!("not every partition was handed over; the others take what is left");
        }
        self.context.ending.cancel();
        let (answer, answered) = oneshot::channel();
        self.tell(RootMsg::Stop(answer))?;
        answered.await.map_err(|_| NodeError::Stopped)?;
        if let Err(error) = self.context.bus.leases.release(&self.context.name).await {
            tracing::warn!(%error, "lease not given up; it ends by itself");
        }
        self.context.calls_ended().await;
        Ok(())
    }

    /// Ends at once, as a crash would: nothing more is decided, appended, saved or called.
    pub fn kill(&self) {
        self.context.ending.cancel();
        self.context.dead.cancel();
        self.root.kill();
    }

    fn tell(&self, message: RootMsg) -> Result<(), NodeError> {
        self.root.cast(message).map_err(|_| NodeError::Stopped)
    }
}

/// Asks a node how it stands. It does not keep the node alive.
#[derive(Clone)]
pub struct NodeWatch {
    root: ActorRef<RootMsg>,
}

impl fmt::Debug for NodeWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeWatch")
    }
}

impl NodeWatch {
    /// How the partitions of this node stand.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn status(&self) -> Result<Vec<(PartitionId, PartitionStatus)>, NodeError> {
        let (answer, answered) = oneshot::channel();
        self.root.cast(RootMsg::Shards(answer)).map_err(|_| NodeError::Stopped)?;
        let shards = answered.await.map_err(|_| NodeError::Stopped)?;
        let mut statuses = Vec::new();
        for (partition, shard) in shards {
            let (answer, answered) = oneshot::channel();
            // A shard that is gone or busy replaying does not answer.
            drop(shard.cast(crate::shell::shard_actor::ShardMsg::Status(answer)));
            let status = match tokio::time::timeout(STATUS_WITHIN, answered).await {
                Ok(Ok(status)) => PartitionStatus::Serving(Box::new(status)),
                _ => PartitionStatus::Taking,
            };
            statuses.push((partition, status));
        }
        Ok(statuses)
    }
}
