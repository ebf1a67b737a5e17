//! What is due. Runs after every input and on wake, in pieces that fit a step.

use super::{
    NumberEvent,
    decide::Turn,
    index::{Key, due_range, forget_range},
    lanes, reconcile,
    state::{Number, Stage},
};
use crate::{Millis, RequestId, conversation::SendOutcome};

/// Ended requests forgotten in one step.
const FORGOTTEN_MAX: usize = 100;
/// Ended requests are forgotten this much late, many at a time, ms.
const FORGET_TOGETHER_MS: Millis = 5_000;

/// When something is due.
pub(super) fn wake_ms(number: &Number) -> Option<Millis> {
    let due = number.index.range(due_range(Millis::MAX)).next().and_then(at_ms);
    let forget = number.index.range(forget_range(Millis::MAX)).next().and_then(at_ms);
    let forget = forget.map(|at_ms| at_ms.saturating_add(FORGET_TOGETHER_MS));
    [due, forget, lanes::next_grant_ms(number)].into_iter().flatten().min()
}

fn at_ms(key: &Key) -> Option<Millis> {
    match key {
        Key::Due(at_ms, _) | Key::Forget(at_ms, _) => Some(*at_ms),
        _ => None,
    }
}

/// What only time brings: ended requests are forgotten.
pub(super) fn on_wake(turn: &mut Turn<'_>) {
    let over: Vec<RequestId> = turn
        .draft
        .keys(forget_range(turn.now_ms))
        .filter_map(|key| match key {
            Key::Forget(_, id) => Some(*id),
            _ => None,
        })
        .take(FORGOTTEN_MAX)
        .collect();
    for request in over {
        turn.record(NumberEvent::Forgotten { request });
    }
}

/// What an earlier owner asked for starts within `start_by` of the take-over or never (design.md 4.5): from then on it is no
/// longer ahead of the door, though it may still run. Else a number that was killed with its grants out would stand still until
/// all of them must be over.
pub(super) fn let_go_of_inherited(turn: &mut Turn<'_>) {
    let over_ms = turn.foreign_calls_over_ms;
    let Some(config) = &turn.draft.core().config else { return };
    let taken_over_ms = over_ms.saturating_sub(config.call_over_ms);
    let none_starts = turn.now_ms >= taken_over_ms.saturating_add(config.start_by_ms);
    if over_ms == 0 || !none_starts || turn.draft.ahead().iter().all(|n| *n == 0) {
        return;
    }
    let is_inherited = |id: &RequestId| {
        turn.draft.live(*id).is_some_and(|live| {
            live.is_ahead()
                && matches!(live.stage, Stage::Calling { over_ms: own } if own <= over_ms)
        })
    };
    let due = turn.draft.keys(due_range(over_ms)).filter_map(|key| match key {
        Key::Due(_, id) => Some(*id),
        _ => None,
    });
    let inherited: Vec<RequestId> = due.filter(is_inherited).collect();
    for request in inherited {
        if turn.has_room() {
            turn.record(NumberEvent::Departed { request });
        }
    }
}

/// Calls without a result, reconciliations without a status, requests whose time has passed.
pub(super) fn run_timers(turn: &mut Turn<'_>) {
    while turn.has_room() {
        let due = turn.draft.keys(due_range(turn.now_ms)).next();
        let Some(Key::Due(_, id)) = due.copied() else { return };
        let before = turn.out.events.len();
        on_due(turn, id);
        if turn.out.events.len() == before {
            return;
        }
    }
}

fn on_due(turn: &mut Turn<'_>, id: RequestId) {
    let Some(live) = turn.draft.live(id) else { return };
    match live.stage {
        Stage::Waiting | Stage::RetryAt { .. } => turn.end_lapsed(id),
        Stage::Calling { .. } if turn.now_ms < turn.foreign_calls_over_ms => {
            let over_ms = turn.foreign_calls_over_ms;
            turn.record(NumberEvent::CallMayRun { request: id, over_ms });
        }
        Stage::Calling { .. } => reconcile::begin(turn, id),
        Stage::Reconciling { unsent, .. } => reconcile::on_overdue(turn, id, unsent),
        // The platform never said what became of it.
        Stage::Fetched => turn.end(id, SendOutcome::Unknown),
    }
}
