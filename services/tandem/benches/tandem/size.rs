//! Memory per conversation, start with a million saved ones, growth.

use std::time::Duration;

use crate::harness::{
    measure::{seconds, sum},
    programs::Shape,
    report::{Report, Target},
    scaled, stored,
    world::World,
};

const KIB: f64 = 1024.0;

fn resident(metrics: &str) -> f64 {
    sum(metrics, "process_resident_memory_bytes")
}

/// Bytes that a conversation takes live, saved, and after a restart.
pub(crate) async fn memory(report: &Report) {
    let customers = scaled(40_000);
    let shape = Shape { agents: 1, ..Shape::default() };
    let world = World::open(shape).await;
    // What the process needs for work of this kind at all: queues, caches, buffers.
    let few = customers / 4;
    world.post(world.texts("FEW", 2 * few, few), 64).await;
    world.until_still().await;
    let before = resident(&world.metrics().await);
    world.post(world.texts("MANY", customers + few, customers + few), 64).await;
    world.until_still().await;
    let after = world.metrics().await;
    let live = sum(&after, "tandem_runtime_live_entities");
    println!("live entities: {live}");
    let each = (resident(&after) - before) / f64::from(customers);
    let dir = world.stop().await;
    let state = state_bytes(&dir.path().join("data")).await;
    let world = World::open_in(dir, shape).await;
    // Shards tell how many are live about once a second.
    let mut text = world.metrics().await;
    while !text.contains("tandem_runtime_live_entities{") {
        tokio::time::sleep(Duration::from_millis(100)).await;
        text = world.metrics().await;
    }
    let idle = sum(&text, "tandem_runtime_live_entities");
    let what = format!(
        "growth of the process's resident memory from {few} to {} conversations that just wrote, nothing passivated",
        customers + few
    );
    report.row("memory", "per live conversation", (each / KIB, "KiB"), Target::AtMost(16.0), what);
    report.row(
        "memory",
        "state of a conversation",
        (state / KIB, "KiB"),
        Target::AtMost(4.0),
        "mean size of its saved part",
    );
    report.row(
        "memory",
        "entities in memory after a restart",
        (idle, ""),
        Target::AtMost(2.0),
        format!("with {} saved conversations: only workspace and number are live", customers + few),
    );
    world.stop().await;
}

/// Mean bytes of the saved conversations in a directory.
async fn state_bytes(dir: &std::path::Path) -> f64 {
    let bus = stored::open(dir);
    let (mut bytes, mut count) = (0, 0);
    for entity in stored::conversations(&bus).await {
        let parts = bus.states.load(entity.partition(bus.partitions), entity).await.unwrap();
        for part in parts {
            bytes += part.bytes.map_or(0, |bytes| bytes.len());
            count += 1;
        }
    }
    f64::from(u32::try_from(bytes).unwrap()) / f64::from(count)
}

/// Start with a million saved conversations.
pub(crate) async fn start(report: &Report) {
    let conversations = scaled(1_000_000);
    let shape = Shape { agents: 1, ..Shape::default() };
    let world = World::open(shape).await;
    world.post(world.texts("SEED", 1_000, 100), 16).await;
    world.until_still().await;
    let dir = world.stop().await;
    let bus = stored::open(&dir.path().join("data"));
    stored::fill(&bus, stored::conversation(&bus).await, conversations, 256, 32).await;
    drop(bus);
    let clock = chassis::clock::Clock::system();
    let begun_us = clock.boot_us();
    let world = World::open_in(dir, shape).await;
    let took_s = seconds(&clock, begun_us);
    world.post(world.texts("AFTER", 100, 100), 1).await;
    let what = format!(
        "from the start of the process to ready, with {conversations} conversations saved through the bus (copies of a real one); \
         the page cache is warm"
    );
    report.row("start", "start", (took_s, "s"), Target::AtMost(5.0), what);
    world.stop().await;
}

/// Cost of a message with 1, 4 and 16 times the conversations.
pub(crate) async fn growth(report: &Report) {
    const BASE: u32 = 5_000;
    let messages = scaled(40_000);
    for times in [1, 4, 16] {
        let customers = BASE * times;
        let world = World::open(Shape { agents: 1, ..Shape::default() }).await;
        world.post(world.texts("FIRST", customers, customers), 128).await;
        world.until_still().await;
        let projected = world.projected().await;
        let cpu = world.cpu();
        let begun_us = world.clock.boot_us();
        // Spread over all customers, however many there are.
        let at_s = world.now_s();
        let requests = (0..messages).map(|n| {
            let customer = u32::try_from(u64::from(n) * 7_919 % u64::from(customers)).unwrap();
            let text = "is my parcel there, please?";
            crate::harness::webhook::text(world.from(customer), &format!("GROW{n}"), at_s, text)
        });
        let requests = std::sync::Arc::new(requests.collect());
        world.post(requests, 256).await;
        world.until_projected(projected + f64::from(messages)).await;
        let took_s = seconds(&world.clock, begun_us);
        let used = world.cpu().since(&cpu);
        let n = f64::from(messages);
        let what = format!(
            "{messages} texts of {customers} customers whose item waits, in the read model"
        );
        report.row("growth", format!("{times}×"), (n / took_s, "/s"), Target::None, what);
        report.row(
            "growth",
            format!("{times}× per CPU-second of the product"),
            (n / used.product_s(), "messages"),
            Target::None,
            "",
        );
        world.stop().await;
    }
}
