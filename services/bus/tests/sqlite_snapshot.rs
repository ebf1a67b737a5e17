//! A copy of a running embedded bus.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use std::path::Path;

use bus::{
    Bus, PartitionId, ReadLimit,
    sqlite::{DATABASE_FILE, Options, Store},
};
use bytes::Bytes;

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const ALL: ReadLimit = ReadLimit { values: usize::MAX >> 1, bytes: usize::MAX };

fn open(dir: &Path) -> Store {
    let options = Options { partitions: 2, min_free_bytes: 0, ..Options::default() };
    Store::open(dir, options).unwrap()
}

async fn numbers(bus: &Bus, partition: PartitionId) -> Vec<u64> {
    let records = bus.log.read(partition, 0, ALL).await.unwrap();
    records.iter().map(|(_, body)| std::str::from_utf8(body).unwrap().parse().unwrap()).collect()
}

/// A writer puts each number into partition 0 first, then into partition 1: a copy that is of one moment never has
/// more in partition 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_load_is_of_one_moment_in_all_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("bus"));
    let bus = store.bus();
    let writer = chassis::task::spawn(chassis::task::TaskKind::Maintenance, "writer", async move {
        let (mut zero, mut one) = (0, 0);
        for n in 0..2_000_u64 {
            let body = Bytes::from(n.to_string());
            zero = bus.log.append(P0, zero, body.clone()).await.unwrap();
            one = bus.log.append(P1, one, body).await.unwrap();
        }
    });
    let mut copies = 0;
    while !writer.is_finished() {
        copies += 1;
        let copy = dir.path().join(format!("copy-{copies}"));
        std::fs::create_dir(&copy).unwrap();
        let (source, file) = (store.clone(), copy.join(DATABASE_FILE));
        tokio::task::spawn_blocking(move || source.snapshot(&file)).await.unwrap().unwrap();
        let copied = open(&copy);
        let (zero, one) = (numbers(&copied.bus(), P0).await, numbers(&copied.bus(), P1).await);
        assert!(zero.len() == one.len() || zero.len() == one.len() + 1, "{zero:?} and {one:?}");
        assert_eq!(zero, (0..zero.len() as u64).collect::<Vec<_>>());
        // It goes on from there by itself.
        let last = copied.bus().log.last(P0).await.unwrap().map_or(0, |(seq, _)| seq);
        copied.bus().log.append(P0, last, Bytes::from("9")).await.unwrap();
        copied.close();
    }
    writer.await.unwrap();
    assert!(copies > 1, "only {copies} copies were made");
    let again = dir.path().join("copy-1").join(DATABASE_FILE);
    assert!(store.snapshot(&again).is_err(), "it wrote over an existing file");
    assert!(again.exists());
    assert_eq!(numbers(&store.bus(), P0).await.len(), 2_000);
}
