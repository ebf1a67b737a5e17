//! The watcher: a naive model that follows the events and knows what must never happen.
//!
//! It shares nothing with the code under test but the contract.

use std::collections::BTreeMap;

use crate::{
    Hash16, Millis, RequestId,
    conversation::SendOutcome,
    effect::Call,
    number::{Lane, Number, NumberConfig, NumberEvent, RetryCause, SendRequest},
};

#[derive(Default)]
pub(super) struct Watch {
    config: Option<NumberConfig>,
    paused_until_ms: Millis,
    pub(super) live: BTreeMap<RequestId, Seen>,
    told: BTreeMap<RequestId, SendOutcome>,
    /// All attempts of each request, and of those how many followed an unknown one.
    pub(super) attempts: BTreeMap<RequestId, (u32, u32)>,
    unknown: BTreeMap<RequestId, u32>,
}

pub(super) struct Seen {
    pub(super) request: SendRequest,
    order: u64,
    pub(super) calling: bool,
    reconciling: bool,
    from_ms: Millis,
    pair_until_ms: Millis,
}

fn talk(lane: Lane) -> u8 {
    match lane {
        Lane::Agent | Lane::Bot => 0,
        Lane::Utility => 1,
        Lane::Campaign => 2,
    }
}

impl Watch {
    pub(super) fn take(&mut self, event: &NumberEvent, call: Option<&Call>, now_ms: Millis) {
        match event {
            NumberEvent::Configured(config) => {
                self.config = Some(config.clone());
                self.paused_until_ms = 0;
            }
            NumberEvent::Paused { until_ms } => self.paused_until_ms = *until_ms,
            NumberEvent::Queued { request, order } => {
                assert!(self.live.values().all(|other| other.order < *order), "order of arrival");
                let seen = Seen {
                    request: request.as_ref().clone(),
                    order: *order,
                    calling: false,
                    reconciling: false,
                    from_ms: 0,
                    pair_until_ms: 0,
                };
                assert!(self.live.insert(request.request, seen).is_none(), "queued twice");
            }
            NumberEvent::Intended { request, attempt, .. } => {
                let call = call.expect("an intent has its call");
                assert_eq!((call.key.request, call.key.attempt), (*request, *attempt));
                self.on_intent(*request, call, now_ms);
            }
            NumberEvent::Reconciling { request, .. } => {
                let seen = self.live.get_mut(request).expect("live");
                assert!(std::mem::take(&mut seen.calling));
                seen.reconciling = true;
                *self.unknown.entry(*request).or_default() += 1;
            }
            NumberEvent::RetryAt { request, at_ms, after_unknown, cause } => {
                assert_eq!(*after_unknown, *cause == RetryCause::Unknown);
                let seen = self.live.get_mut(request).expect("live");
                assert!(seen.calling || seen.reconciling);
                if !after_unknown && seen.reconciling {
                    // A late result cleared the doubt.
                    *self.unknown.get_mut(request).unwrap() -= 1;
                }
                (seen.calling, seen.reconciling, seen.from_ms) = (false, false, *at_ms);
                if *cause == RetryCause::Pair {
                    seen.pair_until_ms = *at_ms;
                }
            }
            NumberEvent::Ended { request, .. } => drop(self.live.remove(request)),
            _ => {}
        }
    }

    fn on_intent(&mut self, id: RequestId, call: &Call, now_ms: Millis) {
        assert!(self.may_leave(id, now_ms), "{id:?} had to wait");
        let request = &self.live[&id].request;
        // Invariant 7, as of the intent.
        assert!(now_ms <= request.not_after_ms, "after its time");
        assert!(!request.free_form || now_ms < request.window_until_ms, "outside the window");
        // An agent's reply never waits behind anything else.
        if call.lane != Lane::Agent {
            let agent = self.live.iter().find(|(id, seen)| {
                seen.request.lane == Lane::Agent && self.may_leave(**id, now_ms)
            });
            assert!(agent.is_none(), "{:?} waits behind {:?}", agent.map(|(id, _)| id), call.lane);
        }
        let attempts = self.attempts.entry(id).or_default();
        attempts.0 += 1;
        let unknown = self.unknown.get(&id).copied().unwrap_or(0);
        if unknown > 0 {
            attempts.1 += 1;
            let talk = matches!(request.lane, Lane::Agent | Lane::Bot) && request.free_form;
            assert!(talk, "a template or campaign is sent again after an unknown outcome");
            assert!(unknown < 2, "a second unknown outcome is listed");
        }
        self.live.get_mut(&id).unwrap().calling = true;
        let in_flight = self.live.values().filter(|seen| seen.calling).count();
        let window = (self.config.as_ref().unwrap().rate_per_s / 4).max(1);
        assert!(in_flight <= window as usize, "more than 250 ms of the rate under way");
    }

    /// Its turn within its customer's requests, its time, and nothing of the customer's in flight.
    fn may_leave(&self, id: RequestId, now_ms: Millis) -> bool {
        let seen = &self.live[&id];
        let of = |other: &&Seen| other.request.customer == seen.request.customer;
        let free = !self.live.values().filter(of).any(|other| other.calling);
        let pair = self.live.values().filter(of).all(|other| other.pair_until_ms <= now_ms);
        let first = self
            .live
            .values()
            .filter(of)
            .filter(|other| talk(other.request.lane) == talk(seen.request.lane))
            .all(|other| other.order >= seen.order);
        let paused = now_ms < self.paused_until_ms;
        free && pair && first && !paused && !seen.reconciling && seen.from_ms <= now_ms
    }

    /// Each request is told one outcome; only what was in doubt is corrected.
    pub(super) fn told(&mut self, request: RequestId, outcome: &SendOutcome) {
        let before = self.told.insert(request, outcome.clone());
        let doubtful =
            |it: &SendOutcome| matches!(it, SendOutcome::Unknown | SendOutcome::Cancelled);
        if let Some(before) = before {
            assert!(
                doubtful(&before) && !doubtful(outcome),
                "{request:?}: {before:?}, {outcome:?}"
            );
        }
        if let SendOutcome::Accepted { repeated: true, .. } = outcome {
            assert!(self.attempts[&request].1 > 0, "flagged as repeated, but was not");
        }
    }

    /// Nothing that may leave stays while there is a slot, unless the number asks to go on at once.
    pub(super) fn check_settled(&self, number: &Number, now_ms: Millis) {
        let calling = self.live.values().filter(|seen| seen.calling).count();
        assert_eq!(number.n_in_flight(), calling);
        for request in self.live.keys() {
            assert!(
                number.part(&format!("request/{}.{}", request.conversation, request.n)).is_some()
            );
        }
        if number.wake_ms().is_some_and(|wake_ms| wake_ms <= now_ms) {
            return;
        }
        let Some(config) = &self.config else { return };
        let window = (config.rate_per_s / 4).max(1) as usize;
        let others =
            self.live.values().filter(|seen| seen.calling && seen.request.lane != Lane::Agent);
        let others_full = window > 1 && others.count() >= window - (window / 4).max(1);
        for (id, seen) in &self.live {
            if calling < window && self.may_leave(*id, now_ms) {
                let other = seen.request.lane != Lane::Agent;
                assert!(other && others_full, "{id:?} waits although it may leave");
            }
        }
    }

    /// How many live requests each customer has in flight.
    pub(super) fn in_flight_of(&self, customer: Hash16) -> usize {
        let of = |seen: &&Seen| seen.request.customer == customer && seen.calling;
        self.live.values().filter(of).count()
    }
}
