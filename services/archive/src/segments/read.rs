//! Reading segments: a footer, or the records one after another.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use bus::{PartitionId, ReadLimit};
use bytes::Bytes;

use super::{
    Footer, Segment, SegmentError, Segments,
    format::{FormatError, Kind, TRAILER_BYTES, VERSION, read_frame, read_trailer},
};

/// Bytes at the end of a segment in which its footer is.
pub(super) const TAIL_BYTES: u64 = 4096;

/// Reads a segment's footer by its last bytes.
pub(super) fn open_footer(path: &Path) -> Result<Segment, SegmentError> {
    let mut file = File::open(path).map_err(SegmentError::io("open", path))?;
    let bytes = file.metadata().map_err(SegmentError::io("look at", path))?.len();
    let footer = footer_of(&mut file, bytes).map_err(SegmentError::damaged(path))?;
    if footer.version > VERSION {
        let why = FormatError::Unreadable("format version");
        return Err(SegmentError::damaged(path)(why));
    }
    Ok(Segment { path: path.to_owned(), bytes, footer })
}

fn footer_of(file: &mut File, bytes: u64) -> Result<Footer, FormatError> {
    let from = bytes.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    footer_in(&tail, from)
}

/// Reads the footer out of a segment's last bytes, which begin at byte `from`.
pub(super) fn footer_in(tail: &[u8], from: u64) -> Result<Footer, FormatError> {
    let end = from.saturating_add(u64::try_from(tail.len()).unwrap_or(u64::MAX));
    let truncated = || FormatError::Truncated(end);
    let (before, trailer) = tail.split_last_chunk::<TRAILER_BYTES>().ok_or_else(truncated)?;
    let length = read_trailer(*trailer).and_then(|length| usize::try_from(length).ok());
    let start = length.and_then(|length| before.len().checked_sub(length)).ok_or_else(truncated)?;
    let at = from.saturating_add(u64::try_from(start).unwrap_or(u64::MAX));
    let frame = read_frame(&mut before.get(start..).unwrap_or_default(), at)?;
    if frame.kind != Kind::Footer {
        return Err(FormatError::NoFrame(at));
    }
    frame.value("footer")
}

/// Reads a partition's records out of its segments, page by page. It blocks on the file system.
pub(crate) struct SegmentReader {
    segments: Segments,
    partition: PartitionId,
    open: Option<OpenSegment>,
}

struct OpenSegment {
    segment: Segment,
    file: BufReader<File>,
    at: u64,
    /// Last record read: generation and sequence.
    position: (u32, u64),
}

impl SegmentReader {
    pub(crate) fn new(segments: Segments, partition: PartitionId) -> Self {
        Self { segments, partition, open: None }
    }

    /// There may be segments that the directory does not have yet.
    pub(crate) fn is_fetching(&self) -> bool {
        self.segments.is_fetching()
    }

    /// Another reader of the same segments.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.segments.clone(), self.partition)
    }

    /// Records after (generation, sequence), of one generation; none when no segment holds any.
    pub(crate) fn page(
        &mut self,
        after: (u32, u64),
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, SegmentError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        while found.is_empty() {
            let goes_on = self.open.as_ref().is_some_and(|open| open.position == after);
            if !goes_on {
                let Some(segment) = self.segments.after(self.partition, after) else { break };
                self.open = Some(OpenSegment::open(segment, after)?);
            }
            let Some(open) = &mut self.open else { break };
            let mut ended = false;
            while found.len() < limit.values.max(1) && (bytes < limit.bytes || found.is_empty()) {
                let Some((seq, record)) = open.next()? else {
                    ended = true;
                    break;
                };
                let position = (open.segment.footer.generation, seq);
                if position > after {
                    bytes += record.len();
                    open.position = position;
                    found.push((seq, record));
                }
            }
            if ended {
                self.open = None;
            }
            // One that was left at its last record is followed by the next; a fresh one has at least one.
            if ended && !goes_on {
                break;
            }
        }
        Ok(found)
    }
}

impl OpenSegment {
    fn open(segment: Segment, after: (u32, u64)) -> Result<Self, SegmentError> {
        let file = File::open(&segment.path).map_err(SegmentError::io("open", &segment.path))?;
        let mut open = Self { segment, file: BufReader::new(file), at: 0, position: after };
        open.frame()?;
        Ok(open)
    }

    fn next(&mut self) -> Result<Option<(u64, Bytes)>, SegmentError> {
        let frame = self.frame()?;
        Ok(match frame.kind {
            Kind::Record => frame.record(),
            Kind::Header | Kind::Footer => None,
        })
    }

    fn frame(&mut self) -> Result<super::format::Frame, SegmentError> {
        let frame = read_frame(&mut self.file, self.at);
        let frame = frame.map_err(SegmentError::damaged(&self.segment.path))?;
        self.at += u64::try_from(frame.raw.len()).unwrap_or(0);
        Ok(frame)
    }
}
