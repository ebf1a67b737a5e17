//! What Meta says messages cost and which charged windows are open (whatsapp.md 2.4 and 5), and the free entry point
//! as far as it can be told from here. All of it merges: in whatever order webhooks come, it ends equal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConversationEvent, Status, StatusKind, decide::Step};
use crate::Millis;

/// A free entry point counts only when the business answers within so long, ms (whatsapp.md 5.3).
const ANSWER_WITHIN_MS: Millis = 24 * 3_600_000;
/// Length of a free entry point, from the answer, ms.
const FREE_ENTRY_MS: Millis = 72 * 3_600_000;
/// Longest window that Meta has; a later end is a wrong one.
const WINDOW_MS_MAX: Millis = 8 * 24 * 3_600_000;
/// Referrals remembered: who comes by advertisements comes by few within four days.
const REFERRALS_MAX: usize = 4;
/// Answers remembered, so that a referral that comes late finds the one that followed it.
const ANSWERS_MAX: usize = 16;
/// Categories whose windows are remembered; Meta has eleven.
const WINDOWS_MAX: usize = 16;

/// How Meta prices a message. Words are in lower case with `_` for `-`, however Meta spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pricing {
    /// `cbp` (until June 2025) or `pmp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `regular`, `free_customer_service`, `free_entry_point`, `free_group_customer_service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `service`, `utility`, `marketing`, `authentication_international`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Meta's own word on it, going to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable: Option<bool>,
    /// `paid_exempt` for exempt senders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
}

impl Pricing {
    /// Whether the message is charged, by type and subtype; where Meta gives no type, by `billable`.
    #[must_use]
    pub fn is_charged(&self) -> Option<bool> {
        if self.subtype.as_deref() == Some("paid_exempt") {
            return Some(false);
        }
        match self.kind.as_deref() {
            Some("regular") => Some(true),
            Some(kind) if kind.starts_with("free_") => Some(false),
            _ => self.billable,
        }
    }

    /// Of two that contradict each other: the one that says more, then the charged one (a ledger that is too high
    /// is found when it is compared with Meta's), then any, but always the same.
    fn rank(&self) -> (usize, bool, &Self) {
        let words = [&self.model, &self.kind, &self.category];
        let missing = words.into_iter().filter(|word| word.is_none()).count();
        (missing, self.is_charged() != Some(true), self)
    }

    /// Whether `self` is to be recorded where `known` is.
    #[must_use]
    pub fn replaces(&self, known: &Self) -> bool {
        self.rank() < known.rank()
    }
}

/// A charged (or free) conversation as Meta reports it on `sent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingWindow {
    /// Its category, spelled as in [`Pricing::category`]; `referral_conversion` is a free entry point.
    pub category: String,
    /// When it ends.
    pub until_ms: Millis,
}

/// The windows that are or were open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Billing {
    /// By category, as reported by Meta: the latest end.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    windows: BTreeMap<String, Millis>,
    /// Meta times at which the customer came by an advertisement; the newest, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    referrals: Vec<Millis>,
    /// Times at which a message of the API left; the newest, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Millis>,
    /// What was last recorded as the end of the free entry point.
    free_entry_until_ms: Millis,
}

impl Billing {
    pub(super) fn apply(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::BillingWindowMoved { category, until_ms } => {
                self.widen(category, *until_ms);
            }
            ConversationEvent::ReferralSeen { at_ms, .. } => {
                keep(&mut self.referrals, *at_ms, REFERRALS_MAX);
            }
            ConversationEvent::FreeEntryMoved { until_ms } => self.free_entry_until_ms = *until_ms,
            _ => {}
        }
    }

    /// A message of the API left.
    pub(super) fn left(&mut self, at_ms: Millis) {
        keep(&mut self.answers, at_ms, ANSWERS_MAX);
    }

    /// It left at another time than was reported first.
    pub(super) fn left_not(&mut self, at_ms: Millis) {
        self.answers.retain(|answer_ms| *answer_ms != at_ms);
    }

    /// Takes over what a joined address remembers; what is seen from outside follows as events.
    pub(super) fn absorb(&mut self, lower: &Self) {
        lower.referrals.iter().for_each(|at_ms| keep(&mut self.referrals, *at_ms, REFERRALS_MAX));
        lower.answers.iter().for_each(|at_ms| keep(&mut self.answers, *at_ms, ANSWERS_MAX));
    }

    fn widen(&mut self, category: &str, until_ms: Millis) {
        let known_ms = self.windows.entry(category.to_owned()).or_default();
        *known_ms = until_ms.max(*known_ms);
        while self.windows.len() > WINDOWS_MAX {
            let oldest = self.windows.iter().min_by_key(|(_, until_ms)| **until_ms);
            let Some(oldest) = oldest.map(|(category, _)| category.clone()) else { return };
            self.windows.remove(&oldest);
        }
    }

    /// 72 h from the first answer within a day after a referral; 0 without one. The latest of several.
    fn free_entry_ms(&self) -> Millis {
        let opened = self.referrals.iter().filter_map(|referral_ms| {
            let last_ms = referral_ms.saturating_add(ANSWER_WITHIN_MS);
            let answer_ms = self.answers.iter().find(|answer_ms| *answer_ms >= referral_ms)?;
            (*answer_ms <= last_ms).then(|| answer_ms.saturating_add(FREE_ENTRY_MS))
        });
        opened.max().unwrap_or(0)
    }
}

/// Adds a time to the newest ones.
fn keep(times: &mut Vec<Millis>, at_ms: Millis, max: usize) {
    if let Err(place) = times.binary_search(&at_ms) {
        times.insert(place, at_ms);
        if times.len() > max {
            times.remove(0);
        }
    }
}

impl Step<'_> {
    /// Records what a status says of the price, once per message.
    pub(super) fn bill(&mut self, status: &Status, at_ms: Millis) {
        let counts = matches!(
            status.status,
            StatusKind::Sent | StatusKind::Delivered | StatusKind::Read | StatusKind::Played
        );
        let Some(pricing) = status.pricing.as_deref().filter(|_| counts) else { return };
        if self.has_price(status, pricing) {
            return;
        }
        self.emit(ConversationEvent::BillingRecorded {
            message: status.message,
            request: status.request,
            pricing: pricing.clone(),
            at_ms,
        });
    }

    fn has_price(&self, status: &Status, pricing: &Pricing) -> bool {
        let recent = self.core.recents.get(status.message);
        let known = recent.and_then(|recent| recent.pricing.as_ref());
        known.is_some_and(|known| !pricing.replaces(known))
    }

    /// Records a window that a status reports.
    pub(super) fn widen_billing(&mut self, window: &BillingWindow, at_ms: Millis) {
        let BillingWindow { category, until_ms } = window;
        let known_ms = self.core.billing.windows.get(category).copied().unwrap_or(0);
        let is_believable = *until_ms <= at_ms.saturating_add(WINDOW_MS_MAX);
        if is_believable && *until_ms > known_ms {
            let category = category.clone();
            self.emit(ConversationEvent::BillingWindowMoved { category, until_ms: *until_ms });
        }
    }

    /// The windows of an address that joins this one.
    pub(super) fn absorb_billing(&mut self, lower: &Billing) {
        for (category, until_ms) in &lower.windows {
            let window = BillingWindow { category: category.clone(), until_ms: *until_ms };
            self.widen_billing(&window, *until_ms);
        }
        self.settle_free_entry();
    }

    /// Records the free entry point where a referral or an answer moved it.
    pub(super) fn settle_free_entry(&mut self) {
        let until_ms = self.core.billing.free_entry_ms();
        if until_ms != self.core.billing.free_entry_until_ms {
            self.emit(ConversationEvent::FreeEntryMoved { until_ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const H: Millis = 3_600_000;

    fn pricing(kind: Option<&str>, billable: Option<bool>) -> Pricing {
        Pricing { kind: kind.map(str::to_owned), billable, ..Pricing::default() }
    }

    #[test]
    fn what_is_charged_follows_from_the_type() {
        let exempt = Pricing {
            subtype: Some("paid_exempt".to_owned()),
            ..pricing(Some("regular"), Some(true))
        };
        for (pricing, expected) in [
            (pricing(Some("regular"), Some(false)), Some(true)),
            (pricing(Some("free_customer_service"), Some(true)), Some(false)),
            (pricing(Some("free_entry_point"), None), Some(false)),
            (pricing(Some("free_group_customer_service"), None), Some(false)),
            (pricing(None, Some(true)), Some(true)),
            (pricing(None, None), None),
            (pricing(Some("new_in_2027"), Some(false)), Some(false)),
            (exempt, Some(false)),
        ] {
            assert_eq!(pricing.is_charged(), expected, "{pricing:?}");
        }
    }

    #[test]
    fn a_free_entry_point_runs_from_the_first_answer_within_a_day() {
        for (referrals, answers, expected) in [
            (vec![], vec![5 * H], 0),
            (vec![10 * H], vec![], 0),
            (vec![10 * H], vec![9 * H], 0),
            (vec![10 * H], vec![10 * H], 82 * H),
            (vec![10 * H], vec![9 * H, 12 * H, 11 * H], 83 * H),
            (vec![10 * H], vec![34 * H], 106 * H),
            (vec![10 * H], vec![34 * H + 1], 0),
            (vec![10 * H, 50 * H], vec![12 * H, 51 * H], 123 * H),
        ] {
            let mut billing = Billing::default();
            for at_ms in &referrals {
                keep(&mut billing.referrals, *at_ms, REFERRALS_MAX);
            }
            answers.iter().for_each(|at_ms| billing.left(*at_ms));
            assert_eq!(billing.free_entry_ms(), expected, "{referrals:?} {answers:?}");
        }
    }

    fn any_pricing() -> impl Strategy<Value = Pricing> {
        let word = || proptest::option::of(proptest::sample::select(vec!["regular", "free_x"]));
        (word(), word(), any::<Option<bool>>()).prop_map(|(kind, category, billable)| Pricing {
            category: category.map(str::to_owned),
            ..pricing(kind, billable)
        })
    }

    proptest! {
        /// Whichever of several prices comes first, the same one is kept.
        #[test]
        fn contradicting_prices_end_in_one(
            (given, shuffled) in prop::collection::vec(any_pricing(), 1..6)
                .prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
        ) {
            let end = |all: &[Pricing]| {
                all.iter().fold(None::<Pricing>, |known, new| match known {
                    Some(known) if !new.replaces(&known) => Some(known),
                    _ => Some(new.clone()),
                })
            };
            prop_assert_eq!(end(&given), end(&shuffled));
        }
    }
}
