//! Two nodes on a real NATS server, in real time.

use std::{sync::Arc, time::Duration};

use bus::{
    Bus, PartitionId,
    jetstream::{self, Options},
};
use chassis::clock::Clock;
use runtime::{Node, NodeOptions, PartitionStatus, Placement, Settings, move_partition};
use testkit::{nats::NatsServer, wait_until};

use crate::{
    toy::{Command, ToyHost, World, account, input},
    world::{append, ask},
};

pub(crate) const PARTITIONS: u16 = 8;
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
pub(crate) const LEASE_MS: u64 = 2_000;

fn options(server: &NatsServer) -> Options {
    Options {
        servers: vec![server.url()],
        partitions: PARTITIONS,
        replicas: 1,
        allow_data_loss: true,
        ..Options::default()
    }
}

async fn installation() -> NatsServer {
    let server = NatsServer::start().await.unwrap();
    jetstream::init(options(&server)).await.unwrap();
    server
}

async fn connect(server: &NatsServer) -> Bus {
    jetstream::connect(options(server)).await.unwrap()
}

async fn node(server: &NatsServer, world: &Arc<World>, name: &str) -> Node {
    node_on(connect(server).await, world, name).await
}

pub(crate) async fn node_on(bus: Bus, world: &Arc<World>, name: &str) -> Node {
    let mut options = NodeOptions::new(bus, Arc::new(ToyHost::default()), world.clone(), name);
    options.settings = Settings {
        placement: Placement::Rendezvous,
        renew_ms: 200,
        lease_ms: LEASE_MS,
        settle_ms: 500,
        ..Settings::default()
    };
    Node::start(options).await.unwrap()
}

pub(crate) fn own(node: &Node) -> usize {
    node.readiness().borrow().serving
}

pub(crate) fn is_ready(node: &Node) -> bool {
    node.readiness().borrow().is_ready()
}

async fn pair(server: &NatsServer, world: &Arc<World>) -> (Node, Node) {
    let a = node(server, world, "a").await;
    let all = usize::from(PARTITIONS);
    wait_until(WITHIN, "a serves all", || own(&a) == all).await.unwrap();
    let b = node(server, world, "b").await;
    // What both say is where the hashes put it: what moves no more.
    wait_until(WITHIN, "b has its share", || own(&b) > 0 && own(&a) + own(&b) == all)
        .await
        .unwrap();
    (a, b)
}

/// Partitions move one at a time, so nodes are at rest once none moves for as long as the slowest hand-over takes.
pub(crate) async fn at_rest(node: &Node) {
    let clock = Clock::system();
    let mut last = (0, clock.boot_ms());
    wait_until(WITHIN, "rest", || {
        if own(node) != last.0 {
            last = (own(node), clock.boot_ms());
        }
        clock.boot_ms() - last.1 > 2_000
    })
    .await
    .unwrap();
}

async fn epochs(nodes: [&Node; 2]) -> u64 {
    let mut sum = 0;
    for node in nodes {
        for (_, status) in node.status().await.unwrap() {
            let PartitionStatus::Serving(status) = status else { panic!("{status:?}") };
            sum += status.epoch;
        }
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_server_makes_both_unready_moves_nothing_and_loses_nothing() {
    let server = installation().await;
    let world = Arc::<World>::default();
    let (a, b) = pair(&server, &world).await;
    let clock = Clock::system();
    at_rest(&a).await;
    let before = epochs([&a, &b]).await;
    let edge = connect(&server).await;
    let target = account(3, 1, PARTITIONS);
    for n in 0..20 {
        append(&edge, vec![input(n, target, &Command::Add(1), None)]).await;
    }
    server.pause().unwrap();
    wait_until(WITHIN, "both out of touch", || !is_ready(&a) && !is_ready(&b)).await.unwrap();
    // For as long as it takes to call a node dead, twice.
    let stopped_ms = clock.boot_ms();
    let over = || clock.boot_ms() - stopped_ms > 2 * LEASE_MS;
    wait_until(WITHIN, "two leases", over).await.unwrap();
    server.resume().unwrap();
    wait_until(WITHIN, "both ready", || is_ready(&a) && is_ready(&b)).await.unwrap();
    let reply = ask(&edge, input(100, target, &Command::Add(0), None)).await;
    assert_eq!(reply.result.unwrap(), "20");
    at_rest(&a).await;
    assert_eq!(epochs([&a, &b]).await, before, "somebody took something");
    a.stop(Duration::from_secs(30)).await.unwrap();
    assert_eq!(own(&b), usize::from(PARTITIONS));
    b.stop(Duration::from_secs(30)).await.unwrap();
}

/// The longest time without a served owner, as both nodes see it together, over several moves to and fro.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_hand_over_over_nats_is_short() {
    let server = installation().await;
    let world = Arc::<World>::default();
    let (a, b) = pair(&server, &world).await;
    let operator = connect(&server).await;
    let (clock, partition) = (Clock::system(), PartitionId(0));
    let mut gaps = Vec::new();
    for round in 0..20 {
        let (to, name) = if round % 2 == 0 { (&b, "b") } else { (&a, "a") };
        let is_there = || {
            let owners = to.owners();
            let owners = owners.borrow();
            owners.get(&partition).is_some_and(|owner| owner.serving && owner.node == name)
        };
        move_partition(&operator, partition, name).await.unwrap();
        let (mut gone, mut gap) = (None, 0);
        let all = usize::from(PARTITIONS);
        wait_until(WITHIN, "the move", || {
            if own(&a) + own(&b) < all {
                gap = clock.boot_ms() - *gone.get_or_insert_with(|| clock.boot_ms());
            } else {
                gone = None;
            }
            is_there()
        })
        .await
        .unwrap();
        gaps.push(gap);
    }
    gaps.sort_unstable();
    println!("hand-over over NATS: p50 {} ms, longest {} ms of 20", gaps[9], gaps[19]);
    // The aim is 200 ms; a machine that builds meanwhile may take longer once.
    assert!(gaps[9] <= 200, "{gaps:?}");
    a.stop(Duration::from_secs(30)).await.unwrap();
    b.stop(Duration::from_secs(30)).await.unwrap();
}
