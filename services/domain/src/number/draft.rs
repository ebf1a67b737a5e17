//! A number with the events of one decision on top: `decide` sees what its own earlier events changed without
//! changing the number. `Number::apply` is a draft of one event, taken over.

use std::{collections::BTreeMap, ops::RangeBounds};

use super::{
    index::{Key, customer_range, next_keys, request_keys},
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
    in_flight: [usize; LANES],
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
            in_flight: base.in_flight,
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

    /// Calls in flight by lane.
    pub(super) fn in_flight(&self) -> [usize; LANES] {
        self.changes.in_flight
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
        let customer_before = request.as_ref().and_then(Request::live).map(customer_of);
        let next_before = self.next_of(customer_before);
        let own_before = request.as_ref().map_or_else(Vec::new, |it| request_keys(id, it));
        self.count(request.as_ref(), false);
        change(&mut request);
        self.count(request.as_ref(), true);
        let customer_after = request.as_ref().and_then(Request::live).map(customer_of);
        let own_after = request.as_ref().map_or_else(Vec::new, |it| request_keys(id, it));
        // A new request joins customers who may have others waiting.
        let joined_before = match customer_before {
            None => self.next_of(customer_after),
            Some(_) => Vec::new(),
        };
        self.changes.requests.insert(id, request);
        self.move_keys(own_before, own_after);
        let next_after = self.next_of(customer_after.or(customer_before));
        self.move_keys([next_before, joined_before].concat(), next_after);
    }

    fn count(&mut self, request: Option<&Request>, after: bool) {
        let Some(live) = request.and_then(Request::live) else { return };
        if after {
            self.changes.last_order = self.changes.last_order.max(live.order);
        }
        if let Some(counter) = self.changes.in_flight.get_mut(lane_at(live.request.lane))
            && live.is_calling()
        {
            *counter = if after { counter.saturating_add(1) } else { counter.saturating_sub(1) };
        }
    }

    fn next_of(&self, customer: Option<Hash16>) -> Vec<Key> {
        let Some(customer) = customer else { return Vec::new() };
        let requests = self.keys(customer_range(customer)).filter_map(|key| match key {
            Key::Customer(_, _, _, id) => Some((*id, self.live(*id)?)),
            _ => None,
        });
        next_keys(requests)
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

fn customer_of(live: &LiveRequest) -> Hash16 {
    live.request.customer
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
        self.in_flight = changes.in_flight;
        self.last_order = changes.last_order;
        self.clock_ms = changes.clock_ms;
    }
}
