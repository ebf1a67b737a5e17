//! How long a webhook's answer and an offer take at 1,000 webhooks/s, and what a flood of another business does to offers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hdrhistogram::Histogram;

use crate::harness::{
    desk::{self, Agents, Habits},
    measure::{ms, sum},
    poster::{self, histogram, offset_us},
    programs::Shape,
    report::{Report, Target},
    scaled, webhook,
    world::World,
};

const RATE: u32 = 1_000;
/// Customers whose conversations agents hold.
const HELD: u32 = 5_000;
/// One message in so many opens a conversation that an agent is offered.
const HAND_OFF_EVERY: u32 = 20;
/// Customers from here on have never written.
const NEW_FROM: u32 = 1_000_000;

pub(crate) async fn latency(report: &Report) {
    let messages = scaled(20_000);
    let world = World::open(Shape { agents: 40, ..Shape::default() }).await;
    world.post(world.texts("FIRST", HELD, HELD), 64).await;
    world.until_still().await;
    desk::assign_all(&world, HELD).await;
    let agents = Agents::sign_in(&world, Habits { resolves: true, ..Habits::default() }).await;

    let at_s = world.now_s();
    let customer = |n: u32| if n.is_multiple_of(HAND_OFF_EVERY) { NEW_FROM + n } else { n % HELD };
    let requests = (0..messages).map(|n| {
        let from = world.from(customer(n));
        webhook::text(from, &format!("LAT{n}"), at_s, "is my parcel there, please?")
    });
    let requests = Arc::new(requests.collect::<Vec<_>>());
    let due_us = world.clock.boot_us() + 50_000;
    let gateway = world.gateway();
    let answered = poster::paced(gateway, requests, RATE, due_us).await;
    world.until_still().await;
    let due = (0..messages)
        .filter(|n| n.is_multiple_of(HAND_OFF_EVERY))
        .map(|n| (NEW_FROM + n, due_us + offset_us(usize::try_from(n).unwrap(), RATE)))
        .collect();
    let (offers, missing) = offers_us(&world, &agents, &due).await;
    println!("offers missing: {missing} of {}", due.len());
    let what = format!(
        "{messages} webhooks at {RATE}/s, {HELD} conversations held by 40 connected agents who are pushed every message; from \
         when the request was due to its answer, {} hand-offs among them",
        due.len()
    );
    let at = |h: &Histogram<u64>, q: f64| ms(h.value_at_quantile(q));
    report.row("latency", "webhook answer p50", (at(&answered, 0.5), "ms"), Target::None, "");
    report.row(
        "latency",
        "webhook answer p99",
        (at(&answered, 0.99), "ms"),
        Target::AtMost(25.0),
        what,
    );
    report.row("latency", "webhook to offer p50", (at(&offers, 0.5), "ms"), Target::None, "");
    report.row(
        "latency",
        "webhook to offer p99",
        (at(&offers, 0.99), "ms"),
        Target::AtMost(60.0),
        "in the same run: from when the customer's first message was due to the offer at the agent's client, agents free",
    );
    drop(agents);
    world.stop().await;
}

/// Times from due to offer of the customers in `due`, and how many got none.
async fn offers_us(
    world: &World,
    agents: &Agents,
    due: &BTreeMap<u32, u64>,
) -> (Histogram<u64>, usize) {
    let ids = desk::conversations(world).await;
    let offered: BTreeMap<String, u64> =
        agents.seen.offers.lock().unwrap().iter().rev().cloned().collect();
    let mut times_us = histogram();
    let mut missing = 0;
    // When stalls come says where to look for them.
    let mut slowest: BTreeMap<u64, u64> = BTreeMap::new();
    let begun_us = due.values().min().copied().unwrap_or_default();
    for (customer, due_us) in due {
        let id = ids.get(&webhook::phone(*customer)).map(|found| &found.conversation_id);
        match id.and_then(|id| offered.get(id)) {
            Some(at_us) => {
                let took_us = at_us.saturating_sub(*due_us);
                times_us.saturating_record(took_us);
                let within = slowest.entry((due_us - begun_us) / 500_000).or_default();
                *within = (*within).max(took_us / 1_000);
            }
            None => missing += 1,
        }
    }
    println!("slowest offer of each half second, ms: {:?}", slowest.values().collect::<Vec<_>>());
    (times_us, missing)
}

/// The gateway's limit of inputs under way, second by second while `posting` runs.
async fn under_way_limits(world: &World, posting: impl Future) -> Vec<f64> {
    let mut posting = std::pin::pin!(posting);
    let mut limits = Vec::new();
    loop {
        tokio::select! {
            _ = &mut posting => return limits,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                limits.push(sum(&world.metrics().await, "tandem_gateway_under_way_limit"));
            }
        }
    }
}

/// Two businesses; the first writes its share, then ten times as much; the second's offers are looked at.
pub(crate) async fn flood(report: &Report) {
    const SHARE: u32 = 100;
    let seconds = scaled(1_000) / 100;
    let shape = Shape { businesses: 2, agents: 20, ..Shape::default() };
    let mut p99_ms = Vec::new();
    for (phase, flood) in [(0, SHARE), (1, 10 * SHARE)] {
        let world = World::open(shape).await;
        let agents = Agents::sign_in(&world, Habits { resolves: true, ..Habits::default() }).await;
        let at_s = world.now_s();
        // Odd customers belong to the second business: half of its messages open a conversation.
        let quiet = |n: u32| NEW_FROM + 2 * n + 1;
        let loud = |n: u32| 2 * (n % 1_000);
        let text = |customer: u32, tag: &str, n: u32| {
            let from = world.from(customer);
            webhook::text(from, &format!("{tag}{phase}N{n}"), at_s, "hello, is my parcel there?")
        };
        let quiets: Vec<_> = (0..SHARE * seconds).map(|n| text(quiet(n / 2), "Q", n)).collect();
        let louds: Vec<_> = (0..flood * seconds).map(|n| text(loud(n), "L", n)).collect();
        let due_us = world.clock.boot_us() + 50_000;
        let gateway = world.gateway();
        let posting = async {
            tokio::join!(
                poster::paced(gateway, Arc::new(quiets), SHARE, due_us),
                poster::paced(gateway, Arc::new(louds), flood, due_us),
            )
        };
        let limits = under_way_limits(&world, posting).await;
        println!("inputs that might be under way, each second: {limits:?}");
        world.until_still().await;
        let due = (0..SHARE * seconds)
            .step_by(2)
            .map(|n| (quiet(n / 2), due_us + offset_us(usize::try_from(n).unwrap(), SHARE)))
            .collect();
        let (offers, missing) = offers_us(&world, &agents, &due).await;
        println!("the other business writes {flood}/s: offers missing {missing} of {}", due.len());
        println!("p50 {} ms", ms(offers.value_at_quantile(0.5)));
        p99_ms.push(ms(offers.value_at_quantile(0.99)));
        drop(agents);
        world.stop().await;
    }
    let what = format!(
        "two businesses of {SHARE} webhooks/s each, half of the second's open a conversation; 20 agents each"
    );
    report.row("flood", "offer p99 at equal shares", (p99_ms[0], "ms"), Target::None, what);
    report.row(
        "flood",
        "offer p99 while the other floods",
        (p99_ms[1], "ms"),
        Target::AtMost(2.0 * p99_ms[0]),
        "the first business at 10 times its share",
    );
}
