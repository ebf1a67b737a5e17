//! The embedded bus and other processes: this test binary runs itself again as the other process.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, outside a test function"
)]

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use bus::{
    Bus, PartitionId, ReadLimit,
    sqlite::{self, Options},
};
use bytes::Bytes;
use tempfile::TempDir;

const DIRECTORY: &str = "BUS_TEST_DIRECTORY";
const P0: PartitionId = PartitionId(0);
const ALL: ReadLimit = ReadLimit { values: usize::MAX >> 1, bytes: usize::MAX };

fn options() -> Options {
    Options { partitions: 2, min_free_bytes: 0, ..Options::default() }
}

fn start_other(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "plays_the_other_process_when_asked", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The other process: appends forever, and names each append that was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_the_other_process_when_asked() {
    let Some(dir) = env::var_os(DIRECTORY) else { return };
    let bus = match sqlite::open(Path::new(&dir), options()) {
        Ok(bus) => bus,
        Err(refusal) => {
            println!("\nrefused {refusal}");
            return;
        }
    };
    println!("\nopened");
    let inputs = futures::future::join_all((0..16).map(|writer| append_inputs(&bus, writer)));
    tokio::join!(inputs, append_records(&bus));
}

async fn append_inputs(bus: &Bus, writer: u64) {
    for n in 0.. {
        let body = format!("writer {writer} input {n} {}", "x".repeat(600));
        let seq = bus.inbox.append(P0, Bytes::from(body.clone())).await.unwrap();
        println!("input {seq} {body}");
    }
}

async fn append_records(bus: &Bus) {
    let mut last = bus.log.last(P0).await.unwrap().map_or(0, |(seq, _)| seq);
    loop {
        let body = format!("after {last} {}", "y".repeat(2_000));
        last = bus.log.append(P0, last, Bytes::from(body.clone())).await.unwrap();
        println!("record {last} {body}");
    }
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_first_ones_id() {
    let dir = TempDir::new().unwrap();
    let first = sqlite::open(dir.path(), options()).unwrap();
    let mut other = start_other(dir.path());
    let mut said = String::new();
    other.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(other.wait().unwrap().success());
    let refusal = said.lines().find(|line| line.starts_with("refused")).unwrap();
    assert!(refusal.contains(dir.path().to_str().unwrap()), "{refusal}");
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    first.inbox.append(P0, Bytes::from_static(b"still ours")).await.unwrap();
}

/// Kills the other process at some moment under load, several times on one directory: everything it had
/// been told was stored is there, in its place, and the log is one chain.
#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let dir = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=3 {
        let mut other = start_other(dir.path());
        let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
        let until = acknowledged.len() + 700 * round;
        while acknowledged.len() < until {
            let line = lines.next().expect("the other process ended by itself").unwrap();
            acknowledged.push(line);
        }
        other.kill().unwrap();
        other.wait().unwrap();
        // The last line may be torn.
        acknowledged.extend(lines.map_while(Result::ok).filter(|line| line.ends_with(['x', 'y'])));
    }
    let bus = sqlite::open(dir.path(), options()).unwrap();
    let inputs = bus.inbox.read(P0, 0, ALL).await.unwrap();
    let records = bus.log.read(P0, 0, ALL).await.unwrap();
    let mut found = 0;
    for line in &acknowledged {
        let mut words = line.splitn(3, ' ');
        let entries = match words.next() {
            Some("input") => &inputs,
            Some("record") => &records,
            _ => continue,
        };
        let (seq, body) = (words.next().unwrap().parse::<u64>().unwrap(), words.next().unwrap());
        let place = entries.binary_search_by_key(&seq, |(seq, _)| *seq).unwrap();
        assert!(entries[place].1.starts_with(body.as_bytes()), "sequence {seq} holds another body");
        found += 1;
    }
    assert!(found > 4_000, "only {found} acknowledgements were checked");
    for (n, (seq, body)) in records.iter().enumerate() {
        let chained = format!("after {} ", if n == 0 { 0 } else { records[n - 1].0 });
        assert!(
            body.starts_with(chained.as_bytes()),
            "record {seq} does not follow its predecessor"
        );
    }
}
