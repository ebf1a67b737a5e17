//! Two processes that were given the same name.

use std::time::Duration;

use bus::PartitionId;
use runtime::{Node, Placement};

use crate::world::{Installation, PARTITIONS, pass_ms, until};

/// Longest until a newcomer knows whether its name is taken.
const KNOWN_WITHIN_MS: u64 = 3_000;

fn installation(seed: u64) -> Installation {
    let mut installation = Installation::new(seed);
    installation.settings.placement = Placement::Rendezvous;
    installation
}

async fn until_serving(node: &Node) {
    let all = || (node.readiness().borrow().serving == usize::from(PARTITIONS)).then_some(());
    until("partitions served", all).await;
}

/// Records of all logs: who is fenced, or takes something, adds to them.
fn records(installation: &Installation) -> usize {
    (0..PARTITIONS).map(|partition| installation.sim.records(PartitionId(partition)).len()).sum()
}

async fn until_over(node: &Node) -> u64 {
    let mut waited_ms = 0;
    while node.status().await.is_ok() {
        assert!(waited_ms < 60_000, "it goes on under a name that is taken");
        pass_ms(10).await;
        waited_ms += 10;
    }
    waited_ms
}

#[tokio::test(start_paused = true)]
async fn who_comes_second_under_a_name_ends_and_takes_nothing() {
    let installation = installation(70);
    let (elder, _) = installation.node("a").await;
    until_serving(&elder).await;
    let before = records(&installation);
    let (newcomer, _) = installation.node("a").await;
    let waited_ms = until_over(&newcomer).await;
    assert!(waited_ms <= KNOWN_WITHIN_MS, "{waited_ms} ms");
    pass_ms(30_000).await;
    until_serving(&elder).await;
    assert_eq!(records(&installation), before, "a partition was taken from its owner");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_after_a_crash_serves_soon() {
    let installation = installation(71);
    let (first, _) = installation.node("a").await;
    until_serving(&first).await;
    first.kill();
    let began_ms = installation.clock.boot_ms();
    let (second, _) = installation.node("a").await;
    until_serving(&second).await;
    let took_ms = installation.clock.boot_ms() - began_ms;
    assert!(took_ms <= KNOWN_WITHIN_MS, "{took_ms} ms");
    pass_ms(30_000).await;
    until_serving(&second).await;
    second.stop(Duration::from_secs(10)).await.unwrap();
}
