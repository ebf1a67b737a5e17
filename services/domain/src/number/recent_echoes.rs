//! To whom the phone spoke lately, as far as a door has heard: earlier than the conversation decides it, however far deciding
//! has fallen behind.

use std::collections::{BTreeMap, VecDeque};

use crate::{Hash16, Millis};

/// An echo is remembered for so long: deciding is not further behind, ms.
const KEPT_MS: Millis = 600_000;
/// Echoes remembered at most; the oldest go first.
const KEPT_MAX: usize = 10_000;

/// The newest echo of each conversation, by the wall clock of who heard of it.
#[derive(Debug, Default)]
pub struct RecentEchoes {
    newest_ms: BTreeMap<Hash16, Millis>,
    order: VecDeque<(Millis, Hash16)>,
}

impl RecentEchoes {
    /// The phone spoke to the customer of `conversation`.
    pub fn note(&mut self, conversation: Hash16, now_ms: Millis) {
        self.newest_ms.insert(conversation, now_ms);
        self.order.push_back((now_ms, conversation));
        let kept_from_ms = now_ms.saturating_sub(KEPT_MS);
        while let Some(&(at_ms, conversation)) = self.order.front()
            && (at_ms < kept_from_ms || self.order.len() > KEPT_MAX)
        {
            self.order.pop_front();
            if self.newest_ms.get(&conversation) == Some(&at_ms) {
                self.newest_ms.remove(&conversation);
            }
        }
    }

    /// Whether the phone spoke after `asked_ms`, the moment at which the conversation was asked last (0: never).
    #[must_use]
    pub fn spoke_since(&self, conversation: Hash16, asked_ms: Millis, now_ms: Millis) -> bool {
        let newest_ms = self.newest_ms.get(&conversation).copied();
        newest_ms.is_some_and(|at_ms| at_ms > asked_ms && now_ms <= at_ms.saturating_add(KEPT_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Hash16 = Hash16([1; 16]);
    const BOB: Hash16 = Hash16([2; 16]);
    const T0: Millis = 1_800_000_000_000;

    #[test]
    fn who_was_asked_after_the_phone_spoke_may_be_written_to() {
        let mut echoes = RecentEchoes::default();
        echoes.note(ANN, T0);
        assert!(echoes.spoke_since(ANN, 0, T0));
        assert!(echoes.spoke_since(ANN, T0 - 1, T0 + 10));
        assert!(!echoes.spoke_since(ANN, T0, T0 + 10), "asked since");
        assert!(!echoes.spoke_since(BOB, 0, T0), "another customer");
        echoes.note(ANN, T0 + 20);
        assert!(echoes.spoke_since(ANN, T0, T0 + 20), "it spoke again");
    }

    #[test]
    fn echoes_are_forgotten_by_age_and_by_number() {
        let mut echoes = RecentEchoes::default();
        echoes.note(ANN, T0);
        assert!(echoes.spoke_since(ANN, 0, T0 + KEPT_MS));
        assert!(!echoes.spoke_since(ANN, 0, T0 + KEPT_MS + 1), "nobody had to speak for that");
        echoes.note(ANN, T0 + 1);
        for n in 0..=KEPT_MAX as u128 {
            echoes.note(Hash16(n.to_be_bytes()), T0 + 2);
        }
        assert_eq!((echoes.order.len(), echoes.newest_ms.len()), (KEPT_MAX, KEPT_MAX));
        assert!(!echoes.spoke_since(ANN, 0, T0 + 3));
    }
}
