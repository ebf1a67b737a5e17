//! Two nodes on three real NATS servers, one of which is separated from the others together with a node.

use std::{sync::Arc, time::Duration};

use bus::{
    Bus, PartitionId, ReadLimit, Record, RecordBody,
    jetstream::{self, Options},
};
use chassis::clock::Clock;
use testkit::{nats::NatsCluster, wait_for, wait_until};

use crate::{
    nats::{LEASE_MS, PARTITIONS, WITHIN, at_rest, is_ready, node_on, own},
    toy::{Command, World, account, input},
    world::ask,
};

/// The server that is separated, and one that is not.
const APART: usize = 0;
const TOGETHER: usize = 1;

fn options(servers: Vec<String>) -> Options {
    Options {
        servers,
        partitions: PARTITIONS,
        streams: 1,
        replicas: 3,
        allow_data_loss: true,
        ..Options::default()
    }
}

async fn connect(cluster: &NatsCluster, server: usize) -> Bus {
    let servers = vec![cluster.urls()[server].clone()];
    jetstream::connect(options(servers)).await.unwrap()
}

/// Epochs and nodes, by partition, in the order in which they became owners.
type Histories = Vec<Vec<(u64, String)>>;

async fn history(bus: &Bus, partition: PartitionId) -> Vec<(u64, String)> {
    let (mut owners, mut after) = (Vec::new(), 0);
    loop {
        let read = async || bus.log.read(partition, after, ReadLimit::default()).await.ok();
        let records = wait_for(WITHIN, "records", read).await.unwrap();
        let Some((last, _)) = records.last() else { return owners };
        after = *last;
        for (_, bytes) in records {
            let record = Record::decode(&bytes).unwrap();
            if let RecordBody::Epoch { node, .. } = record.body {
                owners.push((record.head.epoch, node));
            }
        }
    }
}

async fn histories(bus: &Bus) -> Histories {
    let mut all = Vec::new();
    for partition in (0..PARTITIONS).map(PartitionId) {
        all.push(history(bus, partition).await);
    }
    all
}

/// The same, where `node` took everything that `from` owned.
fn taken(before: &Histories, from: &str, node: &str) -> Histories {
    let mut after = before.clone();
    for owners in &mut after {
        if let Some((epoch, _)) = owners.last().filter(|(_, owner)| owner == from).cloned() {
            owners.push((epoch + 1, node.to_owned()));
        }
    }
    after
}

/// Who owned each partition after whom.
fn owners(histories: &Histories) -> Vec<Vec<&str>> {
    let names = histories.iter().map(|history| history.iter().map(|(_, node)| node.as_str()));
    names
        .map(|names| {
            let mut names: Vec<_> = names.collect();
            names.dedup();
            names
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_behind_a_server_apart_loses_its_partitions_once_and_gets_them_back_once() {
    let cluster = NatsCluster::start(3).await.unwrap();
    let init = async || jetstream::init(options(cluster.urls())).await.ok();
    wait_for(WITHIN, "the streams", init).await.unwrap();
    let (world, all) = (Arc::<World>::default(), usize::from(PARTITIONS));
    let a = node_on(connect(&cluster, APART).await, &world, "a").await;
    wait_until(WITHIN, "a serves all", || own(&a) == all).await.unwrap();
    let b = node_on(connect(&cluster, TOGETHER).await, &world, "b").await;
    wait_until(WITHIN, "shares", || own(&b) > 0 && own(&a) + own(&b) == all).await.unwrap();
    at_rest(&a).await;
    let edge = connect(&cluster, TOGETHER).await;
    let (before, shares) = (histories(&edge).await, (own(&a), own(&b)));
    assert!(shares.0 > 0 && shares.0 + shares.1 == all, "{shares:?}");

    cluster.isolate(APART);
    wait_until(WITHIN, "b serves all", || own(&b) == all).await.unwrap();
    let once = taken(&before, "a", "b");
    assert_eq!(histories(&edge).await, once);
    for partition in 0..PARTITIONS {
        let target = account(partition, 1, PARTITIONS);
        let number = u64::from(partition);
        let reply = ask(&edge, input(number, target, &Command::Add(1), None)).await;
        assert_eq!(reply.result.unwrap(), "0", "{partition} is served");
    }
    // For as long as it takes to call a node dead, twice.
    let clock = Clock::system();
    let until_ms = clock.boot_ms() + 2 * LEASE_MS;
    wait_until(WITHIN, "two leases", || clock.boot_ms() > until_ms).await.unwrap();
    assert!(!is_ready(&a), "it cannot renew its lease");
    assert_eq!(histories(&edge).await, once, "to and fro while it lasts");

    cluster.rejoin(APART);
    let shared = || is_ready(&a) && is_ready(&b) && (own(&a), own(&b)) == shares;
    wait_until(WITHIN, "the shares of before", shared).await.unwrap();
    at_rest(&a).await;
    // Back to where the hashes put them, and nothing else. Where the one that gets it does not take it in time, its owner
    // takes it again and gives it once more: that moves nothing.
    let back: Histories = once
        .iter()
        .zip(taken(&once, "b", "a"))
        .zip(&before)
        .map(|((once, back), before)| if once == before { once.clone() } else { back })
        .collect();
    // A page of the log may come from a copy that is a little behind.
    let mut found = Histories::new();
    let seen = wait_for(WITHIN, "the log to tell it", async || {
        found = histories(&edge).await;
        (owners(&found) == owners(&back)).then_some(())
    });
    seen.await.unwrap_or_else(|error| panic!("{error}: {found:?}, and not {back:?}"));
    a.stop(Duration::from_secs(30)).await.unwrap();
    wait_until(WITHIN, "b to serve what a let go", || own(&b) == all).await.unwrap();
    b.stop(Duration::from_secs(30)).await.unwrap();
}
