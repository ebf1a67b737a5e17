//! The result of a call.

use super::{
    CallAnswer, NumberEvent,
    decide::Turn,
    on_status::{Seen, accepted},
    reconcile, retry,
    state::{Fate, Request, Stage},
};
use crate::effect::CallKey;

/// Judges an attempt. Of an attempt that is no longer the latest, or of a request that has ended, only acceptance counts.
pub(super) fn on_result(turn: &mut Turn<'_>, key: CallKey, answer: &CallAnswer) {
    let id = key.request;
    match turn.draft.request(id) {
        None => {}
        Some(Request::Ended(ended)) => {
            let doubtful = matches!(ended.fate, Fate::Unknown | Fate::Cancelled);
            if let CallAnswer::Accepted { message, wamid } = answer
                && doubtful
            {
                let seen = Seen { message: *message, wamid, at_ms: turn.now_ms };
                turn.end(id, accepted(&seen, false));
            }
        }
        Some(Request::Live(live)) => {
            let latest = key.attempt == live.attempt;
            let open = matches!(live.stage, Stage::Calling { .. } | Stage::Reconciling { .. });
            match answer {
                CallAnswer::Accepted { message, wamid } => {
                    if !latest && live.is_calling() {
                        turn.out.cancels.push(CallKey { request: id, attempt: live.attempt });
                    }
                    let seen = Seen { message: *message, wamid, at_ms: turn.now_ms };
                    let outcome = accepted(&seen, live.repeated);
                    if turn.draft.core().pause.is_some() {
                        turn.record(NumberEvent::Resumed);
                    }
                    turn.end(id, outcome);
                }
                _ if !latest || !open => {}
                CallAnswer::Refused { code, retry, told } => {
                    retry::on_refused(turn, id, *code, *retry, told);
                }
                CallAnswer::NotStarted { overtaken: true, .. } if !live.cancelled => {
                    reconcile::on_overtaken(turn, id);
                }
                CallAnswer::NotStarted { .. } => retry::on_not_started(turn, id),
                CallAnswer::Unknown { .. } => {
                    if live.is_calling() {
                        reconcile::begin(turn, key.request);
                    }
                }
            }
        }
    }
}
