//! A number under full pressure: more is asked than its rate allows, and every departure is looked at where it arrives. Without
//! inbound; with random inbound that counts in the same limit; and the replies of agents behind a campaign.

use std::{sync::Arc, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::harness::{
    desk::{self, Agents, Habits},
    measure::ms,
    poster::{self, offset_us},
    programs::Shape,
    report::{Report, Target},
    scaled, webhook,
    world::World,
};

const RATE: u32 = 80;
const CUSTOMERS: u32 = 600;
/// Of a number whose app counts in and out.
const COEXISTENCE_RATE: u32 = 20;
/// Messages in per second, on the average.
const INBOUND: u32 = 8;
/// Customers whose agents reply while a campaign runs.
const TALKING: u32 = 100;
const AGENTS: u32 = 10;
/// What an agent's share of them takes.
const CAPACITY: u32 = TALKING / AGENTS * 20;
/// Their messages per second.
const TALK: u32 = 10;
/// What happens in the first seconds is not measured.
const LEAD_US: u64 = 3_000_000;

pub(crate) async fn run(report: &Report) {
    alone(report).await;
    beside_inbound(report).await;
    behind_a_campaign(report).await;
}

fn measured_s() -> u32 {
    scaled(6_000) / 100
}

/// A world in which everybody wrote once, long enough ago not to count any more.
async fn world_of(shape: Shape) -> World {
    let world = World::open(shape).await;
    world.post(world.texts("FIRST", CUSTOMERS, CUSTOMERS), 16).await;
    world.until_still().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    world
}

/// Asks for a quarter more than `rate` until the measured time is over.
async fn press(world: &World, rate: u32, until_us: u64) {
    let (seconds, rate) = (measured_s() + 8, rate + rate / 4);
    let left_us = until_us.saturating_sub(world.clock.boot_us()) + 1_000_000;
    tokio::select! {
        () = desk::send_all(world, CUSTOMERS, rate * seconds, rate) => {}
        () = tokio::time::sleep(Duration::from_micros(left_us)) => {}
    }
}

async fn alone(report: &Report) {
    let seconds = measured_s();
    let world = world_of(Shape { rate: RATE, agents: 1, ..Shape::default() }).await;
    let from_us = world.clock.boot_us() + LEAD_US;
    let until_us = from_us + u64::from(seconds) * 1_000_000;
    press(&world, RATE, until_us).await;
    let departures = world.graph.departures();
    let used = count(&departures, from_us, until_us) / f64::from(RATE * seconds) * 100.0;
    let what = format!(
        "a number of {RATE}/s, {}/s asked by a program, no inbound; {seconds} s measured where the calls arrive",
        RATE + RATE / 4
    );
    report.row("pressure", "of the rate used", (used, "%"), Target::AtLeast(98.0), what);
    report.row(
        "pressure",
        "most calls in any second",
        (f64::from(most_in_a_second(&departures)), "calls"),
        Target::AtMost(f64::from(RATE)),
        "any window of one second, not only whole ones",
    );
    world.stop().await;
}

async fn beside_inbound(report: &Report) {
    let seconds = measured_s();
    let shape = Shape { rate: COEXISTENCE_RATE, coexistence: true, agents: 1, ..Shape::default() };
    let world = world_of(shape).await;
    let from_us = world.clock.boot_us() + LEAD_US;
    let until_us = from_us + u64::from(seconds) * 1_000_000;
    let due_us = random_times(world.clock.boot_us() + 50_000, until_us + 500_000);
    let texts = world.texts("RND", u32::try_from(due_us.len()).unwrap(), CUSTOMERS);
    let gateway = world.gateway();
    tokio::join!(
        poster::at(gateway, texts, Arc::new(due_us.clone())),
        press(&world, COEXISTENCE_RATE, until_us),
    );
    let inbound = count(&due_us, from_us, until_us);
    let left = f64::from(COEXISTENCE_RATE * seconds) - inbound;
    let used = count(&world.graph.departures(), from_us, until_us) / left * 100.0;
    let what = format!(
        "a coexistence number of {COEXISTENCE_RATE}/s, in and out counted; {inbound} messages in at random, {}/s asked; {seconds} s",
        COEXISTENCE_RATE + COEXISTENCE_RATE / 4
    );
    report.row("pressure", "of what inbound leaves", (used, "%"), Target::AtLeast(90.0), what);
    world.stop().await;
}

/// Arrivals that know nothing of each other (exponential gaps).
fn random_times(from_us: u64, until_us: u64) -> Vec<u64> {
    let mut rng = StdRng::seed_from_u64(11);
    let mut at_us = from_us;
    let gap = || {
        let gap_s = -(1.0 - rng.random::<f64>()).ln() / f64::from(INBOUND);
        at_us += u64::try_from(Duration::from_secs_f64(gap_s).as_micros()).unwrap();
        (at_us < until_us).then_some(at_us)
    };
    std::iter::from_fn(gap).collect()
}

async fn behind_a_campaign(report: &Report) {
    let seconds = measured_s();
    // The agents have their hands full: nobody else is offered.
    let shape = Shape { rate: RATE, agents: AGENTS, capacity: CAPACITY, ..Shape::default() };
    let world = world_of(shape).await;
    desk::assign_all(&world, TALKING).await;
    let agents = Agents::sign_in(&world, Habits { replies: true, ..Habits::default() }).await;
    let from_us = world.clock.boot_us() + LEAD_US;
    let until_us = from_us + u64::from(seconds) * 1_000_000;
    let n = (seconds + 3) * TALK;
    let at_s = world.now_s();
    let texts = (0..n).map(|n| {
        webhook::text(world.from(n % TALKING), &format!("TALK{n}"), at_s, "and when will it come?")
    });
    let due_us = (0..n).map(|n| from_us + offset_us(usize::try_from(n).unwrap(), TALK) - LEAD_US);
    let gateway = world.gateway();
    let (texts, due_us) = (Arc::new(texts.collect()), Arc::new(due_us.collect()));
    let talk = async {
        poster::at(gateway, texts, due_us).await;
        let left_us = (until_us + 1_000_000).saturating_sub(world.clock.boot_us());
        tokio::time::sleep(Duration::from_micros(left_us)).await;
    };
    tokio::select! {
        () = desk::submit_campaign(&world, TALKING..CUSTOMERS) => {}
        () = talk => {}
    }

    let (waited_us, missing) = agents.reply_us(&world, 0);
    println!("replies of agents: {}, missing {missing}", waited_us.len());
    let used = count(&world.graph.departures(), from_us, until_us) / f64::from(RATE * seconds);
    let what = format!(
        "a number of {RATE}/s whose backlog a campaign keeps full ({:.0} % of the rate used), {TALK} replies/s of {AGENTS} agents; \
         from the agent's command to the call at the Graph API",
        used * 100.0
    );
    let p99 = ms(waited_us.value_at_quantile(0.99));
    report.row("pressure", "agent reply p99", (p99, "ms"), Target::AtMost(200.0), what);
    drop(agents);
    world.stop().await;
}

fn count(times_us: &[u64], from_us: u64, until_us: u64) -> f64 {
    let within = times_us.iter().filter(|at| (from_us..until_us).contains(at)).count();
    f64::from(u32::try_from(within).unwrap())
}

fn most_in_a_second(departures: &[u64]) -> u32 {
    let mut sorted = departures.to_vec();
    sorted.sort_unstable();
    let within = |(place, at): (usize, &u64)| {
        sorted[place..].iter().take_while(|later| **later < at + 1_000_000).count()
    };
    u32::try_from(sorted.iter().enumerate().map(within).max().unwrap_or(0)).unwrap()
}
