//! What a node says of itself in its lease.

use bus::{CodecError, FORMAT_VERSION, PartitionId, decode, encode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The lease's information.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeInfo {
    version: u16,
    /// Partitions it owns or is taking.
    pub(crate) owned: Vec<PartitionId>,
    /// Partitions it found it cannot serve.
    pub(crate) cannot_serve: Vec<PartitionId>,
}

impl NodeInfo {
    pub(crate) fn new(owned: Vec<PartitionId>, cannot_serve: Vec<PartitionId>) -> Self {
        Self { version: FORMAT_VERSION, owned, cannot_serve }
    }

    pub(crate) fn encode(&self) -> Result<Bytes, CodecError> {
        encode(self)
    }

    /// Reads another node's information. A newer one is read as far as it is known: fields are only added.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes)
    }
}
