//! What decides: the entities on the runtime, the doors, and the executors of sends and of bots' turns.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use chassis::{
    config::Config,
    health::Component,
    task::{Shutdown, TaskKind},
};
use router::{
    Executors, RouterHost, bot::BotExecutor, configure, departures::Departures, desks, door::Doors,
    send::SendExecutor,
};
use runtime::{Node, NodeOptions, NodeWatch, Readiness, Settings};
use tokio::sync::watch;
use whatsapp::graph::{GraphClient, GraphConfig};

use super::{
    Setting, Storage,
    hold::{HeldExecutor, Hold},
};

/// The running node and what it needs.
pub(super) struct Engine {
    node: Node,
    pub(super) hold: Hold,
}

impl Engine {
    pub(super) async fn start(setting: &Setting<'_>, storage: &Storage) -> anyhow::Result<Self> {
        let Setting { config, clock, shutdown, health, .. } = setting;
        let (bus, sealer) = (&storage.bus, &storage.sealer);
        let host = RouterHost::new(config, Arc::clone(sealer))?;
        host.watch_flows(shutdown);
        let doors = Doors::open(config, sealer, bus, clock, shutdown);
        let graph = GraphClient::new(&GraphConfig {
            base_url: config.graph.base_url.clone(),
            version: config.graph.version.clone(),
            ..GraphConfig::default()
        })?;
        let departures = Departures::start(bus, clock, shutdown);
        let bot = BotExecutor::new(config, Arc::clone(sealer), clock.clone())?;
        let send =
            SendExecutor::new(config, graph, doors, departures, Arc::clone(sealer), clock.clone());
        let hold = Hold::of(setting, storage);
        let executor = Arc::new(HeldExecutor::new(Executors { send, bot }, hold.clone()));
        let node = Node::start(NodeOptions {
            clock: clock.clone(),
            settings: settings(config),
            ..NodeOptions::new(bus.clone(), Arc::new(host), executor, config.node.clone())
        })
        .await?;
        tell_readiness(node.readiness(), health.component("router"), shutdown);
        let lease = Duration::from_millis(config.bus.lease_ms);
        desks::watch(config, sealer, bus, clock, lease, shutdown);
        Ok(Self { node, hold })
    }

    pub(super) fn watch(&self) -> NodeWatch {
        self.node.watch()
    }

    /// Waits until every partition that this node owns is served.
    pub(super) async fn wait_until_ready(&self, bound: Duration) -> anyhow::Result<()> {
        let mut readiness = self.node.readiness();
        tokio::time::timeout(bound, readiness.wait_for(runtime::Readiness::is_ready))
            .await
            .context("the partitions were not served in time")?
            .context("the node ended while starting")?;
        Ok(())
    }

    /// Tells every workspace and number what it is configured as; and, where this process alone holds agents'
    /// connections, that those from before `started_ms` are gone.
    pub(super) async fn configure(
        &self,
        setting: &Setting<'_>,
        storage: &Storage,
        started_ms: u64,
    ) -> anyhow::Result<()> {
        let (config, sealer) = (setting.config, &storage.sealer);
        let mut inputs = configure::inputs(config, sealer, started_ms)?;
        if storage.store.is_some() {
            inputs.extend(configure::desk_restarted(config, sealer, started_ms)?);
        }
        configure::append(&storage.bus, inputs).await?;
        Ok(())
    }

    pub(super) async fn stop(self, bound: Duration) {
        if let Err(error) = self.node.stop(bound).await {
            tracing::warn!(%error, "the node did not stop in good order");
        }
    }
}

/// Keeps `/readyz` at what the node says of itself.
fn tell_readiness(
    mut readiness: watch::Receiver<Readiness>,
    component: Component,
    shutdown: &Shutdown,
) {
    let ending = shutdown.clone();
    let following = async move {
        loop {
            match unready(*readiness.borrow_and_update()) {
                None => component.ready(),
                Some(why) => component.not_ready(why),
            }
            tokio::select! {
                changed = readiness.changed() => if changed.is_err() { return },
                () = ending.begun() => return,
            }
        }
    };
    shutdown.spawn(TaskKind::Follower, "router readiness", following).detach();
}

/// Why nothing should be expected of this node. That it is taking a partition just now, as at every move, is no reason.
fn unready(readiness: Readiness) -> Option<String> {
    let Readiness { placed, in_touch, cannot_serve, .. } = readiness;
    match (in_touch, placed, cannot_serve) {
        (false, true, _) => {
            Some("the bus does not answer; what is decided waits until it does".to_owned())
        }
        (_, false, _) => Some("it has not yet seen who serves what".to_owned()),
        (true, true, 0) => None,
        (true, true, n) => Some(format!("{n} partitions cannot be served here; the log says why")),
    }
}

fn settings(config: &Config) -> Settings {
    let limits = &config.limits;
    let mut settings = Settings {
        fenced_wait_ms: limits.fenced_pause_ms,
        renew_ms: config.bus.renew_ms,
        lease_ms: config.bus.lease_ms,
        ..Settings::default()
    };
    settings.shard.start_by_ms = limits.start_by_ms;
    settings.shard.hard_limit_ms = limits.call_hard_limit_ms;
    settings.shard.checkpoint_interval_ms = limits.checkpoint_interval_ms;
    settings.shard.idle_ms = limits.passivate_after_ms;
    settings.shard.format_known = crate::format::known(config);
    settings
}
