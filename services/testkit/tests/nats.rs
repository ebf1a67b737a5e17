//! The launcher with the real server.

use std::{net::TcpStream, time::Duration};

use testkit::{
    nats::{NatsCluster, NatsServer},
    wait_for, wait_until,
};

/// Longer than elections take (4 to 9 s), several times.
const WITHIN: Duration = Duration::from_secs(60);

fn answers(server: &NatsServer) -> bool {
    let address = server.url().replace("nats://", "");
    TcpStream::connect(address).is_ok()
}

#[tokio::test]
async fn a_server_starts_is_killed_and_comes_back_where_it_was() {
    let mut server = NatsServer::start().await.unwrap();
    let url = server.url();
    assert!(answers(&server));
    server.kill().unwrap();
    assert!(!answers(&server));
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert!(answers(&server));
}

#[tokio::test]
async fn servers_do_not_share_a_port_and_end_with_their_owner() {
    let one = NatsServer::start().await.unwrap();
    let two = NatsServer::start().await.unwrap();
    assert_ne!(one.url(), two.url());
    let address = one.url().replace("nats://", "");
    drop(one);
    let gone = || TcpStream::connect(&address).is_err();
    wait_until(Duration::from_secs(5), "the end of the server", gone).await.unwrap();
    assert!(answers(&two));
}

#[tokio::test]
async fn a_cluster_goes_on_without_one_server_and_meets_on_its_links_alone() {
    let mut cluster = NatsCluster::start(3).await.unwrap();
    // A connection that is cut in silence is noticed by pings alone.
    let settings = async_nats::ConnectOptions::new().ping_interval(Duration::from_millis(500));
    let client = settings.connect(cluster.urls()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "WORK".to_owned(),
        subjects: vec!["work.>".to_owned()],
        num_replicas: 3,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let append = async || {
        let published = context.publish("work.one", "x".into()).await.ok()?;
        published.await.ok().map(|ack| ack.sequence)
    };
    let first = wait_for(WITHIN, "an append", append).await.unwrap();
    let leader = cluster.leader_of("WORK").await.unwrap();
    cluster.kill(leader).unwrap();
    let second = wait_for(WITHIN, "an append without the leader", append).await.unwrap();
    assert!(second > first);
    let next = cluster.leader_of("WORK").await.unwrap();
    assert_ne!(next, leader);
    cluster.restart(leader).await.unwrap();
    // Two links are cut: the leader stands alone, and the two others, of which one was away, choose another.
    cluster.isolate(next);
    cluster.cut_clients(next);
    let third = wait_for(WITHIN, "an append beside the isolated leader", append).await.unwrap();
    assert!(third > second);
    cluster.rejoin(next);
    cluster.heal_clients(next);
    assert!(wait_for(WITHIN, "an append after the rejoin", append).await.unwrap() > third);
}

#[tokio::test]
async fn servers_for_a_measurement_meet_without_links() {
    for servers in [1, 3] {
        let mut cluster = NatsCluster::start_direct(servers, "always").await.unwrap();
        assert_eq!((cluster.size(), cluster.resident_bytes().len()), (servers, servers));
        assert!(cluster.stores().iter().all(|store| store.exists()));
        let urls = cluster.urls();
        cluster.restart(0).await.unwrap();
        assert_eq!(cluster.urls(), urls);
    }
}
