//! The orders in which a workspace looks things up: derived from its parts, never saved.
//!
//! One ordered set holds all of them. Each part by itself (with the configuration) says which keys it has, so
//! that parts loaded in any order give the same set.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    ops::{Bound, Range, RangeFrom, RangeInclusive},
};

use super::{
    Presence,
    matcher::rank,
    plan::Plan,
    state::{Agent, Item, LiveItem, Place},
};
use crate::{AgentId, Hash16, ItemId, Millis, QueueId};

/// How long the version of a gone item is remembered, ms.
pub(super) const REMEMBER_GONE_MS: Millis = 300_000;

/// No item id is greater.
const GREATEST_ITEM: ItemId = ItemId { conversation: Hash16([0xff; 16]), n: u32::MAX };

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A waiting item of a queue that whoever is free may be offered, first served first.
    Waiting(QueueId, Age),
    /// An item of a queue that nobody has (it waits, is reserved or is offered), the oldest first.
    Aged(QueueId, Millis, ItemId),
    /// A waiting item that is kept for an agent.
    Reserved(AgentId, ItemId),
    /// An agent who could take an item of a queue, first asked first. It may be cooling down.
    Free(QueueId, (u8, u64), AgentId),
    /// What an agent is offered (`false`) or has (`true`).
    Holds(AgentId, bool, ItemId),
    /// Something happens then.
    Due(Millis, Timer),
    /// The memory of a gone item ends then.
    Forget(Millis, ItemId),
    /// A waiting item whose queue, or a held one whose agent, is not configured.
    LostItem(ItemId),
    /// Signed in, but not configured.
    LostAgent(AgentId),
}

/// Order of the items of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age {
    /// VIPs and what comes back from a snooze first.
    pub(super) ahead: Reverse<bool>,
    pub(super) priority: Reverse<i32>,
    pub(super) since_ms: Millis,
    pub(super) item: ItemId,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// An offer's deadline.
    Offer(ItemId),
    /// The end of the hold after a lost connection.
    Hold(AgentId),
    /// The agent did not come back.
    Stranded(AgentId),
    /// The end of an item's reservation.
    Reserved(ItemId),
    /// The end of work after a conversation.
    WrapUp(AgentId),
}

impl Timer {
    /// The least of all timers.
    const FIRST: Self = Self::Offer(ItemId { conversation: Hash16([0; 16]), n: 0 });
}

/// The range of what waits in a queue.
pub(super) fn waiting_range(queue: &QueueId) -> RangeInclusive<Key> {
    let least = Age {
        ahead: Reverse(true),
        priority: Reverse(i32::MAX),
        since_ms: 0,
        item: ItemId::default(),
    };
    let greatest = Age {
        ahead: Reverse(false),
        priority: Reverse(i32::MIN),
        since_ms: Millis::MAX,
        item: GREATEST_ITEM,
    };
    Key::Waiting(queue.clone(), least)..=Key::Waiting(queue.clone(), greatest)
}

/// The range of what nobody of a queue has, from `since_ms` on.
pub(super) fn aged_range(
    queue: &QueueId,
    after: Option<(Millis, ItemId)>,
) -> (Bound<Key>, Bound<Key>) {
    let from = match after {
        Some((since_ms, item)) => Bound::Excluded(Key::Aged(queue.clone(), since_ms, item)),
        None => Bound::Included(Key::Aged(queue.clone(), 0, ItemId::default())),
    };
    (from, Bound::Included(Key::Aged(queue.clone(), Millis::MAX, GREATEST_ITEM)))
}

/// The range of everything that nobody has, in every queue, after an entry.
pub(super) fn all_aged_range(after: Option<Key>) -> (Bound<Key>, Bound<Key>) {
    let least = || Bound::Included(Key::Aged(QueueId::default(), 0, ItemId::default()));
    let from = after.map_or_else(least, Bound::Excluded);
    (from, Bound::Excluded(Key::Reserved(AgentId::default(), ItemId::default())))
}

/// The range of what is kept for somebody.
pub(super) fn reserved_range() -> Range<Key> {
    Key::Reserved(AgentId::default(), ItemId::default())
        ..Key::Free(QueueId::default(), (0, 0), AgentId::default())
}

/// The range of what an agent is offered or has.
pub(super) fn holds_range(agent: &AgentId) -> RangeInclusive<Key> {
    Key::Holds(agent.clone(), false, ItemId::default())
        ..=Key::Holds(agent.clone(), true, GREATEST_ITEM)
}

/// The range of who could take an item of a queue.
pub(super) fn free_range(queue: &QueueId) -> RangeInclusive<Key> {
    // No rank is above (1, MAX), and an id only counts within one rank.
    Key::Free(queue.clone(), (0, 0), AgentId::default())
        ..=Key::Free(queue.clone(), (2, 0), AgentId::default())
}

/// The range of what is due until `now_ms`.
pub(super) fn due_range(now_ms: Millis) -> Range<Key> {
    let after = now_ms.saturating_add(1);
    Key::Due(0, Timer::FIRST)..Key::Due(after, Timer::FIRST)
}

/// The range of what is forgotten until `now_ms`.
pub(super) fn forget_range(now_ms: Millis) -> RangeInclusive<Key> {
    Key::Forget(0, ItemId::default())..=Key::Forget(now_ms, GREATEST_ITEM)
}

/// The range of what lost its queue or agent.
pub(super) fn lost_range() -> RangeFrom<Key> {
    Key::LostItem(ItemId::default())..
}

/// Whether any item waits, is offered or is held.
pub(super) fn has_live(index: &BTreeSet<Key>) -> bool {
    let holds = Key::Holds(AgentId::default(), false, ItemId::default())..Key::Due(0, Timer::FIRST);
    index.range(all_aged_range(None)).next().is_some() || index.range(holds).next().is_some()
}

/// The keys an item has.
pub(super) fn item_keys(id: ItemId, item: &Item, plan: Option<&Plan>) -> Vec<Key> {
    let live = match item {
        Item::Gone(gone) => {
            let at_ms = gone.at_ms.saturating_add(REMEMBER_GONE_MS);
            return vec![Key::Forget(at_ms, id)];
        }
        Item::Live(live) => live,
    };
    let mut keys = match &live.place {
        Place::Waiting => match &live.reserved {
            Some(kept) => vec![
                Key::Reserved(kept.agent.clone(), id),
                Key::Due(kept.until_ms, Timer::Reserved(id)),
            ],
            None => vec![Key::Waiting(live.queue.clone(), age(id, live))],
        },
        Place::Offered { agent, deadline_ms, .. } => {
            vec![Key::Holds(agent.clone(), false, id), Key::Due(*deadline_ms, Timer::Offer(id))]
        }
        Place::Assigned { agent, .. } => vec![Key::Holds(agent.clone(), true, id)],
    };
    if !matches!(live.place, Place::Assigned { .. }) {
        keys.push(Key::Aged(live.queue.clone(), live.since_ms, id));
    }
    if plan.is_some_and(|plan| is_lost(live, plan)) {
        keys.push(Key::LostItem(id));
    }
    keys
}

fn age(item: ItemId, live: &LiveItem) -> Age {
    Age {
        ahead: Reverse(live.is_ahead()),
        priority: Reverse(live.priority),
        since_ms: live.since_ms,
        item,
    }
}

/// A waiting or offered item is lost without its queue, a held one without its agent.
fn is_lost(live: &LiveItem, plan: &Plan) -> bool {
    let assigned = matches!(live.place, Place::Assigned { .. });
    let queue_gone = !assigned && !plan.config.queues.contains_key(&live.queue);
    let agent_gone =
        live.holder().is_some_and(|(agent, _)| !plan.config.agents.contains_key(agent));
    queue_gone || agent_gone
}

/// The keys an agent has.
pub(super) fn agent_keys(id: &AgentId, agent: &Agent, plan: Option<&Plan>) -> Vec<Key> {
    let Some(plan) = plan else { return Vec::new() };
    let mut keys = Vec::new();
    if agent.session.is_some() && !plan.config.agents.contains_key(id) {
        keys.push(Key::LostAgent(id.clone()));
    }
    if let Some(left_ms) = agent.left_ms {
        let end_ms = left_ms.saturating_add(plan.config.lost_connection_hold_ms);
        keys.push(Key::Due(end_ms, Timer::Hold(id.clone())));
    }
    if let Some(until_ms) = agent.stranded_until_ms {
        keys.push(Key::Due(until_ms, Timer::Stranded(id.clone())));
    }
    if let Some(until_ms) = agent.wrap_ups.iter().map(|wrap_up| wrap_up.until_ms).min() {
        keys.push(Key::Due(until_ms, Timer::WrapUp(id.clone())));
    }
    if takes_offers(agent, plan) {
        let capacity = plan.capacity(id);
        let rank = rank(agent.used, capacity, agent.idle_since_ms);
        for (queue, weight) in plan.served_by(id) {
            if agent.used.saturating_add(*weight) <= capacity {
                keys.push(Key::Free(queue.clone(), rank, id.clone()));
            }
        }
    }
    keys
}

/// Signed in, available, and not silent for too many offers.
pub(super) fn takes_offers(agent: &Agent, plan: &Plan) -> bool {
    agent.session.is_some() && agent.presence == Presence::Available && !is_silent(agent, plan)
}

/// It missed so many offers that it is offered nothing until it does something.
pub(super) fn is_silent(agent: &Agent, plan: &Plan) -> bool {
    plan.misses_max().is_some_and(|max| agent.misses_ms.len() >= max)
}

/// Until when an agent is not asked after a rejection; 0 when it may be asked.
pub(super) fn cooling_until_ms(agent: &Agent, plan: &Plan) -> Millis {
    agent.rejected_ms.map_or(0, |at_ms| at_ms.saturating_add(plan.config.reject_cool_down_ms))
}
