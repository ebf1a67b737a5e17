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
    /// Paused until a person acts: one call at a time tries.
    probing: bool,
    lanes: BTreeMap<Lane, Millis>,
    slowed: Option<(u32, Millis)>,
    /// What counted for each customer's pair rate, by time.
    pairs: BTreeMap<Hash16, Vec<Millis>>,
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
    departed: bool,
    reconciling: bool,
    /// It was stopped at the door, and waits for its conversation's word.
    unsent: bool,
    from_ms: Millis,
    pair_until_ms: Millis,
    counted_twice: bool,
}

/// The debt of a pair after these messages, ms of draining: the rule as the fact sheet words it (4.4).
fn debt(counted: &[Millis], now_ms: Millis) -> Millis {
    let mut debt = 0_u64;
    let mut as_of = counted.first().copied().unwrap_or(now_ms);
    for at_ms in counted {
        debt = debt.saturating_sub(at_ms - as_of) + 6_000;
        as_of = *at_ms;
    }
    debt.saturating_sub(now_ms - as_of)
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
                self.probing = false;
                self.lanes.clear();
            }
            NumberEvent::Paused { until_ms, cause } => {
                self.paused_until_ms = *until_ms;
                self.probing |= cause.is_some();
            }
            NumberEvent::Resumed => (self.probing, self.paused_until_ms) = (false, 0),
            NumberEvent::LanePaused { lane, until_ms, .. } => {
                self.lanes.insert(*lane, *until_ms);
            }
            NumberEvent::Slowed { permille, at_ms } => self.slowed = Some((*permille, *at_ms)),
            NumberEvent::Departed { request } => {
                let seen = self.live.get_mut(request).expect("live");
                assert!(seen.calling && !std::mem::replace(&mut seen.departed, true));
            }
            NumberEvent::Queued { request, order } => {
                assert!(self.live.values().all(|other| other.order < *order), "order of arrival");
                let seen = Seen {
                    request: request.as_ref().clone(),
                    order: *order,
                    calling: false,
                    departed: false,
                    reconciling: false,
                    unsent: false,
                    from_ms: 0,
                    pair_until_ms: 0,
                    counted_twice: false,
                };
                assert!(self.live.insert(request.request, seen).is_none(), "queued twice");
            }
            NumberEvent::Intended { request, attempt, .. } => {
                let call = call.expect("an intent has its call");
                assert_eq!((call.key.request, call.key.attempt), (*request, *attempt));
                self.on_intent(*request, call, now_ms);
            }
            NumberEvent::Reconciling { request, asked_ms, .. } => {
                let seen = self.live.get_mut(request).expect("live");
                // Again while the conversation is asked.
                assert!(seen.calling || seen.reconciling);
                let was_in_doubt = seen.reconciling && !seen.unsent;
                let is_in_doubt = *asked_ms == 0;
                let doubts = self.unknown.entry(*request).or_default();
                *doubts = *doubts + u32::from(is_in_doubt) - u32::from(was_in_doubt);
                (seen.calling, seen.reconciling, seen.unsent) = (false, true, !is_in_doubt);
            }
            NumberEvent::RetryAt { request, at_ms, after_unknown, cause, .. } => {
                assert_eq!(*after_unknown, *cause == RetryCause::Unknown);
                let seen = self.live.get_mut(request).expect("live");
                assert!(seen.calling || seen.reconciling);
                if !after_unknown && seen.reconciling && !seen.unsent {
                    // A late result cleared the doubt.
                    *self.unknown.get_mut(request).unwrap() -= 1;
                }
                (seen.calling, seen.reconciling, seen.from_ms) = (false, false, *at_ms);
                if *cause == RetryCause::Pair {
                    seen.pair_until_ms = *at_ms;
                }
            }
            NumberEvent::MarketingWished { request, stopped } => {
                let asked = &mut self.live.get_mut(request).expect("live").request;
                assert_ne!(asked.marketing_stopped, *stopped, "a wish that changes nothing");
                asked.marketing_stopped = *stopped;
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
        let marketing = request.marketing || request.lane == Lane::Campaign;
        assert!(!marketing || !request.marketing_stopped, "marketing to who wants none");
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
        if attempts.0 == 1 || (unknown > 0 && attempts.1 == 1 && !self.live[&id].counted_twice) {
            let counted = self.pairs.entry(self.live[&id].request.customer).or_default();
            counted.push(now_ms);
            assert!(debt(counted, now_ms) <= 45 * 6_000, "more than 45 messages of debt");
        }
        let seen = self.live.get_mut(&id).unwrap();
        seen.counted_twice |= unknown > 0;
        (seen.calling, seen.departed) = (true, false);
        let probes = self.live.values().filter(|seen| seen.calling).count();
        assert!(!self.probing || probes == 1, "a paused channel is tried by one call");
        let (ahead, slow) = (self.ahead(|_| true), self.window(now_ms) == 1);
        let most = self.window(now_ms) + usize::from(slow);
        assert!(ahead <= most, "more than 250 ms of the rate ahead of the door");
    }

    fn ahead(&self, of: impl Fn(&Seen) -> bool) -> usize {
        self.live.values().filter(|seen| seen.calling && !seen.departed && of(seen)).count()
    }

    /// 250 ms of the rate as it is now, in calls.
    fn window(&self, now_ms: Millis) -> usize {
        let rate = self.config.as_ref().map_or(0, |config| config.rate_per_s);
        let permille = self.slowed.map_or(1_000, |(permille, at_ms)| {
            (u64::from(permille) + (now_ms - at_ms) / 100).min(1_000)
        });
        let slowed = (u64::from(rate) * permille / 1_000).max(u64::from(rate.min(1)));
        (slowed as usize / 4).max(1)
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
        let lane = self.lane_of(id);
        let paused = now_ms < self.paused_until_ms
            || self.lanes.get(&lane).is_some_and(|until_ms| now_ms < *until_ms)
            || (self.probing && self.live.values().any(|other| other.calling));
        let owed = self.pairs.get(&seen.request.customer);
        let pair = pair && owed.is_none_or(|counted| debt(counted, now_ms) + 6_000 <= 45 * 6_000);
        free && pair && first && !paused && !seen.reconciling && seen.from_ms <= now_ms
    }

    /// The best lane of those of its customer and class that wait behind it.
    fn lane_of(&self, id: RequestId) -> Lane {
        let seen = &self.live[&id];
        let behind = self.live.values().filter(|other| {
            other.request.customer == seen.request.customer
                && talk(other.request.lane) == talk(seen.request.lane)
                && other.order >= seen.order
        });
        behind.map(|other| other.request.lane).min().unwrap_or(seen.request.lane)
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
        if self.config.is_none() {
            return;
        }
        let window = self.window(now_ms);
        let (ahead, agents) =
            (self.ahead(|_| true), self.ahead(|it| it.request.lane == Lane::Agent));
        let agents_full = if window == 1 { agents > 0 || ahead >= 2 } else { ahead >= window };
        let others_max = if window == 1 { 1 } else { window - (window / 4).max(1) };
        let others_full = ahead - agents >= others_max || ahead >= window.max(2);
        let agent_waits = self
            .live
            .keys()
            .any(|id| self.lane_of(*id) == Lane::Agent && self.may_leave(*id, now_ms));
        for id in self.live.keys() {
            if self.may_leave(*id, now_ms) {
                let full = if self.lane_of(*id) == Lane::Agent { agents_full } else { others_full };
                // In debt a customer's conversation goes before campaigns.
                let behind = self.live.iter().any(|(other, it)| {
                    it.request.customer == self.live[id].request.customer
                        && talk(it.request.lane) < talk(self.live[id].request.lane)
                        && !it.reconciling
                        && other != id
                });
                assert!(
                    full || behind || agent_waits && agents_full,
                    "{id:?} waits although it may leave"
                );
            }
        }
    }

    /// How many live requests each customer has in flight.
    pub(super) fn in_flight_of(&self, customer: Hash16) -> usize {
        let of = |seen: &&Seen| seen.request.customer == customer && seen.calling;
        self.live.values().filter(of).count()
    }
}
