//! W1: one text per POST, 10,000 customers, the floor of every conversation held by an agent; counted when in the log and in
//! the read model. Beside it, in the same run with nothing else running, the raw cost of the same work: the embedded bus in this
//! process doing append + read + log append of the same bytes.

use std::{path::Path, sync::Arc};

use bus::{Bus, PartitionId, ReadLimit, sqlite::Options};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};

use crate::harness::{
    desk,
    measure::{lines, own_cpu_s, seconds, sum},
    programs::{PARTITIONS, Shape},
    report::{Report, Target},
    scaled,
    world::World,
};

const CUSTOMERS: u32 = 10_000;
/// Requests under way at once.
const CONNECTIONS: usize = 256;
/// Appends under way at once in the raw run: the best of these counts.
const RAW_GROUPS: [u32; 3] = [64, 256, 1024];

pub(crate) async fn run(report: &Report) {
    let messages = scaled(100_000);
    let world = World::open(Shape::default()).await;
    world.post(world.texts("FIRST", CUSTOMERS, CUSTOMERS), 64).await;
    world.until_still().await;
    desk::assign_all(&world, CUSTOMERS).await;

    let requests = world.texts("W1M", messages, CUSTOMERS);
    let before = world.metrics().await;
    let projected = sum(&before, "tandem_archive_steps_total");
    let cpu = world.cpu();
    let begun_us = world.clock.boot_us();
    world.post(requests, CONNECTIONS).await;
    let acked_s = seconds(&world.clock, begun_us);
    world.until_projected(projected + f64::from(messages)).await;
    let projected_s = seconds(&world.clock, begun_us);
    let used = world.cpu();
    let after = world.metrics().await;
    let lag_ms = lag_p99_ms(&before, &after);
    let dir = world.stop().await;

    let sizes = Sizes::of(&dir.path().join("data")).await;
    let raw = best_raw(&dir.path().join("raw"), messages, sizes).await;
    let measured = Measured {
        messages,
        acked_s,
        projected_s,
        product_s: used.product_s - cpu.product_s,
        generator_s: used.generator_s - cpu.generator_s,
        lag_ms,
        sizes,
        raw,
    };
    measured.tell(report);
}

struct Measured {
    messages: u32,
    acked_s: f64,
    projected_s: f64,
    product_s: f64,
    generator_s: f64,
    lag_ms: f64,
    sizes: Sizes,
    raw: Raw,
}

impl Measured {
    fn tell(&self, report: &Report) {
        let Self { messages, acked_s, projected_s, product_s, generator_s, lag_ms, sizes, raw } =
            self;
        let n = f64::from(*messages);
        let w1 = "W1";
        let what = format!(
            "{messages} texts, one per POST, of {CUSTOMERS} customers whose floor an agent holds (agents not connected), \
             {CONNECTIONS} POSTs at once; generator on the same machine"
        );
        report.row(
            w1,
            "acked",
            (n / acked_s, "/s"),
            Target::None,
            "POST to 200: durable in the inbox",
        );
        report.row(
            w1,
            "in the log and in the read model",
            (n / projected_s, "/s"),
            Target::AtLeast(10_000.0),
            what,
        );
        let raw_what = format!(
            "embedded bus in the generator's process: append + read + log append of the same bytes ({} an input, {} a step), best \
             of {RAW_GROUPS:?} appends at once, nothing else running",
            sizes.input, sizes.step
        );
        report.row(w1, "raw", (raw.per_s, "/s"), Target::None, raw_what);
        report.row(
            w1,
            "of raw",
            (n / projected_s / raw.per_s, ""),
            Target::AtLeast(0.35),
            "read model rate / raw rate",
        );
        report.row(
            w1,
            "per CPU-second of the product",
            (n / product_s, "messages"),
            Target::None,
            "user and system time of its process, all threads",
        );
        report.row(
            w1,
            "per CPU-second of raw",
            (raw.per_cpu_s, "messages"),
            Target::None,
            "the same of the raw run",
        );
        report.row(
            w1,
            "CPU of the generator",
            (generator_s / n * 1e6, "µs a message"),
            Target::None,
            "not in the product's",
        );
        report.row(
            w1,
            "read-model lag p99",
            (*lag_ms, "ms"),
            Target::None,
            "decision to applied, upper bound of the bucket, under full load",
        );
    }
}

/// Mean bytes of the product's log and inbox per message.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    input: usize,
    step: usize,
}

impl Sizes {
    /// Of what trimming has left in a directory that nobody holds.
    async fn of(dir: &Path) -> Self {
        let bus = open(dir);
        let (mut inbox, mut log) = (0, 0);
        let mut inputs = 0;
        let mut steps = 0;
        for partition in (0..PARTITIONS).map(PartitionId) {
            let end = bus.inbox.last(partition).await.unwrap();
            let mut after = 0;
            while after < end {
                // What is trimmed is passed over.
                let entries = bus.inbox.read(partition, after, ReadLimit::default()).await.unwrap();
                for (seq, bytes) in entries {
                    after = seq;
                    inputs += bus::InboxEntry::decode(&bytes).unwrap().inputs.len();
                    inbox += bytes.len();
                }
            }
            let end = bus.log.last(partition).await.unwrap().map_or(0, |(seq, _)| seq);
            let mut after = 0;
            while after < end {
                for (seq, bytes) in
                    bus.log.read(partition, after, ReadLimit::default()).await.unwrap()
                {
                    after = seq;
                    log += bytes.len();
                    if let bus::RecordBody::Steps(body) = bus::Record::decode(&bytes).unwrap().body
                    {
                        steps += body.steps.len();
                    }
                }
            }
        }
        println!("sizes are of {inputs} inputs and {steps} steps that are not trimmed");
        assert!(inputs > 0 && steps > 0, "everything is trimmed");
        Self { input: inbox / inputs, step: log / steps }
    }
}

fn open(dir: &Path) -> Bus {
    bus::sqlite::open(dir, Options { partitions: PARTITIONS, ..Options::default() }).unwrap()
}

struct Raw {
    per_s: f64,
    per_cpu_s: f64,
}

async fn best_raw(dir: &Path, messages: u32, sizes: Sizes) -> Raw {
    let mut best = Raw { per_s: 0.0, per_cpu_s: 0.0 };
    for group in RAW_GROUPS {
        let found = raw(&dir.join(group.to_string()), messages, sizes, group).await;
        println!("raw with {group} appends at once: {:.0}/s", found.per_s);
        if found.per_s > best.per_s {
            best = found;
        }
    }
    best
}

async fn raw(dir: &Path, messages: u32, sizes: Sizes, group: u32) -> Raw {
    let clock = Clock::system();
    let bus = open(dir);
    let value = Bytes::from(vec![7; sizes.input]);
    let (begun_us, cpu_s) = (clock.boot_us(), own_cpu_s());
    let partitions = u32::from(PARTITIONS);
    let per_partition = messages / partitions;
    let owners: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let own = own(bus.clone(), PartitionId(partition), sizes.step, per_partition);
            task::spawn(TaskKind::Call, "owner", own)
        })
        .collect();
    let writers: Vec<_> = (0..group)
        .map(|writer| {
            let (bus, value) = (bus.clone(), value.clone());
            task::spawn(TaskKind::Call, "writer", async move {
                let partition = PartitionId(u16::try_from(writer % partitions).unwrap());
                let mut n = writer / partitions;
                while n < per_partition {
                    bus.inbox.append(partition, value.clone()).await.unwrap();
                    n += group / partitions;
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(owners) {
        task.await.unwrap();
    }
    let n = f64::from(per_partition * partitions);
    Raw { per_s: n / seconds(&clock, begun_us), per_cpu_s: n / (own_cpu_s() - cpu_s) }
}

/// Reads the inbox and appends one record per read, of a step's bytes for every input read.
async fn own(bus: Bus, partition: PartitionId, step: usize, messages: u32) {
    let value: Arc<[u8]> = vec![7; step].into();
    let (mut after, mut last, mut seen) = (0, 0, 0);
    while seen < messages {
        let limit = ReadLimit { values: 256, ..ReadLimit::default() };
        let entries = bus.inbox.read(partition, after, limit).await.unwrap();
        after = entries.last().unwrap().0;
        seen += u32::try_from(entries.len()).unwrap();
        let record = Bytes::from(value.repeat(entries.len()));
        last = bus.log.append(partition, last, record).await.unwrap();
    }
}

/// The bucket of the read model's lag that 99 % of the batches between two looks are in.
pub(crate) fn lag_p99_ms(before: &str, after: &str) -> f64 {
    const NAME: &str = "tandem_archive_lag_seconds_bucket";
    let buckets = |text: &str| -> Vec<(f64, f64)> {
        let bound = |labels: &str| {
            let told = labels.split_once("le=\"")?.1.split('"').next()?;
            told.parse::<f64>().ok()
        };
        lines(text, NAME).filter_map(|(labels, count)| Some((bound(labels)?, count))).collect()
    };
    let before = buckets(before);
    let known = |bound: f64| before.iter().find(|(b, _)| *b == bound).map_or(0.0, |(_, n)| *n);
    let during: Vec<(f64, f64)> =
        buckets(after).into_iter().map(|(bound, n)| (bound, n - known(bound))).collect();
    let all = during.iter().map(|(_, n)| *n).fold(0.0, f64::max);
    let found = during.iter().find(|(_, n)| *n >= all * 0.99);
    found.map_or(f64::NAN, |(bound, _)| bound * 1_000.0)
}
