//! The whole history of an installation in one directory: for who moves it.

use std::{path::Path, time::Duration};

use bus::{Bus, PartitionId};
use chassis::clock::Clock;

use super::{Keeper, KeeperError, KeeperOptions, SegmentError, Segments, copy};

/// As a keeper closes them where nothing is said.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Copies every complete segment to the directory `to`, where there are none, and puts there what the logs hold beyond them;
/// answers how many segments are there then. Nobody may append to the logs meanwhile.
///
/// # Errors
/// When records are missing between segments and log, or something cannot be read or written.
pub async fn copy_history(bus: &Bus, from: &Segments, to: &Path) -> Result<usize, KeeperError> {
    let partitions = || (0..bus.partitions).map(PartitionId);
    let (all, dir) = (partitions().flat_map(|p| from.of(p)).collect::<Vec<_>>(), to.to_owned());
    let copied = tokio::task::spawn_blocking(move || {
        copy(&all, &dir)?;
        Segments::open(&dir)
    });
    let segments = copied.await.map_err(|_| SegmentError::Closed)??;
    let options = KeeperOptions { segment_bytes: SEGMENT_BYTES, segment_age: Duration::MAX };
    let keeper = Keeper::new(bus.clone(), segments.clone(), options, Clock::system());
    for partition in partitions() {
        keeper.keep_now(partition).await?;
    }
    Ok(partitions().map(|partition| segments.of(partition).len()).sum())
}
