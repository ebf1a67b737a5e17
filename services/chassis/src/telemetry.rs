//! Logs and metrics of a process.
//!
//! **Logs** are events of `tracing`, one line each on standard error, lower case, without a full
//! stop, with fields for what varies, and never with personal data: no text, name, phone number or
//! wamid. ERROR means that a person must look; WARN that something was worked around; INFO is a
//! change in the process's life.
//!
//! **Metrics** are named `tandem_<crate>_<what>_<unit>`, in base units (seconds, bytes), counters
//! ending in `_total`. Labels are bounded sets fixed in code; a business's id is one, nothing of a
//! customer is. Each crate keeps its names as constants and describes them once in a
//! `describe_metrics()`, called by the binary after [`Metrics::install`], as [`describe_metrics`]
//! does here.

use std::fmt::Write;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::Clock;
use crate::config::{Log, LogFormat};
use crate::task::{PANICS_TOTAL, Shutdown, TaskHandle, TaskKind};

/// Buckets of every histogram ending in `_seconds`: from well inside a commit to beyond a hard
/// limit.
const SECONDS_BUCKETS: [f64; 16] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];
/// How often samples of histograms are folded into buckets, should nobody scrape.
const UPKEEP_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// Why telemetry did not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be parsed.
    #[error("log.filter: {0}; write directives such as `info` or `info,runtime=debug`")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something else in the process has set up logs before.
    #[error("the process already writes logs: {0}")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
    /// The exporter refused its buckets.
    #[error("the metrics exporter cannot be built: {0}")]
    Metrics(#[from] BuildError),
    /// Something else in the process has set up metrics before.
    #[error("the process already records metrics")]
    MetricsTaken,
}

/// Starts logging to standard error, and makes a panic one log line
/// ([`crate::task::install_panic_hook`]). Once per process.
///
/// # Errors
/// If the filter is not valid or logs were started before.
pub fn init_logs(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
        LogFormat::Text => lines.with_ansi(false).finish().try_init()?,
    }
    crate::task::install_panic_hook();
    Ok(())
}

/// The recorded metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    started_ms: u64,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Makes a recorder the one every `metrics::…!` call of the process goes to. Once per process.
    ///
    /// # Errors
    /// If another recorder is there.
    pub fn install(clock: &Clock) -> Result<Self, TelemetryError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsTaken)?;
        describe_metrics();
        Ok(Self { handle, started_ms: clock.wall_ms() })
    }

    /// Everything recorded, and the process's own values, in Prometheus's text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        process_values(&mut text, self.started_ms);
        text
    }

    /// Keeps memory bounded while nobody scrapes, until `shutdown` begins.
    pub fn spawn_upkeep(&self, shutdown: &Shutdown) -> TaskHandle<()> {
        let (handle, ending) = (self.handle.clone(), shutdown.clone());
        shutdown.spawn(TaskKind::Maintenance, "metrics upkeep", async move {
            while tokio::time::timeout(UPKEEP_EVERY, ending.begun()).await.is_err() {
                handle.run_upkeep();
            }
        })
    }
}

/// Describes the metrics of this crate.
pub fn describe_metrics() {
    metrics::describe_counter!(PANICS_TOTAL, "panics caught in tasks, by kind of task");
}

/// Appends the values every Prometheus client library gives, by their usual names.
fn process_values(text: &mut String, started_ms: u64) {
    let started = format!("{}.{:03}", started_ms / 1_000, started_ms % 1_000);
    let mut gauge = |name: &str, help: &str, value: &str| {
        let written = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    gauge("process_start_time_seconds", "when the process started, Unix time", &started);
    if let Some(bytes) = resident_bytes() {
        gauge("process_resident_memory_bytes", "memory in RAM", &bytes.to_string());
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the directory being read.
        let count = open.count().saturating_sub(1);
        gauge("process_open_fds", "open file descriptors", &count.to_string());
    }
}

/// Linux only: elsewhere the value is left out.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests;
