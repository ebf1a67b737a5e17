//! W2: every customer's message is answered by the agent who has the conversation, and every answer gets three statuses.
//! W3: the bot answers every message.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    harness::{
        desk::{self, Agents, Habits},
        measure::seconds,
        poster,
        programs::Shape,
        report::{Report, Target},
        scaled,
        world::World,
    },
    w1::lag_p99_ms,
};

/// Offered load; the figure is what was done of it.
const RATE: u32 = 1_500;

pub(crate) async fn w2(report: &Report) {
    let (customers, messages) = (2_000, scaled(15_000));
    let world = World::open(Shape { numbers: 8, ..Shape::default() }).await;
    world.post(world.texts("FIRST", customers, customers), 64).await;
    world.until_still().await;
    desk::assign_all(&world, customers).await;
    let agents = Agents::sign_in(&world, Habits { replies: true, ..Habits::default() }).await;
    let done = exchange(&world, world.texts("W2M", messages, customers), RATE).await;
    let (refused, replies) =
        (agents.seen.refused.load(Ordering::Relaxed), agents.seen.replies.load(Ordering::Relaxed));
    let broken = agents.seen.broken.load(Ordering::Relaxed);
    println!("replies taken on {replies}, refused {refused}; streams broken {broken}");
    let what = format!(
        "{messages} texts at {RATE}/s on 8 numbers; each pushed to its agent over gRPC, answered, sent to the Graph API, three \
         statuses back by webhook, all in the read model"
    );
    report_exchange(report, "W2", &done, what);
    drop(agents);
    world.stop().await;
}

pub(crate) async fn w3(report: &Report) {
    let customers = scaled(15_000);
    let world = World::open(Shape { numbers: 8, bot: true, ..Shape::default() }).await;
    let done = exchange(&world, world.texts("W3M", customers, customers), RATE).await;
    let what = format!(
        "{customers} customers write once each, {RATE}/s on 8 numbers; the bot answers each, three statuses back, all in the \
         read model"
    );
    report_exchange(report, "W3", &done, what);
    world.stop().await;
}

struct Exchange {
    messages: f64,
    answered: f64,
    per_s: f64,
    product_s: f64,
    generator_s: f64,
    lag_ms: f64,
}

async fn exchange(world: &World, requests: Arc<Vec<Vec<u8>>>, rate: u32) -> Exchange {
    let messages = requests.len();
    let wanted = u64::try_from(messages).unwrap();
    let (sends, statuses) = (world.graph.sends(), world.graph.statuses());
    let before = world.metrics().await;
    let cpu = world.cpu();
    let begun_us = world.clock.boot_us() + 10_000;
    poster::paced(world.product.addresses.gateway, requests, rate, begun_us).await;
    let all = || {
        let sends = world.graph.sends() - sends;
        sends >= wanted && world.graph.statuses() - statuses >= 3 * sends
    };
    let mut waited = 0;
    while !all() && waited < 1_500 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        waited += 1;
    }
    let quiet_us = world.until_quiet().await;
    let took_s = seconds(&world.clock, begun_us) - seconds(&world.clock, quiet_us);
    let used = world.cpu();
    let answered = f64::from(u32::try_from(world.graph.sends() - sends).unwrap());
    Exchange {
        messages: f64::from(u32::try_from(messages).unwrap()),
        answered,
        per_s: answered / took_s,
        product_s: used.product_s - cpu.product_s,
        generator_s: used.generator_s - cpu.generator_s,
        lag_ms: lag_p99_ms(&before, &world.metrics().await),
    }
}

fn report_exchange(report: &Report, bench: &'static str, done: &Exchange, what: String) {
    report.row(bench, "answered", (done.per_s, "exchanges/s"), Target::AtLeast(1_000.0), what);
    report.row(
        bench,
        "answered of all",
        (done.answered / done.messages * 100.0, "%"),
        Target::AtLeast(100.0),
        "sends that reached the Graph API / messages",
    );
    report.row(
        bench,
        "per CPU-second of the product",
        (done.answered / done.product_s, "exchanges"),
        Target::None,
        "one exchange = one message, one answer, three statuses",
    );
    report.row(
        bench,
        "CPU of the generator",
        (done.generator_s / done.messages * 1e6, "µs an exchange"),
        Target::None,
        "customers, agents, Graph API",
    );
    report.row(
        bench,
        "read-model lag p99",
        (done.lag_ms, "ms"),
        Target::None,
        "decision to applied, upper bound of the bucket",
    );
}
