//! The launcher with the real server.

use std::{net::TcpStream, time::Duration};

use testkit::{nats::NatsServer, wait_until};

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
