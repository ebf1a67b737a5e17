//! Segments: written, linked, read instead of what was trimmed, and found out when somebody touched them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bus::{
    Bus, Checkpoint, CodecError, Incarnation, PartitionId, Position, ReadLimit, RecordBody,
    RecordHead, sqlite,
};
use bytes::Bytes;
use chassis::clock::Clock;
use tempfile::TempDir;

use super::{
    projector::{dense, dense_push, dense_step},
    support::*,
};
use crate::{
    Floor, History, ProjectorError, Repository, SqliteRepository, TrimOptions, Trimmer,
    chain::Follower,
    decode::DecodeError,
    rebuild,
    segments::{Keeper, KeeperError, KeeperOptions, Segments, verify},
};

pub(super) const BOUND: Duration = Duration::from_secs(40);
pub(super) const P0: PartitionId = PartitionId(0);

/// Segments that are closed soon.
pub(super) const AGING: KeeperOptions =
    KeeperOptions { segment_bytes: 2_500, segment_age: Duration::from_millis(100) };

pub(super) struct World {
    pub(super) bus: Bus,
    pub(super) dir: TempDir,
}

impl World {
    /// A log of 60 records and its segments of a few records each.
    pub(super) async fn new() -> Self {
        let world = Self::empty();
        world.grow(60).await;
        world.keep().await;
        world
    }

    /// As [`World::new`], but of another installation: sequences and sizes are the same, the writer is not.
    pub(super) async fn stranger() -> Self {
        let world = Self::empty();
        let incarnation = Incarnation([99; 16]);
        let head = RecordHead { generation: 1, epoch: 1, incarnation, number: 0, previous_seq: 0 };
        let mut log = Log { partition: P0, head, seq: 1, records: Vec::new() };
        dense_push(&mut log, RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 });
        world.append(log, 60).await;
        world.keep().await;
        world
    }

    pub(super) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options =
            sqlite::Options { partitions: 1, min_free_bytes: 0, ..sqlite::Options::default() };
        let bus = sqlite::open(&dir.path().join("bus"), options).unwrap();
        Self { bus, dir }
    }

    pub(super) async fn grow(&self, steps: u8) {
        self.append(dense(0), steps).await;
    }

    /// What the log does not have yet of so many steps.
    async fn append(&self, mut log: Log, steps: u8) {
        for n in 1..=steps {
            dense_step(&mut log, n % 3, &[inbound(n, u64::from(n) * 10, "hi")]);
        }
        let mut last = self.bus.log.last(P0).await.unwrap().map_or(0, |(seq, _)| seq);
        for (seq, bytes) in log.records {
            if seq > last {
                last = self.bus.log.append(P0, last, bytes).await.unwrap();
            }
        }
    }

    pub(super) fn segments(&self) -> Segments {
        Segments::open(&self.segments_dir()).unwrap()
    }

    pub(super) fn segments_dir(&self) -> PathBuf {
        self.dir.path().join("segments")
    }

    /// As the keeper does, into a directory of its own and with segments of another size.
    pub(super) async fn keep_cut_at(&self, dir: &Path, segment_bytes: u64) -> Segments {
        let options = KeeperOptions { segment_bytes, segment_age: Duration::from_secs(3600) };
        let segments = Segments::open(dir).unwrap();
        let keeper = Keeper::new(self.bus.clone(), segments.clone(), options, Clock::system());
        keeper.keep_all(P0).await;
        segments
    }

    /// A keeper that closes segments soon.
    pub(super) fn aging_keeper(&self, segments: &Segments) -> Keeper {
        Keeper::new(self.bus.clone(), segments.clone(), AGING, Clock::system())
    }

    /// A trimmer whose checkpoint and read model need nothing more.
    pub(super) async fn trimmer(&self, segments: &Segments) -> Trimmer {
        let model = self.rebuilt("trimmer", Some(segments.clone())).await.unwrap();
        let position = Position { generation: 1, seq: 61, index: 0 };
        let bytes = bus::encode(&(0_u64, 61_u64)).unwrap();
        self.bus.states.put_checkpoint(P0, Checkpoint { position, bytes }).await.unwrap();
        let options = TrimOptions { interval: Duration::from_secs(3600), floor };
        Trimmer::new(self.bus.clone(), model, segments.clone(), options)
    }

    fn keeper(&self) -> (Keeper, Segments) {
        let options =
            KeeperOptions { segment_bytes: 2_500, segment_age: Duration::from_secs(3600) };
        let segments = self.segments();
        (Keeper::new(self.bus.clone(), segments.clone(), options, Clock::system()), segments)
    }

    pub(super) async fn keep(&self) -> Segments {
        let (keeper, segments) = self.keeper();
        keeper.keep_all(P0).await;
        segments
    }

    pub(super) fn model(&self, name: &str) -> Arc<SqliteRepository> {
        let path = self.dir.path().join(name);
        Arc::new(SqliteRepository::open(&path, sealer().fingerprint()).unwrap())
    }

    pub(super) async fn rebuilt(
        &self,
        name: &str,
        segments: Option<Segments>,
    ) -> Result<Arc<SqliteRepository>, ProjectorError> {
        let model = self.model(name);
        rebuild(&self.bus, Arc::clone(&model) as _, Clock::system(), segments).await?;
        Ok(model)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.segments().of(P0).into_iter().map(|segment| segment.path).collect()
    }

    fn problems(&self) -> Vec<String> {
        verify(&self.segments_dir()).unwrap().problems
    }

    /// The findings name the file.
    fn assert_found(&self, file: &Path, why: &str) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let problems = self.problems();
        let found = problems.iter().any(|problem| problem.contains(name) && problem.contains(why));
        assert!(found, "no {why:?} of {name} in {problems:#?}");
    }
}

#[tokio::test]
async fn segments_hold_the_log_as_it_is_complete_and_linked() {
    let world = World::new().await;
    let report = verify(&world.segments_dir()).unwrap();
    assert_eq!((report.partitions, report.records, report.problems), (1, 61, Vec::new()));
    assert!(report.segments > 5, "{} segments", report.segments);
    let log = world.bus.log.read(P0, 0, ReadLimit::default()).await.unwrap();
    world.bus.log.trim(P0, 60).await.unwrap();
    let mut history = History::new(&world.bus, Some(world.segments()), P0);
    let mut follower = Follower::default();
    let mut read: Vec<(u64, Bytes)> = Vec::new();
    while read.len() < log.len() {
        let page = history.read(&follower).await.unwrap();
        assert!(!page.is_empty(), "the history ends after {} records", read.len());
        for (seq, bytes) in &page {
            follower.admit(*seq, &bus::Record::decode_head(bytes).unwrap());
        }
        read.extend(page);
    }
    assert_eq!(read, log);
    for (seq, bytes) in &log {
        let found = history.find(1, *seq).await.unwrap();
        assert_eq!(found, Some((*seq, bytes.clone())));
    }
    assert_eq!(history.find(2, 5).await.unwrap(), None);
    assert_eq!(history.find(1, 99).await.unwrap(), None);
}

#[tokio::test]
async fn a_segment_goes_on_where_the_last_one_ended_also_after_a_crash() {
    let world = World::new().await;
    let before = world.files();
    let half = before[0].with_file_name("0000000001-00000000000000000062.open");
    fs::write(&half, "half a segment").unwrap();
    world.grow(90).await;
    let segments = world.keep().await;
    assert!(!half.exists(), "what was half written is still there");
    let all = segments.of(P0);
    assert_eq!(all.last().unwrap().footer.last_seq, 91);
    assert_eq!(world.files()[..before.len()], before[..]);
    for (one, next) in all.iter().zip(&all[1..]) {
        assert_eq!(next.footer.previous, Some(one.footer.hash));
        assert_eq!(next.footer.first_seq, one.footer.last_seq + 1);
    }
    assert_eq!(world.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rebuild_over_segments_equals_the_one_of_the_whole_log() {
    let world = World::new().await;
    let whole = world.rebuilt("whole", None).await.unwrap().dump().await.unwrap();
    assert_eq!(whole["messages"].len(), 60);
    world.bus.log.trim(P0, 40).await.unwrap();
    let rebuilt = world.rebuilt("rebuilt", Some(world.segments())).await.unwrap();
    assert_eq!(rebuilt.dump().await.unwrap(), whole);
    // Without the segments the gap is named, and nothing after it is shown.
    let refused = world.rebuilt("refused", None).await;
    let Err(ProjectorError::Decode(DecodeError::Gap { after: 0, before: 41, .. })) = refused else {
        panic!("{refused:?}");
    };
    fs::remove_file(&world.files()[2]).unwrap();
    let refused = world.rebuilt("refused", Some(world.segments())).await;
    assert!(matches!(refused, Err(ProjectorError::Decode(DecodeError::Gap { .. }))), "{refused:?}");
}

#[tokio::test]
async fn every_changed_byte_of_a_segment_is_found() {
    let world = World::new().await;
    let file = world.files()[1].clone();
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        fs::write(&file, &changed).unwrap();
        assert!(!world.problems().is_empty(), "byte {at} of {} was changed", whole.len());
    }
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    fs::write(&file, &changed).unwrap();
    world.assert_found(&file, "checksum");
    // Who looks for its records is told, not given others.
    world.bus.log.trim(P0, 60).await.unwrap();
    let refused = world.rebuilt("refused", Some(world.segments())).await;
    assert!(matches!(refused, Err(ProjectorError::Segment(_))), "{refused:?}");
    fs::write(&file, &whole).unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn truncated_missing_and_exchanged_segments_are_named() {
    let world = World::new().await;
    let files = world.files();
    let (second, third, last) = (&files[1], &files[2], &files[files.len() - 1]);
    let whole = fs::read(second).unwrap();
    for length in [0, 5, whole.len() / 2, whole.len() - 1] {
        fs::write(second, &whole[..length]).unwrap();
        world.assert_found(second, "truncated");
    }
    fs::remove_file(second).unwrap();
    world.assert_found(third, "missing");
    // A copy of another one in its place is itself whole, but does not belong there.
    fs::copy(third, second).unwrap();
    assert!(!world.problems().is_empty());
    fs::write(second, &whole).unwrap();
    let newest = fs::read(last).unwrap();
    fs::remove_file(last).unwrap();
    world.assert_found(last, "missing");
    fs::write(last, &newest).unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
}

pub(super) fn floor(checkpoint: &Checkpoint) -> Result<Floor, CodecError> {
    bus::decode::<(u64, u64)>(&checkpoint.bytes)
        .map(|(inbox_through, log_through)| Floor { inbox_through, log_through })
}

#[tokio::test]
async fn a_log_is_trimmed_to_the_lowest_of_checkpoint_segments_and_read_model() {
    let world = World::new().await;
    for n in 0..10 {
        world.bus.inbox.append(P0, Bytes::from(format!("{n}"))).await.unwrap();
    }
    let (model, segments) = (world.model("model"), world.segments());
    let options = TrimOptions { interval: Duration::from_secs(3600), floor };
    let trimmer = || {
        Trimmer::new(
            world.bus.clone(),
            Arc::clone(&model) as Arc<dyn Repository>,
            segments.clone(),
            options,
        )
    };
    let first = async || {
        let inbox = world.bus.inbox.read(P0, 0, ReadLimit::default()).await.unwrap()[0].0;
        (inbox, world.bus.log.read(P0, 0, ReadLimit::default()).await.unwrap()[0].0)
    };
    let checkpoint = async |seq: u64, inbox: u64, log: u64| {
        let position = Position { generation: 1, seq, index: 0 };
        let bytes = bus::encode(&(inbox, log)).unwrap();
        let checkpoint = Checkpoint { position, bytes };
        world.bus.states.put_checkpoint(P0, checkpoint).await.unwrap();
    };
    trimmer().round().await;
    assert_eq!(first().await, (1, 1), "there is no checkpoint");
    checkpoint(30, 4, 30).await;
    trimmer().round().await;
    assert_eq!(first().await, (5, 1), "the read model has nothing yet");
    rebuild(&world.bus, Arc::clone(&model) as _, Clock::system(), None).await.unwrap();
    trimmer().round().await;
    assert_eq!(first().await, (5, 31), "the checkpoint is the lowest");
    world.grow(80).await;
    rebuild(&world.bus, Arc::clone(&model) as _, Clock::system(), Some(segments.clone()))
        .await
        .unwrap();
    checkpoint(75, 7, 75).await;
    let trimmer = trimmer();
    let held = trimmer.hold().await;
    let waited = tokio::time::timeout(Duration::from_millis(50), trimmer.round()).await;
    assert!(waited.is_err(), "it trims while it is held");
    drop(held);
    trimmer.round().await;
    assert_eq!(first().await, (8, 62), "the segments are the lowest");
    assert_eq!(trimmer.trimmed()[&P0].log_through, 61);
}

#[tokio::test]
async fn what_is_only_in_segments_of_another_log_is_not_trimmed() {
    // As after a new start beside an old directory: the sequences fit, the records are others.
    let (world, stranger) = (World::new().await, World::stranger().await);
    let first = async || stranger.bus.log.read(P0, 0, ReadLimit::default()).await.unwrap()[0].0;
    let trimmer = stranger.trimmer(&world.segments()).await;
    trimmer.round().await;
    assert_eq!((first().await, trimmer.trimmed()[&P0].log_through), (1, 0));
    drop(trimmer);
    stranger.trimmer(&stranger.segments()).await.round().await;
    assert_eq!(first().await, 61, "its own segments are");
}

/// Whoever reaches the bus may put something into a log.
#[tokio::test]
async fn an_entry_that_is_no_record_is_in_no_segment_and_the_last_record_stays() {
    let world = World::empty();
    world.grow(10).await;
    let mut log = dense(0);
    for n in 1..=20 {
        // Its place in the log is the eleventh step's.
        log.seq += u64::from(n == 11);
        dense_step(&mut log, n % 3, &[inbound(n, u64::from(n) * 10, "hi")]);
    }
    let mut last = world.bus.log.append(P0, 11, Bytes::from_static(NO_RECORD)).await.unwrap();
    for (_, bytes) in log.records.split_off(11) {
        last = world.bus.log.append(P0, last, bytes).await.unwrap();
    }
    world.bus.log.append(P0, last, Bytes::from_static(NO_RECORD)).await.unwrap();
    let segments = world.keep().await;
    let report = verify(&world.segments_dir()).unwrap();
    assert_eq!((report.records, report.problems), (21, Vec::new()));
    assert_eq!(segments.last(P0).unwrap().footer.last_seq, last);
    let whole = world.rebuilt("whole", None).await.unwrap().dump().await.unwrap();
    assert_eq!(whole["messages"].len(), 20);
    world.trimmer(&segments).await.round().await;
    let left = world.bus.log.read(P0, 0, ReadLimit::default()).await.unwrap();
    assert_eq!(left[0].0, last, "the last record must stay");
    let rebuilt = world.rebuilt("rebuilt", Some(segments)).await.unwrap();
    assert_eq!(rebuilt.dump().await.unwrap(), whole);
}

/// Why archives take turns: each trims what it has itself.
#[tokio::test]
async fn an_archive_that_did_not_keep_up_with_anothers_trimming_meets_a_gap() {
    let world = World::new().await;
    world.trimmer(&world.segments()).await.round().await;
    let other = Segments::open(&world.dir.path().join("of another")).unwrap();
    let stopped = world.aging_keeper(&other).keep_now(P0).await;
    let gap = matches!(stopped, Err(KeeperError::Decode(DecodeError::Gap { .. })));
    assert!(gap, "{stopped:?}");
}
