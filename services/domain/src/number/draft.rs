//! A number with the events of one decision on top: `decide` sees what its own earlier events changed without
//! changing the number. `Number::apply` is a draft of one event, taken over.

use std::{collections::BTreeMap, ops::RangeBounds};

use super::{
    index::{Key, customer_range, next_keys, request_keys},
    pace::Turns,
    pair::PairMark,
    state::{Core, LANES, LiveRequest, Number, Request, lane_at},
};
use crate::{Hash16, Millis, RequestId, layered::Difference};

/// A number and changes on top of it.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    base: &'a Number,
    changes: Changes,
}

/// What differs from the number below.
#[derive(Debug)]
pub(super) struct Changes {
    core: Option<Core>,
    requests: BTreeMap<RequestId, Option<Request>>,
    index: Difference<Key>,
    ahead: [usize; LANES],
    calling: usize,
    /// Pair debts that changed; `None`: forgotten.
    pairs: BTreeMap<Hash16, Option<PairMark>>,
    turns: Turns,
    last_order: u64,
    clock_ms: Millis,
}

impl<'a> Draft<'a> {
    /// A draft without changes.
    pub(super) fn new(base: &'a Number) -> Self {
        let changes = Changes {
            core: None,
            requests: BTreeMap::new(),
            index: Difference::default(),
            ahead: base.ahead,
            calling: base.calling,
            pairs: BTreeMap::new(),
            turns: base.turns,
            last_order: base.last_order,
            clock_ms: base.clock_ms,
        };
        Self { base, changes }
    }

    /// The changes.
    pub(super) fn finish(self) -> Changes {
        self.changes
    }

    /// The number itself.
    pub(super) fn core(&self) -> &Core {
        self.changes.core.as_ref().unwrap_or(&self.base.core)
    }

    /// A request, live or remembered.
    pub(super) fn request(&self, id: RequestId) -> Option<&Request> {
        match self.changes.requests.get(&id) {
            Some(changed) => changed.as_ref(),
            None => self.base.requests.get(&id),
        }
    }

    /// A live request.
    pub(super) fn live(&self, id: RequestId) -> Option<&LiveRequest> {
        self.request(id).and_then(Request::live)
    }

    /// All live requests.
    pub(super) fn all_live(&self) -> impl Iterator<Item = (RequestId, &LiveRequest)> {
        let changed = &self.changes.requests;
        let unchanged = self.base.requests.iter().filter(|(id, _)| !changed.contains_key(id));
        let changed = changed.iter().filter_map(|(id, request)| Some((id, request.as_ref()?)));
        unchanged.chain(changed).filter_map(|(id, request)| Some((*id, request.live()?)))
    }

    /// Every live request of the number below, with the attempt that is under way.
    pub(super) fn live_requests(&self) -> Vec<(RequestId, Option<u32>)> {
        let ids = self.base.requests.keys().filter_map(|id| Some((*id, self.live(*id)?)));
        ids.map(|(id, live)| (id, live.is_calling().then_some(live.attempt))).collect()
    }

    /// Calls that are not known to have left by the door, by lane.
    pub(super) fn ahead(&self) -> [usize; LANES] {
        self.changes.ahead
    }

    /// Calls without a result.
    pub(super) fn calling(&self) -> usize {
        self.changes.calling
    }

    /// Requests that wait or are under way.
    pub(super) fn n_live(&self) -> usize {
        self.base.n_live()
    }

    /// Whose turn it is.
    pub(super) fn turns(&self) -> &Turns {
        &self.changes.turns
    }

    /// A request's lane had its turn.
    pub(super) fn had_turn(&mut self, id: RequestId) {
        if let Some(lane) = self.live(id).map(|live| live.request.lane) {
            self.changes.turns.had(lane);
        }
    }

    /// The pair debt with a customer.
    pub(super) fn pair(&self, customer: Hash16) -> PairMark {
        match self.changes.pairs.get(&customer) {
            Some(changed) => changed.unwrap_or_default(),
            None => self.base.pairs.get(&customer).copied().unwrap_or_default(),
        }
    }

    /// Keeps the greatest debt that any request of the customer remembers.
    fn mark_pair(&mut self, before: Option<(Hash16, PairMark)>, after: Option<(Hash16, PairMark)>) {
        if let Some((customer, mark)) = after {
            if mark.clear_ms > self.pair(customer).clear_ms {
                self.changes.pairs.insert(customer, Some(mark));
            }
        } else if let Some((customer, mark)) = before
            && mark.clear_ms >= self.pair(customer).clear_ms
        {
            self.changes.pairs.insert(customer, None);
        }
    }

    /// The order of the next request.
    pub(super) fn next_order(&self) -> u64 {
        self.changes.last_order.saturating_add(1)
    }

    /// Index entries of a range, in order.
    pub(super) fn keys<R>(&self, range: R) -> impl Iterator<Item = &Key>
    where
        R: RangeBounds<Key> + Clone,
    {
        self.changes.index.range(&self.base.index, range)
    }

    /// Notes the time of an event.
    pub(super) fn saw(&mut self, at_ms: Millis) {
        self.changes.clock_ms = self.changes.clock_ms.max(at_ms);
    }

    /// Changes the number itself.
    pub(super) fn change_core(&mut self, change: impl FnOnce(&mut Core)) {
        let mut core = self.changes.core.take().unwrap_or_else(|| self.base.core.clone());
        change(&mut core);
        self.changes.core = Some(core);
    }

    /// Changes a request; the indexes follow.
    pub(super) fn change_request(
        &mut self,
        id: RequestId,
        change: impl FnOnce(&mut Option<Request>),
    ) {
        let mut request = self.request(id).cloned();
        let customer_before = request.as_ref().and_then(customer_of);
        let next_before = self.next_of(customer_before);
        let own_before = request.as_ref().map_or_else(Vec::new, |it| request_keys(id, it));
        let pair_before = request.as_ref().and_then(pair_of);
        self.count(request.as_ref(), false);
        change(&mut request);
        self.count(request.as_ref(), true);
        let customer_after = request.as_ref().and_then(customer_of);
        let own_after = request.as_ref().map_or_else(Vec::new, |it| request_keys(id, it));
        // A new request joins customers who may have others waiting.
        let joined_before = match customer_before {
            None => self.next_of(customer_after),
            Some(_) => Vec::new(),
        };
        let pair_after = request.as_ref().and_then(pair_of);
        self.changes.requests.insert(id, request);
        self.mark_pair(pair_before, pair_after);
        self.move_keys(own_before, own_after);
        let next_after = self.next_of(customer_after.or(customer_before));
        self.move_keys([next_before, joined_before].concat(), next_after);
    }

    fn count(&mut self, request: Option<&Request>, after: bool) {
        let Some(live) = request.and_then(Request::live) else { return };
        if after {
            self.changes.last_order = self.changes.last_order.max(live.order);
        }
        let count = |counter: &mut usize| {
            *counter = if after { counter.saturating_add(1) } else { counter.saturating_sub(1) };
        };
        if live.is_calling() {
            count(&mut self.changes.calling);
        }
        if let Some(counter) = self.changes.ahead.get_mut(lane_at(live.request.lane))
            && live.is_ahead()
        {
            count(counter);
        }
    }

    fn next_of(&self, customer: Option<Hash16>) -> Vec<Key> {
        let Some(customer) = customer else { return Vec::new() };
        let requests = self.keys(customer_range(customer)).filter_map(|key| match key {
            Key::Customer(_, _, _, id) => Some((*id, self.live(*id)?)),
            _ => None,
        });
        next_keys(requests, self.pair(customer).ready_ms)
    }

    fn move_keys(&mut self, before: Vec<Key>, after: Vec<Key>) {
        for key in before.iter().filter(|key| !after.contains(key)) {
            self.changes.index.remove(*key);
        }
        for key in after.iter().filter(|key| !before.contains(key)) {
            self.changes.index.insert(*key);
        }
    }
}

/// What a request remembers of its customer's pair debt.
fn pair_of(request: &Request) -> Option<(Hash16, PairMark)> {
    let (customer, mark) = match request {
        Request::Live(live) => (live.request.customer, live.pair),
        Request::Ended(ended) => (ended.customer, ended.pair),
    };
    (mark.clear_ms > 0).then_some((customer, mark))
}

/// The customer whose turn a request has to do with.
fn customer_of(request: &Request) -> Option<Hash16> {
    match request {
        Request::Live(live) => Some(live.request.customer),
        Request::Ended(_) => pair_of(request).map(|(customer, _)| customer),
    }
}

impl Number {
    /// Takes over what a draft changed.
    pub(super) fn absorb(&mut self, changes: Changes) {
        if let Some(core) = changes.core {
            self.core = core;
        }
        for (id, request) in changes.requests {
            match request {
                Some(request) => self.requests.insert(id, request),
                None => self.requests.remove(&id),
            };
        }
        changes.index.merge_into(&mut self.index);
        self.ahead = changes.ahead;
        self.calling = changes.calling;
        for (customer, mark) in changes.pairs {
            match mark {
                Some(mark) => self.pairs.insert(customer, mark),
                None => self.pairs.remove(&customer),
            };
        }
        self.turns = changes.turns;
        self.last_order = changes.last_order;
        self.clock_ms = changes.clock_ms;
    }
}
