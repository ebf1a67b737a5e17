//! The customer said whether marketing is welcome. It opens nothing and needs nobody. Sends carry it to the Number, and of
//! those that have no outcome yet the Number is told when it changes.

use super::{ConversationEvent, Preference, decide::Step, state::Marketing};
use crate::{MessageId, RequestId, number::NumberInput};

pub(super) fn on_preference(step: &mut Step<'_>, preference: &Preference) {
    let at_ms = step.believable(preference.at_ms);
    let wish = Marketing { at_ms, stopped: !preference.allowed };
    if step.core.marketing >= Some(wish) {
        return; // A repeat, or a newer one is known.
    }
    if step.core.contact.is_none() {
        let (via, who) = (preference.via, preference.who.clone());
        step.emit(ConversationEvent::IdentitySeen { via, who, at_ms });
    }
    if let Some(lower) = preference.paired {
        step.pair(lower, (at_ms, MessageId::default()), preference.via);
    }
    step.wish_marketing(wish);
}

impl Step<'_> {
    pub(super) fn wish_marketing(&mut self, wish: Marketing) {
        let Marketing { at_ms, stopped } = wish;
        self.emit(ConversationEvent::MarketingWished { allowed: !stopped, at_ms });
        self.tell_wish();
    }

    /// The Number judges what waits by the wish of now.
    pub(super) fn tell_wish(&mut self) {
        let requests: Vec<RequestId> = self.core.pending.keys().copied().collect();
        if let (Some(via), Some(wish)) = (self.core.via(), self.core.marketing)
            && !requests.is_empty()
        {
            let stopped = wish.stopped;
            self.tell_number(via.number, NumberInput::MarketingWished { requests, stopped });
        }
    }
}
