//! Nobody knows what came of an attempt: a status that names our request may still tell.
//!
//! Statuses come to the conversation. Where deciding has fallen behind, one that was acknowledged long ago may stand
//! undecided in its inbox when the time to wait for it is over. So the conversation is asked before anything is sent again: the
//! question stands behind such a status in that inbox, and the answer behind what the conversation made of it.

use super::{
    Lane, NumberEvent, RetryCause,
    decide::Turn,
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
    let reconcile_ms = turn.draft.core().config.as_ref().map_or(0, |config| config.reconcile_ms);
    let until_ms = turn.now_ms.saturating_add(reconcile_ms);
    turn.record(NumberEvent::Reconciling { request, until_ms });
}

/// No status came in time. What may be repeated is asked for, again and again until there is an answer.
pub(super) fn on_overdue(turn: &mut Turn<'_>, id: RequestId) {
    let Some(live) = turn.draft.live(id) else { return };
    if turn.level < ASKS_FROM_LEVEL || !may_repeat(live, turn.now_ms) {
        return conclude(turn, id);
    }
    let (to, call) = (live.request.conversation, CallKey { request: id, attempt: live.attempt });
    turn.tell_conversation(to, ConversationInput::HeardOf { call, number: turn.me });
    begin(turn, id);
}

/// The conversation answers. What it heard is known here already, or comes by another address that joined it: then the
/// question is asked again when nothing comes.
pub(super) fn on_heard(turn: &mut Turn<'_>, call: CallKey, anything: bool) {
    let Some(live) = turn.draft.live(call.request) else { return };
    let waits = matches!(live.stage, Stage::Reconciling { .. }) && live.attempt == call.attempt;
    if waits && !anything {
        conclude(turn, call.request);
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
    let in_time = now_ms <= request.not_after_ms && now_ms < request.window_until_ms;
    lane_repeats && in_time && !live.cancelled && live.tries.unknown == 0
}
