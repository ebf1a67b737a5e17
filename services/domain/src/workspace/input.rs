//! What a workspace is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, BusinessId, CommandId, EntityId, ItemId, Millis, OfferId, QueueId, SessionId, SkillId,
};

/// A skill that an item needs, with the least level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SkillNeed {
    /// The skill.
    pub skill: SkillId,
    /// Least level, from 1.
    pub level: u8,
}

/// A queue as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueConfig {
    /// Title for people.
    pub title: String,
    /// Higher is served first.
    pub priority: i32,
    /// What an agent must have.
    pub needs: Vec<SkillNeed>,
    /// How long an offer stands, ms.
    pub offer_timeout_ms: Millis,
    /// Capacity units one item takes.
    pub weight: u32,
}

/// An agent as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// Name for people.
    pub name: String,
    /// Skills and levels.
    pub skills: BTreeMap<SkillId, u8>,
    /// Capacity units (default 100).
    pub capacity: u32,
    /// Queues the agent serves; empty means every queue whose needs the skills meet.
    pub queues: Vec<QueueId>,
}

/// One configuration version of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceConfig {
    /// Tenant.
    pub business: BusinessId,
    /// Queues.
    pub queues: BTreeMap<QueueId, QueueConfig>,
    /// Agents.
    pub agents: BTreeMap<AgentId, AgentConfig>,
    /// A missed or rejected item is not offered to the same agent again for this long unless nobody else can
    /// take it, ms.
    pub re_offer_after_ms: Millis,
    /// Cool-down of an agent after a rejection, ms.
    pub reject_cool_down_ms: Millis,
    /// Misses within ten minutes after which an agent stops being offered work until it shows activity; 0: never.
    pub misses_max: u32,
    /// How long the conversations of a lost connection are held before they are queued again, ms.
    pub lost_connection_hold_ms: Millis,
}

/// What an agent declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// Takes offers.
    Available,
    /// Keeps what it has, takes nothing new.
    #[default]
    Away,
}

/// An input of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceInput {
    /// The configuration to use from now on (sent at every start; an equal one changes nothing).
    Configure(Box<WorkspaceConfig>),
    /// A conversation needs an agent, or repeats that it does.
    Wanted {
        /// The item.
        item: ItemId,
        /// Version of the need; a lower one than known is stale.
        version: u32,
        /// Address to answer to.
        conversation: EntityId,
        /// Queue.
        queue: QueueId,
        /// Since when the customer waits.
        since_ms: Millis,
        /// VIP or a supervisor's push: added to the queue's priority.
        priority: i32,
    },
    /// A conversation no longer needs an agent.
    Dropped {
        /// The item.
        item: ItemId,
        /// Version of the drop.
        version: u32,
        /// Address to answer to, for an item the workspace has not seen.
        conversation: EntityId,
    },
    /// An agent has the item without an offer (phone owner, supervisor, API); may exceed capacity.
    Claimed {
        /// The item.
        item: ItemId,
        /// Version of the need.
        version: u32,
        /// Address to answer to.
        conversation: EntityId,
        /// The agent.
        agent: AgentId,
        /// Queue it would have waited in.
        queue: QueueId,
        /// Since when the customer waits.
        since_ms: Millis,
    },
    /// An agent's client acts.
    Desk {
        /// The agent.
        agent: AgentId,
        /// The connection.
        session: SessionId,
        /// What.
        command: DeskCommand,
    },
}

/// What an agent's client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeskCommand {
    /// A connection opened. It replaces an older one of the same agent.
    SignIn {
        /// When the desk process took the connection, Unix ms; an older one than known is stale.
        opened_ms: Millis,
    },
    /// The connection is gone.
    SignOut,
    /// Declared presence.
    SetPresence {
        /// Command id.
        id: CommandId,
        /// Presence.
        presence: Presence,
    },
    /// The client has an offer on its screen: its clock starts.
    Delivered {
        /// The offer.
        offer: OfferId,
    },
    /// Take an offer.
    Accept {
        /// Command id.
        id: CommandId,
        /// The offer.
        offer: OfferId,
    },
    /// Turn an offer down.
    Reject {
        /// Command id.
        id: CommandId,
        /// The offer.
        offer: OfferId,
        /// Why, for reports (a code, no personal data).
        reason: String,
    },
    /// The client missed a change: send a snapshot.
    Resync,
    /// The process that held the agents' connections started anew: a connection opened before is gone, whichever it
    /// was (the input's own session says nothing).
    DeskRestarted {
        /// When it started, Unix ms.
        before_ms: Millis,
    },
}

/// Answer to a desk command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceAnswer {
    /// Done.
    Done,
    /// The offer ended before; nothing changed.
    OfferEnded(super::OfferEnd),
    /// The connection was replaced by a newer one, or was never signed in.
    StaleSession,
    /// No such agent or offer.
    Unknown(String),
    /// The command's id is below the range whose answers are kept.
    TooOld,
}
