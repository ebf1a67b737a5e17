//! Inputs: what anyone may append to a partition's inbox.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    BusinessId, CodecError, EntityId, FORMAT_VERSION, Key, PartitionId, Position,
    codec::{self, check_version},
};

/// Largest encoded inbox entry, bytes.
pub const INBOX_ENTRY_BYTES_MAX: usize = 256 * 1024;
/// Largest value any adapter is asked to store, bytes.
pub const VALUE_BYTES_MAX: usize = 512 * 1024;

/// W3C trace context carried from the edge (Trace Context, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// Trace id.
    #[serde(with = "serde_bytes")]
    pub trace: [u8; 16],
    /// Parent span id.
    #[serde(with = "serde_bytes")]
    pub span: [u8; 8],
    /// Trace flags.
    pub flags: u8,
}

/// Why an input exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A webhook of the provider.
    Webhook,
    /// A client's command.
    Command,
    /// A message of another entity, by its channel number.
    Channel {
        /// Partition that sent it.
        source: PartitionId,
        /// Generation of the source's log.
        generation: u32,
        /// Its number on the channel (from 1, without gaps).
        number: u64,
        /// The step that sent it.
        position: Option<Position>,
    },
    /// A timer of the entity itself.
    Timer,
    /// The result of an outside call that the entity asked for.
    CallResult,
    /// An operator lets a dead letter be decided once more.
    Replay {
        /// The step that set it aside, in the log of the same partition.
        letter: Position,
    },
}

/// What every input and every step carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Idempotency key.
    pub key: Key,
    /// Tenant.
    pub business: BusinessId,
    /// Why it exists.
    pub cause: Cause,
    /// Trace it belongs to.
    pub trace: Option<TraceContext>,
    /// When the edge (or the sender) took it, Unix ms.
    pub received_ms: u64,
}

/// One input of one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Key, tenant, cause, trace, time.
    pub header: Header,
    /// Entity that decides it.
    pub target: EntityId,
    /// The domain's encoded input; personal content in it is sealed.
    pub body: Bytes,
    /// Signal topic that the answer is published on once the decision is durable.
    pub reply_to: Option<String>,
}

/// One append to an inbox: 1..n inputs of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxEntry {
    /// Format version.
    pub version: u16,
    /// Inputs in order; an input's place is (sequence of the entry, index here).
    pub inputs: Vec<Input>,
}

impl InboxEntry {
    /// An entry of the current format.
    #[must_use]
    pub fn new(inputs: Vec<Input>) -> Self {
        Self { version: FORMAT_VERSION, inputs }
    }

    /// Encodes the entry.
    ///
    /// # Errors
    /// When it has no encoded form.
    pub fn encode(&self) -> Result<Bytes, CodecError> {
        codec::encode(self)
    }

    /// Decodes an entry and checks its version.
    ///
    /// # Errors
    /// When the bytes are no entry or come from a newer build.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let entry: Self = codec::decode(bytes)?;
        check_version(entry.version, FORMAT_VERSION)?;
        Ok(entry)
    }
}
