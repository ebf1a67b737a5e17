//! What a workspace tells an agent's session. Numbered per session; a gap means: ask for a snapshot.

use serde::{Deserialize, Serialize};

use super::{OfferEnd, Presence};
use crate::{EntityId, ItemId, Millis, OfferId, QueueId};

/// An offer as an agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    /// The offer.
    pub offer: OfferId,
    /// Its conversation.
    pub conversation: EntityId,
    /// Queue.
    pub queue: QueueId,
    /// Since when the customer waits.
    pub since_ms: Millis,
    /// Until when it stands.
    pub deadline_ms: Millis,
    /// Why this agent (skills and levels matched), for people.
    pub reason: String,
    /// What the bot tells whoever takes over.
    #[serde(default)]
    pub brief: Option<Box<crate::conversation::Brief>>,
}

/// One signal (topic `session.<hex>`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceSignal {
    /// Number within the session, from 1 without gaps.
    pub n: u64,
    /// What changed.
    pub change: WorkspaceChange,
}

/// A change for one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceChange {
    /// Everything the agent has now.
    Snapshot {
        /// Declared presence.
        presence: Presence,
        /// Open offers.
        offers: Vec<OfferView>,
        /// Assigned items and their conversations.
        assigned: Vec<(ItemId, EntityId)>,
        /// Capacity units in use.
        used: u32,
        /// Capacity units in all.
        capacity: u32,
        /// What else there is.
        #[serde(default)]
        more: SnapshotMore,
    },
    /// A new offer.
    Offered(OfferView),
    /// An offer ended.
    OfferEnded {
        /// The offer.
        offer: OfferId,
        /// How.
        end: OfferEnd,
    },
    /// The agent has a conversation.
    Assigned {
        /// The item.
        item: ItemId,
        /// Its conversation.
        conversation: EntityId,
    },
    /// The agent no longer has it.
    Unassigned {
        /// The item.
        item: ItemId,
        /// Its conversation.
        conversation: EntityId,
    },
    /// The session was replaced by a newer one of the same agent: close it.
    Replaced,
    /// The agent missed so many offers that it is offered nothing until it does something.
    Missed,
    /// Work after a conversation began.
    WrapUpBegan(WrapUpView),
    /// That work ended.
    WrapUpEnded {
        /// The conversation.
        conversation: EntityId,
    },
}

/// Work after a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrapUpView {
    /// The conversation.
    pub conversation: EntityId,
    /// It ends by itself then.
    pub until_ms: Millis,
    /// It takes capacity.
    pub holds_capacity: bool,
}

/// Further facts of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotMore {
    /// Offered nothing until the agent does something.
    pub missed: bool,
    /// Work after conversations.
    pub wrap_ups: Vec<WrapUpView>,
    /// Conversations that the agent had when its connection was lost and has no longer.
    pub taken: Vec<ItemId>,
}
