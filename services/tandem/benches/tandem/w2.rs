//! W2: every customer's message is answered by the agent who has the conversation, and every answer gets three statuses.
//! W3: the bot answers every message.

use std::{sync::Arc, time::Duration};

use crate::{
    harness::{
        desk::{Agents, Habits},
        measure::{Cpu, lag_p99_ms, seconds, sum},
        poster,
        programs::Shape,
        report::{Report, Target},
        scaled,
        world::World,
    },
    w1,
};

/// Offered load; the figure is what was done of it.
const RATE: u32 = 1_500;
/// Answers that do not come within this after the one before are missing.
const MISSING_AFTER_US: u64 = 40_000_000;
/// Pause between two looks at what has come back.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(crate) async fn w2(report: &Report) {
    let (customers, messages) = (2_000, scaled(15_000));
    let world = World::open(Shape { numbers: 8, ..Shape::default() }).await;
    w1::hold(&world, customers).await;
    let agents = Agents::sign_in(&world, Habits { replies: true, ..Habits::default() }).await;
    let done = exchange(&world, world.texts("W2M", messages, customers), RATE).await;
    agents.tell();
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

/// Messages that were answered, with three statuses of every answer.
pub(crate) struct Exchange {
    pub(crate) messages: f64,
    pub(crate) answered: f64,
    pub(crate) took_s: f64,
    /// Decisions of all kinds of entity meanwhile.
    pub(crate) steps: f64,
    /// Used meanwhile.
    pub(crate) cpu: Cpu,
    lag_ms: f64,
}

impl Exchange {
    pub(crate) fn per_s(&self) -> f64 {
        self.answered / self.took_s
    }
}

/// Posts at a rate and waits until everything has come back.
pub(crate) async fn exchange(world: &World, requests: Arc<Vec<Vec<u8>>>, rate: u32) -> Exchange {
    let messages = requests.len();
    let wanted = u64::try_from(messages).unwrap();
    let (sends, statuses) = (world.graph.sends(), world.graph.statuses());
    let before = world.metrics().await;
    let cpu = world.cpu();
    let begun_us = world.clock.boot_us() + 10_000;
    poster::paced(world.gateway(), requests, rate, begun_us).await;
    let all = || {
        let sends = world.graph.sends() - sends;
        sends >= wanted && world.graph.statuses() - statuses >= 3 * sends
    };
    let quiet_us = match until_answered(world, all).await {
        None => world.until_quiet().await,
        Some(last_us) => last_us,
    };
    let took_s = seconds(&world.clock, begun_us) - seconds(&world.clock, quiet_us);
    let cpu = world.cpu().since(&cpu);
    let answered = f64::from(u32::try_from(world.graph.sends() - sends).unwrap());
    let after = world.metrics().await;
    let steps = |text: &str| sum(text, "tandem_archive_steps_total");
    Exchange {
        messages: f64::from(u32::try_from(messages).unwrap()),
        answered,
        took_s,
        steps: steps(&after) - steps(&before),
        cpu,
        lag_ms: lag_p99_ms(&before, &after),
    }
}

/// Waits until all have come back. Else, when nothing moves any more, answers when something last did, microseconds of the boot
/// clock: what is missing is told, and is not measured by how long it was waited for.
async fn until_answered(world: &World, all: impl Fn() -> bool) -> Option<u64> {
    let (mut last, mut moved_us) = ((0, 0), world.clock.boot_us());
    while !all() {
        let now = (world.graph.sends(), world.graph.statuses());
        if now != last {
            (last, moved_us) = (now, world.clock.boot_us());
        } else if world.clock.boot_us() - moved_us > MISSING_AFTER_US {
            return Some(moved_us);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

fn report_exchange(report: &Report, bench: &'static str, done: &Exchange, what: String) {
    report.row(bench, "answered", (done.per_s(), "exchanges/s"), Target::AtLeast(1_000.0), what);
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
        (done.answered / done.cpu.product_s(), "exchanges"),
        Target::None,
        "one exchange = one message, one answer, three statuses",
    );
    report.row(
        bench,
        "CPU of the generator",
        (done.cpu.generator_s() / done.messages * 1e6, "µs an exchange"),
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
