//! A customer wrote.

use super::{
    Author, ConversationEvent, Direction, Echo, Floor, Inbound, MessageRecord, Via, bot,
    decide::{Arrival, Step},
    state::Weight,
};
use crate::{MessageId, Millis, Sealed, content::ContentKind, number::NumberInput};

/// Facts of who the customer is are recorded again after so long, ms: names change, a phone appears.
const IDENTITY_EVERY_MS: Millis = 24 * 3_600_000;
/// An echo that follows a customer's message this fast may be the app's greeting (design.md section 5), ms.
const AUTOMATIC_WITHIN_MS: Millis = 8_000;

pub(super) fn on_inbound(step: &mut Step<'_>, arrival: Arrival<'_>, inbound: &Inbound) {
    let at_ms = step.believable(inbound.at_ms);
    if step.base.dedupe.contains(arrival.key) {
        return;
    }
    let record = |episode| MessageRecord {
        message: inbound.message,
        direction: Direction::In,
        author: Author::Customer,
        kind: inbound.kind.clone(),
        at_ms,
        content: inbound.content.clone(),
        target: inbound.target,
        episode,
    };
    if step.base.dedupe.is_below_horizon(at_ms) {
        return step.emit(ConversationEvent::MessageRecorded(record(None)));
    }
    step.emit(ConversationEvent::KeySeen { key: arrival.key, at_ms });
    see_identity(step, arrival, inbound.via, &inbound.who, at_ms);
    if let Some(lower) = inbound.paired {
        step.pair(lower, (at_ms, inbound.message), inbound.via);
    }
    let weight = Weight::of(&inbound.kind);
    let late = at_ms / 1_000 < step.core.episode.settled_ms / 1_000;
    if weight == Weight::Speaks && !late && !step.core.episode.open {
        let n = step.core.episode.n.saturating_add(1);
        step.emit(ConversationEvent::EpisodeOpened { n, at_ms });
    }
    let episode = step.core.open_episode().filter(|_| !late);
    step.emit(ConversationEvent::MessageRecorded(record(episode)));
    let opens = match weight {
        Weight::Speaks => true,
        Weight::Reacts => step.rules.reaction_opens_window,
        Weight::Silent => inbound.kind == ContentKind::Edit && step.rules.edit_opens_window,
    };
    let until_ms = at_ms.saturating_add(step.rules.window_ms);
    if opens && until_ms > step.core.window_until_ms {
        step.emit(ConversationEvent::WindowMoved { until_ms });
    }
    if inbound.referral {
        step.emit(ConversationEvent::ReferralSeen { message: inbound.message, at_ms });
        step.settle_free_entry();
    }
    if weight == Weight::Speaks && !late {
        customer_spoke(step, arrival, inbound, at_ms);
    }
}

fn customer_spoke(step: &mut Step<'_>, arrival: Arrival<'_>, inbound: &Inbound, at_ms: Millis) {
    if step.core.floor == Floor::Phone {
        tell_untold(step, at_ms);
    }
    if at_ms < step.core.last_phone_ms {
        return; // Answered on the phone before it came to us.
    }
    step.said = Some(bot::heard(inbound, arrival.opened));
    step.keep_for_external(inbound, arrival.opened, at_ms);
    let since_ms = step.core.waiting_since_ms.map_or(at_ms, |known_ms| known_ms.min(at_ms));
    step.set_waiting(Some(since_ms));
    match &step.core.floor {
        Floor::Phone => step.time_phone(at_ms),
        Floor::Bot { .. } if !step.core.is_joining() => step.hear_answer(at_ms),
        _ => step.care(),
    }
}

pub(super) fn see_identity(
    step: &mut Step<'_>,
    arrival: Arrival<'_>,
    via: Via,
    who: &Sealed,
    at_ms: Millis,
) {
    let newer = match &step.core.contact {
        None => true,
        // A change notice does not say the name.
        Some(known) if known.thin => arrival.opened.reachable && at_ms >= known.at_ms,
        // Through another address only one identity is named; ours names more.
        Some(known) => {
            arrival.direct
                && arrival.opened.reachable
                && at_ms >= known.at_ms.saturating_add(IDENTITY_EVERY_MS)
        }
    };
    if newer {
        step.emit(ConversationEvent::IdentitySeen { via, who: who.clone(), at_ms });
    }
}

/// Asks the Number whether an echo was automatic, when it followed a customer's message within seconds.
/// Says whether it asked.
pub(super) fn ask_whether_automatic(step: &mut Step<'_>, echo: &Echo, at_ms: Millis) -> bool {
    let Some(hash) = echo.text_hash else { return false };
    follows(step.core.last_in_ms, at_ms) && ask(step, echo.message, hash, at_ms)
}

/// The same when the customer's message came after the echo that follows it.
fn tell_untold(step: &mut Step<'_>, at_ms: Millis) {
    let Some(phone) = &step.core.phone else { return };
    let (untold, echo_ms) = (phone.untold, phone.last_ms);
    if let Some((message, hash)) = untold.filter(|_| follows(at_ms, echo_ms)) {
        ask(step, message, hash, echo_ms);
    }
}

fn follows(in_ms: Millis, echo_ms: Millis) -> bool {
    in_ms > 0 && echo_ms >= in_ms && echo_ms - in_ms <= AUTOMATIC_WITHIN_MS
}

fn ask(step: &mut Step<'_>, message: MessageId, text_hash: u64, at_ms: Millis) -> bool {
    let Some(via) = step.core.via() else { return false };
    let conversation = step.me;
    step.tell_number(via.number, NumberInput::EchoSeen { conversation, message, text_hash, at_ms });
    true
}
