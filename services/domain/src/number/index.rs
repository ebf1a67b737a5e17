//! The orders in which a number looks things up: derived from its parts, never saved.

use std::ops::{Range, RangeInclusive};

use super::{
    Lane,
    state::{Class, Fate, LiveRequest, Request, Stage},
};
use crate::{Hash16, Millis, RequestId};

/// How long the id of a request that surely left or surely never will is remembered, ms.
const REMEMBER_CLEAR_MS: Millis = 60_000;
/// How long the id of a request whose end may still be corrected is remembered, ms.
const REMEMBER_DOUBTFUL_MS: Millis = 600_000;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A live request of a customer.
    Customer(Hash16, Class, u64, RequestId),
    /// The next of a customer's class may leave now.
    Ready(Lane, u64, RequestId),
    /// The next of a customer's class may leave then.
    Later(Lane, Millis, u64, RequestId),
    /// Something happens to a request then.
    Due(Millis, RequestId),
    /// The memory of an ended request ends then.
    Forget(Millis, RequestId),
}

const LEAST: RequestId = RequestId { conversation: Hash16([0; 16]), n: 0 };
const GREATEST: RequestId = RequestId { conversation: Hash16([0xff; 16]), n: u64::MAX };

/// The range of a customer's requests.
pub(super) fn customer_range(customer: Hash16) -> RangeInclusive<Key> {
    Key::Customer(customer, Class::Talk, 0, LEAST)
        ..=Key::Customer(customer, Class::Campaign, u64::MAX, GREATEST)
}

/// The range of what may leave now in a lane.
pub(super) fn ready_range(lane: Lane) -> RangeInclusive<Key> {
    Key::Ready(lane, 0, LEAST)..=Key::Ready(lane, u64::MAX, GREATEST)
}

/// The range of what may leave until `now_ms` in a lane.
pub(super) fn later_range(lane: Lane, now_ms: Millis) -> RangeInclusive<Key> {
    Key::Later(lane, 0, 0, LEAST)..=Key::Later(lane, now_ms, u64::MAX, GREATEST)
}

/// The range of what is due until `now_ms`.
pub(super) fn due_range(now_ms: Millis) -> Range<Key> {
    Key::Due(0, LEAST)..Key::Due(now_ms.saturating_add(1), LEAST)
}

/// The range of what is forgotten until `now_ms`.
pub(super) fn forget_range(now_ms: Millis) -> RangeInclusive<Key> {
    Key::Forget(0, LEAST)..=Key::Forget(now_ms, GREATEST)
}

/// The keys of one request by itself.
pub(super) fn request_keys(id: RequestId, request: &Request) -> Vec<Key> {
    match request {
        Request::Ended(ended) => {
            let memory_ms = match ended.fate {
                Fate::Accepted | Fate::Failed => REMEMBER_CLEAR_MS,
                Fate::Cancelled | Fate::Unknown => REMEMBER_DOUBTFUL_MS,
            };
            // Its customer's pair debt is remembered by it.
            let until_ms = ended.at_ms.saturating_add(memory_ms).max(ended.pair.clear_ms);
            vec![Key::Forget(until_ms, id)]
        }
        Request::Live(live) => {
            let due_ms = match live.stage {
                Stage::Waiting | Stage::RetryAt { .. } | Stage::Fetched => {
                    live.request.not_after_ms.saturating_add(1)
                }
                Stage::Calling { over_ms } => over_ms,
                Stage::Reconciling { until_ms, .. } => until_ms,
            };
            let customer = Key::Customer(live.request.customer, live.class(), live.order, id);
            vec![customer, Key::Due(due_ms, id)]
        }
    }
}

/// What of a customer may leave next: at most one request per class, none while a call is in flight. `requests` are
/// all of the customer's live ones in order of class and arrival. `pair_ready_ms`: with its pair debt the customer takes
/// nothing before then (0: now); then only the best class goes, so that a conversation never waits for a campaign.
pub(super) fn next_keys<'a>(
    requests: impl Iterator<Item = (RequestId, &'a LiveRequest)>,
    pair_ready_ms: Millis,
) -> Vec<Key> {
    let mut heads: Vec<(Class, Lane, RequestId, &LiveRequest)> = Vec::new();
    let mut customer_from_ms = pair_ready_ms;
    for (id, live) in requests {
        if live.is_calling() {
            return Vec::new();
        }
        if let Stage::RetryAt { at_ms, pair: true } = live.stage {
            customer_from_ms = customer_from_ms.max(at_ms);
        }
        match heads.last_mut() {
            // The first of a class leaves for all behind it: it goes in the best lane among them.
            Some((class, lane, ..)) if *class == live.class() => {
                *lane = (*lane).min(live.request.lane);
            }
            _ => heads.push((live.class(), live.request.lane, id, live)),
        }
    }
    let keys = heads.into_iter().filter_map(|(_, lane, id, live)| {
        let from_ms = match live.stage {
            Stage::Waiting => customer_from_ms,
            Stage::RetryAt { at_ms, .. } => at_ms.max(customer_from_ms),
            // Its class waits until it is known whether it is to be repeated.
            Stage::Calling { .. } | Stage::Reconciling { .. } | Stage::Fetched => return None,
        };
        Some(match from_ms {
            0 => Key::Ready(lane, live.order, id),
            _ => Key::Later(lane, from_ms, live.order, id),
        })
    });
    keys.take(if pair_ready_ms > 0 { 1 } else { usize::MAX }).collect()
}
