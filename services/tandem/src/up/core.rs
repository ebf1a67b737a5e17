//! What decides: storage, entities on the runtime, the executor of sends, and the read model.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use archive::{Archive, Projector};
use bus::{
    AppendError, Bus, InboxEntry, Input, PartitionId,
    sqlite::{Options, Store},
};
use bytes::Bytes;
use chassis::{clock::Clock, config::Config, health::Health, seal::Sealer, task::Shutdown};
use router::{
    Executors, RouterHost, bot::BotExecutor, configure, departures::Departures, door::Doors,
    send::SendExecutor,
};
use runtime::{Node, NodeOptions, Settings};
use tokio::sync::Semaphore;
use whatsapp::graph::{GraphClient, GraphConfig};

use super::{
    hold::{HeldExecutor, Hold},
    keeping::Keeping,
    operator::LocalOperator,
};

/// Inputs of the configuration in one entry; the largest, a workspace's, is well below a quarter of the limit.
const ENTRY_INPUTS: usize = 64;
/// What the read model may be behind under load, so that many decisions share a transaction: a twentieth of what a
/// query waits for it.
const READ_MODEL_PACE: Duration = Duration::from_millis(25);
/// Pause before an append of the configuration is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The running core.
pub(super) struct Core {
    store: Store,
    pub(super) bus: Bus,
    pub(super) sealer: Arc<Sealer>,
    pub(super) archive: Archive,
    pub(super) keeping: Keeping,
    hold: Hold,
    node: Node,
}

impl Core {
    pub(super) async fn start(
        config: &Config,
        clock: &Clock,
        shutdown: &Shutdown,
        health: &Health,
    ) -> anyhow::Result<Self> {
        let options = Options {
            partitions: config.partitions,
            min_free_bytes: config.limits.min_free_disk_bytes,
            ..Options::default()
        };
        let sealer = Arc::new(crate::keys::open(&config.data_dir)?);
        let dir = config.data_dir.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&dir, options))
            .await
            .context("opening the store was aborted")??;
        let bus = store.bus();
        let host = RouterHost::new(config, Arc::clone(&sealer))?;
        host.watch_flows(shutdown);
        let doors = Doors::open(config, &sealer, &bus, clock, shutdown);
        let graph = GraphClient::new(&GraphConfig {
            base_url: config.graph.base_url.clone(),
            version: config.graph.version.clone(),
            ..GraphConfig::default()
        })?;
        let departures = Departures::start(&bus, clock, shutdown);
        let bot = BotExecutor::new(config, Arc::clone(&sealer), clock.clone())?;
        let send =
            SendExecutor::new(config, graph, doors, departures, Arc::clone(&sealer), clock.clone());
        let executor = Executors { send, bot };
        let hold = Hold::open(&config.data_dir, health);
        let executor = Arc::new(HeldExecutor::new(executor, hold.clone()));
        let node = Node::start(NodeOptions {
            clock: clock.clone(),
            settings: settings(config),
            ..NodeOptions::new(bus.clone(), Arc::new(host), executor, config.node.clone())
        })
        .await?;
        let repository = crate::read_model::open(config, &sealer, READ_MODEL_PACE)?;
        let keeping =
            Keeping::start(config, &bus, Arc::clone(&repository), clock, shutdown, health)?;
        let mut projector = Projector::new(bus.clone(), repository, clock.clone());
        if let Some(segments) = keeping.segments() {
            projector = projector.with_segments(segments);
        }
        projector.start(shutdown, health);
        let wait = Duration::from_millis(config.limits.read_wait_ms);
        let archive = projector.archive(Sealer::clone(&sealer)).with_wait(wait);
        Ok(Self { store, bus, sealer, archive, keeping, hold, node })
    }

    /// The operator's end of this process.
    pub(super) fn operator(
        &self,
        config: &Config,
        clock: &Clock,
        health: &Health,
    ) -> LocalOperator {
        LocalOperator {
            store: self.store.clone(),
            bus: self.bus.clone(),
            archive: self.archive.clone(),
            sealer: Arc::clone(&self.sealer),
            clock: clock.clone(),
            config: config.clone(),
            health: health.clone(),
            segments: self.keeping.segments(),
            trimmer: self.keeping.trimmer.clone(),
            node: Some(self.node.watch()),
            hold: self.hold.clone(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits until every partition is served.
    pub(super) async fn wait_until_ready(&self, bound: Duration) -> anyhow::Result<()> {
        let mut readiness = self.node.readiness();
        tokio::time::timeout(bound, readiness.wait_for(runtime::Readiness::is_ready))
            .await
            .context("the partitions were not served in time")?
            .context("the node ended while starting")?;
        Ok(())
    }

    /// Tells every workspace and number what it is configured as, and that connections of agents from before
    /// `started_ms` are gone.
    pub(super) async fn configure(&self, config: &Config, started_ms: u64) -> anyhow::Result<()> {
        let mut by_partition: BTreeMap<PartitionId, Vec<Input>> = BTreeMap::new();
        for input in configure::inputs(config, &self.sealer, started_ms)? {
            let partition = input.target.partition(self.bus.partitions);
            by_partition.entry(partition).or_default().push(input);
        }
        for (partition, inputs) in by_partition {
            for inputs in inputs.chunks(ENTRY_INPUTS) {
                let entry = InboxEntry::new(inputs.to_vec()).encode()?;
                self.append_configuration(partition, entry).await?;
            }
        }
        Ok(())
    }

    async fn append_configuration(
        &self,
        partition: PartitionId,
        entry: Bytes,
    ) -> anyhow::Result<()> {
        loop {
            match self.bus.inbox.append(partition, entry.clone()).await {
                Ok(_) => return Ok(()),
                // A full disk is no reason not to start: what was accepted is served meanwhile, and an unchanged
                // configuration is known already.
                Err(AppendError::Full(why)) => {
                    tracing::warn!(why, "the configuration could not be stored");
                    return Ok(());
                }
                Err(AppendError::Unknown(why)) => {
                    tracing::warn!(why, "the configuration is stored again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn stop(self, bound: Duration) {
        if let Err(error) = self.node.stop(bound).await {
            tracing::warn!(%error, "the node did not stop in good order");
        }
        let store = self.store;
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::warn!("closing the store was aborted");
        }
    }
}

fn settings(config: &Config) -> Settings {
    let limits = &config.limits;
    let mut settings = Settings { fenced_wait_ms: limits.fenced_pause_ms, ..Settings::default() };
    settings.shard.start_by_ms = limits.start_by_ms;
    settings.shard.hard_limit_ms = limits.call_hard_limit_ms;
    settings.shard.checkpoint_interval_ms = limits.checkpoint_interval_ms;
    settings.shard.idle_ms = limits.passivate_after_ms;
    settings
}
