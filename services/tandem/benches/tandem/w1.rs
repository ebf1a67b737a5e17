//! W1: one text per POST, 10,000 customers, the floor of every conversation held by an agent; counted when in the log and in
//! the read model. Beside it, in the same run with nothing else running, the raw cost of the same work: the embedded bus in this
//! process doing append + read + log append of the same bytes.

use std::path::Path;

use hdrhistogram::Histogram;

use crate::harness::{
    desk,
    measure::{Cpu, lag_p99_ms, seconds, sum},
    programs::Shape,
    raw::{self, Raw, Sizes, Work},
    report::{Report, Target},
    scaled, stored,
    world::World,
};

pub(crate) const CUSTOMERS: u32 = 10_000;
/// Requests under way at once.
pub(crate) const CONNECTIONS: usize = 256;
/// Appends under way at once in the raw run: the best of these counts.
pub(crate) const RAW_GROUPS: [u32; 3] = [64, 256, 1024];

pub(crate) async fn run(report: &Report) {
    let world = World::open(Shape::default()).await;
    hold(&world, CUSTOMERS).await;
    let done = measure(&world, scaled(100_000), CUSTOMERS).await;
    let dir = world.stop().await;

    let sizes = Sizes::of(&stored::open(&dir.path().join("data"))).await;
    let raw = best_raw(&dir.path().join("raw"), done.messages, sizes).await;
    tell(report, &done, sizes, raw);
}

/// Every customer writes once, and agents are given the floor of all.
pub(crate) async fn hold(world: &World, customers: u32) {
    world.post(world.texts("FIRST", customers, customers), 64).await;
    world.until_still().await;
    desk::assign_all(world, customers).await;
}

/// What came of W1.
pub(crate) struct Done {
    messages: u32,
    acked_s: f64,
    projected_s: f64,
    pub(crate) lag_ms: f64,
    /// Used meanwhile.
    pub(crate) cpu: Cpu,
    /// Microseconds of each answer.
    pub(crate) answered: Histogram<u64>,
}

impl Done {
    pub(crate) fn messages(&self) -> f64 {
        f64::from(self.messages)
    }

    /// Messages per second that were in the log and in the read model.
    pub(crate) fn per_s(&self) -> f64 {
        self.messages() / self.projected_s
    }
}

/// W1 on an installation whose customers' floors are held.
pub(crate) async fn measure(world: &World, messages: u32, customers: u32) -> Done {
    let requests = world.texts("W1M", messages, customers);
    let before = world.metrics().await;
    let projected = sum(&before, "tandem_archive_steps_total");
    let (cpu, begun_us) = (world.cpu(), world.clock.boot_us());
    let answered = world.post(requests, CONNECTIONS).await;
    let acked_s = seconds(&world.clock, begun_us);
    world.until_projected(projected + f64::from(messages)).await;
    let projected_s = seconds(&world.clock, begun_us);
    let cpu = world.cpu().since(&cpu);
    let lag_ms = lag_p99_ms(&before, &world.metrics().await);
    Done { messages, acked_s, projected_s, lag_ms, cpu, answered }
}

fn tell(report: &Report, done: &Done, sizes: Sizes, raw: Raw) {
    let n = done.messages();
    let row = |figure: &str, value, target, includes: String| {
        report.row("W1", figure, value, target, includes);
    };
    let what = format!(
        "{n} texts, one per POST, of {CUSTOMERS} customers whose floor an agent holds (agents not connected), \
         {CONNECTIONS} POSTs at once; generator on the same machine"
    );
    let durable = "POST to 200: durable in the inbox";
    row("acked", (n / done.acked_s, "/s"), Target::None, durable.to_owned());
    let at_least = Target::AtLeast(10_000.0);
    row("in the log and in the read model", (done.per_s(), "/s"), at_least, what);
    let raw_what = format!(
        "embedded bus in the generator's process: append + read + log append of the same bytes ({} an input, {} a step), best \
         of {RAW_GROUPS:?} appends at once, nothing else running",
        sizes.input, sizes.step
    );
    row("raw", (raw.per_s, "/s"), Target::None, raw_what);
    let of_raw = done.per_s() / raw.per_s;
    row("of raw", (of_raw, ""), Target::AtLeast(0.35), "read model rate / raw rate".to_owned());
    row(
        "per CPU-second of the product",
        (n / done.cpu.product_s(), "messages"),
        Target::None,
        "user and system time of its process, all threads".to_owned(),
    );
    row(
        "per CPU-second of raw",
        (1e6 / raw.cpu_us, "messages"),
        Target::None,
        "the same of the raw run".to_owned(),
    );
    row(
        "CPU of the generator",
        (done.cpu.generator_s() / n * 1e6, "µs a message"),
        Target::None,
        "not in the product's".to_owned(),
    );
    row(
        "read-model lag p99",
        (done.lag_ms, "ms"),
        Target::None,
        "decision to applied, upper bound of the bucket, under full load".to_owned(),
    );
}

async fn best_raw(dir: &Path, messages: u32, sizes: Sizes) -> Raw {
    let mut found = Vec::new();
    for at_once in RAW_GROUPS {
        let bus = stored::open(&dir.join(at_once.to_string()));
        found.push(raw::run(&bus, Work { messages, sizes, entry: 1, at_once }).await);
    }
    raw::best(&found)
}
