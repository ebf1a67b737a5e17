//! What an attempt that did not succeed is followed by.

use super::{Lane, NumberEvent, Retry, RetryCause, decide::Turn, state::LiveRequest};
use crate::{Millis, RequestId, conversation::SendOutcome};

/// Least pause of a number after its throughput was exceeded (whatsapp.md 4.3), doubled while it goes on, ms.
const THROUGHPUT_PAUSE_MS: Millis = 1_000;
/// Doublings of that pause at most.
const THROUGHPUT_DOUBLINGS_MAX: u32 = 3;
/// A pair waits 4^n s; n at most.
const PAIR_POWER_MAX: u32 = 5;
/// First pause after service trouble, doubled each time, ms.
const SERVICE_PAUSE_MS: Millis = 2_000;
/// Repeats after service trouble.
const SERVICE_TRIES_MAX: u32 = 4;
/// Pause before 131047 is doubted once, ms.
const WINDOW_PAUSE_MS: Millis = 3_000;
/// 131047 is doubted only if the window is open for longer than this, ms.
const WINDOW_DOUBT_MS: Millis = 300_000;
/// Calls that did not start are repeated at once this often, then with growing pauses.
const NOT_STARTED_AT_ONCE: u32 = 3;
/// First pause between calls that do not start, doubled up to eight times it, ms.
const NOT_STARTED_PAUSE_MS: Millis = 125;

/// The provider refused.
pub(super) fn on_refused(turn: &mut Turn<'_>, id: RequestId, code: u32, retry: Retry, told: &str) {
    let Some(live) = turn.draft.live(id) else { return };
    let (tries, window_until_ms) = (live.tries, live.request.window_until_ms);
    let again = match retry {
        Retry::Never => None,
        Retry::NumberBackoff => {
            let doublings = tries.throughput.min(THROUGHPUT_DOUBLINGS_MAX);
            let pause_ms = THROUGHPUT_PAUSE_MS << doublings;
            pause(turn, turn.now_ms.saturating_add(pause_ms));
            Some((RetryCause::Throughput, pause_ms))
        }
        Retry::PairBackoff => {
            let pause_ms = 1_000 * 4_u64.pow(tries.pair.min(PAIR_POWER_MAX));
            Some((RetryCause::Pair, pause_ms))
        }
        Retry::ServiceBackoff => (tries.service < SERVICE_TRIES_MAX)
            .then(|| (RetryCause::Service, SERVICE_PAUSE_MS << tries.service)),
        Retry::OnceIfWindowOpen => {
            let open = window_until_ms > turn.now_ms.saturating_add(WINDOW_DOUBT_MS);
            (tries.window == 0 && open).then_some((RetryCause::Window, WINDOW_PAUSE_MS))
        }
        Retry::StopNumber => {
            pause(turn, Millis::MAX);
            Some((RetryCause::Stopped, 0))
        }
    };
    let failed = SendOutcome::Failed { code, told: told.to_owned() };
    match again {
        Some((cause, pause_ms)) => try_again(turn, id, cause, pause_ms, failed),
        None => turn.end_unsent(id, failed),
    }
}

/// It certainly did not leave: it is repeated at once.
pub(super) fn on_not_started(turn: &mut Turn<'_>, id: RequestId) {
    let Some(live) = turn.draft.live(id) else { return };
    let times = live.tries.not_started;
    let pause_ms = match times.checked_sub(NOT_STARTED_AT_ONCE) {
        None => 0,
        Some(more) => NOT_STARTED_PAUSE_MS << more.min(3),
    };
    try_again(turn, id, RetryCause::NotStarted, pause_ms, SendOutcome::Cancelled);
}

/// Nobody knows what became of an attempt, and no status came: agents' and bots' free-form messages once more, flagged;
/// everything else is listed as unknown.
pub(super) fn on_still_unknown(turn: &mut Turn<'_>, id: RequestId) {
    let Some(live) = turn.draft.live(id) else { return };
    if live.cancelled || live.tries.unknown > 0 || !repeats(live) || !in_time(live, turn.now_ms) {
        turn.end(id, SendOutcome::Unknown);
        return;
    }
    turn.record(NumberEvent::RetryAt {
        request: id,
        at_ms: turn.now_ms,
        after_unknown: true,
        cause: RetryCause::Unknown,
    });
}

/// The lane allows repeating an attempt whose outcome is unknown.
fn repeats(live: &LiveRequest) -> bool {
    live.request.free_form && matches!(live.request.lane, Lane::Agent | Lane::Bot)
}

/// It could leave now.
fn in_time(live: &LiveRequest, now_ms: Millis) -> bool {
    let window_open = !live.request.free_form || now_ms < live.request.window_until_ms;
    now_ms <= live.request.not_after_ms && window_open
}

/// Puts a request back into its place, unless it was taken back or would lapse before.
fn try_again(
    turn: &mut Turn<'_>,
    id: RequestId,
    cause: RetryCause,
    pause_ms: Millis,
    otherwise: SendOutcome,
) {
    let Some(live) = turn.draft.live(id) else { return };
    let at_ms = turn.now_ms.saturating_add(pause_ms);
    if live.cancelled {
        turn.end_unsent(id, SendOutcome::Cancelled);
    } else if at_ms > live.request.not_after_ms {
        turn.end_unsent(id, otherwise);
    } else {
        turn.record(NumberEvent::RetryAt { request: id, at_ms, after_unknown: false, cause });
    }
}

fn pause(turn: &mut Turn<'_>, until_ms: Millis) {
    if until_ms > turn.draft.core().paused_until_ms {
        turn.record(NumberEvent::Paused { until_ms });
    }
}
