//! A status names one of our requests: the provider has the message, whatever became of the call.

use super::{
    decide::Turn,
    state::{Fate, Request},
};
use crate::{MessageId, Millis, RequestId, Sealed, conversation::SendOutcome, effect::CallKey};

/// What a status says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) message: MessageId,
    pub(super) wamid: &'a Sealed,
    pub(super) at_ms: Millis,
}

/// Ends a request that is still open, corrects one that ended in doubt, and tells the conversation of one that is
/// forgotten.
pub(super) fn on_status(turn: &mut Turn<'_>, id: RequestId, seen: &Seen<'_>, failed: Option<u32>) {
    let outcome = |repeated| match failed {
        None => accepted(seen, repeated),
        Some(code) => {
            let told = format!("The message was not delivered (code {code}).");
            SendOutcome::Failed { code, told }
        }
    };
    match turn.draft.request(id) {
        None => turn.tell(id.conversation_entity(), id, outcome(false)),
        Some(Request::Ended(ended)) => {
            if matches!(ended.fate, Fate::Unknown | Fate::Cancelled) {
                turn.end(id, outcome(false));
            }
        }
        Some(Request::Live(live)) => {
            if live.is_calling() {
                // A second attempt that has not left yet need not.
                turn.out.cancels.push(CallKey { request: id, attempt: live.attempt });
            }
            let repeated = live.repeated;
            turn.end(id, outcome(repeated));
        }
    }
}

/// The provider has it.
pub(super) fn accepted(seen: &Seen<'_>, repeated: bool) -> SendOutcome {
    SendOutcome::Accepted {
        message: seen.message,
        wamid: seen.wamid.clone(),
        at_ms: seen.at_ms,
        repeated,
    }
}
