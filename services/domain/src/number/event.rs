//! What a number records. Each event changes one part: `number` or `request/<id>`.

use serde::{Deserialize, Serialize};

use super::{Lane, NumberConfig, PauseReason, SendRequest};
use crate::{Millis, RequestId, conversation::SendOutcome};

/// Why an attempt is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryCause {
    /// The outcome stayed unknown after reconciliation.
    Unknown,
    /// The call certainly did not start.
    NotStarted,
    /// Throughput of the number: everything on it pauses.
    Throughput,
    /// Pair rate: everything to this customer pauses until then.
    Pair,
    /// Service trouble.
    Service,
    /// 131047 although our clock says the window is open.
    Window,
    /// The number was stopped; it goes on when configured again.
    Stopped,
    /// Its lane pauses.
    Lane,
}

/// What a refused attempt was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Error code.
    pub code: u32,
    /// What the agent is told.
    pub told: String,
}

/// Why a channel pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCause {
    /// Why.
    pub reason: PauseReason,
    /// Meta's error code.
    pub code: u32,
    /// Pauses in a row.
    pub times: u32,
}

pub(crate) fn is_zero(ms: &Millis) -> bool {
    *ms == 0
}

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
        /// With this message counted, the customer's pair debt is paid off then; 0 when the attempt adds nothing to it.
        #[serde(default, skip_serializing_if = "is_zero")]
        pair_clear_ms: Millis,
    },
    /// Part `request`: its call has left by the door.
    Departed {
        /// The request.
        request: RequestId,
    },
    /// Part `request`: the platform of a channel account has fetched it; it may be on its way.
    Fetched {
        /// The request.
        request: RequestId,
        /// When.
        at_ms: Millis,
    },
    /// Part `request`: the attempt ended without an answer; a status is waited for.
    Reconciling {
        /// The request.
        request: RequestId,
        /// Until when.
        until_ms: Millis,
        /// The attempt was stopped at the door, and the conversation asked at this time; 0: it may have left.
        #[serde(default, skip_serializing_if = "is_zero")]
        asked_ms: Millis,
    },
    /// Part `request`: another attempt will be made.
    RetryAt {
        /// The request.
        request: RequestId,
        /// Not before.
        at_ms: Millis,
        /// It repeats an attempt whose outcome stayed unknown.
        after_unknown: bool,
        /// Why.
        cause: RetryCause,
        /// What the refused attempt was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Refused>,
    },
    /// Part `request`: its call was asked for by an earlier owner and may run until then.
    CallMayRun {
        /// The request.
        request: RequestId,
        /// By then the call is over, whatever happened.
        over_ms: Millis,
    },
    /// Part `request`: its conversation took it back while a call may be under way; the result decides.
    CancelNoted {
        /// The request.
        request: RequestId,
    },
    /// Part `request`: its customer's wish about marketing changed while it waited.
    MarketingWished {
        /// The request.
        request: RequestId,
        /// No more marketing; `false`: it is welcome again.
        stopped: bool,
    },
    /// Part `request`: it came to an end (or its end was corrected); its id is remembered for some minutes.
    Ended {
        /// The request.
        request: RequestId,
        /// How.
        outcome: SendOutcome,
        /// When.
        at_ms: Millis,
    },
    /// Part `request`: the id is forgotten too.
    Forgotten {
        /// The request.
        request: RequestId,
    },
    /// Part `number`: nothing starts before then.
    Paused {
        /// Until when; `u64::MAX` until configured again.
        until_ms: Millis,
        /// Set where a person has to act; then one call is tried at the end, and the rest waits for its result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<PauseCause>,
    },
    /// Part `number`: a call was accepted after a pause that had a cause; everything goes on.
    Resumed,
    /// Part `number`: nothing of a lane starts before then.
    LanePaused {
        /// The lane.
        lane: Lane,
        /// Until when.
        until_ms: Millis,
        /// Meta's error code.
        code: u32,
    },
    /// Part `number`: its throughput was exceeded; it goes slower and recovers by time.
    Slowed {
        /// Thousandths of the configured rate.
        permille: u32,
        /// When.
        at_ms: Millis,
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
