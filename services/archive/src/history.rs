//! A partition's records, wherever they are: in the log, or in a segment where they were trimmed from it.

use std::sync::Arc;

use bus::{Bus, BusError, Log, PartitionId, ReadLimit, Record};
use bytes::Bytes;

use crate::{
    chain::{Cursor, Follower},
    decode::{self, StartError},
    segments::{SegmentError, SegmentReader, Segments},
};

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A segment cannot be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

type Records = Vec<(u64, Bytes)>;

/// Where a follower stands.
enum Place {
    /// In the log, or before all of it.
    Log {
        /// Sequence to read it after.
        after: u64,
    },
    /// Before these records of segments, which are of an earlier generation than the log.
    Before(Records),
}

/// Reads one partition for one follower. What is neither in the log nor in a segment is a gap that the follower
/// meets, once there is nothing more to fetch from the bucket.
pub struct History {
    log: Arc<dyn Log>,
    partition: PartitionId,
    segments: Option<SegmentReader>,
    /// Whether the follower is known to stand in the log as it is, and not only in segments of a former one.
    is_in_log: bool,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl History {
    /// The history of a partition; without segments it is the log.
    #[must_use]
    pub fn new(bus: &Bus, segments: Option<Segments>, partition: PartitionId) -> Self {
        let segments = segments.map(|segments| SegmentReader::new(segments, partition));
        Self { log: Arc::clone(&bus.log), partition, segments, is_in_log: false }
    }

    /// Records of segments alone, of one generation.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub(crate) async fn of_segments(
        &mut self,
        follower: &Follower,
    ) -> Result<Records, SegmentError> {
        self.segment_page(follower.position(), ReadLimit::default()).await
    }

    /// Records behind the follower, at once; none when there are none.
    ///
    /// # Errors
    /// When log or segment cannot be read.
    pub async fn read(&mut self, follower: &Follower) -> Result<Records, HistoryError> {
        let after = match self.place(follower).await? {
            Place::Log { after } => after,
            Place::Before(records) => return Ok(records),
        };
        let found = self.log.read(self.partition, after, ReadLimit::default()).await?;
        self.without_gap(follower, found).await
    }

    /// As [`History::read`], but waits until there is one. Cancelling the future is safe.
    ///
    /// # Errors
    /// As [`History::read`].
    pub async fn tail(&mut self, follower: &Follower) -> Result<Records, HistoryError> {
        let after = match self.place(follower).await? {
            Place::Log { after } => after,
            Place::Before(records) => return Ok(records),
        };
        let found = self.log.tail(self.partition, after, ReadLimit::default()).await?;
        self.without_gap(follower, found).await
    }

    /// One record of this generation and sequence.
    ///
    /// # Errors
    /// As [`History::read`].
    pub async fn find(
        &mut self,
        generation: u32,
        seq: u64,
    ) -> Result<Option<(u64, Bytes)>, HistoryError> {
        let one = ReadLimit { values: 1, bytes: 1 };
        let found = self.log.read(self.partition, seq.saturating_sub(1), one).await?;
        let is_it = |(at, bytes): &(u64, Bytes)| {
            *at == seq && Record::decode_head(bytes).is_ok_and(|head| head.generation == generation)
        };
        if let Some(found) = found.into_iter().find(is_it) {
            return Ok(Some(found));
        }
        let is_fetching = self.is_fetching();
        let page = self.segment_page((generation, seq.saturating_sub(1)), one).await?;
        let found = page.into_iter().find(is_it);
        if found.is_none() && is_fetching {
            return Err(SegmentError::Fetching.into());
        }
        Ok(found)
    }

    /// Where the follower stands. A log of a later generation that does not hold the follower's record may have begun anew (an
    /// import): then all of it comes after that record, whatever its sequences are, and after what segments hold of the
    /// generations before.
    async fn place(&mut self, follower: &Follower) -> Result<Place, HistoryError> {
        let after = follower.read_after();
        let Some(cursor) = follower.last().filter(|_| !self.is_in_log) else {
            return Ok(Place::Log { after });
        };
        let generation = match decode::last_record(&*self.log, self.partition).await {
            Ok(Some((_, head))) => head.generation,
            Ok(None) => return Ok(Place::Log { after }),
            // What cannot be read is met, and named, by who reads on.
            Err(StartError::Decode(_)) => 0,
            Err(StartError::Bus(error)) => return Err(error.into()),
        };
        if generation <= cursor.generation || self.holds(cursor).await? {
            self.is_in_log = true;
            return Ok(Place::Log { after });
        }
        let is_fetching = self.is_fetching();
        let between = self.of_segments(follower).await?;
        if between.is_empty() && is_fetching {
            return Err(SegmentError::Fetching.into());
        }
        let is_before = between.first().is_some_and(|(_, bytes)| {
            Record::decode_head(bytes).is_ok_and(|head| head.generation < generation)
        });
        Ok(if is_before { Place::Before(between) } else { Place::Log { after: 0 } })
    }

    async fn holds(&self, cursor: Cursor) -> Result<bool, BusError> {
        let one = ReadLimit { values: 1, bytes: 1 };
        let found = self.log.read(self.partition, cursor.seq.saturating_sub(1), one).await?;
        let is_it = |(seq, bytes): &(u64, Bytes)| {
            Record::decode_head(bytes).is_ok_and(|head| Cursor::of(*seq, &head) == cursor)
        };
        Ok(found.first().is_some_and(is_it))
    }

    /// Where the log's records do not follow, what a segment has between.
    async fn without_gap(
        &mut self,
        follower: &Follower,
        found: Records,
    ) -> Result<Records, HistoryError> {
        let first = found.iter().find_map(|(seq, bytes)| {
            let head = decode::record(self.partition, *seq, bytes, Record::decode_head);
            head.map(|head| head.map(|head| (*seq, head))).transpose()
        });
        let is_gap =
            first.and_then(Result::ok).is_some_and(|(seq, head)| follower.misses(seq, &head));
        if !is_gap {
            return Ok(found);
        }
        let is_fetching = self.is_fetching();
        let between = self.segment_page(follower.position(), ReadLimit::default()).await?;
        if between.is_empty() {
            return if is_fetching { Err(SegmentError::Fetching.into()) } else { Ok(found) };
        }
        self.is_in_log = false;
        Ok(between)
    }

    /// To be asked before segments are looked at: what is not among them may have come meanwhile.
    fn is_fetching(&self) -> bool {
        self.segments.as_ref().is_some_and(SegmentReader::is_fetching)
    }

    async fn segment_page(
        &mut self,
        after: (u32, u64),
        limit: ReadLimit,
    ) -> Result<Records, SegmentError> {
        let Some(mut reader) = self.segments.take() else { return Ok(Vec::new()) };
        // Given up in the middle, the reader goes on from a fresh look at the segments.
        let again = reader.again();
        self.segments = Some(again);
        let read = tokio::task::spawn_blocking(move || {
            let page = reader.page(after, limit);
            (reader, page)
        });
        let (reader, page) = read.await.map_err(|_| SegmentError::Closed)?;
        self.segments = Some(reader);
        page
    }
}
