//! Identifiers. None of them holds a phone number, a name or a wamid.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An entity: one byte of kind and a 16-byte keyed hash (installation key) of what the webhook carries.
/// The bus does not know what the kinds mean.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityId {
    /// Kind of entity; the meaning belongs to the domain.
    pub kind: u8,
    /// Keyed hash of its natural identity.
    #[serde(with = "serde_bytes")]
    pub hash: [u8; 16],
}

impl EntityId {
    /// The partition that owns this entity among `partitions` (fixed at creation of an installation).
    #[must_use]
    pub fn partition(&self, partitions: u16) -> PartitionId {
        let n = u128::from(partitions.max(1));
        PartitionId(u16::try_from(u128::from_le_bytes(self.hash) % n).unwrap_or(0))
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:032x}", self.kind, u128::from_be_bytes(self.hash))
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Idempotency key of an input: a keyed hash of its natural key, its call id or the client's command id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The tenant, an attribute of what it owns (never part of an [`EntityId`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BusinessId(pub String);

/// A partition: one inbox, one log, one owner.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The random number one take-over attempt draws; it stands in `Epoch` and in every record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Where an input stands in its partition's inbox.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Place {
    /// Sequence of the inbox entry (from 1).
    pub seq: u64,
    /// Index of the input in its entry.
    pub index: u32,
}

/// Where a step stands in its partition's log. Generation compares first: a restore or an import
/// raises it, and a reader that meets a higher one re-bases on it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// Raised by a restore or an import.
    pub generation: u32,
    /// Sequence of the record (from 1).
    pub seq: u64,
    /// Index of the step in its record.
    pub index: u32,
}

/// Name of one part of an entity's state (a part is saved and replaced as a whole, at most 64 KiB).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartName(pub String);

impl From<&str> for PartName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}
