//! What an event changes. Each touches one part and sees nothing else.

use std::sync::Arc;

use super::{
    NumberEvent, RetryCause,
    draft::Draft,
    state::{
        CANCELS_MAX, Core, ECHOES_MAX, EchoNote, EndedRequest, Fate, LiveRequest, Number, PartKey,
        Request, Stage, Tries,
    },
};
use crate::Millis;

impl Number {
    /// Applies one event to the part it names.
    pub fn apply(&mut self, event: &NumberEvent) {
        let mut draft = Draft::new(self);
        draft.apply(event);
        let changes = draft.finish();
        self.absorb(changes);
    }
}

impl NumberEvent {
    /// The name of the one part this event changes.
    #[must_use]
    pub fn part(&self) -> String {
        self.part_key().name()
    }

    fn part_key(&self) -> PartKey {
        match self {
            Self::Queued { request, .. } => PartKey::Request(request.request),
            Self::Intended { request, .. }
            | Self::CallMayRun { request, .. }
            | Self::CancelNoted { request }
            | Self::Fetched { request, .. }
            | Self::Reconciling { request, .. }
            | Self::RetryAt { request, .. }
            | Self::Ended { request, .. }
            | Self::Forgotten { request } => PartKey::Request(*request),
            Self::Configured(_)
            | Self::Paused { .. }
            | Self::CancelKept { .. }
            | Self::EchoNoted { .. }
            | Self::Parked(_) => PartKey::Number,
        }
    }

    fn at_ms(&self) -> Millis {
        match self {
            Self::Intended { at_ms, .. }
            | Self::Fetched { at_ms, .. }
            | Self::Ended { at_ms, .. } => *at_ms,
            _ => 0,
        }
    }
}

impl Draft<'_> {
    /// Applies one event.
    pub(super) fn apply(&mut self, event: &NumberEvent) {
        self.saw(event.at_ms());
        match event.part_key() {
            PartKey::Number => self.change_core(|core| apply_to_core(core, event)),
            PartKey::Request(id) => {
                self.change_request(id, |request| apply_to_request(request, event));
            }
        }
    }
}

fn apply_to_core(core: &mut Core, event: &NumberEvent) {
    match event {
        NumberEvent::Configured(config) => {
            core.config = Some(config.clone());
            core.paused_until_ms = 0;
        }
        NumberEvent::Paused { until_ms } => core.paused_until_ms = *until_ms,
        NumberEvent::CancelKept { request, not_after_ms } => {
            core.cancels.insert(*request, *not_after_ms);
            while core.cancels.len() > CANCELS_MAX {
                let first = core.cancels.iter().min_by_key(|(_, lapses_ms)| **lapses_ms);
                let Some(first) = first.map(|(request, _)| *request) else { break };
                core.cancels.remove(&first);
            }
        }
        NumberEvent::EchoNoted { text_hash, conversation, message, at_ms } => {
            core.echoes.push(EchoNote {
                text_hash: *text_hash,
                conversation: *conversation,
                message: *message,
                at_ms: *at_ms,
            });
            let surplus = core.echoes.len().saturating_sub(ECHOES_MAX);
            core.echoes.drain(..surplus);
        }
        _ => {}
    }
}

fn apply_to_request(request: &mut Option<Request>, event: &NumberEvent) {
    match event {
        NumberEvent::Queued { request: queued, order } => {
            *request = Some(Request::Live(LiveRequest {
                request: Arc::new(queued.as_ref().clone()),
                order: *order,
                attempt: 0,
                repeated: false,
                cancelled: false,
                tries: Tries::default(),
                stage: Stage::Waiting,
            }));
        }
        NumberEvent::Ended { outcome, at_ms, .. } => {
            let conversation = match request.take() {
                Some(Request::Live(live)) => live.request.conversation,
                Some(Request::Ended(ended)) => ended.conversation,
                None => return,
            };
            let fate = Fate::from(outcome);
            *request = Some(Request::Ended(EndedRequest { conversation, fate, at_ms: *at_ms }));
        }
        NumberEvent::Forgotten { .. } => *request = None,
        _ => {
            if let Some(Request::Live(live)) = request {
                apply_to_live(live, event);
            }
        }
    }
}

fn apply_to_live(live: &mut LiveRequest, event: &NumberEvent) {
    match event {
        NumberEvent::Intended { attempt, over_ms, .. } => {
            live.attempt = *attempt;
            live.repeated = live.tries.unknown > 0;
            live.stage = Stage::Calling { over_ms: *over_ms };
        }
        NumberEvent::CallMayRun { over_ms, .. } => {
            live.stage = Stage::Calling { over_ms: *over_ms };
        }
        NumberEvent::CancelNoted { .. } => live.cancelled = true,
        NumberEvent::Fetched { .. } => live.stage = Stage::Fetched,
        NumberEvent::Reconciling { until_ms, .. } => {
            live.stage = Stage::Reconciling { until_ms: *until_ms };
        }
        NumberEvent::RetryAt { at_ms, cause, .. } => {
            live.tries.count(*cause);
            live.stage = Stage::RetryAt { at_ms: *at_ms, pair: *cause == RetryCause::Pair };
        }
        _ => {}
    }
}
