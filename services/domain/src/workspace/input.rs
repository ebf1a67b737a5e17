//! What a workspace is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, BusinessId, CommandId, DeskId, EntityId, ItemId, Millis, OfferId, QueueId, SessionId,
    SkillId,
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
    /// How soon a customer should have an agent, ms; 0 is [`ANSWER_TARGET_MS`].
    #[serde(default)]
    pub answer_target_ms: Millis,
    /// What an agent does after a conversation of this queue is resolved.
    #[serde(default)]
    pub wrap_up: WrapUpConfig,
}

/// Target of a queue that names none, ms.
pub const ANSWER_TARGET_MS: Millis = 120_000;

/// Work after a conversation was resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WrapUpConfig {
    /// Whether there is any.
    pub mode: WrapUpMode,
    /// It ends after this by itself, ms.
    pub for_ms: Millis,
    /// It takes the capacity that the conversation took.
    pub holds_capacity: bool,
}

/// Whether there is work after a conversation was resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WrapUpMode {
    /// None.
    #[default]
    None,
    /// When the agent asks for it at resolve.
    Optional,
    /// Always.
    Timed,
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
    /// How long the conversations of a lost connection are held before those whose customers wait are queued
    /// again, ms.
    pub lost_connection_hold_ms: Millis,
    /// How long the others stay with the agent after that, ms; 0: they are queued again with the first.
    #[serde(default)]
    pub stranded_keep_ms: Millis,
    /// A returning customer is first offered to the last agent for so long after that agent had the
    /// conversation, ms; 0: never.
    #[serde(default)]
    pub sticky_ttl_ms: Millis,
}

/// An agent and when it had, or gave away, a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSince {
    /// The agent.
    pub agent: AgentId,
    /// When.
    pub at_ms: Millis,
}

/// What a conversation says beside its need. All of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingHints {
    /// The customer comes before others (never without end: see the matcher's guard).
    pub vip: bool,
    /// It comes back from a snooze: with priority, to the agent in `target`.
    pub returning: bool,
    /// The last agent who had the conversation.
    pub last_agent: Option<AgentSince>,
    /// The agent who is to be offered it before the queue is.
    pub target: Option<AgentId>,
    /// The agent who gave it away: not asked while somebody else can take it.
    pub giver: Option<AgentSince>,
    /// What the bot tells whoever takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brief: Option<Box<crate::conversation::Brief>>,
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
        /// What else routing should know.
        #[serde(default)]
        hints: RoutingHints,
    },
    /// The agent who has the item has finished: no longer needed, and wrap-up may begin.
    Finished {
        /// The item.
        item: ItemId,
        /// Version of the drop.
        version: u32,
        /// Address to answer to, for an item the workspace has not seen.
        conversation: EntityId,
        /// Who finished.
        agent: AgentId,
        /// The agent asked for wrap-up (counts where it is optional).
        wrap_up: bool,
    },
    /// Who waits and why; answered with [`WorkspaceAnswer::Waiting`], decides nothing.
    ListWaiting {
        /// Only this queue.
        queue: Option<QueueId>,
        /// After this entry of the page before.
        after: Option<super::WaitingCursor>,
        /// At most so many (and never more than [`PAGE_MAX`](super::PAGE_MAX)).
        limit: u32,
    },
    /// What every agent does; answered with [`WorkspaceAnswer::Agents`], decides nothing.
    ListAgents {
        /// After this agent of the page before.
        after: Option<AgentId>,
        /// At most so many (and never more than [`PAGE_MAX`](super::PAGE_MAX)).
        limit: u32,
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
    /// End the wrap-up after a conversation.
    EndWrapUp {
        /// Command id.
        id: CommandId,
        /// The conversation.
        conversation: EntityId,
    },
    /// The process that held the agents' connections started anew: a connection opened before is gone, whichever it
    /// was (the input's own session says nothing).
    DeskRestarted {
        /// When it started, Unix ms.
        before_ms: Millis,
    },
    /// A process that held agents' connections is gone: a connection that it took is gone, whichever it was (the input's
    /// own session says nothing).
    DeskGone {
        /// The life of the process that ended.
        desk: DeskId,
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
    /// A page of who waits, by queue and age.
    Waiting {
        /// The entries.
        items: Vec<super::WaitingView>,
        /// There are more after the last one.
        more: bool,
    },
    /// A page of agents.
    Agents {
        /// The agents, by id.
        agents: Vec<super::AgentView>,
        /// There are more after the last one.
        more: bool,
    },
}
