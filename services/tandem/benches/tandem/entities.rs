//! Ten million saved entities on NATS: what a server needs for them, and how long a router takes to serve beside them.

use std::time::Duration;

use bus::{Bus, PartitionId};
use chassis::clock::Clock;
use testkit::nats::NatsCluster;

use crate::harness::{
    fleet::Layout,
    measure::{ms, seconds},
    poster::histogram,
    programs::Shape,
    report::{Report, Target},
    scaled, stored,
    world::World,
};

/// As many as a cluster is created with: each is 4,096 buckets.
const PARTITIONS: u16 = 64;
/// Loads whose time is measured.
const LOADS: u32 = 2_000;
/// Until a server that did everything it was asked has given memory back.
const REST: Duration = Duration::from_secs(20);
const MIB: f64 = 1024.0 * 1024.0;

#[expect(clippy::cast_precision_loss, reason = "bytes in a report")]
fn real(bytes: u64) -> f64 {
    bytes as f64
}

pub(crate) async fn run(report: &Report) {
    let layout = Layout { servers: 1, sync: "2m", routers: 1, partitions: PARTITIONS };
    let copies = scaled(10_000_000);
    let mut world = World::open_fleet(layout, Shape { agents: 1, ..Shape::default() }).await;
    world.post(world.texts("SEED", 1_000, 100), 16).await;
    world.until_still().await;
    world.stop_members().await;
    let row = |figure: &str, value, what: String| {
        report.row("entities", figure, value, Target::None, what);
    };
    let empty_s = restart_router(&mut world).await;
    row("router, start until all partitions are served, before", (empty_s, "s"), String::new());

    let ground = world.ground.as_mut().unwrap();
    let bus = ground.bus().await;
    let part = stored::conversation(&bus).await;
    let bytes = part.bytes.as_ref().map_or(0, bytes::Bytes::len);
    let (clock, begun_us) = (Clock::system(), Clock::system().boot_us());
    let together = copies / u32::from(PARTITIONS);
    // All of a partition at once: each of its buckets is then written once.
    stored::fill(&bus, part, copies, together, 1).await;
    let what = format!(
        "{copies} copies of a real conversation ({bytes} bytes), {PARTITIONS} partitions, one server"
    );
    row("saved", (f64::from(copies) / seconds(&clock, begun_us), "/s"), what);
    tokio::time::sleep(REST).await;
    tell_server(report, &ground.servers, copies, "after they were saved");
    loads(report, &bus, together).await;
    let begun_us = clock.boot_us();
    ground.servers.restart(0).await.unwrap();
    let took_s = seconds(&clock, begun_us);
    row("server, start until it answers", (took_s, "s"), "killed before".to_owned());
    tokio::time::sleep(REST).await;
    tell_server(report, &ground.servers, copies, "after a restart");

    let took_s = restart_router(&mut world).await;
    let what = format!(
        "one router takes {PARTITIONS} partitions beside {copies} saved entities: from the start of its process"
    );
    row("router, start until all partitions are served", (took_s, "s"), what);
    world.stop().await;
}

/// Starts a router, waits until it serves everything, and ends it: the seconds until then.
async fn restart_router(world: &mut World) -> f64 {
    let begun_us = world.clock.boot_us();
    world.start("router", "router-1").await;
    let all = async || {
        let served = world.served().await.iter().sum::<f64>();
        ((served - f64::from(PARTITIONS)).abs() < 0.5).then_some(())
    };
    let bound = Duration::from_secs(120);
    testkit::wait_for(bound, "every partition to be served", all).await.unwrap();
    let took_s = seconds(&world.clock, begun_us);
    world.stop_members().await;
    took_s
}

fn tell_server(report: &Report, servers: &NatsCluster, copies: u32, when: &str) {
    let resident: u64 = servers.resident_bytes().iter().sum();
    let stored: u64 = servers.stores().iter().map(|store| testkit::bytes_below(store)).sum();
    let each = |bytes: u64| format!("{:.0} bytes an entity", real(bytes) / f64::from(copies));
    let figure = format!("server, resident memory {when}");
    report.row("entities", figure, (real(resident) / MIB, "MiB"), Target::None, each(resident));
    let figure = format!("server, files of its streams {when}");
    report.row("entities", figure, (real(stored) / MIB, "MiB"), Target::None, each(stored));
}

/// Times of loads of entities here and there, one after the other.
async fn loads(report: &Report, bus: &Bus, together: u32) {
    let (clock, mut took_us) = (Clock::system(), histogram());
    for n in 0..LOADS.min(together) {
        let partition = PartitionId(u16::try_from(n % u32::from(PARTITIONS)).unwrap());
        let first = u64::from(partition.0) * u64::from(together);
        let entity = stored::copy(first + u64::from(n) * 7_919 % u64::from(together), partition);
        let begun_us = clock.boot_us();
        let parts = bus.states.load(partition, entity).await.unwrap();
        took_us.saturating_record(clock.boot_us() - begun_us);
        assert_eq!(parts.len(), 1, "{entity} was saved");
    }
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let value = (ms(took_us.value_at_quantile(quantile)), "ms");
        let what = "one after the other, each reads a bucket; the page cache is warm";
        report.row("entities", format!("load {name}"), value, Target::None, what);
    }
}
