//! What a node says of itself in its lease.

use std::collections::{BTreeMap, BTreeSet};

use bus::{CodecError, FORMAT_VERSION, FormatLevel, Incarnation, PartitionId, decode, encode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The lease's information. Fields are only added; one that an older node does not send is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeInfo {
    pub(super) version: u16,
    /// Partitions it owns or is taking.
    pub(crate) owned: BTreeSet<PartitionId>,
    /// Partitions it found it cannot serve.
    pub(crate) cannot_serve: BTreeSet<PartitionId>,
    /// How the partitions stand that it serves.
    #[serde(default)]
    pub(crate) served: BTreeMap<PartitionId, Served>,
    /// Partitions it will not take for the moment: it was fenced there, or an attempt came to nothing.
    #[serde(default)]
    pub(crate) waits: BTreeSet<PartitionId>,
    /// Free partitions it is about to take.
    #[serde(default)]
    pub(crate) claims: BTreeSet<PartitionId>,
    /// Partitions of others that placement gives to it: it stands ready to have them handed over.
    #[serde(default)]
    pub(crate) wants: BTreeSet<PartitionId>,
    /// Partitions it hands over, and to whom. Nobody else takes them.
    #[serde(default)]
    pub(crate) handing: BTreeMap<PartitionId, String>,
    /// Partitions an operator moved to it, and when (wall time, ms): the latest move counts.
    #[serde(default)]
    pub(crate) pins: BTreeMap<PartitionId, u64>,
    /// It hands everything over and takes nothing.
    #[serde(default)]
    pub(crate) draining: bool,
    /// It takes nothing: its clock is wrong, or it takes only what it is told to.
    #[serde(default)]
    pub(crate) takes_none: bool,
    /// Newest format level it knows.
    #[serde(default)]
    pub(crate) format_known: FormatLevel,
    /// Drawn at the start of the process: tells it from another one of the same name.
    #[serde(default)]
    pub(super) life: Option<Incarnation>,
}

/// How a served partition stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Served {
    /// Epoch of its owner.
    pub(crate) epoch: u64,
    /// Inbox inputs read and not durably decided.
    pub(crate) lag_inputs: u64,
}

impl NodeInfo {
    pub(crate) fn new() -> Self {
        Self { version: FORMAT_VERSION, ..Self::default() }
    }

    pub(crate) fn encode(&self) -> Result<Bytes, CodecError> {
        encode(self)
    }

    /// Reads another node's information. A newer one is read as far as it is known: fields are only added.
    /// Other processes have leases too: theirs are no node's and cannot be read as one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes)
    }

    /// Whether it may be given a partition at all.
    pub(crate) fn may_have(&self, partition: PartitionId) -> bool {
        !self.draining
            && !self.takes_none
            && !self.cannot_serve.contains(&partition)
            && !self.waits.contains(&partition)
    }

    /// Whether nobody else may take the partition, unless it is handed over to them.
    pub(crate) fn holds(&self, partition: PartitionId) -> bool {
        self.owned.contains(&partition) || self.handing.contains_key(&partition)
    }
}
