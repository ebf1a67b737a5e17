//! Links: held in both directions or in one, before a real server or one of a test's own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event};
use testkit::{
    Link,
    nats::{NatsCluster, NatsServer, url_at},
    postgres::PostgresServer,
    wait_for, wait_until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

const WITHIN: Duration = Duration::from_secs(20);
/// On loopback what is not held arrives much sooner.
const NOT_WITHIN: Duration = Duration::from_millis(300);

/// Answers every letter with itself.
struct Echo {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let heard = Arc::clone(&hearing);
                connections.spawn(async move {
                    while let Ok(letter) = stream.read_u8().await {
                        heard.lock().unwrap().push(letter);
                        stream.write_u8(letter).await.unwrap();
                    }
                });
            }
        });
        Self { port, heard, _tasks: tasks }
    }

    async fn hears(&self, letter: u8) {
        let heard = || self.heard.lock().unwrap().contains(&letter);
        wait_until(WITHIN, "the letter at the server", heard).await.unwrap();
    }
}

async fn connect(link: &Link) -> TcpStream {
    TcpStream::connect(("127.0.0.1", link.port())).await.unwrap()
}

/// The next letter that comes back.
async fn next(client: &mut TcpStream) -> u8 {
    timeout(WITHIN, client.read_u8()).await.unwrap().unwrap()
}

async fn hears_nothing(client: &mut TcpStream) {
    let heard = timeout(NOT_WITHIN, client.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn a_cut_link_holds_everything_until_it_heals() {
    let server = Echo::start().await;
    let link = Link::to(server.port).await.unwrap();
    let mut client = connect(&link).await;
    client.write_u8(b'a').await.unwrap();
    assert_eq!(next(&mut client).await, b'a');

    link.cut();
    client.write_u8(b'b').await.unwrap();
    let mut newcomer = connect(&link).await;
    newcomer.write_u8(b'c').await.unwrap();
    hears_nothing(&mut client).await;
    hears_nothing(&mut newcomer).await;
    assert_eq!(*server.heard.lock().unwrap(), [b'a']);
    // Others still reach the server.
    let aside = Link::to(server.port).await.unwrap();
    let mut other = connect(&aside).await;
    other.write_u8(b'd').await.unwrap();
    assert_eq!(next(&mut other).await, b'd');

    link.heal();
    assert_eq!((next(&mut client).await, next(&mut newcomer).await), (b'b', b'c'));
}

#[tokio::test]
async fn a_mute_link_passes_what_is_asked_and_holds_the_answers() {
    let server = Echo::start().await;
    let link = Link::to(server.port).await.unwrap();
    let mut client = connect(&link).await;
    link.mute();
    client.write_u8(b'a').await.unwrap();
    server.hears(b'a').await;
    let mut newcomer = connect(&link).await;
    newcomer.write_u8(b'b').await.unwrap();
    server.hears(b'b').await;
    hears_nothing(&mut client).await;
    hears_nothing(&mut newcomer).await;
    link.heal();
    assert_eq!((next(&mut client).await, next(&mut newcomer).await), (b'a', b'b'));
}

#[tokio::test]
async fn connections_end_with_their_link() {
    let server = Echo::start().await;
    let link = Link::to(server.port).await.unwrap();
    let mut client = connect(&link).await;
    client.write_u8(b'a').await.unwrap();
    assert_eq!(next(&mut client).await, b'a');
    drop(link);
    assert!(timeout(WITHIN, client.read_u8()).await.unwrap().is_err());
}

/// A question that it answers before anything else: may the connection be encrypted? Not here.
const MAY_BE_ENCRYPTED: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

#[tokio::test]
async fn postgres_is_reached_by_a_link() {
    let server = PostgresServer::start().await.unwrap();
    let link = Link::to(server.port()).await.unwrap();
    link.mute();
    let mut client = connect(&link).await;
    client.write_all(&MAY_BE_ENCRYPTED).await.unwrap();
    hears_nothing(&mut client).await;
    link.heal();
    assert_eq!(next(&mut client).await, b'N');
}

/// A client that notices soon when nothing comes back.
fn impatient() -> ConnectOptions {
    ConnectOptions::new()
        .ping_interval(Duration::from_millis(200))
        .connection_timeout(Duration::from_millis(500))
}

/// Whether a server with JetStream answers.
async fn is_answered(client: &Client) -> bool {
    let asked = client.request("$JS.API.INFO", "".into());
    timeout(Duration::from_secs(2), asked).await.is_ok_and(|answer| answer.is_ok())
}

async fn is_answered_again(client: &Client) {
    let again = async || is_answered(client).await.then_some(());
    wait_for(WITHIN, "an answer", again).await.unwrap();
}

#[tokio::test]
async fn one_client_of_a_server_is_parted_from_it() {
    let server = NatsServer::start().await.unwrap();
    let link = Link::to(server.port()).await.unwrap();
    let parted = impatient().connect(url_at(link.port())).await.unwrap();
    let other = impatient().connect(server.url()).await.unwrap();
    link.cut();
    assert!(!is_answered(&parted).await && is_answered(&other).await);
    link.heal();
    is_answered_again(&parted).await;
}

#[tokio::test]
async fn one_client_of_a_cluster_is_parted_from_it_and_finds_no_way_around() {
    let cluster = NatsCluster::start(2).await.unwrap();
    let links = cluster.links().await.unwrap();
    let urls: Vec<_> = links.iter().map(|link| url_at(link.port())).collect();
    let (lost, was_lost) = watch::channel(false);
    let options = impatient().event_callback(move |event| {
        lost.send_if_modified(|lost| {
            *lost |= matches!(event, Event::Disconnected);
            *lost
        });
        async {}
    });
    let parted = options.connect(urls).await.unwrap();
    let other = impatient().connect(cluster.urls()).await.unwrap();
    links.iter().for_each(Link::cut);
    let mut losing = was_lost.clone();
    timeout(WITHIN, losing.wait_for(|lost| *lost)).await.unwrap().unwrap();
    // It has time to try every address that it knows.
    assert!(!is_answered(&parted).await && is_answered(&other).await);
    links.iter().for_each(Link::heal);
    is_answered_again(&parted).await;
}
