//! What a number is told.

use serde::{Deserialize, Serialize};

use super::SendWait;
use crate::{
    BusinessId, EntityId, Hash16, MessageId, Millis, RequestId, Sealed, content::ContentKind,
    effect::CallKey,
};

/// Class of outbound message; the order is the order at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// An agent's reply: never waits behind a campaign.
    Agent,
    /// A bot's reply.
    Bot,
    /// Utility and authentication templates.
    Utility,
    /// Campaigns.
    Campaign,
}

/// How a number is deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberMode {
    /// Cloud API alone: 80 or 1,000 messages a second, inbound counts too (whatsapp.md 4.4).
    #[default]
    Api,
    /// Shared with the phone app: 20 messages a second, in and out together, fixed.
    Coexistence,
    /// No phone number at all: the account of a platform that fetches what is to be sent
    /// ([`NumberInput::Fetch`]) and confirms it. Nothing is called, there are no templates.
    Channel,
}

/// A number as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberConfig {
    /// Tenant.
    pub business: BusinessId,
    /// Deployment.
    pub mode: NumberMode,
    /// Messages a second, in and out together.
    pub rate_per_s: u32,
    /// How long a status with our opaque id is waited for after an unknown outcome, ms (30,000).
    pub reconcile_ms: Millis,
    /// Longest a call can take from the record that asked for it: `start_by` plus hard limit, ms (12,000).
    pub call_over_ms: Millis,
    /// A call starts within this of being asked for, or not at all, ms.
    #[serde(default, skip_serializing_if = "super::event::is_zero")]
    pub start_by_ms: Millis,
}

/// An input of a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberInput {
    /// The configuration to use from now on (sent at every start; an equal one changes nothing).
    Configure(NumberConfig),
    /// A conversation asks for a send.
    Request(Box<SendRequest>),
    /// A conversation takes a request back. Of an unknown request it is kept until `not_after`.
    Cancel {
        /// The request.
        request: RequestId,
        /// When the request would lapse anyway.
        not_after_ms: Millis,
    },
    /// A status with our opaque id came for a request whose outcome the conversation does not know.
    StatusSeen {
        /// The request.
        request: RequestId,
        /// The message.
        message: MessageId,
        /// Its wamid.
        wamid: Sealed,
        /// It says that the send failed, with this code.
        failed: Option<u32>,
        /// Meta timestamp.
        at_ms: Millis,
    },
    /// Calls of these attempts have left by the door: they are no longer ahead of it.
    Departed {
        /// The attempts.
        calls: Vec<CallKey>,
    },
    /// Marks a message of a customer read, perhaps with a typing indicator: best effort, once, outside the rate.
    Mark {
        /// Its id among the requests of its conversation.
        request: RequestId,
        /// The customer's message ([`Content`](crate::content::Content) with `target_wamid`).
        message: Sealed,
        /// Shows a typing indicator, too.
        typing: bool,
    },
    /// The customer's wish about marketing changed while these requests had no outcome.
    MarketingWished {
        /// The requests.
        requests: Vec<RequestId>,
        /// The customer asked for no more marketing; `false`: it is welcome again.
        stopped: bool,
    },
    /// Asks whether there is room for so many more messages of programs; answered with [`NumberAnswer`].
    Room {
        /// How many.
        wanted: u32,
    },
    /// Asks what these requests wait for; answered with [`NumberAnswer::Waits`].
    Look {
        /// The requests.
        requests: Vec<RequestId>,
    },
    /// A phone echo joined a thread within 8 s of the customer's message.
    EchoSeen {
        /// Conversation.
        conversation: EntityId,
        /// The echo.
        message: MessageId,
        /// Keyed hash of its text.
        text_hash: u64,
        /// Meta timestamp.
        at_ms: Millis,
    },
    /// The platform of a channel account fetches what it is to send. Answered by
    /// [`NumberAnswer::Replies`]; what is fetched counts as possibly sent from then on.
    Fetch {
        /// Only what has a greater sequence than this; 0: everything that is not confirmed.
        after: u64,
    },
    /// Something of this number that no entity decides on yet, or content too large for one input: it is
    /// recorded in the log as it came (event [`NumberEvent::Parked`](super::NumberEvent::Parked)).
    Parked(Parked),
    /// Answer to [`ConversationInput::HeardOf`](crate::conversation::ConversationInput::HeardOf). What the conversation
    /// heard of the request it has passed on before. From format level 3 on.
    Heard {
        /// The attempt that was asked for.
        call: CallKey,
        /// A status of its request came.
        anything: bool,
    },
    /// After a restore an operator declares the outcome of everything that waits or is under way unknown: nothing
    /// of it leaves any more.
    GiveUp,
}

/// Answer of a number to who waits for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberAnswer {
    /// What the platform is to send, by rising sequence.
    Replies {
        /// The replies.
        replies: Vec<Reply>,
        /// There are later ones.
        more: bool,
    },
    /// This number is no channel account: nothing is fetched from it.
    NoChannel,
    /// Whether there is room.
    Room {
        /// Messages that wait or are under way.
        waiting: u32,
        /// How many may.
        limit: u32,
        /// There is room then, ms; 0: now.
        retry_after_ms: Millis,
    },
    /// What those requests wait for that have no outcome yet.
    Waits {
        /// Each with what it waits for.
        waits: Vec<(RequestId, SendWait)>,
    },
}

/// A message that a platform is to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Its request.
    pub request: RequestId,
    /// Its place in the order of the account; rises, with gaps.
    pub sequence: u64,
    /// Agent or bot.
    pub lane: Lane,
    /// Who it goes to.
    pub recipient: Sealed,
    /// What is to be sent.
    pub content: Sealed,
    /// Kind of content.
    pub kind: ContentKind,
    /// Not to be sent after this.
    pub not_after_ms: Millis,
    /// It was fetched before and is not confirmed.
    pub again: bool,
}

/// A piece of wire data kept in the log until a part of the product reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Closed name of what it is (`history`, `group`, `large_message`, …).
    pub what: String,
    /// Keyed hash of the whole.
    pub hash: Hash16,
    /// Which piece, from 0.
    pub chunk: u32,
    /// How many pieces.
    pub chunks: u32,
    /// The piece (at most 64 KiB in clear).
    pub content: Sealed,
}

/// A send as a conversation asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequest {
    /// Its id.
    pub request: RequestId,
    /// Address that is told the outcome.
    pub conversation: EntityId,
    /// Per customer one call is in flight: calls of equal keys keep their order.
    pub customer: Hash16,
    /// Lane.
    pub lane: Lane,
    /// Free-form (needs an open customer service window) or template.
    pub free_form: bool,
    /// The customer service window is open until then, as the conversation knew.
    pub window_until_ms: Millis,
    /// Not to be started after this.
    pub not_after_ms: Millis,
    /// Who it goes to.
    pub recipient: Sealed,
    /// What is sent.
    pub content: Sealed,
    /// Kind of content.
    pub kind: ContentKind,
    /// Its template is a marketing one, as who asked for it says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marketing: bool,
    /// The customer asked for no more marketing (whatsapp.md 8, `user_preferences`), as the conversation knew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marketing_stopped: bool,
}

impl SendRequest {
    /// It must not leave while the customer wants no marketing. A campaign is marketing whatever it says of itself.
    #[must_use]
    pub fn is_marketing(&self) -> bool {
        self.marketing || self.lane == Lane::Campaign
    }
}

/// What an executor found out about one attempt, already free of Meta's wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallAnswer {
    /// Meta accepted it.
    Accepted {
        /// The message.
        message: MessageId,
        /// Its wamid, sealed.
        wamid: Sealed,
    },
    /// Meta refused it.
    Refused {
        /// Error code.
        code: u32,
        /// What the code asks for.
        retry: Retry,
        /// What the agent is told.
        told: String,
    },
    /// It certainly did not leave.
    NotStarted {
        /// Why.
        why: String,
        /// It was stopped at the door: the phone has spoken to the customer, and the conversation was not asked since.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        overtaken: bool,
    },
    /// Nobody knows.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Retry class of a refusal (whatsapp.md 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retry {
    /// Never again.
    Never,
    /// Throughput of the number: the whole number pauses, at least 1 s with jitter of the executor.
    NumberBackoff,
    /// Pair rate: this customer pauses 4^attempt seconds.
    PairBackoff,
    /// Service trouble: exponential backoff, few times.
    ServiceBackoff,
    /// 131047 although our clock says the window is open: once more after a few seconds.
    OnceIfWindowOpen,
    /// Token or account trouble: the number stops until it is configured again.
    StopNumber,
    /// Wait, and try again.
    Wait(Wait),
    /// The channel pauses: until it is configured again, or until its time has come to try one call.
    Stop(PauseReason),
}

/// How an attempt is waited with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What waits.
    pub scope: WaitScope,
    /// The first time; doubled each time after, ms.
    pub first_ms: Millis,
    /// Attempts in all; `None`: as long as the message is wanted.
    pub attempts_max: Option<u32>,
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitScope {
    /// This message.
    Message,
    /// Everything on the number.
    Number,
    /// Everything of one lane on the number; a message of another lane that met it fails.
    Lane(Lane),
}

/// Why a channel is paused; a person has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PauseReason {
    /// The access token is bad or has expired.
    Token,
    /// A permission or capability is missing.
    Permission,
    /// Blocked or locked for policy.
    Policy,
    /// The number is not (properly) registered, or gone.
    Registration,
    /// Payment.
    Payment,
}

impl PauseReason {
    /// How long before one call is tried, the first time; doubled up to four hours, ms.
    #[must_use]
    pub fn first_pause_ms(self) -> Millis {
        match self {
            Self::Token => 300_000,
            Self::Permission | Self::Registration => 600_000,
            Self::Payment => 1_800_000,
            Self::Policy => 3_600_000,
        }
    }

    /// Its name in metrics and on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Permission => "permission",
            Self::Policy => "policy",
            Self::Registration => "registration",
            Self::Payment => "payment",
        }
    }

    /// What an agent is told whose message could not wait any longer.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Token => {
                "Not sent: the channel's access to WhatsApp has ended. Ask an administrator to renew it, then send again."
            }
            Self::Permission => {
                "Not sent: the channel lacks a permission at WhatsApp. Ask an administrator to grant it, then send again."
            }
            Self::Policy => {
                "Not sent: WhatsApp has blocked this account. Ask an administrator; reach the customer another way meanwhile."
            }
            Self::Registration => {
                "Not sent: the number is not registered at WhatsApp. Ask an administrator to register it, then send again."
            }
            Self::Payment => {
                "Not sent: WhatsApp has a payment problem with this account. Ask an administrator to settle it, then send again."
            }
        }
    }
}
