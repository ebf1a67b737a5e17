//! The small role that stores complete segments in a bucket, oldest first.

use std::{collections::BTreeMap, time::Duration};

use bus::PartitionId;
use chassis::{
    health::Health,
    task::{Shutdown, TaskKind},
};

use super::{Bucket, SegmentError, Segments};
use crate::{error::chain_text, metrics};

/// Pause between two looks for segments to store, and before a failed attempt is repeated.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Name of the warning while segments are not stored.
const WARNING: &str = "segments";

/// Stores what the directory has in the bucket. Until then nobody trims it from the log; until the directory has
/// what the bucket had before, nobody writes new segments.
#[derive(Debug)]
pub struct Shipper {
    segments: Segments,
    bucket: Bucket,
    partitions: u16,
    /// Where the next round begins: behind the partition that failed, so that it does not hold up the others.
    next: u16,
    /// Partitions that a person must look at, and why; they are not tried again.
    refused: BTreeMap<PartitionId, String>,
}

impl Shipper {
    /// A shipper that has not begun. From now on only what is in the bucket counts as kept.
    #[must_use]
    pub fn new(segments: Segments, bucket: Bucket, partitions: u16) -> Self {
        segments.expect_bucket();
        Self { segments, bucket, partitions, next: 0, refused: BTreeMap::new() }
    }

    /// Fetches what the directory lacks, then stores segments as they are closed, until `shutdown`. `health` has a warning
    /// for as long as something is not stored that should be.
    pub fn start(mut self, shutdown: &Shutdown, health: &Health) {
        let (ending, health) = (shutdown.clone(), health.clone());
        let ship = async move {
            let shipping = async {
                loop {
                    let done = self.round().await;
                    self.report(done.err().as_ref(), &health);
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            };
            tokio::select! {
                () = shipping => {}
                () = ending.begun() => {}
            }
            health.warn(WARNING, None);
        };
        shutdown.spawn(TaskKind::Maintenance, "archive_bucket", ship).detach();
    }

    /// Stores every complete segment that is not in the bucket yet.
    ///
    /// # Errors
    /// The first failure that may pass; the rest is left to the next round.
    pub(crate) async fn round(&mut self) -> Result<(), SegmentError> {
        if self.segments.is_fetching() {
            let found = self.bucket.fetch(&self.segments, self.partitions).await?;
            if found.segments > 0 {
                let bucket = self.bucket.address();
                tracing::info!(segments = found.segments, bucket, "fetched segments");
            }
            found.refused.into_iter().for_each(|(partition, error)| self.refuse(partition, &error));
        }
        for partition in (self.next..self.partitions).chain(0..self.next) {
            self.next = (partition + 1) % self.partitions;
            let partition = PartitionId(partition);
            if self.refused.contains_key(&partition) {
                continue;
            }
            match self.store(partition).await {
                Err(SegmentError::Overtaken { object }) => {
                    tracing::info!(%partition, object, "another archive stored it first, cut elsewhere");
                    self.segments.overtake();
                    return Ok(());
                }
                Err(error) if !error.is_passing() => self.refuse(partition, &error),
                stored => stored?,
            }
        }
        Ok(())
    }

    async fn store(&self, partition: PartitionId) -> Result<(), SegmentError> {
        while let Some(segment) = self.segments.next_to_store(partition) {
            self.bucket.put(&segment).await?;
            tracing::debug!(%partition, file = %segment.path.display(), "stored a segment");
            self.segments.set_stored(segment);
        }
        Ok(())
    }

    fn refuse(&mut self, partition: PartitionId, error: &SegmentError) {
        let error = chain_text(error);
        tracing::error!(%partition, error, "storing segments stopped; the log is kept");
        self.refused.insert(partition, error);
    }

    fn report(&self, failed: Option<&SegmentError>, health: &Health) {
        let waiting: usize =
            (0..self.partitions).map(|number| self.segments.waiting(PartitionId(number))).sum();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        ::metrics::gauge!(metrics::BUCKET_WAITING).set(waiting);
        let refused = self.refused.iter().next().map(|(partition, why)| {
            format!(
                "segments of partition {partition} are not stored, its log is not trimmed: {why}"
            )
        });
        let failed = failed.map(|error| {
            ::metrics::counter!(metrics::SEGMENT_FAILURES_TOTAL).increment(1);
            format!("segments wait for their bucket, the log is not trimmed: {}", chain_text(error))
        });
        let warning = failed.or(refused);
        ::metrics::gauge!(metrics::BUCKET_FAILING).set(if warning.is_some() { 1.0 } else { 0.0 });
        health.warn(WARNING, warning);
    }
}

/// Shared by tests.
#[cfg(test)]
impl Shipper {
    pub(crate) fn refused(&self) -> Vec<&str> {
        self.refused.values().map(String::as_str).collect()
    }
}
