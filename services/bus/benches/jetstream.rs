//! What JetStream costs: appends, log appends by expected sequence, reads and saved states on three servers of this
//! machine, with fsync before each acknowledgement (`always`) and without (`2m`).
//! `cargo bench -p bus --bench jetstream`; needs a nats-server.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench prints, and fails by panicking"
)]

use bus::{
    Bus, EntityId, PartName, PartPut, PartitionId, Position, ReadLimit, SavedPart,
    jetstream::{self, Options},
};
use bytes::Bytes;
use chassis::clock::Clock;
use futures::{StreamExt, TryStreamExt, stream};
use testkit::nats::NatsCluster;

/// Bytes of one input with its envelope, as benches of the product store it.
const INPUT_BYTES: usize = 629;
const PARTITIONS: u16 = 8;
/// Time that one figure is measured for.
const MEASURE_MS: u64 = 3_000;

fn blob(bytes: usize) -> Bytes {
    Bytes::from(vec![0x5a; bytes])
}

/// Repeats `work` for a while and answers how often, and for how many seconds.
async fn repeat(mut work: impl AsyncFnMut(u64)) -> (f64, f64) {
    let clock = Clock::system();
    let start_us = clock.boot_us();
    let mut times = 0_u32;
    while clock.boot_us() - start_us < MEASURE_MS * 1_000 {
        work(u64::from(times)).await;
        times += 1;
    }
    let seconds = u32::try_from(clock.boot_us() - start_us).unwrap();
    (f64::from(times), f64::from(seconds) / 1e6)
}

fn show(policy: &str, what: &str, (times, seconds): (f64, f64), each: u32) {
    let rate = times * f64::from(each) / seconds;
    println!("| {policy} | {what} | {rate:.0} /s | {:.2} ms |", seconds * 1e3 / times);
}

async fn appends(bus: &Bus, policy: &str) {
    for (group, at_once) in [(1, 1), (1, 64), (16, 8), (128, 8)] {
        let entry = blob(INPUT_BYTES * group);
        let result = repeat(async |round| {
            let appends = (0..at_once).map(|n| {
                let partition = (round + n) % u64::from(PARTITIONS);
                bus.inbox.append(PartitionId(u16::try_from(partition).unwrap()), entry.clone())
            });
            let appends = stream::iter(appends).buffer_unordered(usize::try_from(at_once).unwrap());
            appends.try_collect::<Vec<_>>().await.unwrap();
        });
        let each = u32::try_from(group).unwrap() * u32::try_from(at_once).unwrap();
        let what = format!("inbox: inputs, {group} an entry, {at_once} entries at once");
        show(policy, &what, result.await, each);
    }
}

/// One partition: each append expects the one before.
async fn log(bus: &Bus, policy: &str) {
    let partition = PartitionId(0);
    let mut last = 0;
    for group in [1, 16, 128, 512] {
        let record = blob(group * 1_000);
        let result = repeat(async |_| {
            last = bus.log.append(partition, last, record.clone()).await.unwrap();
        });
        let what = format!("log: steps, {group} a record, one partition");
        show(policy, &what, result.await, u32::try_from(group).unwrap());
    }
    let mut after = 0;
    let (mut records, clock) = (0_u32, Clock::system());
    let start_us = clock.boot_us();
    while after < last {
        let page = bus.log.read(partition, after, ReadLimit::default()).await.unwrap();
        records += u32::try_from(page.len()).unwrap();
        after = page.last().unwrap().0;
    }
    let seconds = f64::from(u32::try_from(clock.boot_us() - start_us).unwrap()) / 1e6;
    show(policy, "log: records read again from the start", (f64::from(records), seconds), 1);
}

fn part(entity: u64, seq: u64) -> PartPut {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&entity.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let position = Position { generation: 0, seq, index: 0 };
    let part = SavedPart { name: PartName::from("main"), position, bytes: Some(blob(1_024)) };
    PartPut { entity: EntityId { kind: 1, hash }, part }
}

async fn states(bus: &Bus, policy: &str) {
    let partition = PartitionId(1);
    let save = repeat(async |round| {
        let puts = (0..64).map(|n| part((round * 64 + n) % 100_000, round + 1)).collect();
        bus.states.put(partition, puts).await.unwrap();
    });
    show(policy, "states: parts of 1 KiB, 64 entities a put", save.await, 64);
    let load = repeat(async |round| {
        let entity = part(round % 1_000, 0).entity;
        bus.states.load(partition, entity).await.unwrap();
    });
    show(policy, "states: loads, one after the other", load.await, 1);
}

#[tokio::main]
async fn main() {
    println!("| fsync | what | rate | one call |\n|---|---|---|---|");
    for policy in ["always", "2m"] {
        let cluster = NatsCluster::start_with(3, policy).await.unwrap();
        let options = Options {
            servers: cluster.urls(),
            partitions: PARTITIONS,
            allow_data_loss: true,
            ..Options::default()
        };
        jetstream::init(options.clone()).await.unwrap();
        let bus = jetstream::connect(options).await.unwrap();
        appends(&bus, policy).await;
        log(&bus, policy).await;
        states(&bus, policy).await;
    }
}
