//! The bytes of a segment.
//!
//! A segment is a sequence of frames: one header, the log records in order, one footer; then 12 bytes that say
//! where the footer begins. A frame is its kind (1 byte), the length of its body (4 bytes, little endian), the
//! body, and the first 8 bytes of the BLAKE3 hash of all that. The body of a record frame is its sequence
//! (8 bytes, little endian) and the record as the log holds it. Header and footer are MessagePack with named
//! fields. The footer's hash is over every byte before the footer; the next segment's header names it.

use std::io::{self, Read};

use bus::{Incarnation, PartitionId, RECORD_BYTES_MAX};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::chain::Cursor;

/// Version of these frames.
pub(super) const VERSION: u16 = 1;
/// The last bytes of every complete segment.
const MAGIC: &[u8; 8] = b"TNDMSEG1";
/// Length of a footer's frame and [`MAGIC`].
pub(super) const TRAILER_BYTES: usize = 12;
const SUM_BYTES: usize = 8;
/// Kind and length.
const FRAME_HEAD_BYTES: usize = 5;
/// Larger is no frame of ours: a record, its sequence, and room to spare.
const BODY_BYTES_MAX: usize = RECORD_BYTES_MAX + 4096;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    Record,
    Footer,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Record => b'R',
            Self::Footer => b'F',
        }
    }

    fn of(code: u8) -> Option<Self> {
        [Self::Header, Self::Record, Self::Footer].into_iter().find(|kind| kind.code() == code)
    }
}

/// The first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u16,
    pub(super) partition: PartitionId,
    pub(super) generation: u32,
    /// Hash of the partition's previous segment; `None` for its first.
    pub(super) previous: Option<Hash>,
}

/// The last frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// Version of the format.
    pub version: u16,
    /// The partition.
    pub partition: PartitionId,
    /// Generation of all its records.
    pub generation: u32,
    /// Sequence of its first record.
    pub first_seq: u64,
    /// Sequence of its last record.
    pub last_seq: u64,
    /// Records in it.
    pub count: u64,
    /// Where the chain of records stands after it.
    pub(super) chain: Link,
    /// Hash over every byte before this frame.
    pub hash: Hash,
    /// Hash of the partition's previous segment.
    pub previous: Option<Hash>,
}

/// The last record that continues the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    seq: u64,
    generation: u32,
    epoch: u64,
    incarnation: Incarnation,
    number: u64,
}

impl From<Cursor> for Link {
    fn from(cursor: Cursor) -> Self {
        let Cursor { seq, generation, epoch, incarnation, number } = cursor;
        Self { seq, generation, epoch, incarnation, number }
    }
}

impl From<Link> for Cursor {
    fn from(link: Link) -> Self {
        let Link { seq, generation, epoch, incarnation, number } = link;
        Self { seq, generation, epoch, incarnation, number }
    }
}

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What is wrong with a segment's bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormatError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is truncated at byte {0}")]
    Truncated(u64),
    #[error("the frame at byte {0} does not have its checksum: it was changed")]
    Checksum(u64),
    #[error("there is no frame at byte {0}: it was changed")]
    NoFrame(u64),
    #[error("its {0} cannot be read by this build")]
    Unreadable(&'static str),
}

/// Appends a frame.
pub(super) fn write_frame(into: &mut Vec<u8>, kind: Kind, parts: &[&[u8]]) {
    let from = into.len();
    let length: usize = parts.iter().map(|part| part.len()).sum();
    into.push(kind.code());
    into.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    parts.iter().for_each(|part| into.extend_from_slice(part));
    let sum = sum_of(into.get(from..).unwrap_or_default());
    into.extend_from_slice(&sum);
}

/// The bytes that follow a footer's frame of this length.
pub(super) fn trailer(footer_frame_bytes: usize) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    let length = u32::try_from(footer_frame_bytes).unwrap_or(u32::MAX).to_le_bytes();
    trailer.iter_mut().zip(length.iter().chain(MAGIC)).for_each(|(to, from)| *to = *from);
    trailer
}

/// Length of the footer's frame, where these are the last bytes of a complete segment.
pub(super) fn read_trailer(bytes: [u8; TRAILER_BYTES]) -> Option<u64> {
    let (length, magic) = bytes.split_first_chunk::<4>()?;
    (magic == MAGIC).then(|| u64::from(u32::from_le_bytes(*length)))
}

/// Whether two whole segments hold records of the same log from the same one on, and follow the same segment; one may hold more of
/// them than the other.
pub(super) fn same_log(one: &[u8], other: &[u8]) -> bool {
    let (Some(one), Some(other)) = (content(one), content(other)) else { return false };
    one.starts_with(other) || other.starts_with(one)
}

/// Header and records of a whole segment.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (before, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>()?;
    let footer_bytes = usize::try_from(read_trailer(*trailer)?).ok()?;
    before.get(..before.len().checked_sub(footer_bytes)?)
}

fn sum_of(bytes: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = [0; SUM_BYTES];
    let hash = blake3::hash(bytes);
    sum.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    sum
}

/// One frame as it was read.
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    /// Its bytes in the file, to go on hashing with.
    pub(super) raw: Bytes,
}

impl Frame {
    /// Sequence and bytes of a record.
    pub(super) fn record(&self) -> Option<(u64, Bytes)> {
        let (seq, _) = self.body.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*seq), self.body.slice(8..)))
    }

    pub(super) fn value<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, FormatError> {
        bus::decode(&self.body).map_err(|_| FormatError::Unreadable(what))
    }
}

/// Reads the frame that begins at byte `at`.
pub(super) fn read_frame(from: &mut impl Read, at: u64) -> Result<Frame, FormatError> {
    let mut raw = vec![0; FRAME_HEAD_BYTES];
    fill(from, &mut raw, at)?;
    let (code, length) = match raw.as_slice() {
        [code, a, b, c, d] => (*code, u32::from_le_bytes([*a, *b, *c, *d])),
        _ => return Err(FormatError::NoFrame(at)),
    };
    let kind = Kind::of(code).ok_or(FormatError::NoFrame(at))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > BODY_BYTES_MAX {
        return Err(FormatError::NoFrame(at));
    }
    let end = FRAME_HEAD_BYTES + length;
    raw.resize(end + SUM_BYTES, 0);
    fill(from, raw.get_mut(FRAME_HEAD_BYTES..).unwrap_or_default(), at)?;
    let (content, sum) = raw.split_at(end);
    if sum != sum_of(content) {
        return Err(FormatError::Checksum(at));
    }
    let raw = Bytes::from(raw);
    Ok(Frame { kind, body: raw.slice(FRAME_HEAD_BYTES..end), raw })
}

fn fill(from: &mut impl Read, into: &mut [u8], at: u64) -> Result<(), FormatError> {
    from.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FormatError::Truncated(at),
        _ => FormatError::Io(error),
    })
}
