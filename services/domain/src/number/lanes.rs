//! What leaves next.
//!
//! At most 250 ms of the rate is under way without a result (`window`), so that what comes later and is more urgent
//! waits no longer than that. Agents' replies go first, always: the other lanes together leave at least a slot free
//! for them. Among the others the higher lane goes first, except that each lane that has something to send always has one
//! call of its own in flight; so a busy bot slows campaigns down but does not stop them (numbers with fewer than 8
//! messages a second have too few slots for that: there the order is strict). Whoever leaves at the head of a
//! customer's queue goes in the best lane of those who wait behind it.

use super::{
    Lane, NumberEvent, NumberMode,
    decide::Turn,
    index::{Key, later_range, ready_range},
    state::{LANES, Number, lane_at},
};
use crate::{Call, Millis, RequestId, conversation::SendOutcome, effect::CallKey};

/// Content of the calls of one step, bytes: with it a step stays below its limit (design.md 4.1).
const STEP_CONTENT_BYTES_MAX: usize = 64 * 1024;

/// Error code of a free-form message outside the customer service window.
const WINDOW_CLOSED_CODE: u32 = 131_047;

/// Calls that may be under way at once: a quarter of a second of the rate.
fn window(rate_per_s: u32) -> usize {
    usize::try_from(rate_per_s / 4).unwrap_or(usize::MAX).max(1)
}

/// Of those, how many may belong to other lanes than the agents'.
fn others_max(window: usize) -> usize {
    if window < 2 { window } else { window - (window / 4).max(1) }
}

/// The lanes that have a free slot, in the order in which they are asked.
fn open_lanes(rate_per_s: u32, in_flight: [usize; LANES]) -> Vec<Lane> {
    let window = window(rate_per_s);
    let total: usize = in_flight.iter().sum();
    if total >= window {
        return Vec::new();
    }
    let mut lanes = vec![Lane::Agent];
    let [agents, ..] = in_flight;
    if total.saturating_sub(agents) < others_max(window) {
        let others = [Lane::Bot, Lane::Utility, Lane::Campaign];
        let none_in_flight = |lane: &Lane| in_flight.get(lane_at(*lane)) == Some(&0);
        lanes.extend(others.into_iter().filter(none_in_flight));
        lanes.extend(others.into_iter().filter(|lane| !none_in_flight(lane)));
    }
    lanes
}

/// Lets leave what may.
pub(super) fn grant(turn: &mut Turn<'_>) {
    let mut content_bytes = 0;
    while turn.has_room() && content_bytes < STEP_CONTENT_BYTES_MAX {
        let Some((lane, id)) = next(turn) else { return };
        let before = turn.out.events.len();
        content_bytes += intend(turn, lane, id);
        if turn.out.events.len() == before {
            return;
        }
    }
}

fn next(turn: &Turn<'_>) -> Option<(Lane, RequestId)> {
    let core = turn.draft.core();
    let config = core.config.as_ref()?;
    // A platform fetches what it sends.
    if config.mode == NumberMode::Channel {
        return None;
    }
    let rate_per_s = config.rate_per_s;
    if turn.now_ms < core.paused_until_ms {
        return None;
    }
    open_lanes(rate_per_s, turn.draft.in_flight()).into_iter().find_map(|lane| {
        // What is tried again is older than what was never tried.
        let mut heads = turn.draft.keys(later_range(lane, turn.now_ms));
        let head = heads.next().or_else(|| turn.draft.keys(ready_range(lane)).next());
        match head {
            Some(Key::Ready(_, _, id) | Key::Later(_, _, _, id)) => Some((lane, *id)),
            _ => None,
        }
    })
}

/// The check of invariant 7 as of now, then the intent and the call. Says how many bytes of content the step carries
/// for it.
fn intend(turn: &mut Turn<'_>, lane: Lane, id: RequestId) -> usize {
    let Some(live) = turn.draft.live(id) else { return 0 };
    let (request, attempt) = (live.request.clone(), live.attempt.saturating_add(1));
    if turn.now_ms > request.not_after_ms {
        turn.end_unsent(id, SendOutcome::Cancelled);
        return 0;
    }
    if request.free_form && turn.now_ms >= request.window_until_ms {
        let told =
            "The customer service window closed before the message could leave. Send a template.";
        let failed = SendOutcome::Failed { code: WINDOW_CLOSED_CODE, told: told.to_owned() };
        turn.end_unsent(id, failed);
        return 0;
    }
    let config = turn.draft.core().config.as_ref();
    let over_ms = turn.now_ms.saturating_add(config.map_or(0, |config| config.call_over_ms));
    turn.record(NumberEvent::Intended { request: id, attempt, at_ms: turn.now_ms, over_ms });
    let bytes = request.content.bytes.len() + request.recipient.bytes.len();
    turn.out.calls.push(Call {
        key: CallKey { request: id, attempt },
        number: turn.me,
        lane,
        recipient: request.recipient.clone(),
        content: request.content.clone(),
        kind: request.kind.clone(),
    });
    bytes
}

/// When something may leave that does not leave because of a result: a pause or a retry's time ends, or a step was full.
pub(super) fn next_grant_ms(number: &Number) -> Option<Millis> {
    let config = number.core.config.as_ref()?;
    if number.core.paused_until_ms == Millis::MAX || config.mode == NumberMode::Channel {
        return None;
    }
    let lanes = open_lanes(config.rate_per_s, number.in_flight);
    let heads = lanes.into_iter().flat_map(|lane| {
        let later = number.index.range(later_range(lane, Millis::MAX)).next();
        let ready = number.index.range(ready_range(lane)).next();
        [later, ready].into_iter().flatten().filter_map(|key| match key {
            Key::Ready(..) => Some(number.clock_ms),
            Key::Later(_, at_ms, ..) => Some(*at_ms),
            _ => None,
        })
    });
    heads.min().map(|at_ms| at_ms.max(number.core.paused_until_ms))
}
