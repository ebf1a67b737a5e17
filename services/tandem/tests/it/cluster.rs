//! Many processes on NATS JetStream share one installation: the work moves, processes die, nothing is lost or done twice.

mod balancer;
mod fleet;

use std::time::Duration;

use rand::{Rng as _, seq::IndexedRandom as _};
use testkit::{nats::NatsServer, postgres::PostgresServer};

use super::play::{Play, assert_clean, count, scenario, seeded, set, times, until};
use fleet::Fleet;

const SCENARIO: &str = include_str!("../../../../loadtest/scenarios/demo.toml");
const SETTLE: Duration = Duration::from_secs(180);

async fn traffic(fleet: &Fleet, posts: u64) {
    let before = fleet.control().report().await.unwrap();
    let goal = count(&before, "posts") + posts;
    let enough = |report: &serde_json::Value| count(report, "posts") >= goal;
    until(fleet.control(), "so much traffic", Duration::from_secs(120), enough).await;
}

/// One router serves the partitions and another stands by; agents are connected to desks that own none; each is killed once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_an_installation_and_each_may_die() {
    let mut play = Play::begin("cluster").await;
    let mut rng = seeded("cluster");
    let (nats, postgres) =
        (NatsServer::start().await.unwrap(), PostgresServer::start().await.unwrap());
    let database = format!("[archive.postgres]\nurl = {:?}", postgres.url("postgres"));
    let scenario = scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", 40.0));
    let mut fleet = Fleet::open(play.dir(), &scenario, &[nats.url()], &database).await;
    for (role, node) in [
        ("archive", "archive-1"),
        ("router", "router-1"),
        ("router", "router-2"),
        ("gateway", "gateway-1"),
        ("gateway", "gateway-2"),
        ("desk", "desk-1"),
        ("desk", "desk-2"),
    ] {
        fleet.start(role, node).await;
    }
    fleet.control().start(&fleet.addresses()).await.unwrap();
    traffic(&fleet, 1_500).await;
    let serving = fleet.metric("router-1", "tandem_runtime_partitions").await
        + fleet.metric("router-2", "tandem_runtime_partitions").await;
    assert!((serving - 16.0).abs() < 0.5, "{serving} of 16 partitions are served");
    let mut nodes = ["router-1", "router-2", "gateway-1", "desk-1", "archive-1"].to_vec();
    for _ in 0..times("TANDEM_CLUSTER_KILLS", 5) {
        let node = *nodes.choose(&mut rng).unwrap();
        let left: Vec<_> = nodes.iter().copied().filter(|other| *other != node).collect();
        nodes = if left.is_empty() { vec![node] } else { left };
        traffic(&fleet, rng.random_range(200..600)).await;
        println!("cluster: kill {node}");
        fleet.kill_and_restart(node).await;
    }
    traffic(&fleet, 1_000).await;
    println!("cluster: restart of both routers in good order");
    for node in ["router-1", "router-2"] {
        fleet.restart(node).await;
        traffic(&fleet, 200).await;
    }
    let report = play.rest(fleet.control(), SETTLE).await;
    assert_clean("cluster", &report);
    fleet.end(&[]).await;
}
