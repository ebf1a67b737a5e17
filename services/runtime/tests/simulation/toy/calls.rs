//! Outside calls of an account: intent, result, time-out, reconciliation, policy of the lane.

use std::collections::BTreeMap;

use bus::Key;
use runtime::host::{CallId, CallResult, DecideInput};
use serde::{Deserialize, Serialize};

use super::{CallBody, Lane, decide::Draft, state::Change};

/// An own call has its result by then, if the wall clock does not jump.
const CALLING_MS: u64 = 13_000;
/// After the request to cancel is durable, a call that started before has ended within this time.
const CANCELLING_MS: u64 = 13_000;
/// How long a late result is waited for. Longer than a hard limit and all jumps of clocks together.
const RECONCILING_MS: u64 = 25_000;
const ATTEMPTS_MAX: u8 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Stage {
    Calling { until_ms: u64 },
    Cancelling { until_ms: u64 },
    Reconciling { until_ms: u64 },
}

impl Stage {
    fn until_ms(self) -> u64 {
        match self {
            Self::Calling { until_ms }
            | Self::Cancelling { until_ms }
            | Self::Reconciling { until_ms } => until_ms,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) lane: Lane,
    pub(crate) attempt: u8,
    /// An attempt of it stayed unknown and was repeated.
    pub(crate) repeated: bool,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum End {
    Done {
        attempt: u8,
    },
    /// Certainly not carried out.
    Failed,
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) open: BTreeMap<Key, Open>,
    pub(crate) ended: BTreeMap<Key, End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CallChange {
    /// The intent.
    Asked {
        request: Key,
        open: Open,
    },
    Moved {
        request: Key,
        stage: Stage,
    },
    Ended {
        request: Key,
        end: End,
    },
}

impl Calls {
    pub(super) fn apply(&mut self, change: &CallChange) {
        match *change {
            CallChange::Asked { request, open } => drop(self.open.insert(request, open)),
            CallChange::Moved { request, stage } => {
                if let Some(open) = self.open.get_mut(&request) {
                    open.stage = stage;
                }
            }
            CallChange::Ended { request, end } => {
                self.open.remove(&request);
                self.ended.insert(request, end);
            }
        }
    }

    pub(super) fn due_ms(&self) -> impl Iterator<Item = u64> + '_ {
        self.open.values().map(|open| open.stage.until_ms())
    }
}

/// Id of one attempt.
pub(crate) fn call_id(request: Key, attempt: u8) -> CallId {
    let mut bytes = request.0;
    bytes[15] = attempt;
    Key(bytes)
}

fn parse(call: CallId) -> (Key, u8) {
    let mut bytes = call.0;
    let attempt = std::mem::take(&mut bytes[15]);
    (Key(bytes), attempt)
}

/// Asks for an attempt.
pub(super) fn ask(draft: &mut Draft, input: &DecideInput, request: Key, open: Open) {
    let stage = Stage::Calling { until_ms: input.now_ms + CALLING_MS };
    let open = Open { stage, ..open };
    draft.record(Change::Call(CallChange::Asked { request, open }));
    let Open { lane, attempt, .. } = open;
    let body = CallBody { entity: input.entity, request, attempt, lane };
    draft.call(call_id(request, attempt), &body);
}

pub(super) fn first(draft: &mut Draft, input: &DecideInput, request: Key, lane: Lane) {
    let stage = Stage::Calling { until_ms: 0 };
    ask(draft, input, request, Open { lane, attempt: 1, repeated: false, stage });
}

pub(super) fn on_result(
    calls: &Calls,
    draft: &mut Draft,
    input: &DecideInput,
    call: CallId,
    result: &CallResult,
) {
    let (request, attempt) = parse(call);
    let done = matches!(result, CallResult::Done(_));
    let ended = |end| Change::Call(CallChange::Ended { request, end });
    let Some(open) = calls.open.get(&request).copied() else {
        if done && calls.ended.get(&request) == Some(&End::Unknown) {
            draft.record(ended(End::Done { attempt }));
        }
        return;
    };
    match result {
        CallResult::Done(_) => {
            if attempt != open.attempt {
                draft.decision.cancels.push(call_id(request, open.attempt));
            }
            draft.record(ended(End::Done { attempt }));
        }
        _ if attempt != open.attempt => {}
        CallResult::NotStarted(_) if open.attempt >= ATTEMPTS_MAX => {
            draft.record(ended(if open.repeated { End::Unknown } else { End::Failed }));
        }
        CallResult::NotStarted(_) => {
            ask(draft, input, request, Open { attempt: open.attempt + 1, ..open });
        }
        CallResult::Unknown(_) if matches!(open.stage, Stage::Reconciling { .. }) => {}
        CallResult::Unknown(_) => {
            let stage = Stage::Reconciling { until_ms: input.now_ms + RECONCILING_MS };
            draft.record(Change::Call(CallChange::Moved { request, stage }));
        }
    }
}

/// Calls whose time is over.
pub(super) fn on_wake(calls: &Calls, draft: &mut Draft, input: &DecideInput) {
    let now_ms = input.now_ms;
    let due = calls.open.iter().filter(|(_, open)| open.stage.until_ms() <= now_ms);
    for (request, open) in due {
        let request = *request;
        let moved = |stage| Change::Call(CallChange::Moved { request, stage });
        let foreign_ms = input.foreign_calls_over_ms;
        match open.stage {
            Stage::Calling { .. } if now_ms < foreign_ms => {
                draft.record(moved(Stage::Calling { until_ms: foreign_ms }));
            }
            Stage::Calling { .. } => {
                draft.decision.cancels.push(call_id(request, open.attempt));
                draft.record(moved(Stage::Cancelling { until_ms: now_ms + CANCELLING_MS }));
            }
            Stage::Cancelling { .. } if now_ms < foreign_ms => {
                draft.record(moved(Stage::Cancelling { until_ms: foreign_ms }));
            }
            Stage::Cancelling { .. } => {
                draft.record(moved(Stage::Reconciling { until_ms: now_ms + RECONCILING_MS }));
            }
            Stage::Reconciling { .. } if open.lane == Lane::Repeat && !open.repeated => {
                let open = Open { attempt: open.attempt + 1, repeated: true, ..*open };
                ask(draft, input, request, open);
            }
            Stage::Reconciling { .. } => {
                let end = End::Unknown;
                draft.record(Change::Call(CallChange::Ended { request, end }));
            }
        }
    }
}
