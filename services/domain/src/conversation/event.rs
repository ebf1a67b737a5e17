//! What a conversation records. Persisted: a meaning is frozen, a new meaning is a new variant.
//! The read model is a projection of these.

use serde::{Deserialize, Serialize};

use super::{
    BotFault, BotPlace, Brief, CommandAnswer, HeardMessage, Pricing, SendOutcome, StatusKind, Via,
};
use crate::{
    AgentId, CommandId, EntityId, ItemId, MessageId, Millis, QueueId, RequestId, Sealed,
    content::ContentKind, number::Lane,
};

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Customer → business.
    In,
    /// Business → customer.
    Out,
}

/// Who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Author {
    /// The customer.
    Customer,
    /// The bot, in this turn.
    Bot {
        /// Turn of the conversation.
        turn: u64,
    },
    /// An agent at the desk.
    Agent(AgentId),
    /// A program of the business.
    Api,
    /// A person on the phone app.
    Phone {
        /// Recognised as the app's greeting or away message.
        automatic: bool,
    },
}

/// Who may speak to the customer now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Floor {
    /// Nobody.
    #[default]
    Nobody,
    /// The bot, in this turn; what an older turn wants to say is dropped.
    Bot {
        /// The turn.
        turn: u64,
    },
    /// An agent.
    Desk {
        /// The agent.
        agent: AgentId,
    },
    /// The phone app.
    Phone,
}

/// Why the floor changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FloorCause {
    /// A customer wrote and triage began or went on.
    Inbound,
    /// The bot handed over to people.
    HandOff,
    /// An agent was assigned.
    Assigned,
    /// The assignment ended.
    Unassigned,
    /// A message from the phone.
    PhoneEcho,
    /// A desk send with `take_floor`.
    TakeFloor,
    /// The phone did not answer in time.
    PhoneAnswerTimeout,
    /// Silence on both sides.
    PhoneFloorTimeout,
    /// The echo turned out to be automatic.
    EchoWasAutomatic,
    /// The episode was resolved.
    Resolved,
    /// Two addresses became one.
    Joined,
    /// The bot gave the customer what was wanted.
    BotEnded,
}

/// Who closed an episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResolvedBy {
    /// An agent.
    Agent(AgentId),
    /// A program of the business.
    Api,
    /// The bot.
    Bot,
}

/// A message of the thread. Thread order is (Meta timestamp, wamid).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// The message.
    pub message: MessageId,
    /// Way.
    pub direction: Direction,
    /// Author.
    pub author: Author,
    /// Kind of content.
    pub kind: ContentKind,
    /// Meta timestamp.
    pub at_ms: Millis,
    /// [`Content`](crate::content::Content); holds the wamid.
    pub content: Sealed,
    /// Message that this edits, deletes, reacts to or answers.
    pub target: Option<MessageId>,
    /// Episode it belongs to; `None` when it came too late to belong to one.
    pub episode: Option<u32>,
}

/// A send the conversation asked for. It joins the thread here; its message follows with the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRecord {
    /// The request.
    pub request: RequestId,
    /// Author (bot, agent or API).
    pub author: Author,
    /// Lane.
    pub lane: Lane,
    /// Kind of content.
    pub kind: ContentKind,
    /// When it was asked.
    pub at_ms: Millis,
    /// [`Content`](crate::content::Content).
    pub content: Sealed,
    /// Not to be started after this.
    pub not_after_ms: Millis,
    /// Episode.
    pub episode: Option<u32>,
}

/// An event of a conversation. All change its one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConversationEvent {
    /// First contact, or newer facts of who the customer is.
    IdentitySeen {
        /// Number and workspace.
        via: Via,
        /// [`Identity`](crate::content::Identity).
        who: Sealed,
        /// Meta timestamp of what showed it.
        at_ms: Millis,
    },
    /// A message joined the thread.
    MessageRecorded(MessageRecord),
    /// A status was merged; `status` is what it said, the lattice decides what it changes.
    StatusMerged {
        /// The message.
        message: MessageId,
        /// Our request, where known.
        request: Option<RequestId>,
        /// What the status said.
        status: StatusKind,
        /// Meta timestamp.
        at_ms: Millis,
        /// Error code of a failure.
        error: Option<u32>,
        /// wamid and raw JSON (pricing).
        content: Sealed,
    },
    /// The customer began to wait for an answer, or does not wait any more.
    WaitChanged {
        /// Meta timestamp of the first unanswered message; `None`: everything is answered.
        since_ms: Option<Millis>,
    },
    /// An echo by which the phone has, or takes, the floor.
    PhoneSpoke {
        /// The echo.
        message: MessageId,
        /// Meta timestamp.
        at_ms: Millis,
        /// Hash of its text while the Number has not been asked whether it is an automatic one.
        untold: Option<u64>,
    },
    /// An echo turned out to be no person's: the app's greeting or away message, or our own send echoed.
    EchoAutomatic {
        /// The echo.
        message: MessageId,
    },
    /// A send was asked of the Number.
    SendRequested(SendRecord),
    /// A requested send came to an end.
    SendResolved {
        /// The request.
        request: RequestId,
        /// How.
        outcome: SendOutcome,
        /// When.
        at_ms: Millis,
    },
    /// A requested send was taken back; whether before it left, `SendResolved` will say.
    SendCancelled {
        /// The request.
        request: RequestId,
    },
    /// A note was added.
    NoteAdded {
        /// Its number within the conversation.
        n: u64,
        /// Who; `None` is an API client.
        agent: Option<AgentId>,
        /// [`Content`](crate::content::Content).
        content: Sealed,
        /// When.
        at_ms: Millis,
    },
    /// An episode began.
    EpisodeOpened {
        /// Its number, from 1.
        n: u32,
        /// Meta timestamp of the message that opened it.
        at_ms: Millis,
    },
    /// An episode ended.
    EpisodeResolved {
        /// Its number.
        n: u32,
        /// By whom.
        by: ResolvedBy,
        /// When.
        at_ms: Millis,
    },
    /// The floor changed hands.
    FloorChanged {
        /// New holder.
        floor: Floor,
        /// Why.
        cause: FloorCause,
        /// When.
        at_ms: Millis,
    },
    /// The customer service window moved.
    WindowMoved {
        /// It is open until then.
        until_ms: Millis,
    },
    /// The conversation needs an agent.
    ItemWanted {
        /// The item.
        item: ItemId,
        /// Version of the need.
        version: u32,
        /// Queue.
        queue: QueueId,
        /// Since when the customer waits (keeps its age over re-queues).
        since_ms: Millis,
    },
    /// An agent has the item.
    ItemAssigned {
        /// The item.
        item: ItemId,
        /// The agent.
        agent: AgentId,
        /// When.
        at_ms: Millis,
    },
    /// The item is no longer wanted (resolved, answered on the phone, joined away).
    ItemEnded {
        /// The item.
        item: ItemId,
        /// When.
        at_ms: Millis,
    },
    /// A command was answered; a repeat gets this again.
    CommandAnswered {
        /// The command.
        id: CommandId,
        /// The answer.
        answer: CommandAnswer,
    },
    /// The bot began or went on with its question.
    TurnTaken {
        /// The turn.
        turn: u64,
        /// Failed matches in this triage so far.
        misses: u32,
    },
    /// The bot went on in its flow.
    BotMoved {
        /// Where the customer is now.
        place: BotPlace,
    },
    /// The bot handed over to people; the item that follows is theirs.
    HandedOver {
        /// What they are told.
        brief: Brief,
        /// When.
        at_ms: Millis,
    },
    /// The customer said something that the external bot is to answer. A turn it was asked for before is stale.
    BotHeard {
        /// What.
        message: HeardMessage,
    },
    /// The external bot is asked for the current turn.
    BotAsked {
        /// The turn.
        turn: u64,
        /// How often it was asked for this turn.
        attempt: u32,
        /// Its call is lost when nothing came back until then.
        due_ms: Millis,
    },
    /// The external bot's answer for the current turn was taken; what it says follows as sends.
    BotAnswered {
        /// The turn.
        turn: u64,
    },
    /// The external bot did not do its work: it is not asked again in this episode.
    BotFailed {
        /// The turn.
        turn: u64,
        /// Why.
        why: BotFault,
    },
    /// A timer of the conversation was set or taken away.
    TimerSet {
        /// Which.
        timer: ConversationTimer,
        /// When it is due; `None` takes it away.
        at_ms: Option<Millis>,
    },
    /// Another address of the same customer is asked to join.
    Joining {
        /// The lower address.
        lower: EntityId,
        /// Meta timestamp and message of the pairing.
        paired_at: (Millis, MessageId),
    },
    /// The join came to an end.
    JoinEnded {
        /// The lower address.
        lower: EntityId,
    },
    /// A lower address belongs to another conversation by a later pairing; nothing is joined.
    LowerMoved {
        /// The lower address.
        lower: EntityId,
    },
    /// The state of a lower address became part of this conversation.
    Absorbed {
        /// The lower address.
        from: EntityId,
        /// Its encoded state.
        #[serde(with = "serde_bytes")]
        state: Vec<u8>,
    },
    /// This address forwards from now on.
    Forwarding {
        /// To the higher address.
        to: EntityId,
        /// Meta timestamp and message of the pairing.
        paired_at: (Millis, MessageId),
    },
    /// Somebody acted on where the conversation is routed. What it changes is recorded by the next events of the step.
    RoutingActed {
        /// What.
        act: RoutingAct,
        /// Who; `None` is an API client.
        by: Option<AgentId>,
        /// The agent who had it.
        from: Option<AgentId>,
        /// Number of the note that says why.
        note: Option<u64>,
        /// When.
        at_ms: Millis,
    },
    /// The snooze ended: the time came, or the customer wrote.
    SnoozeEnded {
        /// When.
        at_ms: Millis,
    },
    /// The agent who has the item is gone (or there again).
    AgentGone {
        /// Whether.
        gone: bool,
        /// When.
        at_ms: Millis,
    },
    /// A key entered the dedupe memory without anything else to record.
    KeySeen {
        /// 64-bit keyed hash of the key with its kind.
        key: u64,
        /// Meta time.
        at_ms: Millis,
    },
    /// Meta told what a message costs: once per message. It comes again only where Meta contradicts itself; then
    /// the later one replaces the earlier one.
    BillingRecorded {
        /// The message.
        message: MessageId,
        /// Our request, where known.
        request: Option<RequestId>,
        /// The price class.
        pricing: Pricing,
        /// Meta timestamp of the status that told it.
        at_ms: Millis,
    },
    /// A billing window reported by Meta opened or ends later than was known.
    BillingWindowMoved {
        /// Its category.
        category: String,
        /// It is open until then.
        until_ms: Millis,
    },
    /// The customer came by an advertisement: answered within a day, a free entry point opens.
    ReferralSeen {
        /// The message that brought it.
        message: MessageId,
        /// Meta timestamp.
        at_ms: Millis,
    },
    /// The free entry point, 72 h from the answer to a referral, ends then. An earlier answer that comes to be known
    /// late moves it back.
    FreeEntryMoved {
        /// Its end.
        until_ms: Millis,
    },
    /// The customer said whether marketing is welcome.
    MarketingWished {
        /// It is.
        allowed: bool,
        /// Meta timestamp.
        at_ms: Millis,
    },
    /// The customer left this address (the phone number): what is newer than `at_ms` is somebody else's, and goes
    /// to `to`.
    Retired {
        /// Meta timestamp of the change.
        at_ms: Millis,
        /// The conversation of whoever has the address now.
        to: EntityId,
    },
    /// The customer came back to this address.
    Unretired {
        /// Meta timestamp of the change.
        at_ms: Millis,
    },
    /// Who the customer is, as a change notice says: not the name.
    IdentityChanged {
        /// Number and workspace.
        via: Via,
        /// [`Identity`](crate::content::Identity).
        who: Sealed,
        /// Meta timestamp of the change.
        at_ms: Millis,
    },
}

/// What somebody did to where a conversation is routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoutingAct {
    /// Handed on.
    Transfer {
        /// To another queue.
        queue: Option<QueueId>,
        /// To an agent first.
        agent: Option<AgentId>,
    },
    /// Given to an agent, whatever its capacity.
    Assign {
        /// The agent.
        agent: AgentId,
    },
    /// Put back into its queue, or another.
    Requeue {
        /// Another queue.
        queue: Option<QueueId>,
    },
    /// Put aside.
    Snooze {
        /// Until then, or until the customer writes.
        until_ms: Millis,
    },
    /// Made a VIP, or no longer one.
    Vip {
        /// Whether.
        vip: bool,
    },
    /// Closed with a code.
    WrapUp {
        /// The code.
        code: String,
    },
}

/// Timers of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConversationTimer {
    /// `phone_answer_timeout`: the phone has not answered the customer.
    PhoneAnswer,
    /// `phone_floor_timeout`: silence on both sides.
    PhoneFloor,
    /// A join has not been answered.
    Join,
    /// Slow comparison of open items with the workspace.
    Compare,
    /// The end of a snooze.
    Snooze,
}
