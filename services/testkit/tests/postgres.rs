//! The launcher of Postgres servers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpStream;

use testkit::postgres::PostgresServer;

fn takes_connections(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn a_server_is_killed_started_again_and_leaves_nothing() {
    let mut server = PostgresServer::start_with(&["work_mem = '1MB'"]).await.unwrap();
    let (port, data) = (server.port(), server.data_dir());
    assert!(takes_connections(port));
    server.pause().unwrap();
    server.resume().unwrap();
    server.kill().unwrap();
    assert!(!takes_connections(port));
    server.restart().await.unwrap();
    assert!(takes_connections(port));
    drop(server);
    assert!(!takes_connections(port) && !data.exists());
}

#[tokio::test]
async fn what_a_server_complains_of_is_told() {
    let refused = PostgresServer::start_with(&["no_such_setting = 1"]).await.unwrap_err();
    assert!(format!("{refused}").contains("no_such_setting"), "{refused}");
}

#[tokio::test]
async fn a_shared_server_ends_with_its_last_user() {
    let (one, two) =
        (PostgresServer::shared().await.unwrap(), PostgresServer::shared().await.unwrap());
    let port = one.port();
    assert_eq!(port, two.port());
    drop(one);
    assert!(takes_connections(port));
    drop(two);
    assert!(!takes_connections(port));
}
