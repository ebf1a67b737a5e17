//! Servers end with the process that started them, however that ends, and not before.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::{
    env, fs, net::TcpStream, os::unix::fs::PermissionsExt as _, process::Stdio, thread,
    time::Duration,
};

use testkit::{
    nats::NatsServer, postgres::PostgresServer, temp_dir, wait_until, wait_until_blocking,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

/// Makes a process of this test the one that starts servers and is killed.
const STARTS_SERVERS: &str = "TESTKIT_STARTS_SERVERS";
const WITHIN: Duration = Duration::from_secs(60);

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn servers_die_with_a_process_that_is_killed() {
    if env::var_os(STARTS_SERVERS).is_some() {
        let nats = NatsServer::start().await.unwrap();
        let postgres = PostgresServer::start().await.unwrap();
        println!("\nport {}\nport {}", nats.port(), postgres.port());
        return std::future::pending().await;
    }
    // What the killed one leaves is in here. Postgres runs as a user of its own.
    let dir = temp_dir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut starting = Command::new(env::current_exe().unwrap());
    starting.args(["--exact", "servers_die_with_a_process_that_is_killed", "--nocapture"]);
    starting.env(STARTS_SERVERS, "1").env("TMPDIR", dir.path()).kill_on_drop(true);
    let mut starting = starting.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(starting.stdout.take().unwrap()).lines();
    let mut ports: Vec<u16> = Vec::new();
    while ports.len() < 2 {
        let line = tokio::time::timeout(WITHIN, lines.next_line()).await.unwrap().unwrap();
        let line = line.expect("it ended before it was killed");
        ports.extend(line.strip_prefix("port ").map(|port| port.parse::<u16>().unwrap()));
    }
    assert!(ports.iter().all(|port| answers(*port)));
    starting.kill().await.unwrap();
    let gone = || ports.iter().all(|port| !answers(*port));
    wait_until(WITHIN, "the end of its servers", gone).await.unwrap();
}

#[test]
fn a_server_outlives_the_thread_that_asked_for_it() {
    let asking = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(NatsServer::start()).unwrap()
    });
    let server = asking.join().unwrap();
    let gone = || !answers(server.port());
    let ended = wait_until_blocking(Duration::from_millis(500), "its end", gone);
    assert!(ended.is_err(), "it ended with a thread");
}
