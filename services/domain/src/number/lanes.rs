//! What leaves next.
//!
//! At most 250 ms of the rate is granted ahead of the door, so that what comes later and is more urgent waits no longer
//! than that; calls that have left do not count, however long the provider takes to answer. Agents' replies go first, always:
//! the other lanes together leave a slot free for them (below 8 messages a second agents have one of their own). The others
//! go in turn, each with its share of what is left. Whoever leaves at the head of a customer's queue goes in the best lane of
//! those who wait behind it.

use super::{
    Lane, NumberAnswer, NumberEvent, NumberMode, PauseReason, SendRequest,
    decide::Turn,
    draft::Draft,
    index::{Key, later_range, ready_range},
    pace,
    state::{Core, LANES, Number},
};
use crate::{Call, Millis, RequestId, conversation::SendOutcome, effect::CallKey};

/// Content of the calls of one step, bytes: with it a step stays below its limit (design.md 4.1).
const STEP_CONTENT_BYTES_MAX: usize = 64 * 1024;

/// Error code of a free-form message outside the customer service window.
const WINDOW_CLOSED_CODE: u32 = 131_047;
/// Error code of marketing to a customer who opted out of it.
const MARKETING_STOPPED_CODE: u32 = 131_050;
const MARKETING_STOPPED: &str = "Not sent: the customer asked for no more marketing. Write only what is not marketing until the customer resumes it.";

/// What has been granted and has not left.
#[derive(Clone, Copy)]
struct Ahead {
    by_lane: [usize; LANES],
    calling: usize,
}

/// The lanes that have a free slot, in the order in which they are asked.
fn open_lanes(core: &Core, turns: &pace::Turns, ahead: Ahead, now_ms: Millis) -> Vec<Lane> {
    let Some(config) = &core.config else { return Vec::new() };
    // After a pause that a person has to end, one call tries whether it has ended.
    if core.pause.is_some() && ahead.calling > 0 {
        return Vec::new();
    }
    let rate_per_s = pace::rate_now(config.rate_per_s, core.slow, now_ms);
    let window = usize::try_from(rate_per_s / 4).unwrap_or(usize::MAX).max(1);
    let [agents, ..] = ahead.by_lane;
    let total: usize = ahead.by_lane.iter().sum();
    let (agents_free, others_max) = match window {
        1 => (agents == 0 && total < 2, 1),
        _ => (total < window, window - (window / 4).max(1)),
    };
    let mut lanes = Vec::with_capacity(LANES);
    if agents_free {
        lanes.push(Lane::Agent);
    }
    if total - agents < others_max && total < window.max(2) {
        lanes.extend(turns.order());
    }
    lanes
}

/// Messages may wait for so much of the rate, s.
const BACKLOG_S: u32 = 120;
/// Fewest messages that may wait.
const BACKLOG_MIN: u32 = 500;
/// Most messages that may wait.
const BACKLOG_MAX: u32 = 20_000;

/// Whether `wanted` more may wait, and else when they may.
pub(super) fn room(draft: &Draft<'_>, wanted: u32, now_ms: Millis) -> NumberAnswer {
    let core = draft.core();
    let configured = core.config.as_ref().map_or(0, |config| config.rate_per_s);
    let limit = configured.saturating_mul(BACKLOG_S).clamp(BACKLOG_MIN, BACKLOG_MAX);
    let waiting = u32::try_from(draft.n_live()).unwrap_or(u32::MAX);
    let over = u64::from(waiting.saturating_add(wanted).saturating_sub(limit));
    let rate = u64::from(pace::rate_now(configured, core.slow, now_ms).max(1));
    let paused_ms = core.paused_until_ms.saturating_sub(now_ms).min(3_600_000);
    let retry_after_ms = if over == 0 {
        0
    } else {
        (over.saturating_mul(1_000) / rate).saturating_add(paused_ms).max(1)
    };
    NumberAnswer::Room { waiting, limit, retry_after_ms }
}

/// When a lane may go on.
fn lane_from_ms(core: &Core, lane: Lane) -> Millis {
    core.lanes.get(&lane).copied().unwrap_or(0).max(core.paused_until_ms)
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
    // A platform fetches what it sends.
    if core.config.as_ref()?.mode == NumberMode::Channel {
        return None;
    }
    let ahead = Ahead { by_lane: turn.draft.ahead(), calling: turn.draft.calling() };
    let lanes = open_lanes(core, turn.draft.turns(), ahead, turn.now_ms);
    let keys = &turn.draft;
    let later = keys.keys(later_range(Lane::Agent, turn.now_ms)).next();
    let agents = later.or_else(|| keys.keys(ready_range(Lane::Agent)).next());
    if !lanes.contains(&Lane::Agent) && agents.is_some() {
        // Nobody overtakes an agent who has no slot; a departure or result is under way.
        return None;
    }
    lanes.into_iter().filter(|lane| lane_from_ms(core, *lane) <= turn.now_ms).find_map(|lane| {
        // What is tried again is older than what was never tried.
        let mut heads = turn.draft.keys(later_range(lane, turn.now_ms));
        let head = heads.next().or_else(|| turn.draft.keys(ready_range(lane)).next());
        match head {
            Some(Key::Ready(_, _, id) | Key::Later(_, _, _, id)) => Some((lane, *id)),
            _ => None,
        }
    })
}

/// Why a message may not leave now, with the code by which the provider would refuse it and what the agent is told.
fn forbidden(request: &SendRequest, now_ms: Millis) -> Option<(u32, &'static str)> {
    if request.free_form && now_ms >= request.window_until_ms {
        let told =
            "The customer service window closed before the message could leave. Send a template.";
        return Some((WINDOW_CLOSED_CODE, told));
    }
    (request.is_marketing() && request.marketing_stopped)
        .then_some((MARKETING_STOPPED_CODE, MARKETING_STOPPED))
}

/// The check of invariant 7 as of now, then the intent and the call. Says how many bytes of content the step carries
/// for it.
fn intend(turn: &mut Turn<'_>, lane: Lane, id: RequestId) -> usize {
    let Some(live) = turn.draft.live(id) else { return 0 };
    let (request, attempt) = (live.request.clone(), live.attempt.saturating_add(1));
    let asked_ms = live.asked_ms;
    if turn.now_ms > request.not_after_ms {
        turn.end_lapsed(id);
        return 0;
    }
    // A refused attempt added no debt; one whose outcome is unknown may have.
    let counts = attempt == 1 || (live.tries.unknown > 0 && !live.repeated);
    if let Some((code, told)) = forbidden(&request, turn.now_ms) {
        turn.end_unsent(id, SendOutcome::Failed { code, told: told.to_owned() });
        return 0;
    }
    let core = turn.draft.core();
    let (configured, over) =
        core.config.as_ref().map_or((0, 0), |config| (config.rate_per_s, config.call_over_ms));
    let rate_per_s = Some(pace::rate_now(configured, core.slow, turn.now_ms));
    let pair_clear_ms =
        if counts { turn.draft.pair(request.customer).with_another(turn.now_ms) } else { 0 };
    let (at_ms, over_ms) = (turn.now_ms, turn.now_ms.saturating_add(over));
    turn.record(NumberEvent::Intended { request: id, attempt, at_ms, over_ms, pair_clear_ms });
    let bytes = request.content.bytes.len() + request.recipient.bytes.len();
    turn.out.calls.push(Call {
        key: CallKey { request: id, attempt },
        number: turn.me,
        lane,
        recipient: request.recipient.clone(),
        content: request.content.clone(),
        kind: request.kind.clone(),
        rate_per_s: rate_per_s.filter(|rate| *rate < configured),
        asked_ms,
    });
    bytes
}

/// When something may leave that does not leave because of a result or a departure: a pause or a retry's time ends, or a step
/// was full.
pub(super) fn next_grant_ms(number: &Number) -> Option<Millis> {
    if number.core.config.as_ref()?.mode == NumberMode::Channel {
        return None;
    }
    let ahead = Ahead { by_lane: number.ahead, calling: number.calling };
    // The rate recovers by time: then the next result, departure or wake sees it.
    let lanes = open_lanes(&number.core, &number.turns, ahead, number.clock_ms);
    let later = number.index.range(later_range(Lane::Agent, Millis::MAX)).next();
    let agents = later.or_else(|| number.index.range(ready_range(Lane::Agent)).next());
    if !lanes.contains(&Lane::Agent) && agents.is_some() {
        return None;
    }
    let heads = lanes.into_iter().filter_map(|lane| {
        let later = number.index.range(later_range(lane, Millis::MAX)).next();
        let ready = number.index.range(ready_range(lane)).next();
        let heads = [later, ready].into_iter().flatten().filter_map(|key| match key {
            Key::Ready(..) => Some(number.clock_ms),
            Key::Later(_, at_ms, ..) => Some(*at_ms),
            _ => None,
        });
        heads.min().map(|at_ms| at_ms.max(lane_from_ms(&number.core, lane)))
    });
    heads.min().filter(|at_ms| *at_ms < Millis::MAX)
}

/// Why a message that never left could not leave, as its agent is told.
pub(super) fn why_it_waited(core: &Core) -> Option<(u32, PauseReason)> {
    core.pause.map(|cause| (cause.code, cause.reason))
}
