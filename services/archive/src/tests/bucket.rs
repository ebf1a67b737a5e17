//! Segments in a bucket: stored once and whole, whatever happens meanwhile; trimmed from the log only then; fetched again
//! when the directory is lost; found out when somebody touched them.

use std::{collections::BTreeMap, fs, sync::Arc};

use bus::ReadLimit;
use chassis::{health::Health, task::Shutdown};
use testkit::s3::{Gate, S3Server};

use super::{
    segments::{BOUND, P0, World},
    support::*,
};
use crate::{
    History, HistoryError,
    chain::Follower,
    segments::{Bucket, BucketOptions, SegmentError, Segments, Shipper, verify},
};

const PREFIX: &str = "shop/segments";

/// A bucket of a test's own, and the way to it.
pub(super) struct Place {
    server: Arc<S3Server>,
    gate: Gate,
    name: &'static str,
    bucket: Bucket,
}

impl Place {
    /// The same bucket as another process reaches it.
    pub(super) fn reopen(&self) -> Bucket {
        Bucket::open(&options(&self.gate, self.name)).unwrap()
    }

    pub(super) async fn new(name: &'static str) -> Self {
        let server = S3Server::shared().await.unwrap();
        server.make_bucket(name).unwrap();
        let gate = Gate::before(server.address()).await.unwrap();
        let bucket = Bucket::open(&options(&gate, name)).unwrap();
        Self { server, gate, name, bucket }
    }

    fn shipper(&self, segments: &Segments) -> Shipper {
        Shipper::new(segments.clone(), self.bucket.clone(), 1)
    }

    /// Another object under a segment's name, of the same size.
    fn exchange(&self, segments: &Segments, n: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let path = segments.of(P0)[n].path.clone();
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        let file = path.file_name().unwrap().to_str().unwrap();
        let object = format!("{PREFIX}/00000/{file}");
        self.server.overwrite(self.name, &object, &bytes).unwrap();
    }

    async fn stored(&self) -> BTreeMap<String, u64> {
        self.bucket.list().await.unwrap().remove(&P0).unwrap_or_default()
    }
}

fn options(gate: &Gate, bucket: &str) -> BucketOptions {
    BucketOptions {
        endpoint: Some(gate.url()),
        region: "us-east-1".to_owned(),
        bucket: bucket.to_owned(),
        prefix: PREFIX.to_owned(),
        credentials: Some(("id".to_owned(), "key".to_owned())),
        allow_http: true,
    }
}

/// What the directory holds, by name.
fn sizes(segments: &Segments) -> BTreeMap<String, u64> {
    let named = segments.of(P0).into_iter().map(|segment| {
        let file = segment.path.file_name().unwrap().to_str().unwrap().to_owned();
        (file, segment.bytes)
    });
    named.collect()
}

/// Sequence of the oldest record in the log.
async fn oldest(world: &World) -> u64 {
    let one = ReadLimit { values: 1, bytes: 1 };
    world.bus.log.read(P0, 0, one).await.unwrap()[0].0
}

#[tokio::test]
async fn segments_are_stored_once_and_only_then_count_as_kept() {
    let place = Place::new("once").await;
    let world = World::new().await;
    let segments = world.segments();
    assert_eq!(segments.kept(P0), segments.last(P0), "a directory alone is where they are kept");
    assert!(place.bucket.is_empty().await.unwrap());
    // Another process, which has seen the bucket empty.
    let others = world.segments();
    assert_eq!(place.bucket.fetch(&others, 1).await.unwrap().segments, 0);
    let mut shipper = place.shipper(&segments);
    assert_eq!(segments.kept(P0), None);
    shipper.round().await.unwrap();
    assert_eq!(segments.kept(P0), segments.last(P0));
    assert_eq!(place.stored().await, sizes(&segments));
    assert!(!place.bucket.is_empty().await.unwrap());
    // What that one stores as well is there, and the same.
    place.shipper(&others).round().await.unwrap();
    assert_eq!(others.kept(P0), segments.last(P0));
    // New ones, and a start that finds them all.
    world.grow(90).await;
    let grown = world.keep().await;
    let mut shipper = place.shipper(&grown);
    shipper.round().await.unwrap();
    assert_eq!(grown.kept(P0).unwrap().footer.last_seq, 91);
    assert_eq!(place.stored().await, sizes(&grown));
}

#[tokio::test]
async fn other_records_under_the_same_name_are_refused_and_nothing_is_overwritten() {
    let place = Place::new("other").await;
    let (world, stranger) = (World::new().await, World::stranger().await);
    place.shipper(&world.segments()).round().await.unwrap();
    let before = place.stored().await;
    // The same first record, another end.
    fs::remove_dir_all(stranger.segments_dir()).unwrap();
    let segments = stranger.keep_cut_at(&stranger.segments_dir(), 9_000).await;
    let files = sizes(&segments);
    let mut shipper = place.shipper(&segments);
    shipper.round().await.unwrap();
    assert!(shipper.refused()[0].contains("archive.s3.prefix"), "{:?}", shipper.refused());
    assert_eq!(segments.kept(P0), None);
    assert_eq!((place.stored().await, sizes(&segments)), (before, files));
    // A person must look: it is not tried again.
    shipper.round().await.unwrap();
    assert_eq!(shipper.refused().len(), 1);
    let (shutdown, health) = (Shutdown::new(), Health::new());
    shipper.start(&shutdown, &health);
    let warned = || health.warnings().get("segments").is_some_and(|it| it.contains("partition 0"));
    testkit::wait_until(BOUND, "a warning", warned).await.unwrap();
    assert!(health.is_ready());
    shutdown.drain(BOUND).await.unwrap();
}

/// Two archives of one installation overlapped for a moment: each cut its own segments of the same records.
#[tokio::test]
async fn segments_that_were_cut_elsewhere_give_way_to_those_that_were_stored_first() {
    let place = Place::new("cut-elsewhere").await;
    let world = World::new().await;
    let (first, dir) = (world.segments(), world.segments_dir().with_file_name("of another"));
    let second = world.keep_cut_at(&dir, 9_000).await;
    assert_ne!(sizes(&first), sizes(&second));
    // Both begin while nothing is stored, and the first one is first.
    let mut shippers = [place.shipper(&first), place.shipper(&second)];
    assert_eq!(place.bucket.fetch(&first, 1).await.unwrap().segments, 0);
    assert_eq!(place.bucket.fetch(&second, 1).await.unwrap().segments, 0);
    let keeper = world.aging_keeper(&second);
    let shutdown = Shutdown::new();
    keeper.start(&shutdown);
    world.grow(90).await;
    let grown = || second.last(P0).is_some_and(|last| last.footer.last_seq == 91);
    testkit::wait_until(BOUND, "the newest record in a segment", grown).await.unwrap();
    shippers[0].round().await.unwrap();
    // It learns of it, and fetches.
    for _ in 0..2 {
        shippers[1].round().await.unwrap();
        assert_eq!(shippers[1].refused(), Vec::<&str>::new());
    }
    let kept = |segments: &Segments| segments.kept(P0).map(|kept| kept.footer);
    assert_eq!((kept(&second), sizes(&second)), (kept(&first), place.stored().await));
    // The keeper that wrote the others goes on from the stored ones, though nothing is appended any more.
    testkit::wait_until(BOUND, "the newest record in a segment again", grown).await.unwrap();
    shutdown.drain(BOUND).await.unwrap();
    shippers[1].round().await.unwrap();
    let report = verify(&dir).unwrap();
    assert_eq!((report.records, report.problems), (91, Vec::new()));
    // The other one finds at its next start what it did not store.
    let again = world.keep_cut_at(&world.segments_dir(), 9_000).await;
    assert_ne!(sizes(&again), place.stored().await);
    place.shipper(&again).round().await.unwrap();
    assert_eq!((sizes(&again), kept(&again)), (place.stored().await, kept(&second)));
    assert_eq!(verify(&world.segments_dir()).unwrap().problems, Vec::<String>::new());
    let rebuilt = world.rebuilt("after", Some(again)).await.unwrap().dump().await.unwrap();
    let whole = world.rebuilt("whole", None).await.unwrap().dump().await.unwrap();
    assert_same(&rebuilt, &whole, &"put aside");
}

#[tokio::test]
async fn segments_of_another_installation_are_refused_whatever_their_names_and_sizes() {
    let place = Place::new("equal-size").await;
    let (world, stranger) = (World::new().await, World::stranger().await);
    place.shipper(&world.segments()).round().await.unwrap();
    let segments = stranger.segments();
    assert_eq!(sizes(&segments), place.stored().await);
    let mut shipper = place.shipper(&segments);
    shipper.round().await.unwrap();
    assert!(shipper.refused()[0].contains("archive.s3.prefix"), "{:?}", shipper.refused());
    assert_eq!(segments.kept(P0), None);
}

#[tokio::test]
async fn while_the_server_is_away_nothing_is_trimmed_and_it_goes_on_by_itself() {
    let place = Place::new("away").await;
    let world = World::new().await;
    let segments = world.segments();
    place.gate.let_through(0);
    let (shutdown, health) = (Shutdown::new(), Health::new());
    place.shipper(&segments).start(&shutdown, &health);
    let warned = || health.warnings().contains_key("segments");
    testkit::wait_until(BOUND, "a warning", warned).await.unwrap();
    assert!(health.is_ready(), "the process must go on");
    let trimmer = world.trimmer(&segments).await;
    trimmer.round().await;
    assert_eq!(oldest(&world).await, 1, "trimmed before it was in the bucket");
    place.gate.open();
    let kept = || segments.kept(P0).is_some() && segments.kept(P0) == segments.last(P0);
    testkit::wait_until(BOUND, "every segment to be kept", kept).await.unwrap();
    testkit::wait_until(BOUND, "the warning to be over", || !warned()).await.unwrap();
    trimmer.round().await;
    let oldest = oldest(&world).await;
    assert!(oldest > 50, "{oldest}");
    shutdown.drain(BOUND).await.unwrap();
}

#[tokio::test]
async fn a_segment_whose_upload_is_cut_is_not_there_until_it_is_whole() {
    let place = Place::new("cut").await;
    let world = World::new().await;
    let segments = world.segments();
    let mut shipper = place.shipper(&segments);
    let sizes = sizes(&segments);
    // A request's head is some hundreds of bytes; each time the connection breaks somewhere else.
    for cut in [300, 1_200, 1_900, 2_600, 3_300, 5_000] {
        place.gate.let_through(cut);
        assert!(shipper.round().await.is_err(), "cut after {cut} bytes");
        place.gate.open();
        let stored = place.stored().await;
        for (name, size) in &stored {
            assert_eq!(sizes.get(name), Some(size), "{name} after a cut at {cut}");
        }
        let kept = segments.kept(P0).map_or(0, |kept| kept.footer.last_seq);
        let there = segments.of(P0).into_iter().take(stored.len()).next_back();
        assert!(kept <= there.map_or(0, |last| last.footer.last_seq), "{kept} after {cut}");
    }
    shipper.round().await.unwrap();
    assert_eq!(place.stored().await, sizes);
    assert_eq!(segments.kept(P0), segments.last(P0));
    assert_eq!(shipper.refused(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_segment_that_changed_in_the_directory_is_not_stored() {
    let place = Place::new("rotten").await;
    let world = World::new().await;
    let segments = world.segments();
    let second = segments.of(P0)[1].clone();
    let mut bytes = fs::read(&second.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&second.path, bytes).unwrap();
    let mut shipper = place.shipper(&segments);
    shipper.round().await.unwrap();
    assert!(shipper.refused()[0].contains("segments verify"), "{:?}", shipper.refused());
    assert_eq!(segments.kept(P0), segments.of(P0).first().cloned());
    assert_eq!(place.stored().await.len(), 1);
}

#[tokio::test]
async fn a_lost_directory_comes_back_and_everything_goes_on_from_there() {
    let place = Place::new("lost").await;
    let world = World::new().await;
    let segments = world.segments();
    let files = sizes(&segments);
    let expected = world.rebuilt("before", Some(segments.clone())).await.unwrap();
    place.shipper(&segments).round().await.unwrap();
    world.bus.log.trim(P0, 60).await.unwrap();
    fs::remove_dir_all(world.segments_dir()).unwrap();
    // While the bucket is away a reader is told to wait, not that records are missing.
    let segments = world.segments();
    let mut shipper = place.shipper(&segments);
    place.gate.let_through(0);
    shipper.round().await.unwrap_err();
    let mut history = History::new(&world.bus, Some(segments.clone()), P0);
    for _ in 0..2 {
        let waits = history.read(&Follower::default()).await;
        assert!(matches!(waits, Err(HistoryError::Segment(SegmentError::Fetching))), "{waits:?}");
    }
    let waits = history.find(1, 5).await;
    assert!(matches!(waits, Err(HistoryError::Segment(SegmentError::Fetching))), "{waits:?}");
    place.gate.open();
    shipper.round().await.unwrap();
    assert!(!history.read(&Follower::default()).await.unwrap().is_empty());
    assert_eq!(sizes(&segments), files);
    let rebuilt = world.rebuilt("after", Some(segments.clone())).await.unwrap();
    let (rebuilt, expected) = (rebuilt.dump().await.unwrap(), expected.dump().await.unwrap());
    assert_same(&rebuilt, &expected, &"fetched");
    // The next segment follows the fetched ones.
    world.grow(90).await;
    let grown = world.keep().await;
    place.shipper(&grown).round().await.unwrap();
    assert_eq!(place.stored().await, sizes(&grown));
    let report = verify(&world.segments_dir()).unwrap();
    assert_eq!((report.records, report.problems), (91, Vec::new()));
}

#[tokio::test]
async fn a_hole_in_the_directory_is_filled_from_the_bucket_and_one_in_the_bucket_from_the_directory()
 {
    let place = Place::new("holes").await;
    let world = World::new().await;
    let segments = world.segments();
    let files = sizes(&segments);
    place.shipper(&segments).round().await.unwrap();
    fs::remove_file(&segments.of(P0)[2].path).unwrap();
    let again = world.segments();
    assert_eq!(place.bucket.fetch(&again, 1).await.unwrap().segments, 1);
    assert_eq!((sizes(&again), again.kept(P0)), (files.clone(), again.last(P0)));
    assert_eq!(verify(&world.segments_dir()).unwrap().problems, Vec::<String>::new());
    // A bucket that has only a later one: what is before it is not kept until it is there.
    let later = Place::new("holes-later").await;
    later.exchange(&again, 3, |_| {});
    let segments = world.segments();
    assert_eq!(later.bucket.fetch(&segments, 1).await.unwrap().segments, 0);
    assert_eq!(segments.kept(P0), None);
    later.shipper(&segments).round().await.unwrap();
    assert_eq!((later.stored().await, segments.kept(P0)), (files, segments.last(P0)));
}

#[tokio::test]
async fn a_tampered_object_is_found_by_its_hash_and_nothing_of_it_is_used() {
    let place = Place::new("tampered").await;
    let world = World::new().await;
    let segments = world.segments();
    place.shipper(&segments).round().await.unwrap();
    let name = sizes(&segments).into_keys().nth(2).unwrap();
    let third = segments.of(P0)[2].footer.hash.0;
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));
    let changes: [Change<'_>; 4] = [
        ("a byte of a record", &|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("the hash", &|bytes| {
            let at = bytes.windows(32).position(|window| window == third).unwrap();
            bytes[at] ^= 1;
        }),
        ("its end", &|bytes| bytes.truncate(bytes.len() - 5)),
        ("everything", &|bytes| *bytes = fs::read(&segments.of(P0)[1].path).unwrap()),
    ];
    let whole: Vec<_> =
        segments.of(P0).iter().map(|it| (it.path.clone(), fs::read(&it.path).unwrap())).collect();
    for (what, change) in changes {
        place.exchange(&segments, 2, change);
        fs::remove_dir_all(world.segments_dir()).unwrap();
        let again = world.segments();
        let mut shipper = place.shipper(&again);
        shipper.round().await.unwrap();
        let refused = shipper.refused();
        assert!(refused[0].contains(&name), "{what}: {refused:?}");
        assert_eq!((again.of(P0).len(), again.kept(P0)), (2, None), "{what}");
        // The directory as it was, for the next change.
        fs::create_dir_all(whole[0].0.parent().unwrap()).unwrap();
        whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }
}

#[tokio::test]
async fn a_bucket_of_more_partitions_belongs_to_somebody_else() {
    let place = Place::new("partitions").await;
    let world = World::new().await;
    let object = format!("{PREFIX}/00007/0000000001-00000000000000000001.segment");
    place.server.overwrite(place.name, &object, b"something").unwrap();
    let mut shipper = place.shipper(&world.segments());
    shipper.round().await.unwrap();
    assert!(shipper.refused()[0].contains("00007/"), "{:?}", shipper.refused());
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let place = Place::new("present").await;
    let absent = Bucket::open(&options(&place.gate, "absent")).unwrap();
    let refused = absent.is_empty().await.unwrap_err();
    assert!(refused.to_string().contains("s3://absent/shop/segments"), "{refused}");
    assert!(refused.is_passing());
}
