//! Pair rate as debt (whatsapp.md 4.4): a message to one customer costs 6 s, a debt of up to 45 messages is allowed, and it is
//! paid off by time. Kept as the moment at which it is paid off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Hash16, Millis};

/// One message is paid off in so long, ms.
const DRAIN_MS: Millis = 6_000;
/// Messages of debt at most, with the one that is about to go.
const BURST: Millis = 45;

/// Debts by customer; none where it is long paid off.
pub(super) type Pairs = BTreeMap<Hash16, PairMark>;

/// The debt with a customer after a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PairMark {
    /// It is paid off then.
    pub(super) clear_ms: Millis,
    /// The next message may go then; 0: at once.
    pub(super) ready_ms: Millis,
}

impl PairMark {
    /// The debt that is paid off at `clear_ms`, after a message at `at_ms`.
    pub(super) fn new(clear_ms: Millis, at_ms: Millis) -> Self {
        let ready_ms = clear_ms.saturating_sub((BURST - 1) * DRAIN_MS);
        Self { clear_ms, ready_ms: if ready_ms > at_ms { ready_ms } else { 0 } }
    }

    /// When the debt is paid off with another message at `now_ms`.
    pub(super) fn with_another(self, now_ms: Millis) -> Millis {
        self.clear_ms.max(now_ms).saturating_add(DRAIN_MS)
    }
}
