//! The directory of the embedded bus: what is kept over a restart, what is refused, what a full disk does.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

use bus::{
    AppendError, Bus, BusError, Checkpoint, EntityId, LogAppendError, PartName, PartPut,
    PartitionId, Position, ReadLimit, SavedPart,
    sqlite::{self, DATABASE_FILE, OpenError, Options, Store},
};
use bytes::Bytes;
use tempfile::TempDir;

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const ALL: ReadLimit = ReadLimit { values: usize::MAX >> 1, bytes: usize::MAX };

fn options() -> Options {
    Options { partitions: 2, min_free_bytes: 0, ..Options::default() }
}

fn at(seq: u64) -> Position {
    Position { generation: 0, seq, index: 0 }
}

fn part(seq: u64, bytes: usize) -> PartPut {
    PartPut {
        entity: EntityId { kind: 1, hash: [7; 16] },
        part: SavedPart {
            name: PartName::from("main"),
            position: at(seq),
            bytes: Some(Bytes::from(vec![3; bytes])),
        },
    }
}

fn body(n: u64, bytes: usize) -> Bytes {
    let mut body = n.to_le_bytes().to_vec();
    body.resize(bytes.max(8), 5);
    body.into()
}

fn sentence(error: OpenError) -> String {
    error.to_string()
}

async fn inbox(bus: &Bus, partition: PartitionId) -> Vec<(u64, Bytes)> {
    if bus.inbox.last(partition).await.unwrap() == 0 {
        return Vec::new();
    }
    bus.inbox.read(partition, 0, ALL).await.unwrap()
}

#[tokio::test]
async fn a_reopened_directory_holds_everything() {
    let dir = TempDir::new().unwrap();
    let mut written = Vec::new();
    let (mut last, mut other) = (0, 0);
    for round in 0..3 {
        let bus = sqlite::open(dir.path(), options()).unwrap();
        assert_eq!(inbox(&bus, P0).await, written, "before round {round}");
        for n in 0..50 {
            let body = body(round * 50 + n, 600);
            written.push((bus.inbox.append(P0, body.clone()).await.unwrap(), body.clone()));
            last = bus.log.append(P0, last, body.clone()).await.unwrap();
            other = bus.log.append(P1, other, body).await.unwrap();
        }
        bus.states.put(P0, vec![part(last, 100)]).await.unwrap();
        let checkpoint = Checkpoint { position: at(last), bytes: body(round, 8) };
        bus.states.put_checkpoint(P0, checkpoint).await.unwrap();
    }
    let bus = sqlite::open(dir.path(), options()).unwrap();
    assert_eq!(inbox(&bus, P0).await, written);
    assert_eq!(inbox(&bus, P1).await, []);
    let log = bus.log.read(P0, 0, ALL).await.unwrap();
    assert_eq!(log.len(), 150);
    assert_eq!(bus.log.last(P0).await.unwrap().as_ref(), log.last());
    assert_eq!(bus.log.last(P1).await.unwrap().unwrap().0, other);
    let refused = bus.log.append(P0, 0, body(0, 8)).await;
    assert!(matches!(refused, Err(LogAppendError::Conflict)), "{refused:?}");
    let parts = bus.states.load(P0, part(0, 0).entity).await.unwrap();
    assert_eq!(parts, [part(last, 100).part]);
    let checkpoint = bus.states.checkpoint(P0).await.unwrap().unwrap();
    assert_eq!((checkpoint.position, checkpoint.bytes), (at(last), body(2, 8)));
}

#[tokio::test]
async fn a_closed_store_answers_closed_and_frees_its_directory() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let bus = store.bus();
    let seq = bus.inbox.append(P0, body(1, 8)).await.unwrap();
    let mut signals = bus.signals.subscribe("desk.>").await.unwrap();
    let (waiting, ()) = tokio::join!(bus.inbox.read(P0, seq, ALL), async {
        tokio::task::yield_now().await;
        store.close();
    });
    assert!(matches!(waiting, Err(BusError::Closed)), "{waiting:?}");
    assert!(signals.next().await.is_none());
    let again = sqlite::open(dir.path(), options()).unwrap();
    assert_eq!(inbox(&again, P0).await.len(), 1);
    assert!(matches!(bus.inbox.append(P0, body(2, 8)).await, Err(AppendError::Closed)));
    assert!(matches!(bus.log.append(P0, 0, body(2, 8)).await, Err(LogAppendError::Closed)));
    assert!(matches!(bus.log.last(P0).await, Err(BusError::Closed)));
    assert!(matches!(bus.states.put(P0, vec![part(1, 1)]).await, Err(BusError::Closed)));
    assert!(matches!(bus.states.checkpoint(P0).await, Err(BusError::Closed)));
    store.close();
}

#[tokio::test]
async fn a_directory_is_taken_once() {
    let dir = TempDir::new().unwrap();
    let first = sqlite::open(dir.path(), options()).unwrap();
    let said = sentence(sqlite::open(dir.path(), options()).unwrap_err());
    assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    first.inbox.append(P0, body(1, 8)).await.unwrap();
    drop(first);
    let next = sqlite::open(dir.path(), options()).unwrap();
    assert_eq!(inbox(&next, P0).await.len(), 1);
}

#[tokio::test]
async fn another_partition_count_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(sqlite::open(dir.path(), options()).unwrap());
    let said =
        sentence(sqlite::open(dir.path(), Options { partitions: 3, ..options() }).unwrap_err());
    assert!(said.contains("2 partitions") && said.contains("3 are configured"), "{said}");
    sqlite::open(dir.path(), options()).unwrap();
}

/// Runs SQL on the closed database, as a foreign hand would.
fn alter(dir: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(dir.join(DATABASE_FILE)).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_newer_schema_and_a_foreign_file_are_refused_unchanged() {
    let dir = TempDir::new().unwrap();
    drop(sqlite::open(dir.path(), options()).unwrap());
    alter(dir.path(), "PRAGMA user_version = 99");
    let refused = sqlite::open(dir.path(), options()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused:?}");
    alter(dir.path(), "PRAGMA user_version = 1; PRAGMA application_id = 5");
    let before = fs::read(dir.path().join(DATABASE_FILE)).unwrap();
    let refused = sqlite::open(dir.path(), options()).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused:?}");
    assert_eq!(fs::read(dir.path().join(DATABASE_FILE)).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let bus = sqlite::open(dir.path(), options()).unwrap();
    for n in 0..200 {
        bus.inbox.append(P0, body(n, 2_000)).await.unwrap();
    }
    drop(bus);
    let path = dir.path().join(DATABASE_FILE);
    let whole = fs::read(&path).unwrap();
    let middle = (whole.len() as u64 / 2) & !4095;
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0xff; 4096], middle).unwrap();
    let said = sentence(sqlite::open(dir.path(), options()).unwrap_err());
    assert!(said.contains(path.to_str().unwrap()) && said.contains("damaged"), "{said}");
    fs::write(
        &path,
        "this is no database, and longer than the header of one would have to be to be read",
    )
    .unwrap();
    let refused = sqlite::open(dir.path(), options()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
    fs::write(&path, whole).unwrap();
    let bus = sqlite::open(dir.path(), options()).unwrap();
    assert_eq!(inbox(&bus, P0).await.len(), 200);
}

#[tokio::test]
async fn little_free_space_refuses_inputs_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let scarce = Options { min_free_bytes: u64::MAX, ..options() };
    let bus = sqlite::open(dir.path(), scarce).unwrap();
    let refused = bus.inbox.append(P0, body(1, 8)).await;
    assert!(matches!(refused, Err(AppendError::Full(_))), "{refused:?}");
    assert_eq!(bus.inbox.last(P0).await.unwrap(), 0);
    let seq = bus.log.append(P0, 0, body(1, 8)).await.unwrap();
    bus.states.put(P0, vec![part(seq, 10)]).await.unwrap();
    drop(bus);
    let bus = sqlite::open(dir.path(), options()).unwrap();
    assert_eq!(bus.inbox.append(P0, body(1, 8)).await.unwrap(), 1);
}

/// Appends until the store is full, checks what each kind of request answers then, makes room, and
/// checks that exactly what was acknowledged is there.
async fn fill_and_recover(dir: &Path, bus: Bus, make_room: impl AsyncFnOnce()) {
    let mut acknowledged = Vec::new();
    let mut last = bus.log.append(P0, 0, body(0, 64)).await.unwrap();
    let why = loop {
        let body = body(acknowledged.len() as u64, 50_000);
        match bus.inbox.append(P0, body.clone()).await {
            Ok(seq) => acknowledged.push((seq, body)),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 1_000, "the store is never full");
    };
    assert!(matches!(why, AppendError::Full(_)), "{why:?}");
    let refused = bus.log.append(P0, last, body(7, 500_000)).await;
    assert!(matches!(refused, Err(LogAppendError::Unknown(_))), "{refused:?}");
    let refused = bus.states.put(P0, vec![part(1, 500_000)]).await;
    assert!(matches!(refused, Err(BusError::Unavailable(_))), "{refused:?}");
    assert_eq!(inbox(&bus, P0).await, acknowledged, "while full");

    make_room().await;
    // Unknown is resolved by writing: the same record again, and it is in the log once.
    last = bus.log.append(P0, last, body(7, 500_000)).await.unwrap();
    bus.states.put(P0, vec![part(1, 500_000)]).await.unwrap();
    let more = body(acknowledged.len() as u64, 50_000);
    acknowledged.push((bus.inbox.append(P0, more.clone()).await.unwrap(), more));
    assert_eq!(inbox(&bus, P0).await, acknowledged, "with room again");
    drop(bus);
    let bus = sqlite::open(dir, options()).unwrap();
    assert_eq!(inbox(&bus, P0).await, acknowledged, "reopened");
    let log = bus.log.read(P0, 0, ALL).await.unwrap();
    assert_eq!(log.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, last]);
}

#[tokio::test]
async fn a_full_database_recovers_when_it_may_grow() {
    let dir = TempDir::new().unwrap();
    let limited = Options { max_pages: Some(500), ..options() };
    let store = Store::open(dir.path(), limited).unwrap();
    let bus = store.bus();
    fill_and_recover(dir.path(), bus, async || {
        store.set_max_pages(None).await.unwrap();
        drop(store);
    })
    .await;
}

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).output());
    }
}

#[tokio::test]
async fn a_full_disk_recovers_when_space_returns() {
    let Some(disk) = SmallDisk::mount() else {
        // The same scenario runs on a limited database above.
        eprintln!("no tmpfs can be mounted here: the scenario ran with a limit of pages only");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; 1_700_000]).unwrap();
    let dir = disk.0.path().join("data");
    let bus = sqlite::open(&dir, options()).unwrap();
    fill_and_recover(&dir, bus, async || fs::remove_file(&ballast).unwrap()).await;
}
