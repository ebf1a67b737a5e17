//! What a number records. Each event changes one part: `number` or `request/<id>`.

use serde::{Deserialize, Serialize};

use super::{NumberConfig, SendRequest};
use crate::{Millis, RequestId, conversation::SendOutcome};

/// An event of a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberEvent {
    /// Part `number`.
    Configured(NumberConfig),
    /// Part `request`: it waits in its lane.
    Queued {
        /// The request.
        request: Box<SendRequest>,
        /// Order of arrival within the number.
        order: u64,
    },
    /// Part `request`: the intent to send; the call starts once this is durable.
    Intended {
        /// The request.
        request: RequestId,
        /// Attempt, from 1.
        attempt: u32,
        /// When.
        at_ms: Millis,
        /// By then the call is over, whatever happened.
        over_ms: Millis,
    },
    /// Part `request`: the attempt ended without an answer; a status is waited for.
    Reconciling {
        /// The request.
        request: RequestId,
        /// Until when.
        until_ms: Millis,
    },
    /// Part `request`: another attempt will be made.
    RetryAt {
        /// The request.
        request: RequestId,
        /// Not before.
        at_ms: Millis,
        /// It repeats an attempt whose outcome stayed unknown.
        after_unknown: bool,
    },
    /// Part `request`: gone.
    Ended {
        /// The request.
        request: RequestId,
        /// How.
        outcome: SendOutcome,
        /// When.
        at_ms: Millis,
    },
    /// Part `number`: the next order number.
    Ordered {
        /// Last order given.
        order: u64,
    },
    /// Part `number`: nothing starts before then.
    Paused {
        /// Until when; `u64::MAX` until configured again.
        until_ms: Millis,
    },
    /// Part `number`: a cancel of a request that has not come yet.
    CancelKept {
        /// The request.
        request: RequestId,
        /// Forgotten then.
        not_after_ms: Millis,
    },
    /// Part `number`: an echo's text was noted for recognising automatic ones.
    EchoNoted {
        /// Keyed hash of its text.
        text_hash: u64,
        /// Conversation.
        conversation: crate::EntityId,
        /// The echo.
        message: crate::MessageId,
        /// Meta timestamp.
        at_ms: Millis,
    },
    /// Part `number`: wire data kept in the log; changes nothing else.
    Parked(super::Parked),
}
