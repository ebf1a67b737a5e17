//! A conversation asks for a send, or takes one back.

use super::{
    Lane, NumberEvent, SendRequest,
    decide::Turn,
    on_fetch,
    state::{Request, Stage},
};
use crate::{
    Call, Millis, RequestId, Sealed, content::ContentKind, conversation::SendOutcome,
    effect::CallKey,
};

/// Queues a request. A repeat is ignored; one that was taken back before it came ends at once.
pub(super) fn on_request(turn: &mut Turn<'_>, request: &SendRequest) {
    let id = request.request;
    if turn.draft.request(id).is_some() {
        return;
    }
    let channel = on_fetch::is_channel(turn);
    let order = if channel { on_fetch::next_sequence(turn) } else { turn.draft.next_order() };
    turn.record(NumberEvent::Queued { request: Box::new(request.clone()), order });
    if turn.draft.core().cancels.contains_key(&id) {
        turn.end(id, SendOutcome::Cancelled);
    } else if channel {
        on_fetch::on_queued(turn, id, request);
    }
}

/// Ends what waits or is under way as unknown, as much as one step holds; what is left is given up when asked again.
pub(super) fn on_give_up(turn: &mut Turn<'_>) {
    for (id, attempt) in turn.draft.live_requests() {
        if !turn.has_room() {
            return;
        }
        if let Some(attempt) = attempt {
            turn.out.cancels.push(CallKey { request: id, attempt });
        }
        turn.end(id, SendOutcome::Unknown);
    }
}

/// Takes a request back. What may be under way is only kept from being repeated: its result decides.
pub(super) fn on_cancel(turn: &mut Turn<'_>, id: RequestId, not_after_ms: Millis) {
    match turn.draft.request(id) {
        None => {
            if turn.now_ms <= not_after_ms {
                turn.record(NumberEvent::CancelKept { request: id, not_after_ms });
            }
        }
        Some(Request::Ended(_)) => {}
        Some(Request::Live(live)) => match live.stage {
            Stage::Waiting | Stage::RetryAt { .. } | Stage::Reconciling { unsent: true, .. } => {
                turn.end_unsent(id, SendOutcome::Cancelled);
            }
            Stage::Calling { .. } | Stage::Reconciling { .. } | Stage::Fetched
                if live.cancelled => {}
            Stage::Calling { .. } | Stage::Reconciling { .. } | Stage::Fetched => {
                if live.is_calling() {
                    turn.out.cancels.push(CallKey { request: id, attempt: live.attempt });
                }
                turn.record(NumberEvent::CancelNoted { request: id });
            }
        },
    }
}

/// The customer's wish about marketing changed: what waits is judged by the new one when its turn comes.
pub(super) fn on_marketing_wished(turn: &mut Turn<'_>, requests: &[RequestId], stopped: bool) {
    for request in requests.iter().copied() {
        let asked = turn.draft.live(request).map(|live| &live.request);
        if asked.is_some_and(|it| it.is_marketing() && it.marketing_stopped != stopped)
            && turn.has_room()
        {
            turn.record(NumberEvent::MarketingWished { request, stopped });
        }
    }
}

/// Calls have left: they are no longer ahead of the door.
pub(super) fn on_departed(turn: &mut Turn<'_>, calls: &[CallKey]) {
    for key in calls {
        let live = turn.draft.live(key.request);
        if live.is_some_and(|live| live.attempt == key.attempt && live.is_ahead())
            && turn.has_room()
        {
            turn.record(NumberEvent::Departed { request: key.request });
        }
    }
}

/// One call, never repeated; nothing is remembered of it.
pub(super) fn on_mark(turn: &mut Turn<'_>, request: RequestId, message: &Sealed, typing: bool) {
    turn.out.calls.push(Call {
        key: CallKey { request, attempt: 0 },
        number: turn.me,
        lane: Lane::Agent,
        recipient: Sealed::default(),
        content: message.clone(),
        kind: ContentKind::Other(
            if typing { crate::effect::MARK_TYPING } else { crate::effect::MARK_READ }.to_owned(),
        ),
        rate_per_s: None,
        asked_ms: 0,
    });
}
