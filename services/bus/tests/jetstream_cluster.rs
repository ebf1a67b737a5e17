//! The bus on three real NATS servers: the conformance suite while leaders are killed, and what
//! was acknowledged before a kill.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside a test function")]

#[path = "jetstream_cluster/patient.rs"]
mod patient;
#[path = "jetstream_cluster/storm.rs"]
mod storm;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bus::{
    AppendError, Bus, EntityId, LogAppendError, PartName, PartPut, PartitionId, Position,
    ReadLimit, SavedPart,
    conformance::PARTITIONS,
    jetstream::{self, Auth, Level, Options},
};
use bytes::Bytes;
use testkit::{nats::NatsCluster, wait_for, wait_until};

const P0: PartitionId = PartitionId(0);
/// Longer than elections take (4 to 9 s), several times.
const WITHIN: Duration = Duration::from_secs(60);

fn options(servers: Vec<String>) -> Options {
    Options {
        servers,
        partitions: PARTITIONS,
        streams: 1,
        replicas: 3,
        // They write to the disk when the system likes.
        allow_data_loss: true,
        recent_bytes: 64 * 1024,
        trimmer: Some(Auth::None),
        ..Options::default()
    }
}

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn part(number: u64) -> PartPut {
    let position = Position { generation: 0, seq: number, index: 0 };
    let bytes = Some(body(&format!("state {number}")));
    let entity = EntityId { kind: 1, hash: [7; 16] };
    PartPut { entity, part: SavedPart { name: PartName::from("main"), position, bytes } }
}

/// What the writers of one run were told.
#[derive(Default)]
struct Run {
    over: AtomicBool,
    records: AtomicU64,
    entries: AtomicU64,
    saves: AtomicU64,
    /// Why the last attempt has to be made again, by what was attempted.
    again: Mutex<BTreeMap<&'static str, String>>,
}

impl Run {
    /// An attempt that has to be made again.
    fn again<T>(&self, what: &'static str, why: impl ToString) -> Option<T> {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        again.insert(what, why.to_string());
        None
    }

    /// Attempts until one is answered; says what the last one was told if none is.
    async fn attempt<T>(&self, what: &'static str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        match wait_for(WITHIN, what, ask).await {
            Ok(answer) => answer,
            Err(timed_out) => panic!("{timed_out}: {:?}", self.again),
        }
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Waits until each writer was acknowledged `more` times more.
    async fn progress(&self, more: u64) {
        let counters = [&self.records, &self.entries, &self.saves];
        let goals = counters.map(|counter| (counter, counter.load(Ordering::Relaxed) + more));
        let reached =
            || goals.iter().all(|(counter, goal)| counter.load(Ordering::Relaxed) >= *goal);
        wait_until(WITHIN, "every writer to go on", reached).await.unwrap();
    }
}

async fn last(bus: &Bus, run: &Run) -> (u64, Bytes) {
    let ask = async || match bus.log.last(P0).await {
        Ok(last) => Some(last),
        Err(error) => run.again("the last record", error),
    };
    run.attempt("the last record", ask).await.unwrap_or_default()
}

/// One attempt by the rules of design.md 4.2; `None` where the same bytes must be sent again.
async fn append(bus: &Bus, run: &Run, expected: u64, record: &Bytes) -> Option<u64> {
    match bus.log.append(P0, expected, record.clone()).await {
        Ok(seq) => Some(seq),
        Err(LogAppendError::Unknown(why)) => run.again("an append", why),
        Err(LogAppendError::Conflict) => {
            let (seq, found) = last(bus, run).await;
            assert!(seq >= expected, "the log forgot {expected}: it ends at {seq}");
            assert_eq!(found, *record, "a conflict with somebody else");
            Some(seq)
        }
        Err(other) => panic!("{other}"),
    }
}

/// Appends records one after the other, and now and then as a rival that is behind.
async fn write_log(bus: &Bus, rival: &Bus, run: &Run) -> Vec<(u64, Bytes)> {
    let mut acknowledged: Vec<(u64, Bytes)> = Vec::new();
    let mut number = 0;
    while run.goes_on() {
        let expected = acknowledged.last().map_or(0, |(seq, _)| *seq);
        let record = body(&format!("record {number}"));
        let attempt = async || append(bus, run, expected, &record).await;
        let seq = run.attempt("an append", attempt).await;
        acknowledged.push((seq, record));
        number += 1;
        run.records.store(number, Ordering::Relaxed);
        if number % 20 == 0 {
            let stale = rival.log.append(P0, expected, body("rival")).await;
            assert!(stale.is_err(), "a record that expects {expected} was taken after {seq}");
        }
    }
    acknowledged
}

async fn write_inbox(bus: &Bus, run: &Run) -> Vec<(u64, Bytes)> {
    let mut acknowledged = Vec::new();
    while run.goes_on() {
        let number = run.entries.load(Ordering::Relaxed);
        let entry = body(&format!("entry {number}"));
        let attempt = async || match bus.inbox.append(P0, entry.clone()).await {
            Ok(seq) => Some(seq),
            Err(AppendError::Unknown(why)) => run.again("an entry", why),
            Err(other) => panic!("{other}"),
        };
        let seq = run.attempt("an entry", attempt).await;
        acknowledged.push((seq, entry));
        run.entries.store(number + 1, Ordering::Relaxed);
    }
    acknowledged
}

/// Follows the inbox as an owner does.
async fn read_inbox(bus: &Bus, until: u64) -> Vec<(u64, Bytes)> {
    let mut all: Vec<(u64, Bytes)> = Vec::new();
    while all.last().is_none_or(|(seq, _)| *seq < until) {
        let after = all.last().map_or(0, |(seq, _)| *seq);
        all.extend(bus.inbox.read(P0, after, ReadLimit::default()).await.unwrap());
    }
    all
}

/// Saves, and loads what was saved.
async fn write_states(bus: &Bus, run: &Run) {
    while run.goes_on() {
        let wanted = part(run.saves.load(Ordering::Relaxed) + 1);
        let save = async || match bus.states.put(P0, vec![wanted.clone()]).await {
            Ok(saved) => Some(saved),
            Err(error) => run.again("a save", error),
        };
        run.attempt("a save", save).await;
        let load = async || match bus.states.load(P0, wanted.entity).await {
            Ok(loaded) => Some(loaded),
            Err(error) => run.again("a load", error),
        };
        let loaded = run.attempt("a load", load).await;
        assert_eq!(loaded, [wanted.part], "what was saved is not what is there");
        run.saves.fetch_add(1, Ordering::Relaxed);
    }
}

/// Kills and restarts the leader of each kind of stream while everything is written and read.
async fn kill_leaders(cluster: &mut NatsCluster, run: &Run) {
    run.progress(20).await;
    for stream in ["TANDEM_LOG_0", "TANDEM_INBOX_0", "TANDEM_STATES_0"] {
        let leader = cluster.leader_of(stream).await.unwrap();
        cluster.kill(leader).unwrap();
        run.progress(20).await;
        cluster.restart(leader).await.unwrap();
        run.progress(20).await;
    }
    run.over.store(true, Ordering::Relaxed);
}

#[tokio::test]
async fn killed_leaders_take_nothing_that_was_acknowledged() {
    let mut cluster = NatsCluster::start(3).await.unwrap();
    let options = options(cluster.urls());
    let init = async || jetstream::init(options.clone()).await.ok();
    let created = wait_for(WITHIN, "the streams", init).await.unwrap();
    assert_ne!(created.check.worst(), Level::Refused, "{}", created.check);
    let bus = jetstream::connect(options.clone()).await.unwrap();
    let rival = jetstream::connect(options).await.unwrap();
    let run = Run::default();
    let (records, entries, (), ()) = tokio::join!(
        write_log(&bus, &rival, &run),
        write_inbox(&bus, &run),
        write_states(&bus, &run),
        kill_leaders(&mut cluster, &run),
    );
    let mut log: Vec<(u64, Bytes)> = Vec::new();
    while log.len() < records.len() {
        let after = log.last().map_or(0, |(seq, _)| *seq);
        let read = async || match bus.log.read(P0, after, ReadLimit::default()).await {
            Ok(page) => Some(page),
            Err(error) => run.again("a read", error),
        };
        let page = run.attempt("a read", read).await;
        assert!(!page.is_empty(), "the log ends after {after}");
        log.extend(page);
    }
    assert_eq!(log, records, "the log is not what was acknowledged");
    assert_eq!(Some(last(&bus, &run).await), records.last().cloned());
    let until = entries.last().unwrap().0;
    let inbox = read_inbox(&bus, until).await;
    let lost: Vec<_> = entries.iter().filter(|entry| !inbox.contains(entry)).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    println!(
        "{} records, {} entries, {} saves",
        records.len(),
        entries.len(),
        run.saves.into_inner()
    );
}
