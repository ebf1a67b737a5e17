//! What a look at the leases costs, and what it survives.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::Context;
use bus::{Bus, jetstream};
use chassis::{
    clock::Clock,
    task::{AbortOnDrop, TaskKind, spawn_abort_on_drop},
};
use futures::{StreamExt as _, TryStreamExt as _};
use testkit::{nats::NatsServer, wait_for};
use tokio::task::yield_now;

use super::{P0, body, created, make, options};

const WITHIN: Duration = Duration::from_secs(30);
const STREAM: &str = "TANDEM_LEASES";

async fn renew(bus: &Bus, nodes: u64, info: &str) {
    for node in 0..nodes {
        bus.leases.renew(&format!("node-{node}"), body(info)).await.unwrap();
    }
}

/// How many nodes the bus lists, all of them with this information.
async fn listed(bus: &Bus, info: &str) -> usize {
    let leases = bus.leases.list().await.unwrap();
    assert!(leases.values().all(|lease| lease.info == body(info)), "{leases:?}");
    leases.len()
}

async fn bystander(server: &NatsServer) -> Context {
    async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn consumers(bystander: &Context) -> Vec<String> {
    let stream = bystander.get_stream(STREAM).await.unwrap();
    stream.consumer_names().try_collect().await.unwrap()
}

/// With a request for each lease, every node would ask the leader for every node, twice a second.
#[tokio::test]
async fn a_look_costs_the_leader_one_request_however_many_nodes_there_are() {
    // More renewals than one round of a consumer brings.
    const NODES: u64 = 300;
    let (bus, server) = make().await;
    let bystander = async_nats::connect(server.url()).await.unwrap();
    let mut asked = bystander.subscribe("$JS.API.STREAM.MSG.GET.*").await.unwrap();
    bystander.flush().await.unwrap();
    for info in ["renewed", "renewed once more"] {
        // A consumer that is late, on a busy machine, is done without for a while.
        let look_of_one_request = async || {
            renew(&bus, NODES, info).await;
            assert_eq!(listed(&bus, info).await, 300);
            // What the bystander hears of himself he hears last.
            bystander.publish("$JS.API.STREAM.MSG.GET.over", "".into()).await.unwrap();
            let mut requests = 0;
            while !asked.next().await.unwrap().subject.ends_with("over") {
                requests += 1;
            }
            (requests == 1).then_some(())
        };
        wait_for(WITHIN, "a look of one request", look_of_one_request).await.unwrap();
    }
}

#[tokio::test]
async fn a_look_makes_another_consumer_where_its_own_is_gone() {
    let (bus, server) = make().await;
    let bystander = bystander(&server).await;
    for round in ["first", "second", "third"] {
        let name = async || {
            renew(&bus, 3, round).await;
            assert_eq!(listed(&bus, round).await, 3);
            let names = consumers(&bystander).await;
            assert!(names.len() <= 1, "{names:?}");
            names.into_iter().next()
        };
        let name = wait_for(WITHIN, "a consumer", name).await.unwrap();
        bystander.delete_consumer_from_stream(&name, STREAM).await.unwrap();
    }
}

#[tokio::test]
async fn leases_are_seen_over_a_killed_server_and_in_a_stream_made_anew() {
    let mut server = created().await;
    let bus = jetstream::connect(options(&server)).await.unwrap();
    renew(&bus, 3, "before").await;
    assert_eq!(listed(&bus, "before").await, 3);
    server.restart().await.unwrap();
    let again = async || bus.leases.renew("node-0", body("before")).await.ok();
    wait_for(WITHIN, "the server to be back", again).await.unwrap();
    assert_eq!(listed(&bus, "before").await, 3);
    bystander(&server).await.delete_stream(STREAM).await.unwrap();
    jetstream::init(options(&server)).await.unwrap();
    renew(&bus, 1, "anew").await;
    assert_eq!(listed(&bus, "anew").await, 1);
}

/// Runs on a thread that does other work for `HOGGED_MS` before it looks at anything that is ready, and counts how often it did.
struct Hog {
    rounds: Arc<AtomicU64>,
    _task: AbortOnDrop<()>,
}

impl Hog {
    const HOGGED_MS: u64 = 30;

    fn start() -> Self {
        let rounds = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&rounds);
        let hog = async move {
            let clock = Clock::system();
            loop {
                let until_ms = clock.boot_ms() + Self::HOGGED_MS;
                while clock.boot_ms() < until_ms {
                    std::hint::spin_loop();
                }
                counted.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        };
        Self { rounds, _task: spawn_abort_on_drop(TaskKind::Core, "hog", hog) }
    }

    /// Rounds that go by until `work` is done.
    async fn rounds(&self, work: impl Future<Output = ()>) -> u64 {
        let before = self.rounds.load(Ordering::Relaxed);
        work.await;
        self.rounds.load(Ordering::Relaxed) - before
    }
}

#[tokio::test]
async fn leases_do_not_wait_behind_the_work_of_their_process() {
    let (bus, _server) = make().await;
    renew(&bus, 40, "here").await;
    let hog = Hog::start();
    let listed = hog.rounds(async { assert_eq!(listed(&bus, "here").await, 40) }).await;
    // The first look asks for the end, makes a consumer and has it bring the leases: three requests one after the other, here on a
    // connection that this thread serves.
    let read = hog.rounds(async {
        for _ in 0..3 {
            assert!(bus.log.last(P0).await.unwrap().is_none());
        }
    });
    let read = read.await;
    println!("40 leases listed in {listed} rounds, three reads made in {read}");
    assert!(listed < read, "listed in {listed} rounds, read in {read}");
}
