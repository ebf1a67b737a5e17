//! Asks the product's `/metrics` and the simulator's control endpoint, and puts what they answer into the view.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::Context as _;
use chassis::clock::Clock;
use serde_json::Value;

use super::{
    prometheus::{Scrape, Series},
    state::{
        Flow, LatencyLine, LiveView, NumberLine, PartitionLine, QueueLine, Verdict, WorldState,
    },
};
use crate::stage::Control;

/// A product that does not answer in this time is shown as not answering.
const SCRAPE_WITHIN: Duration = Duration::from_millis(800);

/// Key of the simulator's report and how the view calls it.
const FLOWS: [(&str, &str); 8] = [
    ("inbound", "messages in"),
    ("acked", "acknowledged"),
    ("bot_answered", "triaged by the bot"),
    ("offers", "offered to agents"),
    ("accepted", "accepted"),
    ("desk_replies", "answered by desk"),
    ("phone_echoes", "answered by phone"),
    ("delivered", "delivered"),
];
const VERDICTS: [(&str, bool); 4] =
    [("lost", true), ("duplicated", true), ("violations", true), ("repeated_unknown", false)];
const LATENCIES: [(&str, &str, &str); 2] = [
    ("webhook answer", "webhook_ms_p50", "webhook_ms_p99"),
    ("message to offer", "offer_ms_p50", "offer_ms_p99"),
];

/// Both sides' answers of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    at_ms: u64,
    wall_ms: u64,
    pub(crate) report: Value,
    metrics: Option<Scrape>,
}

impl Sample {
    /// As if both had answered this.
    #[cfg(test)]
    pub(super) fn of(at_ms: u64, wall_ms: u64, report: Value, metrics: Option<&str>) -> Self {
        Self { at_ms, wall_ms, report, metrics: metrics.map(Scrape::parse) }
    }

    /// Share of the Graph calls that end in a server error.
    pub(super) fn http_5xx(&self) -> f64 {
        self.report.pointer("/world/http_5xx").and_then(Value::as_f64).unwrap_or(0.0)
    }
}

/// Takes samples.
#[derive(Clone, Debug)]
pub(crate) struct Sampler {
    clock: Clock,
    control: Control,
    http: reqwest::Client,
}

impl Sampler {
    /// Of this simulator.
    pub(crate) fn new(clock: &Clock, control: &Control) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(SCRAPE_WITHIN).build();
        let http = http.context("no HTTP client")?;
        Ok(Self { clock: clock.clone(), control: control.clone(), http })
    }

    /// Asks both; `admin` is where the product's metrics are, if it runs.
    pub(crate) async fn take(&self, admin: Option<SocketAddr>) -> anyhow::Result<Sample> {
        let report = self.control.report().await?;
        let metrics = match admin {
            // A product that is down or slow is a fact to show, no failure of the view.
            Some(admin) => self.scrape(admin).await.ok(),
            None => None,
        };
        let (at_ms, wall_ms) = (self.clock.boot_ms(), self.clock.wall_ms());
        Ok(Sample { at_ms, wall_ms, report, metrics })
    }

    async fn scrape(&self, admin: SocketAddr) -> anyhow::Result<Scrape> {
        let answer = self.http.get(format!("http://{admin}/metrics")).send().await?;
        Ok(Scrape::parse(&answer.error_for_status()?.text().await?))
    }
}

impl LiveView {
    /// Shows a sample; `before` gives the paces.
    pub(crate) fn show(&mut self, sample: &Sample, before: Option<&Sample>) {
        let report = &sample.report;
        self.world = world(report);
        self.flow = FLOWS.iter().map(|(key, label)| flow(key, label, sample, before)).collect();
        self.verdicts = VERDICTS
            .iter()
            .map(|(label, grave)| Verdict { label, count: count(report, label), grave: *grave })
            .collect();
        let ms = |key: &str| report.get(key).and_then(Value::as_f64);
        self.latencies = LATENCIES
            .iter()
            .map(|(label, p50, p99)| LatencyLine { label, p50_ms: ms(p50), p99_ms: ms(p99) })
            .collect();
        let none = Scrape::default();
        let metrics = sample.metrics.as_ref().unwrap_or(&none);
        self.product.answers = sample.metrics.is_some();
        self.queues = queues(metrics, sample.wall_ms);
        self.numbers = numbers(report, metrics);
        self.partitions = partitions(metrics);
    }
}

fn world(report: &Value) -> WorldState {
    let world = report.get("world").cloned().unwrap_or_default();
    let is = |key: &str| world.get(key).and_then(Value::as_bool) == Some(true);
    let factor = world.get("storm_factor").and_then(Value::as_f64);
    WorldState {
        talking: is("talking"),
        storm: factor.map(|factor| (factor, count(&world, "storm_left_ms"))),
        graph_fails: world
            .get("http_5xx")
            .and_then(Value::as_f64)
            .is_some_and(|share| share >= 1.0),
        phones_silent: is("phones_silent"),
    }
}

fn flow(key: &str, label: &'static str, sample: &Sample, before: Option<&Sample>) -> Flow {
    let total = count(&sample.report, key);
    let per_second = before.map_or(0.0, |before| {
        let span_s = Duration::from_millis(sample.at_ms.saturating_sub(before.at_ms)).as_secs_f64();
        let more = total.saturating_sub(count(&before.report, key));
        if span_s > 0.0 { number(more) / span_s } else { 0.0 }
    });
    Flow { label, total, per_second }
}

fn queues(metrics: &Scrape, wall_ms: u64) -> Vec<QueueLine> {
    let key =
        |series: &Series| (series.label("business").to_owned(), series.label("queue").to_owned());
    let mut queues: BTreeMap<(String, String), QueueLine> = BTreeMap::new();
    for series in metrics.all(router::metrics::ITEMS) {
        let queue = queues.entry(key(series)).or_default();
        match series.label("place") {
            "waiting" => queue.waiting = whole(series.value),
            "offered" => queue.offered = whole(series.value),
            "assigned" => queue.assigned = whole(series.value),
            _ => {}
        }
    }
    for series in metrics.all(router::metrics::WAITING_SINCE_SECONDS) {
        let since_ms = whole(series.value * 1000.0);
        queues.entry(key(series)).or_default().oldest_ms =
            (since_ms > 0).then(|| wall_ms.saturating_sub(since_ms));
    }
    let named = queues.into_iter();
    named.map(|((business, queue), line)| QueueLine { business, queue, ..line }).collect()
}

fn numbers(report: &Value, metrics: &Scrape) -> Vec<NumberLine> {
    let lines = report.get("numbers").and_then(Value::as_array).cloned().unwrap_or_default();
    let lines = lines.iter().map(|line| {
        let text = |key: &str| {
            line.get(key).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let phone_number_id = text("phone_number_id");
        let departed = metrics
            .all(router::metrics::DEPARTURES_TOTAL)
            .iter()
            .find(|series| series.label("number") == phone_number_id)
            .map_or(0, |series| whole(series.value));
        NumberLine {
            mode: text("mode"),
            limit: count(line, "rate_per_s"),
            last_second: count(line, "last_second"),
            peak: count(line, "peak"),
            departed,
            phone_number_id,
        }
    });
    lines.collect()
}

fn partitions(metrics: &Scrape) -> Vec<PartitionLine> {
    let of = |name: &str, partition: &str| {
        let series = metrics.all(name).iter().find(|series| series.label("partition") == partition);
        series.map_or(0, |series| whole(series.value))
    };
    let epochs = metrics.all(runtime::metrics::EPOCH).iter();
    let mut lines: Vec<PartitionLine> = epochs
        .filter(|series| series.value > 0.0)
        .map(|series| {
            let partition = series.label("partition");
            PartitionLine {
                partition: partition
                    .trim_start_matches(|c: char| !c.is_ascii_digit())
                    .parse()
                    .unwrap_or(0),
                owner: series.label("node").to_owned(),
                epoch: whole(series.value),
                in_flight: of(runtime::metrics::IN_FLIGHT, partition),
                lag_ms: of(archive::metrics::LAG_MS, partition),
            }
        })
        .collect();
    lines.sort_by_key(|line| line.partition);
    lines
}

fn count(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// A count as a number to divide.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// A gauge that counts, or a time in ms, as a whole number.
fn whole(value: f64) -> u64 {
    let bounded = value.clamp(0.0, 9.0e15);
    Duration::try_from_secs_f64(bounded).map_or(0, |whole| whole.as_secs())
}
