//! What a workspace records. Each event changes one part: `config`, `check`, `agent/<id>` or
//! `item/<conversation hex>.<n>`.

use serde::{Deserialize, Serialize};

use super::{Presence, RoutingHints, WorkspaceAnswer, WorkspaceConfig};
use crate::{AgentId, CommandId, EntityId, ItemId, Millis, OfferId, QueueId, SessionId};

/// How an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferEnd {
    /// Taken.
    Accepted,
    /// Turned down.
    Rejected,
    /// The deadline passed.
    Missed,
    /// Taken back: no longer wanted, claimed, or the agent left.
    Rescinded,
    /// Never reached the agent's client.
    Undeliverable,
}

/// Why a waiting item is kept for one agent for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservedFor {
    /// The customer's last agent.
    LastAgent,
    /// It was transferred to this agent.
    Transfer,
    /// This agent snoozed it.
    Snooze,
}

/// An event of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceEvent {
    /// Part `config`.
    Configured(Box<WorkspaceConfig>),
    /// Part `item`: it waits.
    ItemQueued {
        /// The item.
        item: ItemId,
        /// Version.
        version: u32,
        /// Its conversation.
        conversation: EntityId,
        /// Queue.
        queue: QueueId,
        /// Since when the customer waits.
        since_ms: Millis,
        /// Added to the queue's priority.
        priority: i32,
        /// What else routing knows.
        #[serde(default)]
        hints: RoutingHints,
    },
    /// Part `item`: it is offered.
    ItemOffered {
        /// The offer.
        offer: OfferId,
        /// To whom.
        agent: AgentId,
        /// Units it reserves of the agent's capacity.
        weight: u32,
        /// When.
        at_ms: Millis,
        /// Until when it stands if nothing confirms its delivery.
        deadline_ms: Millis,
    },
    /// Part `item`: the client has the offer; its clock runs from here.
    OfferDelivered {
        /// The offer.
        offer: OfferId,
        /// New deadline.
        deadline_ms: Millis,
    },
    /// Part `item`: the offer ended; unless accepted, the item waits again with its age.
    OfferEnded {
        /// The offer.
        offer: OfferId,
        /// To whom it was.
        agent: AgentId,
        /// How.
        end: OfferEnd,
        /// When.
        at_ms: Millis,
    },
    /// Part `item`: an agent has it.
    ItemAssigned {
        /// The item.
        item: ItemId,
        /// The agent.
        agent: AgentId,
        /// Units it takes of the agent's capacity.
        weight: u32,
        /// When.
        at_ms: Millis,
    },
    /// Part `item`: same need, same place, newer facts (a repeated or corrected `Wanted`).
    ItemRenewed {
        /// The item.
        item: ItemId,
        /// New version.
        version: u32,
        /// Its conversation now.
        conversation: EntityId,
        /// Since when the customer waits.
        since_ms: Millis,
        /// Added to the queue's priority.
        priority: i32,
        /// What else routing knows.
        #[serde(default)]
        hints: RoutingHints,
    },
    /// Part `item`: it waits again with its age.
    ItemReturned {
        /// The item.
        item: ItemId,
        /// When.
        at_ms: Millis,
    },
    /// Part `item`: gone; its version is remembered for some minutes.
    ItemEnded {
        /// The item.
        item: ItemId,
        /// Version.
        version: u32,
        /// It could not be routed (the conversation was told why); otherwise it is no longer wanted.
        refused: bool,
        /// When.
        at_ms: Millis,
    },
    /// Part `item`: the version of a gone item is forgotten too.
    ItemForgotten {
        /// The item.
        item: ItemId,
    },
    /// Part `agent`: units taken by an offer or assignment.
    AgentLoaded {
        /// The agent.
        agent: AgentId,
        /// The item.
        item: ItemId,
        /// Units.
        weight: u32,
    },
    /// Part `agent`: units given back.
    AgentUnloaded {
        /// The agent.
        agent: AgentId,
        /// The item.
        item: ItemId,
        /// Units.
        weight: u32,
        /// When (idle time counts from here).
        at_ms: Millis,
        /// The agent had the conversation; otherwise it was only offered.
        #[serde(default)]
        had: bool,
    },
    /// Part `agent`: an offer was missed, rejected or not delivered.
    AgentMissed {
        /// The agent.
        agent: AgentId,
        /// The item.
        item: ItemId,
        /// Missed, rejected or undeliverable.
        end: OfferEnd,
        /// When.
        at_ms: Millis,
        /// The agent's code for a rejection.
        #[serde(default)]
        reason: String,
    },
    /// Part `item`: it waits for one agent first.
    ItemReserved {
        /// The item.
        item: ItemId,
        /// The agent.
        agent: AgentId,
        /// Why.
        why: ReservedFor,
        /// For everybody from then on.
        until_ms: Millis,
        /// When.
        at_ms: Millis,
    },
    /// Part `item`: whoever is free may be offered it.
    ReservationEnded {
        /// The item.
        item: ItemId,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: work after a conversation began.
    WrapUpBegan {
        /// The agent.
        agent: AgentId,
        /// The item that was resolved.
        item: ItemId,
        /// Its conversation.
        conversation: EntityId,
        /// Units it takes; 0 where it holds no capacity.
        weight: u32,
        /// It ends by itself then.
        until_ms: Millis,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: that work ended.
    WrapUpEnded {
        /// The agent.
        agent: AgentId,
        /// The item.
        item: ItemId,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: it did not come back in time; what nobody waits for stays with it.
    Stranded {
        /// The agent.
        agent: AgentId,
        /// Until then.
        until_ms: Millis,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: it showed that somebody is there (took an offer), earlier misses are forgiven.
    AgentActive {
        /// The agent.
        agent: AgentId,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: a connection opened.
    SignedIn {
        /// The agent.
        agent: AgentId,
        /// The connection.
        session: SessionId,
        /// When the desk took it.
        opened_ms: Millis,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: the connection is gone.
    SignedOut {
        /// The agent.
        agent: AgentId,
        /// The connection.
        session: SessionId,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: what was held for the lost connection has been returned.
    HoldEnded {
        /// The agent.
        agent: AgentId,
    },
    /// Part `agent`: declared presence.
    PresenceSet {
        /// The agent.
        agent: AgentId,
        /// Presence.
        presence: Presence,
        /// When.
        at_ms: Millis,
    },
    /// Part `agent`: signals sent to the session so far (numbers the next one).
    Signalled {
        /// The agent.
        agent: AgentId,
        /// The session.
        session: SessionId,
        /// Last number used.
        n: u64,
    },
    /// Part `agent`: a command was answered.
    CommandAnswered {
        /// The agent.
        agent: AgentId,
        /// The command.
        id: CommandId,
        /// The answer.
        answer: WorkspaceAnswer,
    },
    /// Part `check`: the slow comparison with the conversations went on.
    Checked {
        /// Last item asked about; `None` at the end of a round.
        cursor: Option<ItemId>,
        /// When it goes on.
        next_ms: Millis,
    },
}
