//! The Number reports what came of a send.

use super::{
    ConversationEvent, ConversationSignal, Floor, SendOutcome, StatusKind,
    decide::Step,
    on_echo::on_echo_was_ours,
    on_status::{answer_again, on_lost},
};
use crate::RequestId;

pub(super) fn on_send_outcome(step: &mut Step<'_>, request: RequestId, outcome: &SendOutcome) {
    let accepted = match outcome {
        SendOutcome::Accepted { message, .. } => Some(*message),
        _ => None,
    };
    let known = accepted.and_then(|message| step.core.recents.get(message).cloned());
    if !step.core.pending.contains_key(&request) {
        // It had ended. Only a proof that it left after all adds something: then it is in the thread as sent.
        let proven = known.as_ref().is_some_and(|recent| recent.facts.accepted_ms.is_some());
        if accepted.is_none() || proven {
            return;
        }
    }
    let was_question = matches!(step.core.floor, Floor::Bot { .. })
        && step.core.asked.is_some_and(|asked| asked.request == request);
    step.emit(ConversationEvent::SendResolved {
        request,
        outcome: outcome.clone(),
        at_ms: step.now_ms,
    });
    let Some(message) = accepted else {
        return if was_question { step.give_up() } else { answer_again(step) };
    };
    step.settle_free_entry();
    on_echo_was_ours(step, message);
    let Some(known) = known else { return };
    // Statuses that came before the answer join now.
    if let Some(status) = known.facts.shown() {
        step.signal(ConversationSignal::Status { message, status, at_ms: known.at_ms });
        if status == StatusKind::Failed {
            on_lost(step, Some(request), Some(message));
        }
    }
}
