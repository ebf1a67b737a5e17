//! The customer said whether marketing is welcome. It opens nothing and needs nobody; sends carry it to the Number.

use super::{ConversationEvent, Preference, decide::Step, state::Marketing};
use crate::MessageId;

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
    }
}
