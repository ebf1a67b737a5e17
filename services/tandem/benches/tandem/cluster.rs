//! W1 and W2 on a fleet of processes: with one server of NATS and with three, under either fsync policy, each beside the raw
//! cost of the same work on servers of that kind. And W1 with more routers.

use hdrhistogram::Histogram;

use crate::{
    harness::{
        desk::{Agents, Habits},
        fleet::Layout,
        measure::ms,
        poster,
        programs::Shape,
        raw::{self, Raw, Sizes, Work},
        report::{Report, Target},
        scaled,
        world::World,
    },
    w1::{self, CONNECTIONS, RAW_GROUPS},
    w2::{self, Exchange},
};

const LAYOUTS: [(usize, &str); 4] = [(1, "always"), (1, "2m"), (3, "always"), (3, "2m")];
const ROUTERS: [u32; 3] = [1, 2, 4];
const PARTITIONS: u16 = 16;
/// One in so many of the customers whose floor an agent holds writes in W2.
const TALKS: u32 = 5;
/// Exchanges asked for per second where the figure is what was done of them.
const W2_RATE: u32 = 1_500;
/// Seconds that times are measured for, at half the rate that was reached.
const CALM_S: u32 = 10;
/// Inputs of an inbox entry in the raw runs: one, as of a gateway with nothing to do, and many, as of a busy one.
const RAW_ENTRIES: [u32; 2] = [1, 16];

/// Eight numbers, so that no number's own rate is what is measured.
fn shape() -> Shape {
    Shape { numbers: 8, ..Shape::default() }
}

/// Customers whose floor an agent holds.
fn held() -> u32 {
    scaled(10_000)
}

pub(crate) async fn cluster(report: &Report) {
    for (servers, sync) in LAYOUTS {
        let layout = Layout { servers, sync, routers: 1, partitions: PARTITIONS };
        println!("## {}", layout.name());
        let measured = Measured::of(layout).await;
        // The fleet and its servers are gone.
        let raw = RawRuns::of(layout, measured.sizes).await;
        measured.tell_w1(report, &raw);
        measured.tell_w2(report, &raw);
    }
}

/// What a fleet did.
struct Measured {
    layout: Layout,
    w1: w1::Done,
    /// Microseconds of a webhook's answer at half of W1's rate.
    answered: Histogram<u64>,
    w2: Exchange,
    /// Microseconds of an agent's reply at half of W2's rate.
    replied: Histogram<u64>,
    sizes: Sizes,
}

impl Measured {
    async fn of(layout: Layout) -> Self {
        let world = World::open_fleet(layout, shape()).await;
        w1::hold(&world, held()).await;
        let w1 = w1::measure(&world, scaled(20_000), held()).await;
        let answered = answers(&world, half(w1.per_s())).await;
        let sizes = Sizes::of(&world.ground.as_ref().unwrap().bus().await).await;

        let habits = Habits { replies: true, ..Habits::default() };
        let agents = Agents::sign_in(&world, habits).await;
        let talking = held() / TALKS;
        let w2 = w2::exchange(&world, world.texts("W2M", scaled(3_000), talking), W2_RATE).await;
        agents.tell();
        let rate = half(w2.per_s());
        let (calm, from_us) = (world.texts("W2L", CALM_S * rate, talking), world.clock.boot_us());
        w2::exchange(&world, calm, rate).await;
        let (replied, missing) = agents.reply_us(&world, from_us);
        println!("replies at {rate}/s: {}, missing {missing}", replied.len());
        drop(agents);
        world.stop().await;
        Self { layout, w1, answered, w2, replied, sizes }
    }

    fn tell_w1(&self, report: &Report, raw: &RawRuns) {
        let (n, per_s) = (self.w1.messages(), self.w1.per_s());
        let row = |figure: &str, value, target, what: String| {
            report.row("cluster", format!("{}: {figure}", self.layout.name()), value, target, what);
        };
        let what = format!(
            "{n} texts, one per POST, of {} customers whose floor an agent holds, {CONNECTIONS} POSTs at once; \
             {PARTITIONS} partitions; in the log and in the read model; everything on this machine",
            held()
        );
        row("W1", (per_s, "/s"), Target::None, what);
        for run in &raw.runs {
            let what = format!(
                "append + read + log append of the same bytes ({} an input, {} a step), best of {RAW_GROUPS:?} appends at once, \
                 nothing else running; CPU {:.0} µs here and {:.0} µs of the servers",
                self.sizes.input, self.sizes.step, run.best.cpu_us, run.servers_us
            );
            let figure = format!("raw, {} an entry", run.entry);
            row(&figure, (run.best.per_s, "/s"), Target::None, what);
        }
        let at_least = Target::AtLeast(0.35);
        row("W1 of the best raw", (per_s / raw.best(), ""), at_least, String::new());
        row("W1 of raw, one an entry", (per_s / raw.singly(), ""), Target::None, String::new());
        let cpu_us = self.w1.cpu.product_s() / n * 1e6;
        row("W1, CPU", (cpu_us, "µs a message"), Target::None, self.w1.cpu.each(n));
        let lag = "decision to applied, upper bound of the bucket, under full load";
        row("W1, read-model lag p99", (self.w1.lag_ms, "ms"), Target::None, lag.to_owned());
        let full = format!("{CONNECTIONS} POSTs at once, each after the answer to the one before");
        self.quantiles(report, "webhook answer, full load", &self.w1.answered, &full);
        let calm = "half of W1's rate, from when it was due";
        self.quantiles(report, "webhook answer, half load", &self.answered, calm);
    }

    fn tell_w2(&self, report: &Report, raw: &RawRuns) {
        let Exchange { answered: n, messages, steps, took_s, cpu, .. } = &self.w2;
        let row = |figure: &str, value, what: String| {
            let figure = format!("{}: {figure}", self.layout.name());
            report.row("cluster", figure, value, Target::None, what);
        };
        let what = format!(
            "{messages} texts at {W2_RATE}/s; each pushed to its agent over gRPC, answered, sent to the Graph API, three \
             statuses back by webhook, all in the read model; answered {:.0} %",
            n / messages * 100.0
        );
        row("W2", (self.w2.per_s(), "exchanges/s"), what);
        let of_raw = self.w2.per_s() / raw.best();
        row("W2 of the best raw", (of_raw, ""), "exchanges / raw messages".to_owned());
        let what = format!("{:.1} decisions an exchange, each a message of raw", steps / n);
        row("W2, decisions of the best raw", (steps / took_s / raw.best(), ""), what);
        row("W2, CPU", (cpu.product_s() / n * 1e6, "µs an exchange"), cpu.each(*n));
        let calm = "half of W2's rate, from the agent's command to the call at the Graph API";
        self.quantiles(report, "agent's reply, half load", &self.replied, calm);
    }

    fn quantiles(&self, report: &Report, figure: &str, us: &Histogram<u64>, what: &str) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let figure = format!("{}: {figure} {name}", self.layout.name());
            let value = (ms(us.value_at_quantile(quantile)), "ms");
            report.row("cluster", figure, value, Target::None, what);
        }
    }
}

/// Half of a rate that was reached, and at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is small")]
fn half(per_s: f64) -> u32 {
    (per_s / 2.0).max(1.0) as u32
}

/// Answers to webhooks at a rate.
async fn answers(world: &World, rate: u32) -> Histogram<u64> {
    let texts = world.texts("CALM", CALM_S * rate, held());
    let due_us = world.clock.boot_us() + 50_000;
    let answered = poster::paced(world.gateway(), texts, rate, due_us).await;
    world.until_still().await;
    answered
}

/// The best raw run with entries of one size.
struct RawRun {
    entry: u32,
    best: Raw,
    /// CPU of the servers per message.
    servers_us: f64,
}

struct RawRuns {
    runs: Vec<RawRun>,
}

impl RawRuns {
    async fn of(layout: Layout, sizes: Sizes) -> Self {
        let messages = scaled(40_000);
        let mut runs = Vec::new();
        for entry in RAW_ENTRIES {
            let mut found = Vec::new();
            for at_once in RAW_GROUPS {
                // New ones for every run: a log begins empty.
                let servers = layout.servers().await;
                let bus = layout.create(&servers).await;
                let before_s = servers.cpu().as_secs_f64();
                let work = Work { messages, sizes, entry, at_once };
                let best = raw::run(&bus, work).await;
                let used_s = servers.cpu().as_secs_f64() - before_s;
                found.push(RawRun { entry, best, servers_us: used_s / f64::from(messages) * 1e6 });
            }
            runs.extend(found.into_iter().max_by(|a, b| a.best.per_s.total_cmp(&b.best.per_s)));
        }
        Self { runs }
    }

    fn best(&self) -> f64 {
        self.runs.iter().map(|run| run.best.per_s).fold(0.0, f64::max)
    }

    fn singly(&self) -> f64 {
        self.runs.iter().find(|run| run.entry == 1).unwrap().best.per_s
    }
}

pub(crate) async fn routers(report: &Report) {
    for routers in ROUTERS {
        let layout = Layout { servers: 1, sync: "2m", routers, partitions: PARTITIONS };
        let world = World::open_fleet(layout, shape()).await;
        w1::hold(&world, held()).await;
        let done = w1::measure(&world, scaled(20_000), held()).await;
        let (n, served) = (done.messages(), world.served().await);
        world.stop().await;
        let name = if routers == 1 { "router" } else { "routers" };
        let what = format!(
            "as W1 of `cluster`, {}; {served:.0?} of {PARTITIONS} partitions each",
            layout.name()
        );
        let figure = format!("{routers} {name}");
        report.row("routers", &figure, (done.per_s(), "/s"), Target::None, what);
        let cpu_us = (done.cpu.product_s() / n * 1e6, "µs a message");
        report.row("routers", figure + ", CPU", cpu_us, Target::None, done.cpu.each(n));
    }
}
