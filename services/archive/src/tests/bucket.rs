//! Segments in a bucket: stored once and whole, whatever happens meanwhile; trimmed from the log only then; read again when
//! the directory is lost.

use std::{collections::BTreeMap, fs};

use bus::ReadLimit;
use chassis::{health::Health, task::Shutdown};
use testkit::s3::{Gate, S3Server};

use super::{
    segments::{BOUND, P0, World},
    support::*,
};
use crate::segments::{Bucket, BucketOptions, SegmentError, Segments, Shipper, verify};

fn options(endpoint: String) -> BucketOptions {
    BucketOptions {
        endpoint: Some(endpoint),
        region: "us-east-1".to_owned(),
        bucket: S3Server::BUCKET.to_owned(),
        prefix: "shop/segments".to_owned(),
        credentials: Some(("id".to_owned(), "key".to_owned())),
        allow_http: true,
    }
}

async fn gated() -> (S3Server, Gate, Bucket) {
    let server = S3Server::start().await.unwrap();
    let gate = Gate::before(server.address()).await.unwrap();
    let bucket = Bucket::open(&options(gate.url())).unwrap();
    (server, gate, bucket)
}

/// What the directory holds, by name.
fn sizes(segments: &Segments) -> BTreeMap<String, u64> {
    let named = segments.of(P0).into_iter().map(|segment| {
        let file = segment.path.file_name().unwrap().to_str().unwrap().to_owned();
        (format!("00000/{file}"), segment.bytes)
    });
    named.collect()
}

#[tokio::test]
async fn segments_are_stored_once_and_only_then_count_as_kept() {
    let (_server, _gate, bucket) = gated().await;
    let world = World::new().await;
    let segments = world.segments();
    assert_eq!(segments.kept(P0), segments.last(P0), "a directory alone is where they are kept");
    let shipper = Shipper::new(segments.clone(), bucket.clone(), 1);
    assert_eq!(segments.kept(P0), None);
    shipper.round().await.unwrap();
    assert_eq!(segments.kept(P0), segments.last(P0));
    assert_eq!(bucket.list().await.unwrap(), sizes(&segments));
    // Again, and by another process.
    shipper.round().await.unwrap();
    let others = world.segments();
    Shipper::new(others.clone(), bucket.clone(), 1).round().await.unwrap();
    assert_eq!(others.kept(P0), segments.last(P0));
    assert_eq!(bucket.list().await.unwrap(), sizes(&segments));
}

#[tokio::test]
async fn another_segment_under_the_same_name_is_refused_and_nothing_is_overwritten() {
    let (_server, _gate, bucket) = gated().await;
    let world = World::new().await;
    Shipper::new(world.segments(), bucket.clone(), 1).round().await.unwrap();
    let before = bucket.list().await.unwrap();
    // The same log cut at other places: the same first record, another end.
    fs::remove_dir_all(world.segments_dir()).unwrap();
    let segments = world.keep_cut_at(9_000).await;
    let refused = Shipper::new(segments.clone(), bucket.clone(), 1).round().await;
    assert!(matches!(refused, Err(SegmentError::Damaged { .. })), "{refused:?}");
    assert_eq!(segments.kept(P0), None);
    assert_eq!(bucket.list().await.unwrap(), before);
}

#[tokio::test]
async fn while_the_server_is_away_nothing_is_trimmed_and_it_goes_on_by_itself() {
    let (_server, gate, bucket) = gated().await;
    let world = World::new().await;
    let segments = world.segments();
    gate.let_through(0);
    let (shutdown, health) = (Shutdown::new(), Health::new());
    let shipper = Shipper::new(segments.clone(), bucket, 1);
    shipper.start(&shutdown, &health);
    let warned = || health.warnings().contains_key("segments");
    testkit::wait_until(BOUND, "a warning", warned).await.unwrap();
    let trimmer = world.trimmer(&segments).await;
    trimmer.round().await;
    let first = world.bus.log.read(P0, 0, ReadLimit { values: 1, bytes: 1 }).await.unwrap();
    assert_eq!(first[0].0, 1, "trimmed before it was in the bucket");
    gate.open();
    let kept = || segments.kept(P0).is_some() && segments.kept(P0) == segments.last(P0);
    testkit::wait_until(BOUND, "every segment to be kept", kept).await.unwrap();
    testkit::wait_until(BOUND, "the warning to be over", || !warned()).await.unwrap();
    trimmer.round().await;
    let first = world.bus.log.read(P0, 0, ReadLimit { values: 1, bytes: 1 }).await.unwrap();
    assert!(first[0].0 > 50, "{}", first[0].0);
    shutdown.drain(BOUND).await.unwrap();
}

#[tokio::test]
async fn a_segment_whose_upload_is_cut_is_not_there_until_it_is_whole() {
    let (_server, gate, bucket) = gated().await;
    let world = World::new().await;
    let segments = world.segments();
    let shipper = Shipper::new(segments.clone(), bucket.clone(), 1);
    let sizes = sizes(&segments);
    // The requests' heads are some hundreds of bytes; each time the connection breaks somewhere else.
    for cut in [1_200, 1_900, 2_600, 3_300, 5_000, 7_500] {
        gate.let_through(cut);
        assert!(shipper.round().await.is_err(), "cut after {cut} bytes");
        gate.open();
        for (name, size) in bucket.list().await.unwrap() {
            assert_eq!(sizes.get(&name), Some(&size), "{name} after a cut at {cut}");
        }
    }
    shipper.round().await.unwrap();
    assert_eq!(bucket.list().await.unwrap(), sizes);
    assert_eq!(segments.kept(P0), segments.last(P0));
}

#[tokio::test]
async fn a_lost_directory_comes_back_and_the_read_model_with_it() {
    let (_server, _gate, bucket) = gated().await;
    let world = World::new().await;
    let segments = world.segments();
    let expected = world.rebuilt("before", Some(segments.clone())).await.unwrap();
    Shipper::new(segments.clone(), bucket.clone(), 1).round().await.unwrap();
    world.bus.log.trim(P0, 60).await.unwrap();
    fs::remove_dir_all(world.segments_dir()).unwrap();
    let fetched = bucket.fetch_missing(&world.segments_dir()).await.unwrap();
    assert_eq!(fetched, sizes(&segments).len());
    assert_eq!(bucket.fetch_missing(&world.segments_dir()).await.unwrap(), 0);
    let report = verify(&world.segments_dir()).unwrap();
    assert_eq!((report.records, report.problems), (61, Vec::new()));
    let rebuilt = world.rebuilt("after", Some(world.segments())).await.unwrap();
    let (rebuilt, expected) = (rebuilt.dump().await.unwrap(), expected.dump().await.unwrap());
    assert_same(&rebuilt, &expected, &"fetched");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let (_server, gate, _bucket) = gated().await;
    let absent = BucketOptions { bucket: "absent".to_owned(), ..options(gate.url()) };
    let refused = Bucket::open(&absent).unwrap().list().await.unwrap_err();
    assert!(refused.to_string().contains("s3://absent"), "{refused}");
}
