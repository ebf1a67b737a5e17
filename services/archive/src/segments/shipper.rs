//! The small role that stores complete segments in a bucket, oldest first.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::PartitionId;
use chassis::{
    health::Health,
    task::{Shutdown, TaskKind},
};

use tokio::sync::Mutex;

use super::{Bucket, SegmentError, Segments, bucket::name_of};
use crate::{error::chain_text, metrics};

/// Pause between two looks for segments to store, and before a failed attempt is repeated.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Name of the warning while segments wait for their bucket.
const WARNING: &str = "segments";

/// Stores what the directory has in the bucket; until then nobody trims it from the log.
#[derive(Clone, Debug)]
pub struct Shipper {
    segments: Segments,
    bucket: Bucket,
    partitions: u16,
    /// What is known to be in the bucket, with sizes; `None` until it was asked.
    stored: Arc<Mutex<Option<BTreeMap<String, u64>>>>,
}

impl Shipper {
    /// A shipper that has not begun. From now on only what is in the bucket counts as kept.
    #[must_use]
    pub fn new(segments: Segments, bucket: Bucket, partitions: u16) -> Self {
        segments.keep_in_bucket();
        Self { segments, bucket, partitions, stored: Arc::default() }
    }

    /// Stores segments as they are closed, until `shutdown`. `health` has a warning while that fails.
    pub fn start(&self, shutdown: &Shutdown, health: &Health) {
        let (shipper, ending, health) = (self.clone(), shutdown.clone(), health.clone());
        let ship = async move {
            loop {
                let done = tokio::select! {
                    done = shipper.round() => done,
                    () = ending.begun() => return,
                };
                if done.is_err() {
                    ::metrics::counter!(metrics::SEGMENT_FAILURES_TOTAL).increment(1);
                }
                health.warn(WARNING, done.err().map(|error| chain_text(&error)));
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = ending.begun() => return,
                }
            }
        };
        shutdown.spawn(TaskKind::Maintenance, "archive_bucket", ship).detach();
    }

    /// Stores every complete segment that is not known to be in the bucket.
    ///
    /// # Errors
    /// The first failure; the other partitions were tried all the same.
    pub(crate) async fn round(&self) -> Result<(), SegmentError> {
        let mut stored = self.stored.lock().await;
        let stored = match &mut *stored {
            Some(stored) => stored,
            unasked => unasked.insert(self.bucket.list().await?),
        };
        let mut first = Ok(());
        for partition in (0..self.partitions).map(PartitionId) {
            let done = self.partition(partition, stored).await;
            first = first.and(done);
        }
        first
    }

    async fn partition(
        &self,
        partition: PartitionId,
        stored: &mut BTreeMap<String, u64>,
    ) -> Result<(), SegmentError> {
        for segment in self.segments.of(partition) {
            let name = name_of(&segment.path);
            // One of another size is another one: storing this one is refused, and says so.
            if stored.get(&name) != Some(&segment.bytes) {
                self.bucket.put(&segment).await?;
                stored.insert(name, segment.bytes);
            }
            self.segments.stored(segment);
        }
        Ok(())
    }
}
