//! Many processes on NATS JetStream share one installation: the work moves, processes die, nothing is lost or done twice.

mod balancer;
mod bucket;
mod fleet;
mod three;
mod timings;
mod upgrade;

use std::time::Duration;

use chassis::clock::Clock;
use rand::Rng as _;
use testkit::{
    nats::{NatsServer, RoleKeys, Setup},
    postgres::PostgresServer,
    wait_for,
};

use super::play::{Play, assert_clean, scenario, seeded, set, times, until_taken};
use bucket::Bucket;
use fleet::{Fleet, PARTITIONS};
use timings::tell_leases;

const SCENARIO: &str = include_str!("../../../../loadtest/scenarios/demo.toml");
const ROUTERS: [&str; 2] = ["router-1", "router-2"];
/// Longest until every partition is served again, an election of the servers (4 to 9 s) among it.
const SERVED_WITHIN: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(180);
/// A router that joins is given nothing for ten seconds, then one partition at a time.
const SHARED_WITHIN: Duration = Duration::from_secs(90);

async fn traffic(fleet: &Fleet, posts: u64) {
    until_taken(fleet.control(), posts, Duration::from_secs(120)).await;
}

/// An operator looks, empties a router and fills it again, and moves one partition, while the work goes on.
async fn operate(fleet: &Fleet) {
    let said = fleet.operator(&["drain", "router-1"]).await;
    assert!(said.contains("router-1 has no partition"), "{said}");
    let (one, two) = (fleet.served(&["router-1"]).await, fleet.served(&["router-2"]).await);
    assert!(one < 0.5 && (two - 16.0).abs() < 0.5, "{one} and {two}");
    fleet.operator(&["drain", "router-1", "--undo"]).await;
    let said = fleet.operator(&["move", "3", "router-1"]).await;
    assert!(said.starts_with("router-1 serves partition 3"), "{said}");
    fleet.until_shared(&ROUTERS, SHARED_WITHIN).await;
    // It fails while one is on its way.
    let all_served = async || fleet.ask_operator(&["status"]).await.ok();
    let said = wait_for(SHARED_WITHIN, "all to be served", all_served).await.unwrap();
    assert!(said.contains("16 of 16 partitions are served"), "{said}");
    assert!(
        ["archive archive-1 ", "desk desk-1 "].iter().all(|name| said.contains(name)),
        "{said}"
    );
    let said = fleet.operator(&["partitions"]).await;
    let third = said.lines().find(|line| line.trim_start().starts_with("3 ")).unwrap();
    assert!(third.contains("router-1") && third.ends_with("served"), "{said}");
}

/// The bus stands still: routers and desks say that they are not ready, and are again by themselves once it goes on.
async fn the_bus_stands_still(fleet: &Fleet, nats: &NatsServer) {
    let say = async |status: u16, part: &str| {
        for node in ["router-1", "router-2", "desk-1"] {
            let says = async || {
                let (found, body) = fleet.readiness(node).await;
                (found == status && body.contains(part)).then_some(())
            };
            let what = format!("{node} to answer {status} {part}");
            wait_for(SERVED_WITHIN, &what, says).await.unwrap();
        }
    };
    say(200, "").await;
    nats.pause().unwrap();
    say(503, "the bus does not answer").await;
    nats.resume().unwrap();
    say(200, "").await;
    traffic(fleet, 200).await;
    println!("cluster: the bus stood still, and everybody came back by themselves");
}

/// Kills the router that serves the most, and starts it again; how long until the other served everything, ms.
async fn fail_over(fleet: &mut Fleet) -> u64 {
    let [one, two] = ROUTERS;
    let one_has_more = fleet.served(&[one]).await >= fleet.served(&[two]).await;
    let (killed, heir) = if one_has_more { (one, two) } else { (two, one) };
    let clock = Clock::system();
    fleet.process(killed).kill().await.unwrap();
    let killed_ms = clock.boot_ms();
    let all = async || (fleet.served(&[heir]).await > PARTITIONS - 0.5).then_some(());
    wait_for(SERVED_WITHIN, "the other router to serve everything", all).await.unwrap();
    let took_ms = clock.boot_ms() - killed_ms;
    println!("cluster: {killed} is killed, {heir} serves everything after {took_ms} ms");
    fleet.start_again(killed).await;
    took_ms
}

/// What so many fail-overs took.
fn tell(mut took_ms: Vec<u64>) {
    took_ms.sort_unstable();
    let of = |percent: usize| took_ms.get((took_ms.len() * percent).div_ceil(100).max(1) - 1);
    println!(
        "cluster: {} fail-overs, p50 {:?} ms, p99 {:?} ms, all {took_ms:?}",
        took_ms.len(),
        of(50),
        of(99)
    );
}

/// Two routers share the partitions; agents are connected to desks that own none; each is killed once, the archive while its bucket
/// is away. The server lets each role do what `deploy/nats/users.conf` says and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_an_installation_and_each_may_die() {
    let mut play = Play::begin("cluster").await;
    let mut rng = seeded("cluster");
    let keys = RoleKeys::create(play.dir()).unwrap();
    let users = keys.known_to(Setup::deployed(&["users.conf"]));
    let (nats, postgres) =
        (NatsServer::start_with(users).await.unwrap(), PostgresServer::start().await.unwrap());
    let bucket = Bucket::open().await;
    let archive =
        format!("{}[archive.postgres]\nurl = {:?}", bucket.config(), postgres.url("postgres"));
    let scenario = scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", 40.0));
    let mut fleet = Fleet::open(play.dir(), &scenario, &[nats.url()], Some(keys), &archive).await;
    let members = [
        ("archive", "archive-1"),
        ("router", "router-1"),
        ("router", "router-2"),
        ("gateway", "gateway-1"),
        ("gateway", "gateway-2"),
        ("desk", "desk-1"),
        ("desk", "desk-2"),
    ];
    fleet.begin(&members).await;
    traffic(&fleet, 1_500).await;
    fleet.until_shared(&ROUTERS, SHARED_WITHIN).await;
    let refused = fleet.refused().await;
    operate(&fleet).await;
    assert!(fleet.refused().await <= refused, "a planned hand-over refused webhooks");
    the_bus_stands_still(&fleet, &nats).await;
    let mut took_ms = Vec::new();
    for _ in 0..times("TANDEM_CLUSTER_KILLS", 2) {
        traffic(&fleet, rng.random_range(100..300)).await;
        took_ms.push(fail_over(&mut fleet).await);
    }
    tell(took_ms);
    for node in ["gateway-1", "desk-1"] {
        traffic(&fleet, rng.random_range(100..300)).await;
        println!("cluster: kill {node}");
        fleet.kill_and_restart(node).await;
    }
    bucket.is_away_when_the_archive_dies(&mut fleet).await;
    traffic(&fleet, 1_000).await;
    println!("cluster: restart of both routers in good order");
    let refused = fleet.refused().await;
    for node in ROUTERS {
        fleet.restart(node).await;
        traffic(&fleet, 200).await;
    }
    assert!(fleet.refused().await <= refused, "a rolling restart refused webhooks");
    tell_leases(&fleet, &ROUTERS).await;
    let report = play.rest(fleet.control(), SETTLE).await;
    assert_clean("cluster", &report);
    fleet.end(&[]).await;
    Bucket::has_the_history_of(&fleet, play.dir()).await;
}
