//! Sealed personal content. The domain carries it and never looks inside; edges seal, executors and readers open.

use serde::{Deserialize, Serialize};

/// Seals and opens within one decision, for one business and one entity. Pure: the same decision seals the same
/// value to the same bytes, so that deciding again gives the same outcome.
pub trait Sealing: std::fmt::Debug {
    /// Seals what the decision makes; `n` counts the values that it seals.
    fn seal(&self, n: u32, plain: &[u8]) -> Sealed;
    /// Opens a value; `None` when its key is gone or it was damaged.
    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>>;
}

/// AEAD ciphertext with the id of the key that opens it. Destroying the key makes it unreadable everywhere,
/// and replay still works. Associated data: the business id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Key that opens it.
    pub key_id: u32,
    /// Nonce and ciphertext.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}
