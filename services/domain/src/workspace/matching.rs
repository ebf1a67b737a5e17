//! From a draft to the matcher and back: draws a small problem, has it solved, makes the offers.
//!
//! Only queues in which something changed are looked at. Of each, the first waiting items and the first free agents are
//! drawn from the index; with n items drawn, n agents per queue (plus those an item may avoid) cannot miss the
//! best one, because each pair takes one agent out of its place in the order. So a decision costs what it changes,
//! not what waits.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    decide::Turn,
    index::{Key, cooling_until_ms, free_range, waiting_range},
    matcher::{self, Candidate, Line, Problem, Waiting},
    plan::Plan,
    state::{ENDED_OFFERS_MAX, Workspace},
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

fn draw(turn: &Turn<'_>, plan: &Arc<Plan>, queues: &BTreeSet<QueueId>) -> Drawn {
    let open: Vec<&QueueId> =
        queues.iter().filter(|queue| free(turn, plan, queue).next().is_some()).collect();
    let mut items = Vec::new();
    for (line, queue) in open.iter().enumerate() {
        let base = plan.config.queues.get(*queue).map_or(0, |queue| queue.priority);
        let waiting = turn.draft.keys(waiting_range(queue)).take(ITEMS_MAX);
        items.extend(waiting.filter_map(|key| match key {
            Key::Waiting(_, age) => {
                let priority = i64::from(base) + i64::from(age.priority.0);
                Some((std::cmp::Reverse(priority), age.since_ms, age.item, line))
            }
            _ => None,
        }));
    }
    items.sort();
    items.truncate(ITEMS_MAX);
    items.sort_by_key(|(.., item, _)| *item);
    let per_line = items.len() + ENDED_OFFERS_MAX;
    let picked: Vec<Vec<&AgentId>> =
        open.iter().map(|queue| free(turn, plan, queue).take(per_line).collect()).collect();
    let agents: BTreeSet<&AgentId> = picked.iter().flatten().copied().collect();
    let agents: Vec<AgentId> = agents.into_iter().cloned().collect();
    let at = |id: &AgentId| agents.binary_search(id).ok();
    let lines = open.iter().zip(&picked).map(|(queue, picked)| Line {
        weight: plan.weight(queue),
        agents: picked.iter().filter_map(|id| at(id)).collect(),
    });
    let waiting = items.iter().map(|(priority, since_ms, item, line)| Waiting {
        line: *line,
        priority: priority.0,
        since_ms: *since_ms,
        avoid: avoided(turn, plan, *item).iter().filter_map(at).collect(),
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
    Drawn { problem, items: items.iter().map(|(.., item, _)| *item).collect(), agents }
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

/// Who turned the item down lately.
fn avoided(turn: &Turn<'_>, plan: &Plan, item: ItemId) -> Vec<AgentId> {
    let Some(live) = turn.draft.live(item) else { return Vec::new() };
    let lately = |at_ms: Millis| at_ms.saturating_add(plan.config.re_offer_after_ms) > turn.now_ms;
    let ended = live.offers.ended.iter();
    let avoided = ended.filter(|offer| offer.end.turned_down() && lately(offer.at_ms));
    avoided.map(|offer| offer.agent.clone()).collect()
}

/// When matching goes on: at once where a full step left a pair over, else when the first agent who could take what
/// waits has cooled down.
pub(super) fn leftover_ms(workspace: &Workspace) -> Option<Millis> {
    let plan = workspace.plan.as_ref()?;
    let waits = |queue: &&QueueId| workspace.index.range(waiting_range(queue)).next().is_some();
    let mut earliest: Option<Millis> = None;
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
