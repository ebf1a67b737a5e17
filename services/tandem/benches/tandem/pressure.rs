//! A number under full pressure: more is asked than its rate allows, and every departure is looked at where it arrives.

use std::time::Duration;

use crate::harness::{
    desk,
    programs::Shape,
    report::{Report, Target},
    scaled,
    world::World,
};

const RATE: u32 = 80;
const CUSTOMERS: u32 = 600;

pub(crate) async fn run(report: &Report) {
    let seconds = scaled(6_000) / 100;
    let world = World::open(Shape { rate: RATE, agents: 1, ..Shape::default() }).await;
    world.post(world.texts("FIRST", CUSTOMERS, CUSTOMERS), 16).await;
    world.until_still().await;
    // The inbound of the beginning must not count any more.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let sends = RATE * (seconds + 8);
    let begun_us = world.clock.boot_us();
    tokio::select! {
        () = desk::send_all(&world, CUSTOMERS, sends, RATE + RATE / 4) => {}
        () = tokio::time::sleep(Duration::from_secs(u64::from(seconds) + 6)) => {}
    }
    let from_us = begun_us + 3_000_000;
    let until_us = from_us + u64::from(seconds) * 1_000_000;
    let departures = world.graph.departures();
    let within = departures.iter().filter(|at| (from_us..until_us).contains(at)).count();
    let within = f64::from(u32::try_from(within).unwrap());
    let what = format!(
        "a number of {RATE}/s, {}/s asked by a program, no inbound; {seconds} s measured where the calls arrive",
        RATE + RATE / 4
    );
    let used = within / f64::from(RATE * seconds) * 100.0;
    report.row("pressure", "of the rate used", (used, "%"), Target::AtLeast(98.0), what);
    let most = f64::from(u32::try_from(most_in_a_second(&departures)).unwrap());
    report.row(
        "pressure",
        "most calls in any second",
        (most, "calls"),
        Target::AtMost(f64::from(RATE)),
        "any window of one second, not only whole ones",
    );
    world.stop().await;
}

fn most_in_a_second(departures: &[u64]) -> usize {
    let mut sorted = departures.to_vec();
    sorted.sort_unstable();
    let within = |(place, at): (usize, &u64)| {
        sorted[place..].iter().take_while(|later| **later < at + 1_000_000).count()
    };
    sorted.iter().enumerate().map(within).max().unwrap_or(0)
}
