//! Keeping an item for one agent for a while: the customer's last agent, the agent it was transferred to, the agent who
//! snoozed it.
//!
//! A last agent is tried only while it could take the item at once: signed in, available, skilled, with room; only its
//! rest after a rejection is waited for. An agent somebody chose need not serve the queue, and is waited for
//! while it is there but full. What fails its guard is for everybody, in the same decision.

use super::{
    ReservedFor, RoutingHints, WorkspaceEvent,
    decide::Turn,
    index::{Key, cooling_until_ms, reserved_range, takes_offers},
    plan::Plan,
    state::{Agent, LiveItem, Reserved, Workspace},
};
use crate::{AgentId, ItemId, Millis, QueueId};

/// Longest time for which the last agent is tried, ms; with a fourth of the queue's target the shorter one counts.
const LAST_AGENT_MS_MAX: Millis = 20_000;
/// How long a chosen agent who has no room now is waited for, ms.
const CHOSEN_MS: Millis = 60_000;

/// Keeps an item that begins to wait for whom it should be offered first.
pub(super) fn on_queued(turn: &mut Turn<'_>, item: ItemId, hints: &RoutingHints) {
    let Some(plan) = turn.draft.plan().cloned() else { return };
    let Some(queue) = turn.draft.live(item).map(|live| live.queue.clone()) else { return };
    let Some((agent, why, for_ms)) = wanted_first(hints, &plan, &queue, turn.now_ms) else {
        return;
    };
    let until_ms = turn.now_ms.saturating_add(for_ms);
    let at_ms = turn.now_ms;
    let kept = Reserved { agent: agent.clone(), why, until_ms };
    let asked_before = turn.draft.live(item).is_some_and(|live| turned_down(live, &agent));
    if may_wait(turn.draft.agent(&agent), &kept, &queue, &plan) && !asked_before {
        turn.record(WorkspaceEvent::ItemReserved { item, agent, why, until_ms, at_ms });
    }
}

fn wanted_first(
    hints: &RoutingHints,
    plan: &Plan,
    queue: &QueueId,
    now_ms: Millis,
) -> Option<(AgentId, ReservedFor, Millis)> {
    if let Some(target) = &hints.target {
        let why = if hints.returning { ReservedFor::Snooze } else { ReservedFor::Transfer };
        return Some((target.clone(), why, CHOSEN_MS));
    }
    let last = hints.last_agent.as_ref()?;
    let until_ms = last.at_ms.saturating_add(plan.config.sticky_ttl_ms);
    let for_ms = LAST_AGENT_MS_MAX.min(plan.answer_target_ms(queue) / 4);
    (now_ms < until_ms).then(|| (last.agent.clone(), ReservedFor::LastAgent, for_ms))
}

fn turned_down(live: &LiveItem, agent: &AgentId) -> bool {
    live.offers.ended.iter().any(|ended| ended.agent == *agent && ended.end.turned_down())
}

/// Whether it makes sense to keep an item for the agent now.
pub(super) fn may_wait(
    agent: Option<&Agent>,
    kept: &Reserved,
    queue: &QueueId,
    plan: &Plan,
) -> bool {
    let there = agent.filter(|agent| takes_offers(agent, plan));
    let (Some(agent), true) = (there, plan.config.agents.contains_key(&kept.agent)) else {
        return false;
    };
    match kept.why {
        ReservedFor::LastAgent => {
            plan.serves(&kept.agent, queue) && has_room(agent, &kept.agent, queue, plan)
        }
        ReservedFor::Transfer | ReservedFor::Snooze => {
            plan.weight(queue) <= plan.capacity(&kept.agent)
        }
    }
}

/// Whether an item of the queue fits into what the agent has left.
pub(super) fn has_room(agent: &Agent, id: &AgentId, queue: &QueueId, plan: &Plan) -> bool {
    agent.used.saturating_add(plan.weight(queue)) <= plan.capacity(id)
}

/// Gives up keeping an item, if it is kept.
pub(super) fn end(turn: &mut Turn<'_>, item: ItemId) {
    if turn.draft.live(item).is_some_and(|live| live.reserved.is_some()) {
        let at_ms = turn.now_ms;
        turn.record(WorkspaceEvent::ReservationEnded { item, at_ms });
    }
}

/// Gives up what no longer makes sense. Says in which queues there was any.
pub(super) fn end_failed(turn: &mut Turn<'_>) -> Vec<QueueId> {
    let Some(plan) = turn.draft.plan().cloned() else { return Vec::new() };
    let kept = turn.draft.keys(reserved_range()).filter_map(|key| match key {
        Key::Reserved(_, item) => Some(*item),
        _ => None,
    });
    let failed: Vec<(ItemId, QueueId)> = kept
        .filter_map(|item| {
            let live = turn.draft.live(item)?;
            let kept = live.reserved.as_ref()?;
            let holds = may_wait(turn.draft.agent(&kept.agent), kept, &live.queue, &plan);
            (!holds).then(|| (item, live.queue.clone()))
        })
        .collect();
    let mut queues = Vec::new();
    for (item, queue) in failed {
        if !turn.has_room() {
            break;
        }
        end(turn, item);
        queues.push(queue);
    }
    queues.retain(|queue| plan.config.queues.contains_key(queue));
    queues
}

/// When something kept must be looked at: at once where a full step left it over, else when its agent has rested.
/// (The end of the time itself is a timer.)
pub(super) fn due_ms(workspace: &Workspace, plan: &Plan) -> Option<Millis> {
    let mut earliest: Option<Millis> = None;
    for key in workspace.index.range(reserved_range()) {
        let Key::Reserved(id, item) = key else { continue };
        let live = workspace.items.get(item).and_then(super::state::Item::live);
        let Some((live, kept)) = live.and_then(|live| Some((live, live.reserved.as_ref()?))) else {
            continue;
        };
        let agent = workspace.agents.get(id);
        let at_ms = match agent {
            Some(agent) if may_wait(Some(agent), kept, &live.queue, plan) => {
                if !has_room(agent, id, &live.queue, plan) {
                    continue;
                }
                cooling_until_ms(agent, plan).max(workspace.clock_ms)
            }
            _ => workspace.clock_ms,
        };
        earliest = Some(earliest.map_or(at_ms, |ms| ms.min(at_ms)));
    }
    earliest
}
