//! Meta reports what became of a message.

use super::{
    ConversationEvent, ConversationSignal, Floor, Status, StatusKind, decide::Step,
    on_echo::on_echo_was_ours,
};
use crate::{EntityId, MessageId, Millis, RequestId, effect::CallKey, number::NumberInput};

pub(super) fn on_status(step: &mut Step<'_>, status: &Status) {
    let at_ms = step.believable(status.at_ms);
    bill(step, status, at_ms);
    let known = step.core.recents.get(status.message).cloned().unwrap_or_default();
    let mut facts = known.facts;
    let adds = facts.merge(status.status, at_ms, status.error);
    let names_request = status.request.is_some() && known.request.is_none();
    if !adds && !names_request {
        return; // A repeat.
    }
    if let (None, Some(who)) = (&step.core.contact, &status.who) {
        let (via, who) = (status.via, who.clone());
        step.emit(ConversationEvent::IdentitySeen { via, who, at_ms });
    }
    prove(step, status);
    step.emit(ConversationEvent::StatusMerged {
        message: status.message,
        request: status.request,
        status: status.status,
        at_ms,
        error: status.error,
        content: status.content.clone(),
    });
    let moved = facts.shown().filter(|shown| Some(*shown) != known.facts.shown());
    let failed = Some(StatusKind::Failed).filter(|failed| *failed == status.status);
    if let Some(status_now) = moved.or(failed) {
        let message = status.message;
        step.signal(ConversationSignal::Status { message, status: status_now, at_ms });
    }
    step.settle_free_entry();
    if names_request {
        on_echo_was_ours(step, status.message);
    }
    if facts.shown() == Some(StatusKind::Failed) {
        on_lost(step, status.request, Some(status.message));
    }
}

/// What it costs is news also on a status that says nothing else.
fn bill(step: &mut Step<'_>, status: &Status, at_ms: Millis) {
    step.bill(status, at_ms);
    if let Some(window) = &status.window {
        step.widen_billing(window, at_ms);
    }
}

/// The Number does not know yet what came of its call: a status with our opaque id is the proof.
fn prove(step: &mut Step<'_>, status: &Status) {
    let Some(request) = status.request else { return };
    let Some(pending) = step.core.pending.get(&request) else { return };
    let failed = status.status == StatusKind::Failed;
    if pending.shown && !failed {
        return;
    }
    step.tell_number(
        status.via.number,
        NumberInput::StatusSeen {
            request,
            message: status.message,
            wamid: status.content.clone(),
            failed: failed.then(|| status.error.unwrap_or(0)),
            at_ms: status.at_ms,
        },
    );
}

/// The Number asks whether anything was heard of an attempt. What was, it has been told before.
pub(super) fn on_heard_of(step: &mut Step<'_>, call: CallKey, number: EntityId) {
    let anything = step.core.pending.get(&call.request).is_some_and(|pending| pending.shown);
    step.tell_number(number, NumberInput::Heard { call, anything });
}

/// A message did not reach the customer: whoever counts as having spoken by it has not.
pub(super) fn on_lost(step: &mut Step<'_>, request: Option<RequestId>, message: Option<MessageId>) {
    let asked = step.core.asked.filter(|_| matches!(step.core.floor, Floor::Bot { .. }));
    let was_question = asked.is_some_and(|asked| {
        Some(asked.request) == request || asked.message.is_some() && asked.message == message
    });
    if was_question {
        return step.give_up();
    }
    answer_again(step);
}

/// When everything that answered the customer's wait is lost, the customer still waits.
pub(super) fn answer_again(step: &mut Step<'_>) {
    let lost = step.core.answering.as_ref().filter(|answering| answering.sends.is_empty());
    let Some(since_ms) = lost.map(|answering| answering.since_ms) else { return };
    if step.core.waiting_since_ms.is_none() && step.core.episode.open {
        step.set_waiting(Some(since_ms));
        step.care();
    }
}
