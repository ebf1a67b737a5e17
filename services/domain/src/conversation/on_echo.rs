//! Somebody wrote to the customer from the phone app.

use super::{
    Author, ConversationEvent, Direction, Echo, Floor, FloorCause, MessageRecord,
    decide::{Arrival, Step},
    on_inbound::{ask_whether_automatic, see_identity},
    state::Weight,
};
use crate::{MessageId, Millis};

/// Meta tells whole seconds: within the second of a desk's message nobody knows who spoke first, and the person on the
/// phone is believed.
const META_TICK_MS: Millis = 1_000;

pub(super) fn on_echo(step: &mut Step<'_>, arrival: Arrival<'_>, echo: &Echo) {
    let at_ms = step.believable(echo.at_ms);
    if step.base.dedupe.contains(arrival.key) {
        return;
    }
    let below = step.base.dedupe.is_below_horizon(at_ms);
    if !below {
        step.emit(ConversationEvent::KeySeen { key: arrival.key, at_ms });
    }
    if step.core.recents.is_ours(echo.message) {
        return; // Meta echoed what we sent by the API; it is in the thread.
    }
    let record = MessageRecord {
        message: echo.message,
        direction: Direction::Out,
        author: Author::Phone { automatic: echo.configured_automatic },
        kind: echo.kind.clone(),
        at_ms,
        content: echo.content.clone(),
        target: echo.target,
        episode: step.core.open_episode().filter(|_| !below),
    };
    if below {
        return step.emit(ConversationEvent::MessageRecorded(record));
    }
    see_identity(step, arrival, echo.via, &echo.who, at_ms);
    if let Some(lower) = echo.paired {
        step.pair(lower, (at_ms, echo.message), echo.via);
    }
    step.emit(ConversationEvent::MessageRecorded(record));
    let takes = Weight::of(&echo.kind) == Weight::Speaks && !echo.configured_automatic;
    let over_ms = at_ms.saturating_add(step.rules.phone_floor_timeout_ms);
    if takes && step.now_ms < over_ms && at_ms.saturating_add(META_TICK_MS) > step.core.last_desk_ms
    {
        let asked = ask_whether_automatic(step, echo, at_ms);
        step.take_for_phone(echo.message, at_ms, echo.text_hash.filter(|_| !asked));
    }
}

/// The Number recognised an echo as the app's greeting or away message.
pub(super) fn on_echo_was_automatic(step: &mut Step<'_>, message: MessageId) {
    step.emit(ConversationEvent::EchoAutomatic { message });
    give_back_unless_a_person_spoke(step);
}

/// A message that was taken for a phone's is our own.
pub(super) fn on_echo_was_ours(step: &mut Step<'_>, message: MessageId) {
    let is_cause = step.core.phone.as_ref().is_some_and(|p| p.causes.contains(&message));
    if is_cause {
        on_echo_was_automatic(step, message);
    }
}

fn give_back_unless_a_person_spoke(step: &mut Step<'_>) {
    let Some(phone) = step.core.phone.clone() else { return };
    if phone.certain || !phone.causes.is_empty() {
        return;
    }
    let waited = [phone.waited_since_ms, step.core.waiting_since_ms].into_iter().flatten().min();
    // What the phone's owner was given because of it goes back to the queue.
    let owners = step.core.assigned().is_some_and(|a| step.rules.phone_owner.as_ref() == Some(a));
    let owned_before = match &phone.before {
        Floor::Desk { agent } => step.core.assigned() == Some(agent),
        _ => false,
    };
    if owners && !owned_before {
        step.want_item(None);
    }
    if step.core.episode.open {
        step.set_waiting(waited);
    }
    let cut = phone.bot_cut || step.core.unheard;
    match phone.before {
        Floor::Desk { agent } if owned_before => {
            step.change_floor(Floor::Desk { agent }, FloorCause::EchoWasAutomatic);
        }
        Floor::Bot { .. } if step.core.item.is_none() => {
            let (misses, turn) = (step.core.misses, step.core.turn.saturating_add(1));
            let asked = step.core.asked;
            step.change_floor(Floor::Bot { turn }, FloorCause::EchoWasAutomatic);
            step.emit(ConversationEvent::TurnTaken { turn, misses });
            if cut || asked.is_none() {
                step.ask_again();
            }
        }
        _ => step.change_floor(Floor::Nobody, FloorCause::EchoWasAutomatic),
    }
    step.care();
}
