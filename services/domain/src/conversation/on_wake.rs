//! Timers.

use super::{ConversationTimer, Floor, FloorCause, decide::Step, external};

pub(super) fn on_wake(step: &mut Step<'_>) {
    for timer in [
        ConversationTimer::Join,
        ConversationTimer::PhoneAnswer,
        ConversationTimer::PhoneFloor,
        ConversationTimer::Compare,
        ConversationTimer::Snooze,
    ] {
        if step.core.timers.get(&timer).is_none_or(|at_ms| *at_ms > step.now_ms) {
            continue;
        }
        step.set_timer(timer, None);
        match timer {
            ConversationTimer::Join => step.end_joins(),
            ConversationTimer::PhoneAnswer => on_phone_answer(step),
            ConversationTimer::PhoneFloor => on_phone_floor(step),
            ConversationTimer::Compare => step.repeat_need(),
            ConversationTimer::Snooze => step.end_snooze(),
        }
    }
    external::on_time(step);
}

/// The phone left the customer without an answer: the assigned agent speaks, or people are asked for.
fn on_phone_answer(step: &mut Step<'_>) {
    if step.core.floor != Floor::Phone || step.core.waiting_since_ms.is_none() {
        return;
    }
    match step.core.assigned().cloned() {
        Some(agent) => {
            step.change_floor(Floor::Desk { agent }, FloorCause::PhoneAnswerTimeout);
            // It may be gone.
            step.care();
        }
        None => {
            step.change_floor(Floor::Nobody, FloorCause::PhoneAnswerTimeout);
            step.want_item(None);
        }
    }
}

/// Silence on both sides: the phone's conversation is over. What its owner held for it is given back.
fn on_phone_floor(step: &mut Step<'_>) {
    if step.core.floor != Floor::Phone {
        return;
    }
    let before = step.core.phone.as_ref().map(|phone| phone.before.clone());
    step.change_floor(Floor::Nobody, FloorCause::PhoneFloorTimeout);
    let owner =
        step.core.assigned().filter(|agent| step.rules.phone_owner.as_ref() == Some(*agent));
    let held_before = matches!(&before, Some(Floor::Desk { agent }) if Some(agent) == owner);
    if owner.is_some() && !held_before && step.core.waiting_since_ms.is_none() {
        step.drop_item();
    }
    step.care();
}
