//! Identifiers of the domain. None holds a phone number, a name or a wamid.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 16 bytes of a keyed hash (installation key).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash16(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl fmt::Display for Hash16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Hash16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash16 {
    type Err = std::num::ParseIntError;
    /// Reads what `Display` writes: 32 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes()))
    }
}

/// Kind of entity. The numbers are persisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum EntityKind {
    /// One customer identity on one number: the conversation, or a forward to it.
    Conversation = 1,
    /// One routing domain.
    Workspace = 2,
    /// One phone number.
    Number = 3,
}

impl EntityKind {
    /// The kind with this persisted number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Conversation),
            2 => Some(Self::Workspace),
            3 => Some(Self::Number),
            _ => None,
        }
    }

    /// Its persisted number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// An entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityId {
    /// Its kind.
    pub kind: EntityKind,
    /// Keyed hash of its natural identity: phone_number_id + normalised identity for a conversation.
    pub hash: Hash16,
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);
        impl From<&str> for $name {
            fn from(text: &str) -> Self { Self(text.to_owned()) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    };
}

name_id!(
    /// The tenant.
    BusinessId
);
name_id!(
    /// An agent of a workspace, as configured.
    AgentId
);
name_id!(
    /// A queue of a workspace, as configured.
    QueueId
);
name_id!(
    /// A skill, as configured.
    SkillId
);

/// A message of a thread: keyed hash of (phone_number_id, wamid).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MessageId(pub Hash16);

/// A request to send: the conversation that asked and its counter. Its text form is our opaque id on every
/// send (`biz_opaque_callback_data`), by which a status finds its conversation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestId {
    /// Hash of the requesting conversation.
    pub conversation: Hash16,
    /// Rises with every request of that conversation, from 1.
    pub n: u64,
}

impl RequestId {
    /// The opaque id as Meta carries it: `t1.<32 hex>.<n>`.
    #[must_use]
    pub fn to_opaque(self) -> String {
        format!("t1.{}.{}", self.conversation, self.n)
    }

    /// Reads an opaque id; `None` when it is not one of ours.
    #[must_use]
    pub fn from_opaque(text: &str) -> Option<Self> {
        let (hash, n) = text.strip_prefix("t1.")?.split_once('.')?;
        if hash.len() != 32 {
            return None;
        }
        Some(Self { conversation: hash.parse().ok()?, n: n.parse().ok()? })
    }

    /// The conversation that asked.
    #[must_use]
    pub fn conversation_entity(self) -> EntityId {
        EntityId { kind: EntityKind::Conversation, hash: self.conversation }
    }
}

/// A work item: the conversation that needs an agent and its counter of needs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ItemId {
    /// Hash of the conversation.
    pub conversation: Hash16,
    /// Rises with every item of that conversation, from 1.
    pub n: u32,
}

/// An offer: the item and its counter of offers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct OfferId {
    /// The item offered.
    pub item: ItemId,
    /// Rises with every offer of that item, from 1.
    pub n: u32,
}

/// One connection of an agent's client, named by its desk ([`SessionId::of`]). Signals for the agent are published on
/// topic `session.<32 hex>`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SessionId(pub Hash16);

/// A client's command: ids rise within the client's own session key, and a repeat gets the first answer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct CommandId {
    /// Keyed hash of (business, actor, the client's own session key). Survives reconnects of the client.
    pub client: Hash16,
    /// Rises with every command of that client, from 1.
    pub n: u64,
}
