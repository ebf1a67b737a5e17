//! `tandem up`: gateway, router, desk and archive in one process on embedded storage.

mod core;
mod edges;
pub(crate) mod hold;
mod keeping;
pub(crate) mod operator;

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use chassis::{
    clock::Clock,
    config::Config,
    health::{AdminServer, Health},
    shutdown::begin_on_signals,
    task::Shutdown,
    telemetry,
};
use serde_json::json;

use self::{core::Core, edges::Edges};

/// How long a start may take: replay and the integrity check of a large directory.
const READY_WITHIN: Duration = Duration::from_secs(600);

/// Runs until a signal ends it in good order.
pub(crate) fn run(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    telemetry::init_logs(&config.log).context("cannot set up logs")?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(serve(&config))
}

async fn serve(config: &Config) -> anyhow::Result<ExitCode> {
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

    let started_ms = clock.wall_ms();
    let core = Core::start(config, &clock, &shutdown, &health).await?;
    let operator = core.operator(config, &clock, &health);
    let edges = Edges::start(config, &core, operator, &clock, &shutdown).await?;
    core.wait_until_ready(READY_WITHIN).await?;
    core.configure(config, started_ms).await?;
    started.ready();
    let address_file = config.data_dir.join(crate::operator::ADDRESS_FILE);
    std::fs::write(&address_file, edges.desk.to_string())
        .with_context(|| format!("cannot write {}", address_file.display()))?;
    let (gateway, desk) = (edges.gateway, edges.desk);
    crate::cli::say(
        &json!({"ready": true, "gateway": gateway, "desk": desk, "admin": admin_address})
            .to_string(),
    );
    tracing::info!(%gateway, %desk, admin = %admin_address, "ready");

    shutdown.begun().await;
    started.not_ready("stopping");
    tracing::info!("stopping");
    let drained = shutdown.drain(Duration::from_millis(config.limits.drain_ms)).await;
    if let Err(error) = drained {
        tracing::warn!(%error, "some tasks did not end in time");
    }
    core.stop(Duration::from_millis(config.limits.drain_ms)).await;
    match shutdown.failed_task() {
        None => Ok(ExitCode::SUCCESS),
        Some(task) => anyhow::bail!("the task {task} failed; the log says why"),
    }
}

fn describe_metrics() {
    archive::metrics::describe();
    desk::metrics::describe();
    gateway::metrics::describe();
    router::metrics::describe();
    runtime::metrics::describe();
}
