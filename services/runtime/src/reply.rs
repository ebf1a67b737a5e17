//! What a caller hears once its input's decision is durable: published on the input's `reply_to` topic.
//! Best effort; a caller that misses it asks again with the same key.

use bus::{CodecError, FORMAT_VERSION, Key, Position, decode, encode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The answer to one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Format version.
    pub version: u16,
    /// Key of the input it answers.
    pub key: Key,
    /// The entity's answer (empty when it gave none), or why the input was dead-lettered. No personal data in the error.
    pub result: Result<Bytes, String>,
    /// The step that decided it; a query may wait for the read model to reach it.
    pub position: Position,
}

impl Reply {
    /// A reply of the current format.
    #[must_use]
    pub fn new(key: Key, result: Result<Bytes, String>, position: Position) -> Self {
        Self { version: FORMAT_VERSION, key, result, position }
    }

    /// Encodes it.
    ///
    /// # Errors
    /// When it has no encoded form.
    pub fn encode(&self) -> Result<Bytes, CodecError> {
        encode(self)
    }

    /// Decodes it and checks its version.
    ///
    /// # Errors
    /// When the bytes are no reply or come from a newer build.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let reply: Self = decode(bytes)?;
        if reply.version == 0 || reply.version > FORMAT_VERSION {
            return Err(CodecError::UnknownVersion { found: reply.version, known: FORMAT_VERSION });
        }
        Ok(reply)
    }
}
