//! From a draft to the matcher and back: draws a small problem, has it solved, makes the offers.
//!
//! Only queues in which something changed are looked at. Of each, the first waiting items and the first free agents are
//! drawn from the index; with n items drawn, n agents per queue (plus those an item may avoid) cannot miss the
//! best one, because each pair takes one agent out of its place in the order. So a decision costs what it changes,
//! not what waits.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use super::{
    decide::Turn,
    index::{Key, aged_range, cooling_until_ms, free_range, reserved_range, waiting_range},
    matcher::{self, Candidate, Class, Line, Problem, Waiting},
    plan::Plan,
    reserve::{self, has_room},
    state::{ENDED_OFFERS_MAX, LiveItem, Place, Workspace},
};
use crate::{AgentId, ItemId, Millis, QueueId};

/// Items of one round.
const ITEMS_MAX: usize = 24;

/// A drawn problem and what its positions stand for.
struct Drawn {
    problem: Problem,
    items: Vec<ItemId>,
    agents: Vec<AgentId>,
}

/// Offers what waits in the touched queues to whoever is free, as far as the step has room. What is left over makes the
/// workspace due at once ([`leftover_ms`]).
pub(super) fn match_touched(turn: &mut Turn<'_>) {
    let Some(plan) = turn.draft.plan().cloned() else { return };
    let mut queues = std::mem::take(&mut turn.draft.touched);
    queues.retain(|queue| plan.config.queues.contains_key(queue));
    while turn.has_room() {
        let drawn = draw(turn, &plan, &queues);
        let pairs = matcher::solve(&drawn.problem);
        if pairs.is_empty() {
            break;
        }
        for pair in pairs {
            if !turn.has_room() {
                break;
            }
            let (item, agent) = (drawn.items.get(pair.item), drawn.agents.get(pair.agent));
            if let (Some(item), Some(agent)) = (item, agent) {
                super::offers::make(turn, *item, agent);
            }
            // The offer took room away from what was kept for the agent: that is for everybody now, in its order.
            let freed = reserve::end_failed(turn);
            if !freed.is_empty() {
                queues.extend(freed);
                break;
            }
        }
    }
    // Offers only take room away: what they touched needs no other look.
    turn.draft.touched.clear();
}

/// Looks at every queue when an earlier step was full or an agent has cooled down since.
pub(super) fn touch_leftovers(turn: &mut Turn<'_>, workspace: &Workspace) {
    if leftover_ms(workspace).is_some_and(|at_ms| at_ms <= turn.now_ms) {
        let plan = workspace.plan.iter();
        turn.draft.touched.extend(plan.flat_map(|plan| plan.config.queues.keys().cloned()));
    }
}

/// A waiting item as it is drawn.
struct Candid<'t> {
    order: (Class, Reverse<i64>, Millis),
    item: ItemId,
    live: &'t LiveItem,
    only: Option<&'t AgentId>,
}

fn draw(turn: &Turn<'_>, plan: &Arc<Plan>, queues: &BTreeSet<QueueId>) -> Drawn {
    let open: Vec<&QueueId> =
        queues.iter().filter(|queue| free(turn, plan, queue).next().is_some()).collect();
    let mut items: Vec<Candid<'_>> =
        open.iter().flat_map(|queue| first_waiting(turn, plan, queue)).collect();
    items.extend(kept_for_somebody(turn, plan));
    items.sort_by_key(|candid| (candid.order, candid.item));
    items.truncate(ITEMS_MAX);
    items.sort_by_key(|candid| candid.item);
    let per_line = items.len() + ENDED_OFFERS_MAX + 1;
    let queues: BTreeSet<&QueueId> = items.iter().map(|candid| &candid.live.queue).collect();
    let queues: Vec<&QueueId> = queues.into_iter().collect();
    let picked: Vec<Vec<&AgentId>> =
        queues.iter().map(|queue| free(turn, plan, queue).take(per_line).collect()).collect();
    let kept = items.iter().filter_map(|candid| candid.only);
    let agents: BTreeSet<&AgentId> = picked.iter().flatten().copied().chain(kept).collect();
    let agents: Vec<AgentId> = agents.into_iter().cloned().collect();
    let at = |id: &AgentId| agents.binary_search(id).ok();
    let lines = queues.iter().zip(&picked).map(|(queue, picked)| Line {
        weight: plan.weight(queue),
        agents: picked.iter().filter_map(|id| at(id)).collect(),
    });
    let waiting = items.iter().map(|candid| Waiting {
        line: queues.binary_search(&&candid.live.queue).unwrap_or(usize::MAX),
        class: candid.order.0,
        priority: candid.order.1.0,
        since_ms: candid.order.2,
        avoid: avoided(turn, plan, candid.live).iter().filter_map(at).collect(),
        only: candid.only.and_then(at),
    });
    let candidates = agents.iter().map(|id| {
        let agent = turn.draft.agent(id);
        Candidate {
            capacity: plan.capacity(id),
            used: agent.map_or(0, |agent| agent.used),
            idle_since_ms: agent.map_or(0, |agent| agent.idle_since_ms),
        }
    });
    let problem =
        Problem { lines: lines.collect(), items: waiting.collect(), agents: candidates.collect() };
    Drawn { problem, items: items.iter().map(|candid| candid.item).collect(), agents }
}

/// The first items of a queue: by priority, and those that wait far beyond its target by age.
fn first_waiting<'t>(turn: &'t Turn<'_>, plan: &Plan, queue: &QueueId) -> Vec<Candid<'t>> {
    let starving_ms = plan.starving_before_ms(queue, turn.now_ms);
    let waits = |live: &&LiveItem| live.place == Place::Waiting && live.reserved.is_none();
    let oldest = turn.draft.keys(aged_range(queue, None)).filter_map(|key| match key {
        Key::Aged(_, since_ms, item) => Some((*since_ms, *item)),
        _ => None,
    });
    let starving = oldest
        .take_while(|(since_ms, _)| *since_ms < starving_ms)
        .filter(|(_, item)| turn.draft.live(*item).is_some_and(|live| waits(&live)))
        .map(|(_, item)| item)
        .take(ITEMS_MAX);
    let first = turn.draft.keys(waiting_range(queue)).filter_map(|key| match key {
        Key::Waiting(_, age) => Some(age.item),
        _ => None,
    });
    let ids: BTreeSet<ItemId> = starving.chain(first.take(ITEMS_MAX)).collect();
    ids.into_iter().filter_map(|item| candid(turn, plan, item, None)).collect()
}

/// Items that are kept for an agent who can be asked now.
fn kept_for_somebody<'t>(turn: &'t Turn<'_>, plan: &Plan) -> Vec<Candid<'t>> {
    let kept = turn.draft.keys(reserved_range()).filter_map(|key| match key {
        Key::Reserved(agent, item) => Some((agent, *item)),
        _ => None,
    });
    let askable = kept.filter(|(id, item)| {
        let (Some(agent), Some(live)) = (turn.draft.agent(id), turn.draft.live(*item)) else {
            return false;
        };
        has_room(agent, id, &live.queue, plan) && cooling_until_ms(agent, plan) <= turn.now_ms
    });
    askable.take(ITEMS_MAX).filter_map(|(id, item)| candid(turn, plan, item, Some(id))).collect()
}

fn candid<'t>(
    turn: &'t Turn<'_>,
    plan: &Plan,
    item: ItemId,
    only: Option<&'t AgentId>,
) -> Option<Candid<'t>> {
    let live = turn.draft.live(item)?;
    let base = plan.config.queues.get(&live.queue).map_or(0, |queue| queue.priority);
    let priority = i64::from(base) + i64::from(live.priority);
    let starving = live.since_ms < plan.starving_before_ms(&live.queue, turn.now_ms);
    let class = match (starving, live.is_ahead()) {
        (true, _) => Class::Starving,
        (false, true) => Class::Ahead,
        (false, false) => Class::Normal,
    };
    Some(Candid { order: matcher::order(class, priority, live.since_ms), item, live, only })
}

/// Agents with room for an item of the queue, in order, leaving out who is cooling down.
fn free<'t>(
    turn: &'t Turn<'_>,
    plan: &'t Arc<Plan>,
    queue: &QueueId,
) -> impl Iterator<Item = &'t AgentId> {
    turn.draft.keys(free_range(queue)).filter_map(|key| {
        let Key::Free(_, _, id) = key else { return None };
        let agent = turn.draft.agent(id)?;
        (cooling_until_ms(agent, plan) <= turn.now_ms).then_some(id)
    })
}

/// Who turned the item down lately, and who gave it away.
fn avoided(turn: &Turn<'_>, plan: &Plan, live: &LiveItem) -> Vec<AgentId> {
    let lately = |at_ms: Millis| at_ms.saturating_add(plan.config.re_offer_after_ms) > turn.now_ms;
    let ended = live.offers.ended.iter();
    let avoided = ended.filter(|offer| offer.end.turned_down() && lately(offer.at_ms));
    let giver = live.hints.giver.iter().filter(|giver| lately(giver.at_ms));
    avoided.map(|offer| &offer.agent).chain(giver.map(|giver| &giver.agent)).cloned().collect()
}

/// When matching goes on: at once where a full step left a pair over, else when the first agent who could take what
/// waits has cooled down.
pub(super) fn leftover_ms(workspace: &Workspace) -> Option<Millis> {
    let plan = workspace.plan.as_ref()?;
    let waits = |queue: &&QueueId| workspace.index.range(waiting_range(queue)).next().is_some();
    let mut earliest = reserve::due_ms(workspace, plan);
    for queue in plan.config.queues.keys().filter(waits) {
        for key in workspace.index.range(free_range(queue)) {
            let Key::Free(_, _, id) = key else { continue };
            let Some(agent) = workspace.agents.get(id) else { continue };
            let until_ms = cooling_until_ms(agent, plan).max(workspace.clock_ms);
            if until_ms == workspace.clock_ms {
                return Some(until_ms);
            }
            earliest = Some(earliest.map_or(until_ms, |ms| ms.min(until_ms)));
        }
    }
    earliest
}
