//! What the view shows: facts only, so that a frame is a function of it.

use std::collections::VecDeque;

/// Log lines kept; a tall terminal shows about forty.
const LOG_LINES: usize = 64;

/// Everything on the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LiveView {
    /// Since the customers began.
    pub(crate) elapsed_ms: u64,
    /// Until the run ends by itself, if it does.
    pub(crate) left_ms: Option<u64>,
    pub(super) product: ProductState,
    pub(super) world: WorldState,
    pub(super) flow: Vec<Flow>,
    pub(super) queues: Vec<QueueLine>,
    pub(super) numbers: Vec<NumberLine>,
    pub(super) latencies: Vec<LatencyLine>,
    pub(super) partitions: Vec<PartitionLine>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) log: VecDeque<LogLine>,
}

/// The product's process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProductState {
    /// While it runs.
    pub(super) pid: Option<u32>,
    /// How often it was killed and started again.
    pub(super) restarts: u32,
    /// Its `/metrics` answered the last time.
    pub(super) answers: bool,
}

/// What the world is told to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct WorldState {
    pub(super) talking: bool,
    /// Factor of a storm and what is left of it, ms.
    pub(super) storm: Option<(f64, u64)>,
    pub(super) graph_fails: bool,
    pub(super) phones_silent: bool,
}

/// A counter with its pace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) label: &'static str,
    pub(super) total: u64,
    /// Between the last two samples.
    pub(super) per_second: f64,
}

/// A queue of a business.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct QueueLine {
    pub(super) business: String,
    pub(super) queue: String,
    pub(super) waiting: u64,
    pub(super) offered: u64,
    pub(super) assigned: u64,
    /// Age of the longest waiting customer who is not with an agent.
    pub(super) oldest_ms: Option<u64>,
}

/// A number against its limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NumberLine {
    pub(super) phone_number_id: String,
    pub(super) mode: String,
    pub(super) limit: u64,
    /// Calls seen by the simulator in the second before the sample.
    pub(super) last_second: u64,
    /// Most calls of any second.
    pub(super) peak: u64,
    /// Departures by the product's own count, since it started.
    pub(super) departed: u64,
}

/// A latency, over the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LatencyLine {
    pub(super) label: &'static str,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

/// A partition that the product owns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PartitionLine {
    pub(super) partition: u64,
    pub(super) owner: String,
    pub(super) epoch: u64,
    /// Inputs read and not durable yet.
    pub(super) in_flight: u64,
    /// Age of the newest decision when the read model took it.
    pub(super) lag_ms: u64,
}

/// A count of the judge.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) label: &'static str,
    pub(super) count: u64,
    /// Whether anything but 0 fails the run.
    pub(super) grave: bool,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    #[default]
    Info,
    Warn,
    Error,
}

/// A line of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LogLine {
    pub(super) at_ms: u64,
    pub(super) level: Level,
    pub(super) text: String,
}

impl LiveView {
    /// Adds a log line at the time shown; the oldest goes.
    pub(crate) fn note(&mut self, level: Level, text: &str) {
        if self.log.len() == LOG_LINES {
            self.log.pop_front();
        }
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.log.push_back(LogLine { at_ms: self.elapsed_ms, level, text });
    }

    /// The product runs as this process, or not at all.
    pub(crate) fn product_runs(&mut self, pid: Option<u32>) {
        self.product.pid = pid;
        self.product.answers &= pid.is_some();
    }
}
