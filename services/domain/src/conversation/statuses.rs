//! Delivery states of a message as a lattice: merged in any order, late or twice, they end equal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Pricing, StatusKind};
use crate::{MessageId, Millis, RequestId};

/// Messages whose statuses a conversation remembers, newest first: those that statuses still come for. The read
/// model keeps them all.
const RECENTS_MAX: usize = 32;

/// Everything that statuses said of one message: for each state its first time. Merging is commutative,
/// associative and idempotent, so the order of arrival does not matter (whatsapp.md 2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusFacts {
    /// The API took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_ms: Option<Millis>,
    /// Meta's servers took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_ms: Option<Millis>,
    /// It reached a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_ms: Option<Millis>,
    /// It was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_ms: Option<Millis>,
    /// It was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub played_ms: Option<Millis>,
    /// It failed, with the error code (0: none given). Kept beside a delivery: both are facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<(Millis, u32)>,
    /// Said to be deleted; never interpreted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_ms: Option<Millis>,
}

impl StatusFacts {
    /// Merges one status; says whether it added anything.
    pub fn merge(&mut self, status: StatusKind, at_ms: Millis, error: Option<u32>) -> bool {
        let fact = match status {
            StatusKind::Accepted => &mut self.accepted_ms,
            StatusKind::Sent => &mut self.sent_ms,
            StatusKind::Delivered => &mut self.delivered_ms,
            StatusKind::Read => &mut self.read_ms,
            StatusKind::Played => &mut self.played_ms,
            StatusKind::Deleted => &mut self.deleted_ms,
            StatusKind::Failed => return earliest(&mut self.failed, (at_ms, error.unwrap_or(0))),
        };
        earliest(fact, at_ms)
    }

    /// Merges what another place knows of the same message.
    pub fn merge_all(&mut self, other: &Self) {
        let times = [
            (StatusKind::Accepted, other.accepted_ms),
            (StatusKind::Sent, other.sent_ms),
            (StatusKind::Delivered, other.delivered_ms),
            (StatusKind::Read, other.read_ms),
            (StatusKind::Played, other.played_ms),
            (StatusKind::Deleted, other.deleted_ms),
        ];
        for (status, at_ms) in times {
            if let Some(at_ms) = at_ms {
                self.merge(status, at_ms, None);
            }
        }
        if let Some((at_ms, code)) = other.failed {
            self.merge(StatusKind::Failed, at_ms, Some(code));
        }
    }

    /// The state to show: the highest reached; a failure only where nothing was delivered. Never goes back.
    #[must_use]
    pub fn shown(&self) -> Option<StatusKind> {
        let reached = |at_ms: Option<Millis>, status| at_ms.map(|_| status);
        reached(self.played_ms, StatusKind::Played)
            .or_else(|| reached(self.read_ms, StatusKind::Read))
            .or_else(|| reached(self.delivered_ms, StatusKind::Delivered))
            .or_else(|| self.failed.map(|_| StatusKind::Failed))
            .or_else(|| reached(self.sent_ms, StatusKind::Sent))
            .or_else(|| reached(self.accepted_ms, StatusKind::Accepted))
    }
}

fn earliest<T: Ord>(fact: &mut Option<T>, seen: T) -> bool {
    if fact.as_ref().is_some_and(|known| *known <= seen) {
        return false;
    }
    *fact = Some(seen);
    true
}

/// What is remembered of one recent message that statuses come for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent {
    /// Newest time known of it; the oldest are forgotten first.
    pub(super) at_ms: Millis,
    /// Our request, once a status or an outcome named it.
    pub(super) request: Option<RequestId>,
    /// What its statuses said, also before the message itself was known.
    pub(super) facts: StatusFacts,
    /// What it costs, once recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pricing: Option<Pricing>,
}

/// The newest messages that statuses come for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Recents(BTreeMap<MessageId, Recent>);

impl Recents {
    pub(super) fn get(&self, message: MessageId) -> Option<&Recent> {
        self.0.get(&message)
    }

    /// Whether `message` is one of our own sends.
    pub(super) fn is_ours(&self, message: MessageId) -> bool {
        self.0.get(&message).is_some_and(|recent| recent.request.is_some())
    }

    pub(super) fn merge(
        &mut self,
        message: MessageId,
        request: Option<RequestId>,
        status: StatusKind,
        at_ms: Millis,
        error: Option<u32>,
    ) {
        let recent = self.0.entry(message).or_default();
        recent.request = recent.request.or(request);
        recent.at_ms = recent.at_ms.max(at_ms);
        recent.facts.merge(status, at_ms, error);
        self.bound();
    }

    pub(super) fn price(&mut self, message: MessageId, pricing: &Pricing, at_ms: Millis) {
        let recent = self.0.entry(message).or_default();
        recent.at_ms = recent.at_ms.max(at_ms);
        recent.pricing = Some(pricing.clone());
        self.bound();
    }

    pub(super) fn absorb(&mut self, lower: &Self) {
        for (message, theirs) in &lower.0 {
            let recent = self.0.entry(*message).or_default();
            recent.request = recent.request.or(theirs.request);
            recent.at_ms = recent.at_ms.max(theirs.at_ms);
            recent.facts.merge_all(&theirs.facts);
            if let Some(pricing) = &theirs.pricing
                && recent.pricing.as_ref().is_none_or(|known| pricing.replaces(known))
            {
                recent.pricing = Some(pricing.clone());
            }
        }
        self.bound();
    }

    fn bound(&mut self) {
        while self.0.len() > RECENTS_MAX {
            let oldest = self.0.iter().min_by_key(|(id, recent)| (recent.at_ms, **id));
            let Some(oldest) = oldest.map(|(id, _)| *id) else { return };
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::Hash16;

    const KINDS: [StatusKind; 7] = [
        StatusKind::Accepted,
        StatusKind::Sent,
        StatusKind::Delivered,
        StatusKind::Read,
        StatusKind::Played,
        StatusKind::Failed,
        StatusKind::Deleted,
    ];

    /// whatsapp.md P1: chatwoot #14529, `delivered` after `read` must not downgrade.
    #[test]
    fn delivered_after_read_does_not_downgrade_and_keeps_its_time() {
        let mut facts = StatusFacts::default();
        assert!(facts.merge(StatusKind::Read, 30, None));
        assert!(facts.merge(StatusKind::Delivered, 20, None));
        assert!(!facts.merge(StatusKind::Delivered, 20, None));
        assert_eq!(facts.shown(), Some(StatusKind::Read));
        assert_eq!(facts.delivered_ms, Some(20));
    }

    #[test]
    fn failed_after_delivered_keeps_both_facts() {
        let mut facts = StatusFacts::default();
        facts.merge(StatusKind::Delivered, 20, None);
        facts.merge(StatusKind::Failed, 30, Some(131_026));
        assert_eq!(facts.shown(), Some(StatusKind::Delivered));
        assert_eq!(facts.failed, Some((30, 131_026)));
    }

    #[test]
    fn sent_after_failed_stays_failed() {
        let mut facts = StatusFacts::default();
        facts.merge(StatusKind::Failed, 10, None);
        facts.merge(StatusKind::Sent, 5, None);
        assert_eq!(facts.shown(), Some(StatusKind::Failed));
    }

    #[test]
    fn the_oldest_message_is_forgotten_first() {
        let mut recents = Recents::default();
        for n in 0..=RECENTS_MAX {
            let message = MessageId(Hash16([u8::try_from(n).unwrap(); 16]));
            recents.merge(message, None, StatusKind::Sent, 1_000 - n as u64, None);
        }
        assert_eq!(recents.0.len(), RECENTS_MAX);
        assert!(recents.get(MessageId(Hash16([0; 16]))).is_some());
        assert!(recents.get(MessageId(Hash16([32; 16]))).is_none());
    }

    proptest! {
        #[test]
        fn any_order_and_any_repeat_end_equal(
            statuses in prop::collection::vec((select(&KINDS[..]), 0..50_u64, 0..3_u32), 0..12)
                .prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
        ) {
            let (given, shuffled) = statuses;
            let mut first = StatusFacts::default();
            for (kind, at_ms, code) in &given {
                let before = first.shown();
                first.merge(*kind, *at_ms, Some(*code));
                prop_assert!(first.shown() >= before || first.shown() != Some(StatusKind::Sent));
            }
            let mut second = StatusFacts::default();
            for (kind, at_ms, code) in shuffled.iter().chain(&given) {
                second.merge(*kind, *at_ms, Some(*code));
            }
            prop_assert_eq!(first, second);
            first.merge_all(&second);
            prop_assert_eq!(first, second);
        }
    }
}
