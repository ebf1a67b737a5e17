//! The demo's world for a long time: memory stays flat, the log names no error, the judge finds nothing.

use std::time::Duration;

use tandem::stage::Stage;

use super::{
    ordeal::Ordeal,
    play::{Play, assert_clean, assert_no_errors, programs, times},
};

const SCENARIO: &str = include_str!("../../../../loadtest/scenarios/demo.toml");
/// From here on memory is judged: before, caches and allocators still fill.
const MEMORY_JUDGED_FROM_S: u64 = 300;
/// What the last quarter may use more than the second one: a tenth, and so many KiB.
const SLACK_KIB: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_goes_on_without_growing() {
    let seconds = times("TANDEM_DEMO_SECONDS", 15);
    let mut play = Play::begin("endurance").await;
    let stage = Stage::open(programs(), play.dir(), SCENARIO).await.unwrap();
    let ordeal = Ordeal::begin("endurance", stage, Vec::new()).await;
    let mut memory_kib = Vec::new();
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..seconds {
        every_second.tick().await;
        memory_kib.push(resident_kib(ordeal.product.id().unwrap()));
    }
    let report = play.rest(ordeal.control(), Duration::from_secs(90)).await;
    assert_clean("endurance", &report);
    assert_no_errors(&ordeal.log(), &[]);
    let quarter = memory_kib.len() / 4;
    let (early, late) = (
        median(&memory_kib[quarter..2 * quarter.max(1)]),
        median(&memory_kib[memory_kib.len() - quarter.max(1)..]),
    );
    println!(
        "endurance: {seconds} s, resident {early} KiB in the second quarter, {late} KiB in the last"
    );
    if seconds >= MEMORY_JUDGED_FROM_S {
        assert!(late <= early + early / 10 + SLACK_KIB, "memory grows: {memory_kib:?}");
    }
}

/// Resident memory of a process, KiB, as the kernel says.
fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2]
}
