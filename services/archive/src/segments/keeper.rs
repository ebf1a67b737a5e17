//! The small role that writes segments: one task per partition follows its log.

use std::time::Duration;

use bus::{Bus, BusError, PartitionId, ReadLimit, Record};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    task::{Shutdown, TaskKind},
};

use super::{SegmentError, Segments, write::SegmentWriter};
use crate::{
    chain::{Follower, Verdict},
    decode::{self, DecodeError, Start, StartError},
    metrics,
};

/// Pause before a failed attempt is repeated; what was half written is written anew.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// When a segment is closed.
#[derive(Clone, Copy, Debug)]
pub struct KeeperOptions {
    /// At this size...
    pub segment_bytes: u64,
    /// ...or this long after its first record.
    pub segment_age: Duration,
}

/// Writes the segments of all partitions of one bus.
#[derive(Clone)]
pub struct Keeper {
    bus: Bus,
    segments: Segments,
    options: KeeperOptions,
    clock: Clock,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("segments", &self.segments.dir).finish_non_exhaustive()
    }
}

/// Why a partition's segments do not go on.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A record cannot be read, or records are missing.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A segment cannot be read or written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The segments hold more than the log.
    #[error(
        "the segments of partition {partition} end at record {stored}, its log at {last}: they belong to \
         another log; move the segments directory away, and where there is a bucket set another archive.s3.prefix"
    )]
    LogIsBehind {
        /// The partition.
        partition: PartitionId,
        /// Where its segments end.
        stored: u64,
        /// Where its log ends.
        last: u64,
    },
}

impl From<StartError> for KeeperError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Bus(error) => Self::Bus(error),
            StartError::Decode(error) => Self::Decode(error),
        }
    }
}

impl KeeperError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Bus(error) => matches!(error, BusError::Unavailable(_)),
            Self::Segment(error) => error.is_passing(),
            Self::Decode(_) | Self::LogIsBehind { .. } => false,
        }
    }
}

impl Keeper {
    /// A keeper that has not begun.
    #[must_use]
    pub fn new(bus: Bus, segments: Segments, options: KeeperOptions, clock: Clock) -> Self {
        Self { bus, segments, options, clock }
    }

    /// Starts one task per partition; they end with `shutdown`. What is in no complete segment then is still
    /// in the log.
    pub fn start(&self, shutdown: &Shutdown) {
        for partition in (0..self.bus.partitions).map(PartitionId) {
            let (keeper, ending) = (self.clone(), shutdown.clone());
            let keep = async move { keeper.keep(partition, &ending).await };
            shutdown.spawn(TaskKind::Follower, "archive_segments", keep).detach();
        }
    }

    async fn keep(&self, partition: PartitionId, ending: &Shutdown) {
        loop {
            // What the bucket has is gone on from, not written again.
            tokio::select! {
                () = self.segments.fetched() => {}
                () = ending.begun() => return,
            }
            let Err(error) = self.keep_until_error(partition, ending).await else { return };
            if matches!(error, KeeperError::Bus(BusError::Closed)) {
                return;
            }
            ::metrics::counter!(metrics::SEGMENT_FAILURES_TOTAL).increment(1);
            let error_text = crate::error::chain_text(&error);
            if !error.is_passing() {
                tracing::error!(%partition, error = error_text, "writing segments stopped; the log is kept");
                return;
            }
            tracing::warn!(%partition, error = error_text, "a segment is written anew");
            tokio::select! {
                () = tokio::time::sleep(RETRY_PAUSE) => {}
                () = ending.begun() => return,
            }
        }
    }

    async fn begin(&self, partition: PartitionId) -> Result<Work, KeeperError> {
        let overtaken = self.segments.overtaken();
        let stored = self.segments.last(partition).map(|segment| segment.cursor());
        let follower = match decode::start(&self.bus, partition, stored).await {
            Ok(Start::Go(follower)) => follower,
            Ok(Start::LogIsBehind { stored, last }) => {
                return Err(KeeperError::LogIsBehind { partition, stored, last });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Work { keeper: self.clone(), partition, follower, open: None, opened_ms: 0, overtaken })
    }

    /// Puts everything that the log of a partition holds now into complete segments.
    pub(crate) async fn keep_now(&self, partition: PartitionId) -> Result<(), KeeperError> {
        let mut work = self.begin(partition).await?;
        loop {
            let after = work.follower.read_after();
            let records = self.bus.log.read(partition, after, ReadLimit::default()).await?;
            if records.is_empty() {
                break;
            }
            work = work.on_thread(records).await?;
        }
        let closed = tokio::task::spawn_blocking(move || work.close()).await;
        Ok(closed.map_err(|_| SegmentError::Closed)??)
    }

    /// Ends well with `ending` only, and never in the middle of a write: whoever comes next must find nothing that still grows.
    async fn keep_until_error(
        &self,
        partition: PartitionId,
        ending: &Shutdown,
    ) -> Result<(), KeeperError> {
        let mut work = tokio::select! {
            work = self.begin(partition) => work?,
            () = ending.begun() => return Ok(()),
        };
        loop {
            let after = work.follower.read_after();
            let records = tokio::select! {
                records = self.bus.log.tail(partition, after, ReadLimit::default()) => records?,
                () = self.aged(&work) => Vec::new(),
                // What it goes on from gave way.
                () = self.segments.overtaken_since(work.overtaken) => {
                    return Err(SegmentError::Fetching.into());
                }
                () = ending.begun() => return Ok(()),
            };
            work = work.on_thread(records).await?;
        }
    }

    /// Waits until the open segment is old enough; for ever without one.
    async fn aged(&self, work: &Work) {
        if work.open.is_none() {
            return std::future::pending().await;
        }
        tokio::time::sleep(Duration::from_millis(work.age_left_ms())).await;
    }
}

/// One partition's segment in the making.
struct Work {
    keeper: Keeper,
    partition: PartitionId,
    follower: Follower,
    open: Option<SegmentWriter>,
    opened_ms: u64,
    /// As it was when this began.
    overtaken: u64,
}

impl Work {
    fn age_left_ms(&self) -> u64 {
        let age_max_ms = u64::try_from(self.keeper.options.segment_age.as_millis());
        let age_ms = self.keeper.clock.boot_ms().saturating_sub(self.opened_ms);
        age_max_ms.unwrap_or(u64::MAX).saturating_sub(age_ms)
    }

    /// Takes records, and closes what is due, on a thread that may block.
    async fn on_thread(mut self, records: Vec<(u64, Bytes)>) -> Result<Self, KeeperError> {
        let done = tokio::task::spawn_blocking(move || {
            for (seq, record) in records {
                self.take(seq, &record)?;
            }
            if self.open.is_some() && self.age_left_ms() == 0 {
                self.close()?;
            }
            Ok(self)
        });
        done.await.map_err(|_| SegmentError::Closed)?
    }

    fn take(&mut self, seq: u64, record: &Bytes) -> Result<(), KeeperError> {
        let partition = self.partition;
        let Some(head) = decode::record(partition, seq, record, Record::decode_head)? else {
            // The projector says so.
            self.follower.pass(seq);
            return Ok(());
        };
        let generation = match &self.open {
            Some(open) if head.generation > open.generation() => {
                self.close()?;
                head.generation
            }
            // A stray record of another generation stays where it was met.
            Some(open) => open.generation(),
            None => self.follower.last().map_or(0, |last| last.generation).max(head.generation),
        };
        match self.follower.admit(seq, &head) {
            Verdict::Gap { after, before } => {
                return Err(DecodeError::Gap { partition, after, before }.into());
            }
            Verdict::Follow | Verdict::Rebase | Verdict::Ignore => {}
        }
        if self.open.is_none() {
            let previous = self.keeper.segments.last(partition).map(|last| last.footer.hash);
            let dir = self.keeper.segments.dir();
            self.opened_ms = self.keeper.clock.boot_ms();
            self.open = Some(SegmentWriter::begin(dir, partition, generation, seq, previous)?);
        }
        if let Some(open) = &mut self.open {
            open.record(seq, record)?;
            if open.bytes() >= self.keeper.options.segment_bytes {
                self.close()?;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), SegmentError> {
        let (Some(open), Some(chain)) = (self.open.take(), self.follower.last()) else {
            return Ok(());
        };
        if self.keeper.segments.overtaken() != self.overtaken {
            return Err(SegmentError::Fetching);
        }
        let segment = open.finish(chain)?;
        ::metrics::counter!(metrics::SEGMENTS_TOTAL).increment(1);
        ::metrics::counter!(metrics::SEGMENT_BYTES_TOTAL).increment(segment.bytes);
        tracing::debug!(partition = %self.partition, records = segment.footer.count, "closed a segment");
        self.keeper.segments.append(segment)
    }
}

/// Shared by tests.
#[cfg(test)]
impl Keeper {
    /// Puts everything the log holds now into segments.
    pub(crate) async fn keep_all(&self, partition: PartitionId) {
        self.keep_now(partition).await.unwrap();
    }
}
