//! What a decision asks for besides its events. Nothing of it happens before the events are durable.

use serde::{Deserialize, Serialize};

use crate::{
    EntityId, Hash16, RequestId, Sealed, SessionId,
    conversation::{ConversationInput, ConversationSignal, HeardMessage},
    number::NumberInput,
    workspace::{WorkspaceInput, WorkspaceSignal},
};

/// The result of one decision of an entity with events `E` and command answers `R`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<E, R> {
    /// Changes, in order.
    pub events: Vec<E>,
    /// Messages to entities.
    pub messages: Vec<ToEntity>,
    /// Outside calls to start.
    pub calls: Vec<Call>,
    /// Calls that must not start any more if they have not.
    pub cancels: Vec<CallKey>,
    /// Turns that an external bot is asked for.
    pub bot_calls: Vec<BotCall>,
    /// Turns that it need not be asked for any more.
    pub bot_cancels: Vec<BotKey>,
    /// Best-effort signals.
    pub signals: Vec<OutSignal>,
    /// Answer to a command.
    pub reply: Option<R>,
}

impl<E, R> Default for Outcome<E, R> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            messages: Vec::new(),
            calls: Vec::new(),
            cancels: Vec::new(),
            bot_calls: Vec::new(),
            bot_cancels: Vec::new(),
            signals: Vec::new(),
            reply: None,
        }
    }
}

/// A message to an entity. Keys are drawn by the shell from (sender, receiver, position in the decision).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToEntity {
    /// To a conversation or address.
    Conversation(EntityId, Box<ConversationInput>),
    /// To a workspace.
    Workspace(EntityId, Box<WorkspaceInput>),
    /// To a number.
    Number(EntityId, Box<NumberInput>),
}

/// Identifies one attempt of one send: also the idempotency key of its result and the id of its timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey {
    /// The request.
    pub request: RequestId,
    /// Attempt, from 1.
    pub attempt: u32,
}

/// An outside call. The executor opens what is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Which attempt of which request.
    pub key: CallKey,
    /// Number it leaves from (the executor knows its token and rate).
    pub number: EntityId,
    /// Class of outbound message; decides order at the door.
    pub lane: crate::number::Lane,
    /// Who it goes to ([`content::Identity`](crate::content::Identity)).
    pub recipient: Sealed,
    /// What is sent ([`content::Content`](crate::content::Content)).
    pub content: Sealed,
    /// Kind of what is sent; [`MARK_READ`] and [`MARK_TYPING`] are no messages.
    pub kind: crate::content::ContentKind,
    /// Messages a second at the door, where the number goes slower than configured.
    #[serde(default)]
    pub rate_per_s: Option<u32>,
    /// When the Number asked the conversation whether it may still leave (wall clock of the Number's owner, ms); 0: never.
    #[serde(default, skip_serializing_if = "crate::number::event::is_zero")]
    pub asked_ms: crate::Millis,
}

/// Identifies one attempt of one turn of an external bot. The bot itself knows conversation and turn only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BotKey {
    /// The conversation.
    pub conversation: Hash16,
    /// Its turn.
    pub turn: u64,
    /// Attempt, from 1.
    pub attempt: u32,
}

/// Asks an external bot for a turn. The executor opens what is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotCall {
    /// Which attempt of which turn.
    pub key: BotKey,
    /// Number, or channel account, of the conversation.
    pub number: EntityId,
    /// Who writes ([`content::Identity`](crate::content::Identity)).
    pub who: Sealed,
    /// What the customer said and nobody has answered, oldest first.
    pub heard: Vec<HeardMessage>,
}

/// Kind of a call that marks the target read.
pub const MARK_READ: &str = "mark_read";
/// Kind of a call that marks the target read and shows a typing indicator.
pub const MARK_TYPING: &str = "mark_typing";

/// A best-effort signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutSignal {
    /// To one agent's session (topic `session.<hex>`).
    Session(SessionId, WorkspaceSignal),
    /// To whoever watches a conversation (topic `conversation.<hex>`).
    Conversation(EntityId, ConversationSignal),
    /// A channel account has something to fetch (topic `replies.<hex>`); says nothing else.
    Replies(EntityId),
}
