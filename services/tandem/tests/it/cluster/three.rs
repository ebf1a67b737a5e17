//! Three NATS servers, three routers, two gateways, two desks, the archive on Postgres: everything is killed, paused or restarted
//! in turn, and nothing is lost or done twice.

use std::{collections::VecDeque, time::Duration};

use chassis::clock::Clock;
use rand::{
    Rng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use testkit::{nats::NatsCluster, postgres::PostgresServer, wait_for};

use super::{
    SERVED_WITHIN, SETTLE,
    fleet::{Fleet, PARTITIONS},
    timings::tell_leases,
    traffic,
};
use crate::play::{Play, assert_clean, count, scenario, seeded, set, times, told};

const SCENARIO: &str = include_str!("../../../../../loadtest/scenarios/cluster.toml");
const ROUTERS: [&str; 3] = ["router-1", "router-2", "router-3"];
/// A router that joins is given nothing for ten seconds, then one partition at a time.
const SHARED_WITHIN: Duration = Duration::from_secs(120);
/// Webhooks between two strikes.
const BETWEEN: std::ops::Range<u64> = 50..250;
/// What is told by ERROR while servers are gone: the client of NATS, of a server that closes a connection before it has greeted.
const EXPECTED: [&str; 1] = ["expected INFO, got nothing"];

/// What strikes; of processes, any one of the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strike {
    /// kill -9 of a process, and a start a moment later.
    Kill(&'static str),
    /// SIGSTOP for a while.
    Pause(&'static str),
    /// SIGTERM and a start, as a rolling upgrade does it.
    Restart(&'static str),
    /// kill -9 of any server of NATS.
    KillServer,
    /// Of the one that leads a stream.
    KillLeader(&'static str),
    /// SIGSTOP of a server for a while.
    PauseServer,
    /// A server and its clients see each other, and nobody of the others, for a while.
    IsolateServer,
    /// kill -9 of Postgres.
    KillDatabase,
    /// SIGSTOP of Postgres for a while.
    PauseDatabase,
}

/// One of each, which every run has, in any order.
const STRIKES: [Strike; 20] = [
    Strike::Kill("router"),
    Strike::Kill("gateway"),
    Strike::Kill("desk"),
    Strike::Kill("archive"),
    Strike::Pause("router"),
    Strike::Pause("gateway"),
    Strike::Pause("desk"),
    Strike::Pause("archive"),
    Strike::Restart("router"),
    Strike::Restart("gateway"),
    Strike::Restart("desk"),
    Strike::Restart("archive"),
    Strike::KillServer,
    Strike::KillLeader("TANDEM_LEASES"),
    Strike::KillLeader("TANDEM_LOG_0"),
    Strike::KillLeader("TANDEM_INBOX_0"),
    Strike::PauseServer,
    Strike::IsolateServer,
    Strike::KillDatabase,
    Strike::PauseDatabase,
];
/// Strikes of the short run, each once; the long one goes round and round.
const STRIKES_SHORT: u64 = 20;
/// Longest pause of a process in the short run and in the long one.
const PAUSE_SHORT_MS: u64 = 5_000;
const PAUSE_LONG_MS: u64 = 20_000;

/// The installation and what it stands on.
struct World {
    fleet: Fleet,
    servers: NatsCluster,
    database: PostgresServer,
    rng: StdRng,
    clock: Clock,
    pause_max_ms: u64,
}

impl World {
    async fn open(play: &Play, rng: StdRng, strikes: u64) -> Self {
        let servers = NatsCluster::start(3).await.unwrap();
        let database = PostgresServer::start().await.unwrap();
        let more = format!("[archive.postgres]\nurl = {:?}", database.url("postgres"));
        let per_s = times("TANDEM_CLUSTER_INBOUND_PER_S", 200);
        let scenario = scenario(SCENARIO, |table| {
            set(table, "traffic", "inbound_per_s", f64::from(u32::try_from(per_s).unwrap()));
            if let Some(unacked_max) = told("TANDEM_CLUSTER_UNACKED_MAX") {
                set(table, "traffic", "unacked_max", i64::try_from(unacked_max).unwrap());
            }
        });
        let mut fleet = Fleet::open(play.dir(), &scenario, &servers.urls(), None, &more).await;
        let members = [
            ("archive", "archive-1"),
            ("router", "router-1"),
            ("router", "router-2"),
            ("router", "router-3"),
            ("gateway", "gateway-1"),
            ("gateway", "gateway-2"),
            ("desk", "desk-1"),
            ("desk", "desk-2"),
        ];
        fleet.begin(&members).await;
        let is_short = strikes <= STRIKES_SHORT;
        let pause_max_ms = if is_short { PAUSE_SHORT_MS } else { PAUSE_LONG_MS };
        Self { fleet, servers, database, rng, clock: Clock::system(), pause_max_ms }
    }

    /// Waits until these routers serve everything; how long that took, ms.
    async fn until_served(&self, routers: &[&'static str]) -> u64 {
        let began_ms = self.clock.boot_ms();
        let all = async || (self.fleet.served(routers).await - PARTITIONS).abs() < 0.5;
        let all = async || all().await.then_some(());
        wait_for(SERVED_WITHIN, "all partitions to be served", all).await.unwrap();
        self.clock.boot_ms() - began_ms
    }

    async fn strike(&mut self, strike: Strike) {
        let (began_ms, pause_ms) =
            (self.clock.boot_ms(), self.rng.random_range(500..=self.pause_max_ms));
        let pause = Duration::from_millis(pause_ms);
        match strike {
            Strike::Kill(role) => {
                let node = self.any(role);
                self.fleet.process(node).kill().await.unwrap();
                let others: Vec<_> = ROUTERS.into_iter().filter(|router| *router != node).collect();
                if others.len() < ROUTERS.len() {
                    let took_ms = self.until_served(&others).await;
                    println!(
                        "cluster of three: {node} is killed, the others serve everything after {took_ms} ms"
                    );
                }
                self.fleet.start_again(node).await;
            }
            Strike::Pause(role) => {
                let node = self.any(role);
                self.fleet.process(node).freeze().unwrap();
                tokio::time::sleep(pause).await;
                self.fleet.process(node).thaw().unwrap();
            }
            Strike::Restart(role) => {
                let node = self.any(role);
                self.fleet.restart(node).await;
            }
            Strike::KillServer => {
                let number = self.any_server();
                self.kill_server(number).await;
            }
            Strike::KillLeader(stream) => self.kill_leader(stream).await,
            Strike::PauseServer => {
                let number = self.any_server();
                self.servers.pause(number).unwrap();
                tokio::time::sleep(pause).await;
                self.servers.resume(number).unwrap();
            }
            Strike::IsolateServer => {
                let number = self.any_server();
                self.servers.isolate(number);
                tokio::time::sleep(pause).await;
                self.servers.rejoin(number);
            }
            Strike::KillDatabase => {
                self.database.kill().unwrap();
                traffic(&self.fleet, 50).await;
                self.database.restart().await.unwrap();
            }
            Strike::PauseDatabase => {
                self.database.pause().unwrap();
                tokio::time::sleep(pause).await;
                self.database.resume().unwrap();
            }
        }
        let struck_ms = self.clock.boot_ms() - began_ms;
        let served_ms = self.until_served(&ROUTERS).await;
        println!(
            "cluster of three: {strike:?} took {struck_ms} ms; all served {served_ms} ms later"
        );
    }

    /// Any process of a role.
    fn any(&mut self, role: &str) -> &'static str {
        self.fleet.nodes(role).choose(&mut self.rng).unwrap()
    }

    fn any_server(&mut self) -> usize {
        self.rng.random_range(0..self.servers.size())
    }

    async fn kill_server(&mut self, number: usize) {
        self.servers.kill(number).unwrap();
        traffic(&self.fleet, 50).await;
        self.servers.restart(number).await.unwrap();
    }

    async fn kill_leader(&mut self, stream: &str) {
        let began_ms = self.clock.boot_ms();
        let killed = self.servers.kill_leader(stream).await.unwrap();
        let elected_ms = self.clock.boot_ms() - began_ms;
        traffic(&self.fleet, 50).await;
        let taken_ms = self.clock.boot_ms() - began_ms;
        println!(
            "cluster of three: the leader of {stream} is killed: another one leads after {elected_ms} ms, 50 webhooks more are taken after {taken_ms} ms"
        );
        self.servers.restart(killed).await.unwrap();
    }

    /// What customers have written so far, and when that is, ms.
    async fn written(&self) -> (u64, u64) {
        let report = self.fleet.control().report().await.unwrap();
        (count(&report, "inbound"), self.clock.boot_ms())
    }

    /// Prints what they wrote since then: on a machine that is slower than the traffic, less than they would (`held_back`).
    async fn tell_pace(&self, (before, began_ms): (u64, u64)) {
        let (inbound, now_ms) = self.written().await;
        let (wrote, took_s) = (inbound - before, (now_ms - began_ms) as f64 / 1e3);
        println!(
            "cluster of three: customers wrote {wrote} messages in {took_s:.0} s, {:.0} a second",
            wrote as f64 / took_s
        );
    }

    /// A router that stood still while others took its partitions: it finds that out, says so once for each, and neither
    /// writes nor calls. The judge at the end sees whether it did.
    async fn a_paused_owner_wakes_too_late(&mut self) {
        let [paused, others @ ..] = ROUTERS;
        let had = self.fleet.served(&[paused]).await;
        assert!(had > 0.5, "{paused} serves nothing");
        let fenced = |log: &str| {
            let lines = log.lines().filter(|line| line.contains("partition no longer served"));
            lines.filter(|line| line.contains("another owner took the partition")).count()
        };
        let log = self.fleet.stage.role_log(paused);
        let before = fenced(&std::fs::read_to_string(&log).unwrap());
        self.fleet.process(paused).freeze().unwrap();
        let took_ms = self.until_served(&others).await;
        self.fleet.process(paused).thaw().unwrap();
        let told = || fenced(&std::fs::read_to_string(&log).unwrap()) - before;
        let finds_out = async || {
            let none = self.fleet.served(&[paused]).await < 0.5;
            none.then_some(told())
        };
        let told = wait_for(SERVED_WITHIN, "the paused owner to find out", finds_out).await;
        let told = told.unwrap();
        println!(
            "cluster of three: {paused} paused with {had} partitions, served by others after {took_ms} ms, told {told} times"
        );
        assert!((f64::from(u32::try_from(told).unwrap()) - had).abs() < 0.5, "told {told} times");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_processes_are_killed_paused_and_restarted() {
    let mut play = Play::begin("cluster-of-three").await;
    let rng = seeded("cluster-of-three");
    let strikes = times("TANDEM_CLUSTER_STRIKES", STRIKES_SHORT);
    let mut world = World::open(&play, rng, strikes).await;
    traffic(&world.fleet, 500).await;
    world.fleet.until_shared(&ROUTERS, SHARED_WITHIN).await;
    world.a_paused_owner_wakes_too_late().await;
    let since = world.written().await;
    let mut left = VecDeque::new();
    for _ in 0..strikes {
        if left.is_empty() {
            let mut round = STRIKES.to_vec();
            round.shuffle(&mut world.rng);
            left.extend(round);
        }
        let between = world.rng.random_range(BETWEEN);
        traffic(&world.fleet, between).await;
        let strike = left.pop_front().unwrap();
        world.strike(strike).await;
    }
    traffic(&world.fleet, 300).await;
    world.tell_pace(since).await;
    tell_leases(&world.fleet, &ROUTERS).await;
    let report = play.rest(world.fleet.control(), SETTLE).await;
    assert_clean("cluster-of-three", &report);
    world.fleet.end(&EXPECTED).await;
}
