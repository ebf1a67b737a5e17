//! Following real logs.

use std::time::Duration;

use bus::{Bus, PartitionId, Position, RecordBody, Steps, sqlite};
use chassis::{clock::Clock, health::Health, task::Shutdown};
use domain::BusinessId;
use tempfile::TempDir;

use super::{
    support::*,
    tables::{Kind, Tables, on_both},
};
use crate::{ArchiveError, Projector, rebuild, sqlite::SqliteRepository};

on_both!(
    a_rebuilt_read_model_equals_the_one_that_followed,
    a_running_projector_goes_on_after_a_rebuild,
    a_restart_goes_on_where_it_was,
    a_query_names_the_position_it_needs_and_is_told_when_it_is_not_there,
    an_event_of_a_newer_build_stops_its_partition_only,
    a_fenced_owners_record_is_not_applied,
    an_entry_that_is_no_record_is_passed_and_the_history_goes_on,
    a_read_model_of_another_log_is_refused_with_advice,
    a_higher_generation_is_followed_from_its_beginning,
);

const BOUND: Duration = Duration::from_secs(20);

struct Running {
    bus: Bus,
    tables: Tables,
    projector: Projector,
    health: Health,
    shutdown: Shutdown,
    _dir: TempDir,
}

impl Running {
    async fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options =
            sqlite::Options { partitions: 2, min_free_bytes: 0, ..sqlite::Options::default() };
        let bus = sqlite::open(&dir.path().join("bus"), options).unwrap();
        let tables = Tables::new(kind).await;
        let projector = Projector::new(bus.clone(), tables.repository(), Clock::system());
        let (health, shutdown) = (Health::new(), Shutdown::new());
        Self { bus, tables, projector, health, shutdown, _dir: dir }
    }

    fn start(&self) {
        self.projector.start(&self.shutdown, &self.health);
    }

    /// Appends what the log has not appended yet and answers the last sequence.
    async fn append(&self, log: &mut Log) -> u64 {
        let mut last = self.bus.log.last(log.partition).await.unwrap().map_or(0, |(seq, _)| seq);
        for (_, bytes) in log.records.drain(..) {
            last = self.bus.log.append(log.partition, last, bytes).await.unwrap();
        }
        last
    }

    async fn reach(&self, log: &Log, seq: u64) {
        let archive = self.projector.archive(sealer()).with_wait(BOUND);
        let position = Position { generation: log.head.generation, seq, index: 0 };
        assert!(archive.reach(log.partition, position).await, "{:?}", self.health.not_ready());
    }

    async fn until_not_ready(&self, text: &str) {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        let wait = async {
            while !self.health.not_ready().values().any(|why| why.contains(text)) {
                tick.tick().await;
            }
        };
        let waited = tokio::time::timeout(BOUND, wait).await;
        assert!(waited.is_ok(), "{:?}", self.health.not_ready());
    }
}

/// A log whose sequences are those of the embedded bus: dense from 1.
pub(super) fn dense(partition: u16) -> Log {
    let mut log = Log::new(partition);
    log.records.clear();
    log.head.number = 0;
    log.head.previous_seq = 0;
    log.seq = 1;
    dense_push(&mut log, RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 });
    log
}

pub(super) fn dense_push(log: &mut Log, body: RecordBody) {
    log.push(body);
    log.seq -= 1;
}

pub(super) fn dense_step(
    log: &mut Log,
    who: u8,
    events: &[domain::conversation::ConversationEvent],
) {
    let steps = vec![step(SHOP, who, events)];
    dense_push(log, RecordBody::Steps(Steps { steps, ..Steps::default() }));
}

async fn busy_logs(running: &Running) -> [Log; 2] {
    let mut logs = [dense(0), dense(1)];
    for n in 1..=40u8 {
        let at_ms = u64::from(n) * 10;
        // A conversation lives in one partition.
        let (log, who) = (&mut logs[usize::from(n % 2)], n % 2 + 2 * (n % 3));
        dense_step(log, who, &[inbound(n, at_ms, "hi"), asked(request(n, 1), at_ms + 1, "yes")]);
        dense_step(log, who, &[accepted(request(n, 1), n + 100, at_ms + 2)]);
        if n % 8 == 0 {
            for log in &mut logs {
                running.append(log).await;
            }
        }
    }
    for log in &mut logs {
        let last = running.append(log).await;
        running.reach(log, last).await;
    }
    logs
}

async fn a_rebuilt_read_model_equals_the_one_that_followed(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    busy_logs(&running).await;
    let followed = running.tables.dump().await;
    assert!(followed["messages"].len() == 80 && followed["positions"].len() == 2);

    // Beside the running projector, which goes on afterwards.
    let repository = running.tables.repository();
    rebuild(&running.bus, repository, Clock::system(), None).await.unwrap();
    assert_same(&running.tables.dump().await, &followed, &"followed");

    // On a closed one, into tables of its own.
    running.shutdown.drain(BOUND).await.unwrap();
    let fresh = Tables::new(kind).await;
    rebuild(&running.bus, fresh.repository(), Clock::system(), None).await.unwrap();
    assert_same(&fresh.dump().await, &followed, &"followed");
}

async fn a_running_projector_goes_on_after_a_rebuild(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    let [mut log, _] = busy_logs(&running).await;
    let repository = running.tables.repository();
    rebuild(&running.bus, repository, Clock::system(), None).await.unwrap();
    dense_step(&mut log, 1, &[inbound(99, 5_000, "afterwards")]);
    let last = running.append(&mut log).await;
    running.reach(&log, last).await;
    let archive = running.projector.archive(sealer());
    let read = archive.message(&SHOP.into(), hash(1), message(99)).await.unwrap();
    assert_eq!(read.unwrap().content.text.as_deref(), Some("afterwards"));
}

async fn a_restart_goes_on_where_it_was(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    busy_logs(&running).await;
    let followed = running.tables.dump().await;
    running.shutdown.drain(BOUND).await.unwrap();
    let tables = running.tables.reopen();
    let repository = tables.repository();
    let projector = Projector::new(running.bus.clone(), tables.repository(), Clock::system());
    let (health, shutdown) = (Health::new(), Shutdown::new());
    projector.start(&shutdown, &health);
    let stored = repository.cursor(PartitionId(0)).await.unwrap().unwrap();
    let position = Position { generation: stored.generation, seq: stored.seq, index: 0 };
    let archive = projector.archive(sealer()).with_wait(BOUND);
    assert!(archive.reach(PartitionId(0), position).await);
    assert_same(&tables.dump().await, &followed, &"followed");
    shutdown.drain(BOUND).await.unwrap();
}

async fn a_query_names_the_position_it_needs_and_is_told_when_it_is_not_there(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    let mut log = dense(0);
    dense_step(&mut log, 1, &[inbound(1, 10, "hi")]);
    let last = running.append(&mut log).await;
    let archive = running.projector.archive(sealer()).with_wait(BOUND);
    let business = BusinessId::from(SHOP);
    let at = |seq| Some((PartitionId(0), Position { generation: 1, seq, index: 0 }));
    let read = archive.messages(&business, hash(1), None, 9, at(last)).await.unwrap();
    assert_eq!((read.stale, read.value.unwrap().0.len()), (false, 1));
    let archive = archive.with_wait(Duration::from_millis(20));
    let read = archive.messages(&business, hash(1), None, 9, at(last + 1)).await.unwrap();
    assert_eq!((read.stale, read.value.unwrap().0.len()), (true, 1));
}

async fn an_event_of_a_newer_build_stops_its_partition_only(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    let [mut bad, mut good] = [dense(0), dense(1)];
    dense_step(&mut bad, 1, &[inbound(1, 10, "readable")]);
    let mut newer = step(SHOP, 1, &[inbound(2, 20, "newer")]);
    // {"v": 2, …}
    let body: Vec<u8> =
        newer.events[0].body.iter().enumerate().map(|(i, b)| if i == 3 { 2 } else { *b }).collect();
    newer.events[0].body = body.into();
    let readable = running.append(&mut bad).await;
    running.reach(&bad, readable).await;
    dense_push(&mut bad, RecordBody::Steps(Steps { steps: vec![newer], ..Steps::default() }));
    running.append(&mut bad).await;
    running.until_not_ready("version 2").await;
    dense_step(&mut good, 3, &[inbound(3, 30, "elsewhere")]);
    let last = running.append(&mut good).await;
    running.reach(&good, last).await;
    let archive = running.projector.archive(sealer());
    assert_eq!(archive.message(&SHOP.into(), hash(1), message(2)).await.unwrap(), None);
    assert!(archive.message(&SHOP.into(), hash(1), message(1)).await.unwrap().is_some());
}

async fn a_fenced_owners_record_is_not_applied(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    let mut log = dense(0);
    dense_step(&mut log, 1, &[inbound(1, 10, "mine")]);
    let mut fenced = log.head;
    fenced.epoch = 7;
    let honest = log.head;
    log.head = fenced;
    dense_step(&mut log, 1, &[inbound(2, 20, "of nobody")]);
    log.head =
        bus::RecordHead { epoch: 2, number: 0, previous_seq: log.head.previous_seq, ..honest };
    log.head.incarnation = bus::Incarnation([9; 16]);
    dense_push(&mut log, RecordBody::Epoch { node: "n".to_owned(), now_ms: 2 });
    dense_step(&mut log, 1, &[inbound(3, 30, "the successor's")]);
    let last = running.append(&mut log).await;
    running.reach(&log, last).await;
    let archive = running.projector.archive(sealer());
    let (thread, _) =
        archive.messages(&SHOP.into(), hash(1), None, 9, None).await.unwrap().value.unwrap();
    let texts: Vec<_> = thread.iter().map(|view| view.content.text.clone().unwrap()).collect();
    assert_eq!(texts, ["mine", "the successor's"]);
}

/// Whoever reaches the bus may put something into a log.
async fn an_entry_that_is_no_record_is_passed_and_the_history_goes_on(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    let mut log = dense(0);
    for n in 1..=3_u8 {
        dense_step(&mut log, 1, &[inbound(n, u64::from(n), &n.to_string())]);
        let last = running.append(&mut log).await;
        running.reach(&log, last).await;
        let bytes = bytes::Bytes::from_static(NO_RECORD);
        log.seq = 1 + running.bus.log.append(log.partition, last, bytes).await.unwrap();
    }
    // Also where such an entry is the last one when it is begun.
    running.shutdown.drain(BOUND).await.unwrap();
    let projector =
        Projector::new(running.bus.clone(), running.tables.repository(), Clock::system());
    let (health, shutdown) = (Health::new(), Shutdown::new());
    projector.start(&shutdown, &health);
    dense_step(&mut log, 1, &[inbound(4, 4, "4")]);
    let last = running.append(&mut log).await;
    let archive = projector.archive(sealer()).with_wait(BOUND);
    let position = Position { generation: 1, seq: last, index: 0 };
    assert!(archive.reach(PartitionId(0), position).await, "{:?}", health.not_ready());
    let read = archive.messages(&SHOP.into(), hash(1), None, 9, None).await.unwrap();
    let (thread, _) = read.value.unwrap();
    let texts: Vec<_> = thread.iter().map(|view| view.content.text.clone().unwrap()).collect();
    assert_eq!(texts, ["1", "2", "3", "4"]);
    shutdown.drain(BOUND).await.unwrap();
}

async fn a_read_model_of_another_log_is_refused_with_advice(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    busy_logs(&running).await;
    running.shutdown.drain(BOUND).await.unwrap();
    let other = Running::new(kind).await;
    let projector = Projector::new(other.bus.clone(), running.tables.repository(), Clock::system());
    projector.start(&other.shutdown, &other.health);
    other.until_not_ready("tandem archive rebuild").await;
}

async fn a_higher_generation_is_followed_from_its_beginning(kind: Kind) {
    let running = Running::new(kind).await;
    running.start();
    busy_logs(&running).await;
    running.shutdown.drain(BOUND).await.unwrap();
    let restored = Running::new(kind).await;
    let mut log = dense(0);
    log.records.clear();
    log.head.generation = 2;
    log.head.number = 0;
    log.head.previous_seq = 0;
    log.seq = 1;
    dense_push(&mut log, RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 });
    dense_step(&mut log, 1, &[inbound(77, 9_000, "after the restore")]);
    let last = restored.append(&mut log).await;
    let projector =
        Projector::new(restored.bus.clone(), running.tables.repository(), Clock::system());
    projector.start(&restored.shutdown, &restored.health);
    let archive = projector.archive(sealer()).with_wait(BOUND);
    assert!(archive.reach(PartitionId(0), Position { generation: 2, seq: last, index: 0 }).await);
    assert!(archive.message(&SHOP.into(), hash(1), message(77)).await.unwrap().is_some());
}

#[test]
fn a_file_of_another_installation_or_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.sqlite");
    SqliteRepository::open(&path, [1; 8]).unwrap();
    let other = SqliteRepository::open(&path, [2; 8]);
    assert!(matches!(other, Err(ArchiveError::Foreign { .. })), "{other:?}");
    let path = dir.path().join("foreign.sqlite");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let foreign = SqliteRepository::open(&path, [1; 8]);
    assert!(matches!(foreign, Err(ArchiveError::Foreign { .. })), "{foreign:?}");
}

#[tokio::test]
async fn a_file_with_older_tables_is_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.sqlite");
    drop(SqliteRepository::open(&path, [1; 8]).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "INSERT INTO positions VALUES (0, 9, 1, 1, x'00', 1); PRAGMA user_version = 0",
    )
    .unwrap();
    drop(raw);
    let reopened = SqliteRepository::open(&path, [1; 8]).unwrap();
    assert_eq!(reopened.dump().await.unwrap()["positions"], Vec::<String>::new());
}
