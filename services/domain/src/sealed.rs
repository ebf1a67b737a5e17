//! Sealed personal content. The domain carries it and never looks inside; edges seal, executors and readers open.

use serde::{Deserialize, Serialize};

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
