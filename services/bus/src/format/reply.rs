//! The answer to an input that asked for one: published on its `reply_to` topic once the decision is durable.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    CodecError, FORMAT_VERSION, Key, Position,
    codec::{self, check_version},
};

/// One answer. Best effort, like every signal: who does not get it sends the input again under the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Format version.
    pub version: u16,
    /// Key of the input that is answered.
    pub key: Key,
    /// The domain's encoded answer; or why the input could not be decided (it is a dead letter).
    pub result: Result<Bytes, String>,
    /// The step that decided it; `None` when a repeat got the remembered answer.
    pub position: Option<Position>,
}

impl Reply {
    /// An answer in the current format.
    #[must_use]
    pub fn new(key: Key, result: Result<Bytes, String>, position: Option<Position>) -> Self {
        Self { version: FORMAT_VERSION, key, result, position }
    }

    /// Encodes the answer.
    ///
    /// # Errors
    /// When it has no encoded form.
    pub fn encode(&self) -> Result<Bytes, CodecError> {
        codec::encode(self)
    }

    /// Decodes an answer and checks its version.
    ///
    /// # Errors
    /// When the bytes are no answer or come from a newer build.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let reply: Self = codec::decode(bytes)?;
        check_version(reply.version, FORMAT_VERSION)?;
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_answer_survive_the_wire() {
        let position = Some(Position { generation: 1, seq: 9, index: 2 });
        for result in [Ok(Bytes::from_static(b"answer")), Err("no such entity".to_owned())] {
            let reply = Reply::new(Key([7; 16]), result, position);
            assert_eq!(Reply::decode(&reply.encode().unwrap()).unwrap(), reply);
        }
    }

    #[test]
    fn a_newer_answer_is_refused() {
        let mut reply = Reply::new(Key([7; 16]), Ok(Bytes::new()), None);
        reply.version = FORMAT_VERSION + 1;
        let found = Reply::decode(&reply.encode().unwrap());
        assert!(matches!(found, Err(CodecError::UnknownVersion { .. })), "{found:?}");
    }
}
