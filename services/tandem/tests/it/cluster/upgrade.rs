//! A rolling upgrade under load: routers of a build that knows one format level more beside those that do not, a step back, the
//! rest of the way, and the raise, which is refused before everybody is new and cannot be taken back. The old program is this
//! one as a rehearsal, or that of `TANDEM_OLD_PROGRAM`.

use std::time::Duration;

use bus::{
    FormatLevel, PartitionId, Record,
    jetstream::{self, Options},
};
use testkit::{nats::NatsServer, postgres::PostgresServer, wait_for};

use super::{
    ROUTERS, SCENARIO, SETTLE, SHARED_WITHIN,
    fleet::{Build, Fleet},
    traffic,
};
use crate::play::{Play, assert_clean, scenario, set};

/// Longest until what is written shows the raised level.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// The levels at which the partitions were written last.
async fn written(server: &NatsServer) -> Vec<u16> {
    let options = Options {
        servers: vec![server.url()],
        partitions: 16,
        replicas: 1,
        allow_data_loss: true,
        ..Options::default()
    };
    let bus = jetstream::connect(options).await.unwrap();
    let mut versions = Vec::new();
    for partition in (0..bus.partitions).map(PartitionId) {
        let (_, bytes) = bus.log.last(partition).await.unwrap().unwrap();
        versions.push(Record::decode(&bytes).unwrap().version);
    }
    versions
}

/// Partitions go to and fro between an old and a new router, which decide meanwhile.
async fn to_and_fro(fleet: &Fleet) {
    for (partition, to) in
        [("3", "router-1"), ("3", "router-2"), ("3", "router-1"), ("9", "router-2")]
    {
        let said = fleet.operator(&["move", partition, to]).await;
        assert!(said.starts_with(&format!("{to} serves partition {partition}")), "{said}");
        traffic(fleet, 50).await;
    }
}

/// An old router that comes back after the raise does not start, and says why.
async fn an_old_router_gets_nothing(fleet: &mut Fleet) {
    let started = fleet.start_build(Build::Old, "router", "router-3").await;
    assert!(started.is_err(), "an old router started");
    let said = std::fs::read_to_string(fleet.stage.role_log("router-3")).unwrap();
    assert!(said.contains("and this program knows levels up to 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_build_joins_an_old_one_goes_back_and_takes_over() {
    let mut play = Play::begin("upgrade").await;
    let (nats, postgres) =
        (NatsServer::start().await.unwrap(), PostgresServer::start().await.unwrap());
    let database = format!("[archive.postgres]\nurl = {:?}", postgres.url("postgres"));
    let scenario = scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", 20.0));
    let mut fleet = Fleet::open(play.dir(), &scenario, &[nats.url()], None, &database).await;
    for (role, node) in [
        ("archive", "archive-1"),
        ("router", "router-1"),
        ("gateway", "gateway-1"),
        ("desk", "desk-1"),
    ] {
        fleet.start_build(Build::Old, role, node).await.unwrap();
    }
    fleet.begin(&[("router", "router-2")]).await;
    fleet.until_shared(&ROUTERS, SHARED_WITHIN).await;
    to_and_fro(&fleet).await;
    let said = fleet.operator(&["format"]).await;
    assert!(said.contains("format level 1"), "{said}");
    let refused = fleet.ask_operator(&["format", "raise"]).await.unwrap_err();
    assert!(refused.contains("router-1 knows 1"), "{refused}");

    println!("upgrade: a step back, and on");
    fleet.replace("router-2", Build::Old).await;
    traffic(&fleet, 100).await;
    fleet.replace("router-2", Build::New).await;
    fleet.replace("router-1", Build::New).await;
    let refused = fleet.ask_operator(&["format", "raise"]).await.unwrap_err();
    assert!(refused.contains("archive archive-1 knows 1, desk desk-1 knows 1; upgr"), "{refused}");
    for node in ["archive-1", "gateway-1", "desk-1"] {
        fleet.replace(node, Build::New).await;
        traffic(&fleet, 50).await;
    }
    assert_eq!(written(&nats).await, [1; 16], "raised by itself");
    let said = fleet.operator(&["format", "raise"]).await;
    println!("upgrade: {}", said.trim());
    assert_eq!(said.trim(), "the installation is at format level 3");
    let all_new = async || {
        traffic(&fleet, 50).await;
        let written = written(&nats).await;
        // Records of level 3 look as at level 2.
        (written.iter().filter(|version| **version == FormatLevel(2).0).count() >= 8).then_some(())
    };
    wait_for(WRITTEN_WITHIN, "the raised level to be written", all_new).await.unwrap();
    let refused = fleet.ask_operator(&["format", "raise", "1"]).await.unwrap_err();
    assert!(refused.contains("cannot be lowered"), "{refused}");
    an_old_router_gets_nothing(&mut fleet).await;
    let said = fleet.ask_operator(&["status"]).await.unwrap_or_else(|said| said);
    assert!(said.contains("format level 3"), "{said}");
    traffic(&fleet, 200).await;
    let report = play.rest(fleet.control(), SETTLE).await;
    assert_clean("upgrade", &report);
    fleet.end(&[]).await;
}
