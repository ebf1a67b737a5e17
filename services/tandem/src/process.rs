//! `tandem up`, `gateway`, `router`, `desk`, `archive`: a process of the product, put together from its parts.
//!
//! On embedded storage one process runs everything; on NATS JetStream any number of each role share an installation.

mod edges;
mod engine;
pub(crate) mod hold;
mod keeping;
pub(crate) mod operator;
mod reading;
mod role;
mod storage;
mod turns;

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use chassis::{
    clock::Clock,
    config::Config,
    health::{AdminServer, Component, Health},
    shutdown::begin_on_signals,
    task::Shutdown,
    telemetry,
};
use serde_json::json;

pub(crate) use self::role::Role;
use self::{edges::Edges, engine::Engine, reading::Reading, storage::Storage};

/// How long a start may take: replay and the integrity check of a large directory.
const READY_WITHIN: Duration = Duration::from_secs(600);

/// Runs until a signal ends it in good order.
pub(crate) fn run(role: Role, path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    telemetry::init_logs(&config.log).context("cannot set up logs")?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(serve(role, &config))
}

/// What every part of a process is given.
struct Setting<'a> {
    role: Role,
    config: &'a Config,
    clock: Clock,
    shutdown: Shutdown,
    health: Health,
}

async fn serve(role: Role, config: &Config) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let metrics = telemetry::Metrics::install(&clock).context("cannot set up metrics")?;
    describe_metrics();
    let shutdown = Shutdown::new();
    shutdown.install_for_process();
    let _signals = begin_on_signals(&shutdown).context("cannot listen for signals")?;
    metrics.spawn_upkeep(&shutdown).detach();
    let health = Health::new();
    let started = health.component("start");
    started.not_ready("starting");
    let admin = AdminServer::bind(&config.admin).await?;
    let admin_address = admin.address();
    let _admin = admin.serve(health.clone(), shutdown.clone(), move || metrics.render());

    let setting = Setting { role, config, clock, shutdown: shutdown.clone(), health };
    let parts = Parts::start(&setting).await?;
    started.ready();
    let Edges { gateway, desk } = parts.edges;
    if let Some(desk) = desk {
        let address_file = config.data_dir.join(crate::operator::ADDRESS_FILE);
        std::fs::write(&address_file, desk.to_string())
            .with_context(|| format!("cannot write {}", address_file.display()))?;
    }
    let role = role.name();
    crate::cli::say(
        &json!({"ready": true, "role": role, "gateway": gateway, "desk": desk, "admin": admin_address})
            .to_string(),
    );
    tracing::info!(role, ?gateway, ?desk, admin = %admin_address, "ready");

    shutdown.begun().await;
    parts.stop(&setting, &started).await;
    match shutdown.failed_task() {
        None => Ok(ExitCode::SUCCESS),
        Some(task) => anyhow::bail!("the task {task} failed; the log says why"),
    }
}

/// What the process runs.
struct Parts {
    storage: Storage,
    engine: Option<Engine>,
    _reading: Option<Reading>,
    edges: Edges,
}

impl Parts {
    async fn start(setting: &Setting<'_>) -> anyhow::Result<Self> {
        let started_ms = setting.clock.wall_ms();
        let storage = Storage::open(setting).await?;
        crate::format::admit(setting.config, &storage.bus, setting.role.decides()).await?;
        let engine = match setting.role.decides() {
            true => Some(Engine::start(setting, &storage).await?),
            false => None,
        };
        let reading = match setting.role.reads() {
            true => Some(Reading::start(setting, &storage).await?),
            false => None,
        };
        if setting.role.archives() {
            turns::start(setting, &storage)?;
        }
        let edges = Edges::start(setting, &storage, engine.as_ref(), reading.as_ref()).await?;
        if let Some(engine) = &engine {
            engine.wait_until_ready(READY_WITHIN).await?;
            engine.configure(setting, &storage, started_ms).await?;
        }
        Ok(Self { storage, engine, _reading: reading, edges })
    }

    async fn stop(self, setting: &Setting<'_>, started: &Component) {
        started.not_ready("stopping");
        tracing::info!("stopping");
        let bound = Duration::from_millis(setting.config.limits.drain_ms);
        if let Err(error) = setting.shutdown.drain(bound).await {
            tracing::warn!(%error, "some tasks did not end in time");
        }
        if let Some(engine) = self.engine {
            engine.stop(bound).await;
        }
        self.storage.close().await;
    }
}

fn describe_metrics() {
    archive::metrics::describe();
    desk::metrics::describe();
    gateway::metrics::describe();
    router::metrics::describe();
    runtime::metrics::describe();
}
