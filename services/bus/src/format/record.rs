//! Records: what a partition's owner appends to its log.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    CodecError, EntityId, FormatLevel, Header, Incarnation, Input, PartName, PartitionId, Place,
    codec::{self, check_version},
    packed,
};

/// Largest encoded record, bytes; records are cut at step boundaries.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;

/// Newest version of a record that this build knows. A record's version is the level at which it was written, up to this one.
const VERSION: u16 = 2;
/// From this version on a body may be compressed.
const PACKED_SINCE: u16 = 2;

/// What chains a record to its predecessor and to its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHead {
    /// Raised by a restore or an import.
    pub generation: u32,
    /// Raised by every take-over.
    pub epoch: u64,
    /// The writer's take-over attempt. The same epoch with another incarnation means fenced.
    pub incarnation: Incarnation,
    /// Number of this record within its incarnation (the `Epoch` record is 0). Incarnation and number
    /// are the record's id.
    pub number: u64,
    /// Sequence of the record before it (0: none). A reader ignores a record that does not continue
    /// the chain, and alarms.
    pub previous_seq: u64,
}

/// One event: a change of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Part it changes.
    pub part: PartName,
    /// The domain's encoded event.
    pub body: Bytes,
}

/// A message to an entity of a target partition, numbered on its channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelMessage {
    /// Partition it goes to.
    pub target: PartitionId,
    /// Number on the channel (source → target), from 1 without gaps.
    pub number: u64,
    /// The input as the target's inbox will hold it.
    pub input: Input,
}

/// An input that could not be decided, kept for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What went wrong; no personal data.
    pub error: String,
    /// The input as it came.
    pub input: Input,
}

/// What one input made one entity decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Key, tenant, cause, trace and time of the input.
    pub header: Header,
    /// Entity that decided.
    pub entity: EntityId,
    /// Place of the input; `None` for timers and call results.
    pub place: Option<Place>,
    /// The `now` it was decided with, Unix ms.
    pub now_ms: u64,
    /// Changes, applied in order.
    pub events: Vec<Event>,
    /// Messages to other entities.
    pub messages: Vec<ChannelMessage>,
    /// Earliest timer of the entity after this step, Unix ms; `None` when it has none.
    pub wake_ms: Option<u64>,
    /// Set when the input was not decided.
    pub dead_letter: Option<DeadLetter>,
}

/// The steps of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// Steps in staging order.
    pub steps: Vec<Step>,
    /// Last inbox place consumed once this record is durable.
    pub place: Place,
    /// Last channel number taken per source partition, for the sources that changed.
    pub taken: Vec<(PartitionId, u64)>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordBody {
    /// A node took the partition over.
    Epoch {
        /// Its name.
        node: String,
        /// When, Unix ms.
        now_ms: u64,
    },
    /// The owner is about to decide the input at this place after two abnormal ends there.
    Trying {
        /// Place of the suspect input.
        place: Place,
    },
    /// The owner let the partition go in good order.
    Released,
    /// Decisions.
    Steps(Steps),
}

/// One append to a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Format version.
    pub version: u16,
    /// Chain and writer.
    pub head: RecordHead,
    /// What it says.
    pub body: RecordBody,
}

/// What is stored of a record.
#[derive(Deserialize)]
struct Stored<'a> {
    version: u16,
    head: RecordHead,
    #[serde(default)]
    body: Option<RecordBody>,
    /// In place of the body: its encoded form, compressed.
    #[serde(borrow, default)]
    packed: Option<&'a serde_bytes::Bytes>,
    /// Size of that form.
    #[serde(default)]
    bytes: usize,
}

/// The rest of the fields is passed over.
#[derive(Deserialize)]
struct HeadOnly {
    version: u16,
    head: RecordHead,
}

/// An encoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// What is appended.
    pub bytes: Bytes,
    /// Size of the record when nothing is compressed: what memory and replay are reckoned by.
    pub plain_bytes: usize,
}

impl Record {
    /// A record as every build reads it.
    #[must_use]
    pub fn new(head: RecordHead, body: RecordBody) -> Self {
        Self::at(FormatLevel::FIRST, head, body)
    }

    /// A record as it is written at this level. Each one says so, also where nothing is compressed: a build that does not know
    /// the level is to stop at the last record, before it appends one of its own.
    #[must_use]
    pub fn at(level: FormatLevel, head: RecordHead, body: RecordBody) -> Self {
        Self { version: level.0.clamp(1, VERSION), head, body }
    }

    /// Encodes the record.
    ///
    /// # Errors
    /// When it has no encoded form.
    pub fn encode(&self) -> Result<Bytes, CodecError> {
        Ok(self.encode_sized()?.bytes)
    }

    /// As [`Record::encode`], with its plain size.
    ///
    /// # Errors
    /// When it has no encoded form.
    pub fn encode_sized(&self) -> Result<EncodedRecord, CodecError> {
        let plain = codec::encode(self)?;
        let plain_bytes = plain.len();
        // A record that is too large stays so: what it is compressed to must not decide whether it may be stored.
        let may_pack = (packed::PACK_FROM_BYTES..=RECORD_BYTES_MAX).contains(&plain_bytes);
        let packed = match self.version >= PACKED_SINCE && may_pack {
            true => packed::pack(self.version, &self.head, &plain)?,
            false => None,
        };
        Ok(EncodedRecord { bytes: packed.unwrap_or(plain), plain_bytes })
    }

    /// Decodes only the head, for who follows the chain and does not look into the records.
    ///
    /// # Errors
    /// When the bytes are no record or come from a newer build.
    pub fn decode_head(bytes: &[u8]) -> Result<RecordHead, CodecError> {
        let record: HeadOnly = codec::decode(bytes)?;
        check_version(record.version, VERSION)?;
        Ok(record.head)
    }

    /// Decodes a record and checks its version.
    ///
    /// # Errors
    /// When the bytes are no record or come from a newer build.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(Self::decode_sized(bytes)?.0)
    }

    /// As [`Record::decode`], with its plain size.
    ///
    /// # Errors
    /// As [`Record::decode`].
    pub fn decode_sized(bytes: &[u8]) -> Result<(Self, usize), CodecError> {
        let stored: Stored<'_> = rmp_serde::from_slice(bytes).map_err(|error| {
            // A newer record may well not decode; say which of the two it is.
            let newer = Self::decode_head(bytes).err();
            let newer = newer.filter(|error| matches!(error, CodecError::UnknownVersion { .. }));
            newer.unwrap_or_else(|| error.into())
        })?;
        let Stored { version, head, body, packed, bytes: body_bytes } = stored;
        check_version(version, VERSION)?;
        let (body, plain_bytes) = match (body, packed) {
            (Some(body), None) => (body, bytes.len()),
            (None, Some(packed)) if version >= PACKED_SINCE => {
                let body = packed::unpack(packed, body_bytes)?;
                (body, bytes.len().saturating_sub(packed.len()) + body_bytes)
            }
            _ => return Err(CodecError::Damaged("a record has no body, or two")),
        };
        Ok((Self { version, head, body }, plain_bytes))
    }
}

#[cfg(test)]
mod tests;
