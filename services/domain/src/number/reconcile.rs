//! The conversation is asked before an attempt that may be wrong by now: what it has not decided yet may say so.
//!
//! Nobody knows what came of an attempt: a status that names our request may still tell. Statuses come to the conversation.
//! Where deciding has fallen behind, one that was acknowledged long ago may stand undecided in its inbox when the time to
//! wait for it is over. The question stands behind such a status in that inbox, and the answer behind what the conversation
//! made of it.
//!
//! In the same way a bot's message is stopped at the door when the phone has spoken to the customer meanwhile: if the
//! conversation takes it back because of that, it does so before it answers.

use super::{
    Lane, NumberEvent, RetryCause,
    decide::Turn,
    retry,
    state::{LiveRequest, Stage},
};
use crate::{
    Millis, RequestId,
    conversation::{ConversationInput, SendOutcome},
    effect::CallKey,
};

/// Format level from which on the conversation is asked; a build that knows less cannot read the question.
pub const ASKS_FROM_LEVEL: u16 = 3;

/// Waits for a status.
pub(super) fn begin(turn: &mut Turn<'_>, request: RequestId) {
    wait(turn, request, 0);
}

/// The door stopped it: the phone has spoken to the customer, and the conversation may not have decided that yet.
pub(super) fn on_overtaken(turn: &mut Turn<'_>, id: RequestId) {
    let asked_ms = turn.now_ms;
    if turn.level >= ASKS_FROM_LEVEL {
        return ask(turn, id, asked_ms);
    }
    // Nobody can be asked: it goes once more, and the door lets it pass.
    wait(turn, id, asked_ms);
    retry::on_not_started(turn, id);
}

/// Asks the conversation. `asked_ms`: when it was asked first whether an attempt that the door stopped may leave, else 0.
fn ask(turn: &mut Turn<'_>, id: RequestId, asked_ms: Millis) {
    let Some(live) = turn.draft.live(id) else { return };
    let (to, call) = (live.request.conversation, CallKey { request: id, attempt: live.attempt });
    turn.tell_conversation(to, ConversationInput::HeardOf { call, number: turn.me });
    wait(turn, id, asked_ms);
}

fn wait(turn: &mut Turn<'_>, request: RequestId, asked_ms: Millis) {
    let reconcile_ms = turn.draft.core().config.as_ref().map_or(0, |config| config.reconcile_ms);
    let until_ms = turn.now_ms.saturating_add(reconcile_ms);
    turn.record(NumberEvent::Reconciling { request, until_ms, asked_ms });
}

/// No status, or no answer, came in time. What may be repeated is asked for, again and again until there is an answer.
pub(super) fn on_overdue(turn: &mut Turn<'_>, id: RequestId, unsent: bool) {
    let Some(live) = turn.draft.live(id) else { return };
    let wanted = if unsent { in_time(live, turn.now_ms) } else { may_repeat(live, turn.now_ms) };
    match (wanted, unsent) {
        // What the phone said since it was asked first, the door will know.
        (true, true) => ask(turn, id, live.asked_ms),
        (true, false) if turn.level >= ASKS_FROM_LEVEL => ask(turn, id, 0),
        (false, true) => turn.end_lapsed(id),
        (_, false) => conclude(turn, id),
    }
}

/// The conversation answers. What it heard is known here already, or comes by another address that joined it: then the
/// question is asked again when nothing comes.
pub(super) fn on_heard(turn: &mut Turn<'_>, call: CallKey, anything: bool) {
    let Some(live) = turn.draft.live(call.request) else { return };
    match live.stage {
        Stage::Reconciling { unsent, .. } if live.attempt == call.attempt && !anything => {
            if unsent {
                retry::on_not_started(turn, call.request);
            } else {
                conclude(turn, call.request);
            }
        }
        _ => {}
    }
}

/// Nothing was heard: once more, flagged, or listed as unknown.
fn conclude(turn: &mut Turn<'_>, request: RequestId) {
    let Some(live) = turn.draft.live(request) else { return };
    if !may_repeat(live, turn.now_ms) {
        return turn.end(request, SendOutcome::Unknown);
    }
    turn.record(NumberEvent::RetryAt {
        request,
        at_ms: turn.now_ms,
        after_unknown: true,
        cause: RetryCause::Unknown,
        refused: None,
    });
}

/// Agents' and bots' free-form messages are repeated once, if they could leave now; everything else is listed as unknown.
fn may_repeat(live: &LiveRequest, now_ms: Millis) -> bool {
    let request = &live.request;
    let lane_repeats = request.free_form && matches!(request.lane, Lane::Agent | Lane::Bot);
    lane_repeats && in_time(live, now_ms) && !live.cancelled && live.tries.unknown == 0
}

fn in_time(live: &LiveRequest, now_ms: Millis) -> bool {
    let request = &live.request;
    now_ms <= request.not_after_ms && (!request.free_form || now_ms < request.window_until_ms)
}
