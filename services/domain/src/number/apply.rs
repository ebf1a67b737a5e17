//! What an event changes. Each touches one part and sees nothing else.

use std::sync::Arc;

use super::{
    NumberEvent, RetryCause,
    draft::Draft,
    pace::Slowness,
    pair::PairMark,
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
            | Self::MarketingWished { request, .. }
            | Self::Departed { request }
            | Self::Reconciling { request, .. }
            | Self::RetryAt { request, .. }
            | Self::Ended { request, .. }
            | Self::Forgotten { request } => PartKey::Request(*request),
            Self::Configured(_)
            | Self::Paused { .. }
            | Self::Resumed
            | Self::LanePaused { .. }
            | Self::Slowed { .. }
            | Self::CancelKept { .. }
            | Self::EchoNoted { .. }
            | Self::Parked(_) => PartKey::Number,
        }
    }

    fn at_ms(&self) -> Millis {
        match self {
            Self::Intended { at_ms, .. }
            | Self::Fetched { at_ms, .. }
            | Self::Ended { at_ms, .. }
            | Self::Slowed { at_ms, .. } => *at_ms,
            _ => 0,
        }
    }
}

impl Draft<'_> {
    /// Applies one event.
    pub(super) fn apply(&mut self, event: &NumberEvent) {
        self.saw(event.at_ms());
        if let NumberEvent::Intended { request, .. } = event {
            self.had_turn(*request);
        }
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
            core.pause = None;
            core.lanes.clear();
        }
        NumberEvent::Paused { until_ms, cause } => {
            core.paused_until_ms = *until_ms;
            core.pause = cause.or(core.pause);
        }
        NumberEvent::Resumed => {
            core.pause = None;
            core.paused_until_ms = 0;
        }
        NumberEvent::LanePaused { lane, until_ms, .. } => {
            core.lanes.insert(*lane, *until_ms);
        }
        NumberEvent::Slowed { permille, at_ms } => {
            core.slow = Some(Slowness { permille: *permille, at_ms: *at_ms });
        }
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
                departed: false,
                pair: PairMark::default(),
                refused: None,
                asked_ms: 0,
            }));
        }
        NumberEvent::Ended { outcome, at_ms, .. } => {
            let (conversation, customer, pair) = match request.take() {
                Some(Request::Live(live)) => {
                    (live.request.conversation, live.request.customer, live.pair)
                }
                Some(Request::Ended(ended)) => (ended.conversation, ended.customer, ended.pair),
                None => return,
            };
            let (fate, at_ms) = (Fate::from(outcome), *at_ms);
            let ended = EndedRequest { conversation, fate, at_ms, customer, pair };
            *request = Some(Request::Ended(ended));
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
        NumberEvent::Intended { attempt, at_ms, over_ms, pair_clear_ms, .. } => {
            live.attempt = *attempt;
            live.repeated = live.tries.unknown > 0;
            live.departed = false;
            if *pair_clear_ms > 0 {
                live.pair = PairMark::new(*pair_clear_ms, *at_ms);
            }
            live.stage = Stage::Calling { over_ms: *over_ms };
        }
        NumberEvent::CallMayRun { over_ms, .. } => {
            live.stage = Stage::Calling { over_ms: *over_ms };
        }
        NumberEvent::Departed { .. } => live.departed = true,
        NumberEvent::CancelNoted { .. } => live.cancelled = true,
        NumberEvent::MarketingWished { stopped, .. } => {
            Arc::make_mut(&mut live.request).marketing_stopped = *stopped;
        }
        NumberEvent::Fetched { .. } => live.stage = Stage::Fetched,
        NumberEvent::Reconciling { until_ms, asked_ms, .. } => {
            let unsent = *asked_ms > 0;
            live.asked_ms = live.asked_ms.max(*asked_ms);
            live.stage = Stage::Reconciling { until_ms: *until_ms, unsent };
        }
        NumberEvent::RetryAt { at_ms, cause, refused, .. } => {
            live.tries.count(*cause);
            live.refused = refused.clone().or_else(|| live.refused.take());
            live.stage = Stage::RetryAt { at_ms: *at_ms, pair: *cause == RetryCause::Pair };
        }
        _ => {}
    }
}
