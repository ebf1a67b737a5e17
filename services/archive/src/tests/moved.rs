//! An installation whose entities were dealt anew: its history lies in segments of other partitions than its logs, and the logs'
//! sequences begin anew. Whoever reads it must find the history, all of it, and before what came later.

use std::{path::Path, sync::Arc, time::Duration};

use bus::{Bus, PartitionId, Position, RecordBody, sqlite};
use chassis::clock::Clock;
use domain::{
    BusinessId,
    conversation::{ConversationEvent, Floor, FloorCause},
};
use tempfile::TempDir;

use super::{
    projector::{dense, dense_push, dense_step},
    support::*,
};
use crate::{
    Archive, History, Projector, ProjectorError, Repository, SqliteRepository,
    chain::Follower,
    decode::DecodeError,
    rebuild,
    segments::{Keeper, KeeperOptions, Segments, copy_history, verify},
};

const P1: PartitionId = PartitionId(1);
/// Records of the history: an epoch, 30 messages, a change of the floor.
const EARLIER: usize = 32;
/// Records of the log that goes on with it.
const LATER: usize = 2;

fn open(dir: &Path) -> Bus {
    let options =
        sqlite::Options { partitions: 2, min_free_bytes: 0, ..sqlite::Options::default() };
    sqlite::open(dir, options).unwrap()
}

async fn append(bus: &Bus, log: &Log) {
    let mut last = 0;
    for (_, record) in &log.records {
        last = bus.log.append(log.partition, last, record.clone()).await.unwrap();
    }
}

fn floor(agent: &str, at_ms: u64) -> ConversationEvent {
    let floor = Floor::Desk { agent: agent.into() };
    ConversationEvent::FloorChanged { floor, cause: FloorCause::Assigned, at_ms }
}

/// A log of the second generation; `previous_seq` is the last record of its history.
fn later(partition: u16, previous_seq: u64) -> Log {
    let mut log = dense(partition);
    log.records.clear();
    (log.head.generation, log.head.number, log.head.previous_seq) = (2, 0, previous_seq);
    log.seq = 1;
    dense_push(&mut log, RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 });
    log
}

struct World {
    dir: TempDir,
    bus: Bus,
}

impl World {
    /// Conversation 1 was in partition 1 and is in partition 0 now.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = open(&dir.path().join("source"));
        let mut log = dense(1);
        for n in 1..=30 {
            dense_step(&mut log, 1, &[inbound(n, u64::from(n) * 10, "hi")]);
        }
        dense_step(&mut log, 1, &[floor("ana", 400)]);
        append(&source, &log).await;
        let none = Segments::open(&dir.path().join("none")).unwrap();
        let copied = copy_history(&source, &none, &dir.path().join("segments")).await.unwrap();
        assert_eq!(copied, 1);

        let bus = open(&dir.path().join("bus"));
        let mut zero = later(0, 0);
        dense_step(&mut zero, 1, &[floor("bob", 500)]);
        let mut one = later(1, u64::try_from(EARLIER).unwrap());
        dense_step(&mut one, 2, &[inbound(99, 600, "hello")]);
        append(&bus, &zero).await;
        append(&bus, &one).await;
        Self { dir, bus }
    }

    fn segments(&self) -> Segments {
        Segments::open(&self.dir.path().join("segments")).unwrap()
    }

    fn model(&self, name: &str) -> Arc<SqliteRepository> {
        let file = self.dir.path().join(name);
        Arc::new(SqliteRepository::open(&file, sealer().fingerprint()).unwrap())
    }

    fn archive(&self, model: &Arc<SqliteRepository>) -> Archive {
        let repository = Arc::clone(model) as Arc<dyn Repository>;
        Projector::new(self.bus.clone(), repository, Clock::system()).archive(sealer())
    }
}

#[tokio::test]
async fn what_an_entity_did_before_it_was_dealt_anew_is_projected_first() {
    let world = World::new().await;
    let model = world.model("model");
    let repository = Arc::clone(&model) as Arc<dyn Repository>;
    rebuild(&world.bus, repository, Clock::system(), Some(world.segments())).await.unwrap();
    let archive = world.archive(&model);
    let business = BusinessId::from(SHOP);
    let read = archive.conversation(&business, hash(1), None).await.unwrap().value.unwrap();
    assert_eq!(read.row.floor, Floor::Desk { agent: "bob".into() });
    let newest = Position { generation: 2, seq: 2, index: 0 };
    assert_eq!(read.row.position, Some((PartitionId(0), newest)));
    let messages = archive.messages(&business, hash(1), None, 100, None).await.unwrap();
    assert_eq!(messages.value.unwrap().0.len(), 30);
    let other = archive.conversation(&business, hash(2), None).await.unwrap().value;
    assert!(other.is_some(), "what came later in the history's own partition is missing");
    assert_eq!(verify(world.segments().dir()).unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_history_that_is_not_there_is_named() {
    let world = World::new().await;
    let repository = world.model("model") as Arc<dyn Repository>;
    let refused = rebuild(&world.bus, repository, Clock::system(), None).await;
    let Err(ProjectorError::Decode(DecodeError::Gap { partition: P1, after: 0, before: 1 })) =
        refused
    else {
        panic!("{refused:?}");
    };
}

/// The log's sequences are lower than those of its history: who comes from there must not wait for higher ones.
#[tokio::test]
async fn a_reader_goes_on_from_any_record_of_the_history_into_the_log() {
    let world = World::new().await;
    let mut history = History::new(&world.bus, Some(world.segments()), P1);
    let mut records = Vec::new();
    let mut follower = Follower::default();
    loop {
        let page = history.read(&follower).await.unwrap();
        if page.is_empty() {
            break;
        }
        for (seq, bytes) in page {
            follower.admit(seq, &bus::Record::decode_head(&bytes).unwrap());
            records.push((seq, bytes));
        }
    }
    assert_eq!(records.len(), EARLIER + LATER);
    for (n, (seq, bytes)) in records.iter().enumerate().take(EARLIER) {
        let head = bus::Record::decode_head(bytes).unwrap();
        let cursor = crate::chain::Cursor::of(*seq, &head);
        let mut follower = Follower::after(Some(cursor));
        let mut history = History::new(&world.bus, Some(world.segments()), P1);
        let mut left = 0;
        while left < records.len() - n - 1 {
            let read = tokio::time::timeout(Duration::from_secs(30), history.tail(&follower));
            for (seq, bytes) in read.await.unwrap().unwrap() {
                follower.admit(seq, &bus::Record::decode_head(&bytes).unwrap());
                left += 1;
            }
        }
        assert_eq!(follower.position(), (2, 2), "from record {seq}");
    }
}

/// A restored directory: its log begins right after its segments, in the generation of before, and goes on in the next one.
#[tokio::test]
async fn a_log_that_was_trimmed_up_to_its_segments_goes_on_in_a_later_generation() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus"));
    let mut log = dense(1);
    for n in 1..=30 {
        dense_step(&mut log, 1, &[inbound(n, u64::from(n) * 10, "hi")]);
    }
    append(&bus, &log).await;
    let none = Segments::open(&dir.path().join("none")).unwrap();
    copy_history(&bus, &none, &dir.path().join("segments")).await.unwrap();
    let kept = log.records.len();
    dense_step(&mut log, 1, &[inbound(31, 310, "hi")]);
    (log.head.generation, log.head.epoch, log.head.number) = (2, 2, 0);
    dense_push(&mut log, RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 });
    dense_step(&mut log, 1, &[inbound(32, 320, "hi")]);
    let mut last = u64::try_from(kept).unwrap();
    for (_, record) in &log.records[kept..] {
        last = bus.log.append(P1, last, record.clone()).await.unwrap();
    }
    bus.log.trim(P1, u64::try_from(kept).unwrap()).await.unwrap();
    let world = World { dir, bus };

    let model = world.model("model");
    let repository = Arc::clone(&model) as Arc<dyn Repository>;
    rebuild(&world.bus, repository, Clock::system(), Some(world.segments())).await.unwrap();
    let archive = world.archive(&model);
    let messages = archive.messages(&BusinessId::from(SHOP), hash(1), None, 100, None).await;
    assert_eq!(messages.unwrap().value.unwrap().0.len(), 32);
    // Who writes the segments goes on as well.
    let options = KeeperOptions { segment_bytes: u64::MAX, segment_age: Duration::MAX };
    Keeper::new(world.bus.clone(), world.segments(), options, Clock::system()).keep_all(P1).await;
    let report = verify(world.segments().dir()).unwrap();
    assert_eq!((report.records, report.problems), (34, Vec::new()));
}
