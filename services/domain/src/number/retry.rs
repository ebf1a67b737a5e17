//! What an attempt that did not succeed is followed by.

use super::{
    Lane, NumberEvent, PauseCause, PauseReason, Refused, Retry, RetryCause, Wait, WaitScope,
    decide::Turn, pace,
};
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

/// Doublings of a wait at most.
const DOUBLINGS_MAX: u32 = 6;
/// Longest pause of a channel before one call tries again, ms.
const STOP_PAUSE_MAX_MS: Millis = 4 * 3_600_000;

/// What follows a refusal.
struct Again {
    cause: RetryCause,
    pause_ms: Millis,
}

/// The provider refused.
pub(super) fn on_refused(turn: &mut Turn<'_>, id: RequestId, code: u32, retry: Retry, told: &str) {
    let Some(live) = turn.draft.live(id) else { return };
    let again = match retry {
        Retry::Never => None,
        Retry::NumberBackoff => {
            let doublings = live.tries.throughput.min(THROUGHPUT_DOUBLINGS_MAX);
            let pause_ms = THROUGHPUT_PAUSE_MS << doublings;
            slow_down(turn);
            pause(turn, turn.now_ms.saturating_add(pause_ms));
            Some(Again { cause: RetryCause::Throughput, pause_ms })
        }
        Retry::PairBackoff => {
            let pause_ms = 1_000 * 4_u64.pow(live.tries.pair.min(PAIR_POWER_MAX));
            Some(Again { cause: RetryCause::Pair, pause_ms })
        }
        Retry::ServiceBackoff => (live.tries.service < SERVICE_TRIES_MAX).then(|| Again {
            cause: RetryCause::Service,
            pause_ms: SERVICE_PAUSE_MS << live.tries.service,
        }),
        Retry::OnceIfWindowOpen => {
            let open = live.request.window_until_ms > turn.now_ms.saturating_add(WINDOW_DOUBT_MS);
            (live.tries.window == 0 && open)
                .then_some(Again { cause: RetryCause::Window, pause_ms: WINDOW_PAUSE_MS })
        }
        Retry::StopNumber => {
            pause(turn, Millis::MAX);
            Some(Again { cause: RetryCause::Stopped, pause_ms: 0 })
        }
        Retry::Wait(wait) => after_wait(turn, id, code, wait),
        Retry::Stop(reason) => Some(stop(turn, code, reason)),
    };
    let refused = Refused { code, told: told.to_owned() };
    match again {
        Some(again) => try_again(turn, id, &again, Some(refused)),
        None => turn.end_unsent(id, SendOutcome::Failed { code, told: refused.told }),
    }
}

fn after_wait(turn: &mut Turn<'_>, id: RequestId, code: u32, wait: Wait) -> Option<Again> {
    let live = turn.draft.live(id)?;
    let (cause, tries) = match wait.scope {
        WaitScope::Message => (RetryCause::Service, live.tries.service),
        WaitScope::Number => (RetryCause::Throughput, live.tries.throughput),
        WaitScope::Lane(_) => (RetryCause::Lane, live.tries.lane),
    };
    let lane = live.request.lane;
    let pause_ms = wait.first_ms << tries.min(DOUBLINGS_MAX);
    let until_ms = turn.now_ms.saturating_add(pause_ms);
    match wait.scope {
        WaitScope::Message => {}
        WaitScope::Number => pause(turn, until_ms),
        WaitScope::Lane(lane) => pause_lane(turn, lane, until_ms, code),
    }
    let waits = wait.attempts_max.is_none_or(|most| tries.saturating_add(1) < most);
    let concerned = !matches!(wait.scope, WaitScope::Lane(paused) if paused != lane);
    (waits && concerned).then_some(Again { cause, pause_ms })
}

/// The channel pauses, longer each time in a row. What is refused while it has just been paused belongs to the same pause.
fn stop(turn: &mut Turn<'_>, code: u32, reason: PauseReason) -> Again {
    let core = turn.draft.core();
    let again = |until_ms: Millis, now_ms: Millis| Again {
        cause: RetryCause::Stopped,
        pause_ms: until_ms.saturating_sub(now_ms),
    };
    if core.pause.is_some() && turn.now_ms < core.paused_until_ms {
        return again(core.paused_until_ms, turn.now_ms);
    }
    let times = core.pause.map_or(0, |cause| cause.times).saturating_add(1);
    let pause_ms = reason.first_pause_ms() << (times - 1).min(DOUBLINGS_MAX);
    let until_ms = turn.now_ms.saturating_add(pause_ms.min(STOP_PAUSE_MAX_MS));
    let until_ms = until_ms.max(core.paused_until_ms);
    let cause = Some(PauseCause { reason, code, times });
    turn.record(NumberEvent::Paused { until_ms, cause });
    again(until_ms, turn.now_ms)
}

fn slow_down(turn: &mut Turn<'_>) {
    let at_ms = turn.now_ms;
    if let Some(permille) = pace::slower(turn.draft.core().slow, at_ms) {
        turn.record(NumberEvent::Slowed { permille, at_ms });
    }
}

fn pause_lane(turn: &mut Turn<'_>, lane: Lane, until_ms: Millis, code: u32) {
    if turn.draft.core().lanes.get(&lane).is_none_or(|known| until_ms > *known) {
        turn.record(NumberEvent::LanePaused { lane, until_ms, code });
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
    try_again(turn, id, &Again { cause: RetryCause::NotStarted, pause_ms }, None);
}

/// Puts a request back into its place, unless it was taken back or would lapse before.
fn try_again(turn: &mut Turn<'_>, id: RequestId, again: &Again, refused: Option<Refused>) {
    let Some(live) = turn.draft.live(id) else { return };
    let (at_ms, cause) = (turn.now_ms.saturating_add(again.pause_ms), again.cause);
    let lapses = at_ms > live.request.not_after_ms && cause != RetryCause::Stopped;
    if live.cancelled {
        turn.end_unsent(id, SendOutcome::Cancelled);
    } else if lapses {
        let otherwise = refused.map_or(SendOutcome::Cancelled, |it| SendOutcome::Failed {
            code: it.code,
            told: it.told,
        });
        turn.end_unsent(id, otherwise);
    } else {
        // A paused channel may be set going again before its time: the request is ready then.
        let at_ms = if cause == RetryCause::Stopped { turn.now_ms } else { at_ms };
        turn.record(NumberEvent::RetryAt {
            request: id,
            at_ms,
            after_unknown: false,
            cause,
            refused,
        });
    }
}

fn pause(turn: &mut Turn<'_>, until_ms: Millis) {
    if until_ms > turn.draft.core().paused_until_ms {
        turn.record(NumberEvent::Paused { until_ms, cause: None });
    }
}
