//! What a conversation is told.

use serde::{Deserialize, Serialize};

use super::{BillingWindow, Pricing};
use crate::{
    AgentId, CommandId, EntityId, ItemId, MessageId, Millis, QueueId, RequestId, Sealed,
    content::ContentKind, effect::CallKey,
};

/// Where a webhook item came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// The number.
    pub number: EntityId,
    /// The workspace that routes the number's conversations.
    pub workspace: EntityId,
}

/// An input of a conversation (or of an address that forwards to one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConversationInput {
    /// Customer → business.
    Inbound(Inbound),
    /// Phone app → customer.
    Echo(Echo),
    /// Delivery state of a message.
    Status(Status),
    /// A person or program acts on the conversation.
    Command(ConversationCommand),
    /// News of a requested send, from the Number.
    SendOutcome {
        /// The request.
        request: RequestId,
        /// What came of it.
        outcome: SendOutcome,
    },
    /// News of a work item, from the Workspace.
    Workspace {
        /// The item.
        item: ItemId,
        /// Version of the item the news is about; a stale one is not applied.
        version: u32,
        /// The news.
        news: WorkspaceNews,
    },
    /// The Number found that an echo was an automatic greeting or away message.
    EchoWasAutomatic {
        /// The echo.
        message: MessageId,
    },
    /// A higher-ranked address asks this one to hand over what it has (first sight of a pairing).
    Join {
        /// The asking address.
        from: EntityId,
        /// Meta timestamp and message of the pairing, which order pairings.
        paired_at: (Millis, MessageId),
        /// Where it was seen.
        via: Via,
    },
    /// The whole state of an address that now forwards here (encoded by the domain, personal parts sealed).
    Absorb {
        /// The address that forwards from now on.
        from: EntityId,
        /// Its state.
        #[serde(with = "serde_bytes")]
        state: Vec<u8>,
    },
    /// Answer to `Join`: nothing to hand over. Also sent unasked, with `forwards` false, to the conversation
    /// that loses an address to a later pairing.
    NothingToJoin {
        /// The answering address.
        from: EntityId,
        /// It forwards here from now on; `false`: it points to another by a later pairing.
        forwards: bool,
    },
    /// An input that came to an address that forwards.
    Forwarded {
        /// The forwarding address.
        from: EntityId,
        /// Key of the original input, for deduplication.
        key: [u8; 16],
        /// The input.
        input: Box<ConversationInput>,
    },
    /// The customer's wish about marketing (field `user_preferences`).
    Preference(Preference),
    /// Meta says that the customer of this address has another one now.
    Changed(Change),
    /// The Number does not know what came of an attempt, and asks before it makes another. Statuses come to the address
    /// that is asked, so those that were acknowledged before the question are decided before it, however far deciding
    /// has fallen behind. Answered with [`NumberInput::Heard`](crate::number::NumberInput::Heard). From format level 3 on.
    HeardOf {
        /// The attempt.
        call: CallKey,
        /// Who asks.
        number: EntityId,
    },
}

/// What a customer wishes about marketing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// Number and workspace.
    pub via: Via,
    /// Marketing is welcome; else it must not be sent any more.
    pub allowed: bool,
    /// Meta timestamp.
    pub at_ms: Millis,
    /// The customer's other address, when both were named.
    pub paired: Option<EntityId>,
    /// Whose wish it is.
    pub who: Sealed,
}

/// What of a customer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// The phone number. The old one may be given to somebody else.
    Number,
    /// The business-scoped user id. The old one is never used again.
    UserId,
    /// Told among addresses: the customer of `other`, which is known by phone only, came to this address.
    Arrival,
    /// Told among addresses: the customer, known at `other`, came back to this address.
    Return,
}

/// A change of address, told to the old one: the only thing that joins two user ids (design.md section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Number and workspace.
    pub via: Via,
    /// What changed.
    pub kind: ChangeKind,
    /// The other address: of what Meta says, the new one.
    pub other: EntityId,
    /// Meta timestamp and message of the change.
    pub changed_at: (Millis, MessageId),
    /// Who the customer is now.
    pub who: Sealed,
}

/// A message of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Number and workspace.
    pub via: Via,
    /// The message.
    pub message: MessageId,
    /// Meta timestamp.
    pub at_ms: Millis,
    /// Kind of content.
    pub kind: ContentKind,
    /// The other address of this customer, when the webhook named both phone and BSUID (the input itself goes
    /// to the higher-ranked one).
    pub paired: Option<EntityId>,
    /// Who wrote ([`Identity`](crate::content::Identity)).
    pub who: Sealed,
    /// What was written ([`Content`](crate::content::Content)).
    pub content: Sealed,
    /// Message that this edits, deletes, reacts to or answers.
    pub target: Option<MessageId>,
    /// It came by an advertisement (click to WhatsApp): a free entry point may follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub referral: bool,
}

/// A message the business sent from the phone app (`smb_message_echoes`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Number and workspace.
    pub via: Via,
    /// The message.
    pub message: MessageId,
    /// Meta timestamp.
    pub at_ms: Millis,
    /// Kind of content.
    pub kind: ContentKind,
    /// The customer's other address, when both were named.
    pub paired: Option<EntityId>,
    /// Who it went to.
    pub who: Sealed,
    /// What was sent.
    pub content: Sealed,
    /// Message that this edits, deletes, reacts to or answers.
    pub target: Option<MessageId>,
    /// The text equals one configured as the app's greeting or away message.
    pub configured_automatic: bool,
    /// Keyed hash of the normalised text, by which the Number recognises automatic echoes.
    pub text_hash: Option<u64>,
}

/// Delivery states. The order of the first five is the lattice; it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatusKind {
    /// The API took it (answer of the send call).
    Accepted,
    /// Meta's servers took it.
    Sent,
    /// On a device of the customer.
    Delivered,
    /// Seen; implies delivered.
    Read,
    /// Voice message played; implies read.
    Played,
    /// Failed; terminal unless already delivered, in which case both facts are kept.
    Failed,
    /// Deleted (not documented now; kept, never interpreted).
    Deleted,
}

/// A status webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Number and workspace.
    pub via: Via,
    /// The message it is about.
    pub message: MessageId,
    /// Our request, when the status carries our opaque id.
    pub request: Option<RequestId>,
    /// State.
    pub status: StatusKind,
    /// Meta timestamp.
    pub at_ms: Millis,
    /// Error code of a failure.
    pub error: Option<u32>,
    /// wamid and raw JSON ([`Content`](crate::content::Content)).
    pub content: Sealed,
    /// Who it went to, where named.
    pub who: Option<Sealed>,
    /// What the message costs, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Box<Pricing>>,
    /// The billing window it belongs to, where told with its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<BillingWindow>,
}

/// A command with the client's id: a repeat gets the first answer again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationCommand {
    /// The client's command id.
    pub id: CommandId,
    /// Who acts; `None` is an API client of the business.
    pub agent: Option<AgentId>,
    /// What to do.
    pub kind: CommandKind,
}

/// What a command asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandKind {
    /// Send a free-form message.
    Send {
        /// Kind of content.
        kind: ContentKind,
        /// The message.
        content: Sealed,
        /// Take the floor from the phone or another holder.
        take_floor: bool,
        /// It is a marketing template.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        marketing: bool,
    },
    /// A program begins: a message to an address, whether or not there is a conversation yet.
    Outbound(Box<OutboundSend>),
    /// Mark a message of the customer read (best effort).
    MarkRead {
        /// [`Content`](crate::content::Content) with `target_wamid`.
        message: Sealed,
        /// Shows a typing indicator, too.
        typing: bool,
    },
    /// Add a note that only the business sees.
    Note {
        /// The note's text.
        content: Sealed,
    },
    /// Close the episode.
    Resolve,
    /// Give the conversation to an agent (supervisor or API; ignores capacity).
    Assign {
        /// The agent.
        agent: AgentId,
    },
    /// Ask for an agent of a queue.
    Queue {
        /// The queue.
        queue: QueueId,
    },
    /// Hand the conversation on, with a note for who takes it. It keeps its age.
    Transfer {
        /// To whom.
        to: TransferTo,
        /// A note that only the business sees.
        note: Option<Sealed>,
        /// Also when another agent has it (supervisors and programs).
        overrule: bool,
    },
    /// Take the conversation from whoever has it: it waits again with its age, in its queue or another.
    Requeue {
        /// Another queue.
        queue: Option<QueueId>,
        /// Also when another agent has it (supervisors and programs).
        overrule: bool,
    },
    /// Give the conversation to an agent, for a reason that is recorded as a note (supervisor; ignores capacity).
    Force {
        /// The agent.
        agent: AgentId,
        /// The reason, as a note's content.
        reason: Sealed,
    },
    /// Put the conversation aside until a time, or until the customer writes; it comes back to the agent who has it.
    Snooze {
        /// Until then.
        until_ms: Millis,
        /// Also when another agent has it (supervisors and programs).
        overrule: bool,
    },
    /// The customer is a VIP, or no longer one.
    SetVip {
        /// Whether.
        vip: bool,
    },
    /// Close the episode with a code for reports.
    Close {
        /// The code; empty for none.
        code: String,
        /// The agent wants time for work after it (counts where the queue's wrap-up is optional).
        wrap_up: bool,
    },
}

/// Where a conversation is handed on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferTo {
    /// Whoever serves the queue.
    Queue(QueueId),
    /// First this agent, then the conversation's queue.
    Agent(AgentId),
}

/// A message with which a program begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboundSend {
    /// Number and workspace.
    pub via: Via,
    /// Who it goes to ([`Identity`](crate::content::Identity)).
    pub who: Sealed,
    /// Class.
    pub lane: crate::number::Lane,
    /// Kind of content.
    pub kind: ContentKind,
    /// The message.
    pub content: Sealed,
    /// Not to be started after this.
    pub not_after_ms: Millis,
    /// It is a marketing template. Campaigns count as marketing without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marketing: bool,
}

/// Answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandAnswer {
    /// The send was taken on; its fate arrives as events.
    Sent {
        /// The request.
        request: RequestId,
    },
    /// Done.
    Done,
    /// Not done, nothing changed.
    Refused(Refusal),
    /// Not done here: this address forwards. Send the same command (same id) to that conversation, which also
    /// remembers what was answered here before.
    Moved {
        /// The conversation.
        to: EntityId,
    },
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The phone has the floor; since when. Send again with `take_floor` to speak all the same.
    PhoneHasFloor {
        /// Time of the phone's last message.
        since_ms: Millis,
    },
    /// Another agent has the conversation.
    HeldByAnother {
        /// That agent.
        agent: AgentId,
    },
    /// The bot has the floor; a program speaks then only with `take_floor` (agents need no flag against a bot).
    BotHasFloor {
        /// Its turn.
        turn: u64,
    },
    /// Too many sends of this conversation have no outcome yet; nothing was taken on.
    Busy {
        /// How many.
        pending: u32,
    },
    /// The customer service window is closed: send a template.
    WindowClosed {
        /// When it closed; 0 when it was never open.
        closed_ms: Millis,
    },
    /// Nothing is known of this customer.
    UnknownConversation,
    /// No episode is open.
    NothingOpen,
    /// The command's id is below the range whose answers are kept.
    TooOld,
    /// The queue or agent does not exist.
    Unknown(String),
    /// No agent has the conversation.
    NotAssigned,
    /// The customer asked for no more marketing.
    MarketingStopped {
        /// Since when (Meta timestamp).
        since_ms: Millis,
    },
}

/// What came of a requested send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendOutcome {
    /// Meta accepted it.
    Accepted {
        /// The message.
        message: MessageId,
        /// Its wamid ([`Content`](crate::content::Content) with `wamid` set).
        wamid: Sealed,
        /// When.
        at_ms: Millis,
        /// It was sent a second time because the first outcome stayed unknown.
        repeated: bool,
    },
    /// Refused for good.
    Failed {
        /// Meta's error code, 0 when it never got there.
        code: u32,
        /// What the agent is told.
        told: String,
    },
    /// Not sent: cancelled, or `not_after` passed.
    Cancelled,
    /// Nobody knows, and its lane forbids repeating: listed as unknown.
    Unknown,
}

/// News of a work item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceNews {
    /// An agent has it.
    Assigned {
        /// The agent.
        agent: AgentId,
    },
    /// It waits again, with its original age.
    Unassigned,
    /// The workspace asks whether the item is still wanted; the conversation repeats its need or drops it.
    Check,
    /// The workspace does not know the item: ask again if it is wanted.
    NotKnown,
    /// It cannot be routed: the queue or agent does not exist.
    Refused(String),
    /// The agent who has it has lost its connection and did not come back: a customer who waits needs another one.
    Stranded {
        /// The agent.
        agent: AgentId,
    },
}

/// Readable facts of sealed values, given to `decide` beside the input and never persisted with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Text of the message, when its key still exists.
    pub text: Option<String>,
    /// Id of the button or list row that was tapped.
    pub choice: Option<String>,
    /// The customer's preferred identity for sending exists (phone or BSUID).
    pub reachable: bool,
}
