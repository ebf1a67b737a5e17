//! Why a request has no outcome yet, for who asks. Pure reading; nothing is decided and nothing is kept for it.

use serde::{Deserialize, Serialize};

use super::{
    NumberAnswer, PauseCause, Refused,
    draft::Draft,
    state::{LiveRequest, Stage},
};
use crate::{Millis, RequestId};

/// Requests of one question that are looked at.
const LOOKED_AT_MAX: usize = 100;

/// What a request without an outcome waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendWait {
    /// Its turn: others go first.
    Turn,
    /// Nothing of the number starts before then.
    Number {
        /// Until when; `u64::MAX` until configured again.
        until_ms: Millis,
        /// Why, where a person has to act.
        cause: Option<PauseCause>,
    },
    /// Nothing of its lane starts before then.
    Lane {
        /// Until when.
        until_ms: Millis,
    },
    /// The customer gets nothing before then: WhatsApp's limit of messages to one customer.
    Customer {
        /// Until when.
        until_ms: Millis,
    },
    /// Its next attempt.
    Retry {
        /// When.
        at_ms: Millis,
        /// What the last attempt was told.
        refused: Option<Refused>,
    },
    /// A call is under way.
    Calling,
    /// The call's outcome is unknown; a status is waited for.
    Status {
        /// Until when.
        until_ms: Millis,
    },
    /// A platform has fetched it and not confirmed it.
    Confirmation,
}

/// What those of `requests` wait for that have no outcome; of others nothing is said.
pub(super) fn waits(draft: &Draft<'_>, requests: &[RequestId], now_ms: Millis) -> NumberAnswer {
    let looked = requests.iter().take(LOOKED_AT_MAX);
    let waits = looked.filter_map(|id| Some((*id, wait(draft, draft.live(*id)?, now_ms))));
    NumberAnswer::Waits { waits: waits.collect() }
}

fn wait(draft: &Draft<'_>, live: &LiveRequest, now_ms: Millis) -> SendWait {
    let retry_ms = match live.stage {
        Stage::Calling { .. } => return SendWait::Calling,
        Stage::Reconciling { unsent: true, .. } => return SendWait::Turn,
        Stage::Reconciling { until_ms, .. } => return SendWait::Status { until_ms },
        Stage::Fetched => return SendWait::Confirmation,
        Stage::Waiting => 0,
        Stage::RetryAt { at_ms, .. } => at_ms,
    };
    let core = draft.core();
    let lane_ms = core.lanes.get(&live.request.lane).copied().unwrap_or(0);
    let customer_ms = draft.pair(live.request.customer).ready_ms;
    if core.pause.is_some() || core.paused_until_ms > now_ms {
        SendWait::Number { until_ms: core.paused_until_ms, cause: core.pause }
    } else if lane_ms > now_ms {
        SendWait::Lane { until_ms: lane_ms }
    } else if retry_ms > now_ms {
        SendWait::Retry { at_ms: retry_ms, refused: live.refused.clone() }
    } else if customer_ms > now_ms {
        SendWait::Customer { until_ms: customer_ms }
    } else {
        SendWait::Turn
    }
}
