//! What supervisors see: who waits and why, and what every agent does. Pure reading of the state; nothing is decided
//! and nothing is kept for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Presence, ReservedFor, WorkspaceAnswer, WorkspaceInput,
    index::{
        Key, aged_range, all_aged_range, cooling_until_ms, holds_range, is_silent, takes_offers,
    },
    plan::Plan,
    reserve::has_room,
    state::{Agent, Item, LiveItem, Place, Workspace},
    waits::Staff,
};
use crate::{AgentId, EntityId, ItemId, Millis, QueueId};

/// Entries of one page, at most.
pub const PAGE_MAX: u32 = 200;
/// Conversations listed with one agent, at most.
const LISTED_MAX: usize = 64;

/// Why an item waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitReason {
    /// No agent is signed in.
    NobodySignedIn,
    /// Agents are signed in, none of them serves the queue with its skills.
    NobodySkilled,
    /// Those who serve the queue are away, or missed too many offers.
    EverybodyAway,
    /// Those who could take it have no room.
    EverybodyFull,
    /// Those with room rest after a rejection.
    CoolingDown {
        /// The first of them may be asked then.
        until_ms: Millis,
    },
    /// It is kept for one agent.
    Reserved {
        /// The agent.
        agent: AgentId,
        /// Why.
        why: ReservedFor,
        /// For everybody from then on.
        until_ms: Millis,
    },
    /// It is offered now.
    Offered {
        /// To whom.
        agent: AgentId,
        /// The offer's deadline.
        until_ms: Millis,
    },
    /// It is about to be offered.
    Matching,
    /// Its queue is not configured.
    UnknownQueue,
}

impl WaitReason {
    /// Name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NobodySignedIn => "nobody_signed_in",
            Self::NobodySkilled => "nobody_skilled",
            Self::EverybodyAway => "everybody_away",
            Self::EverybodyFull => "everybody_full",
            Self::CoolingDown { .. } => "cooling_down",
            Self::Reserved { .. } => "reserved",
            Self::Offered { .. } => "offered",
            Self::Matching => "matching",
            Self::UnknownQueue => "unknown_queue",
        }
    }

    /// Every name.
    pub const NAMES: [&'static str; 9] = [
        "nobody_signed_in",
        "nobody_skilled",
        "everybody_away",
        "everybody_full",
        "cooling_down",
        "reserved",
        "offered",
        "matching",
        "unknown_queue",
    ];
}

/// Place in the list of who waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingCursor {
    /// Queue.
    pub queue: QueueId,
    /// Age.
    pub since_ms: Millis,
    /// Item.
    pub item: ItemId,
}

/// Somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// The item.
    pub item: ItemId,
    /// Its conversation.
    pub conversation: EntityId,
    /// Queue.
    pub queue: QueueId,
    /// Since when the customer waits.
    pub since_ms: Millis,
    /// A VIP.
    pub vip: bool,
    /// Offers made so far.
    pub offers: u32,
    /// Why it waits.
    pub reason: WaitReason,
}

/// An agent as a supervisor sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentView {
    /// The agent.
    pub agent: AgentId,
    /// Connected.
    pub signed_in: bool,
    /// Declared presence.
    pub presence: Presence,
    /// Offered nothing until it does something: it missed too many offers.
    pub missed: bool,
    /// Capacity units in use.
    pub used: u32,
    /// Capacity units in all.
    pub capacity: u32,
    /// Open offers.
    pub offers: u32,
    /// Conversations it has, at most 64.
    pub assigned: Vec<EntityId>,
    /// Wrap-ups.
    pub wrap_ups: u32,
    /// The connection was lost then, and its conversations are still held.
    pub left_ms: Option<Millis>,
    /// It did not come back: its conversations are stranded, and queued again then at the latest.
    pub stranded_until_ms: Option<Millis>,
}

/// The answer to a question; `None` for other inputs.
pub(super) fn answer(
    workspace: &Workspace,
    input: &WorkspaceInput,
    now_ms: Millis,
) -> Option<WorkspaceAnswer> {
    Some(match input {
        WorkspaceInput::ListWaiting { queue, after, limit } => {
            list_waiting(workspace, queue.as_ref(), after.as_ref(), *limit, now_ms)
        }
        WorkspaceInput::ListAgents { after, limit } => {
            list_agents(workspace, after.as_ref(), *limit)
        }
        _ => return None,
    })
}

fn page<T>(views: impl Iterator<Item = T>, limit: u32) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit.clamp(1, PAGE_MAX)).unwrap_or(1);
    let mut views: Vec<T> = views.take(limit + 1).collect();
    let more = views.len() > limit;
    views.truncate(limit);
    (views, more)
}

fn list_waiting(
    workspace: &Workspace,
    queue: Option<&QueueId>,
    after: Option<&WaitingCursor>,
    limit: u32,
    now_ms: Millis,
) -> WorkspaceAnswer {
    let key = after.map(|at| Key::Aged(at.queue.clone(), at.since_ms, at.item));
    let range = match queue {
        // A cursor of another queue says nothing about this one.
        Some(queue) => {
            let after = after.filter(|at| at.queue == *queue);
            aged_range(queue, after.map(|at| (at.since_ms, at.item)))
        }
        None => all_aged_range(key),
    };
    let mut queues = BTreeMap::new();
    let views = workspace.index.range(range).filter_map(|key| {
        let Key::Aged(queue, since_ms, item) = key else { return None };
        let live = workspace.items.get(item).and_then(Item::live)?;
        Some(WaitingView {
            item: *item,
            conversation: live.conversation,
            queue: queue.clone(),
            since_ms: *since_ms,
            vip: live.hints.vip,
            offers: live.offers.made,
            reason: why(workspace, live, &mut queues, now_ms),
        })
    });
    let (items, more) = page(views, limit);
    WorkspaceAnswer::Waiting { items, more }
}

fn list_agents(workspace: &Workspace, after: Option<&AgentId>, limit: u32) -> WorkspaceAnswer {
    let Some(plan) = &workspace.plan else {
        return WorkspaceAnswer::Agents { agents: Vec::new(), more: false };
    };
    let blank = Agent::default();
    let configured = plan.config.agents.keys().filter(|id| after.is_none_or(|after| *id > after));
    let views = configured.map(|id| {
        let agent = workspace.agents.get(id).unwrap_or(&blank);
        agent_view(workspace, plan, id, agent)
    });
    let (agents, more) = page(views, limit);
    WorkspaceAnswer::Agents { agents, more }
}

fn agent_view(workspace: &Workspace, plan: &Plan, id: &AgentId, agent: &Agent) -> AgentView {
    let (mut offers, mut assigned) = (0, Vec::new());
    for key in workspace.index.range(holds_range(id)) {
        match key {
            Key::Holds(_, true, item) if assigned.len() < LISTED_MAX => {
                let live = workspace.items.get(item).and_then(Item::live);
                assigned.extend(live.map(|live| live.conversation));
            }
            Key::Holds(_, false, _) => offers += 1,
            _ => {}
        }
    }
    AgentView {
        agent: id.clone(),
        signed_in: agent.session.is_some(),
        presence: agent.presence,
        missed: is_silent(agent, plan),
        used: agent.used,
        capacity: plan.capacity(id),
        offers,
        assigned,
        wrap_ups: u32::try_from(agent.wrap_ups.len()).unwrap_or(u32::MAX),
        left_ms: agent.left_ms,
        stranded_until_ms: agent.stranded_until_ms,
    }
}

/// Why an item waits. What is the same for all items of a queue is worked out once per queue.
fn why(
    workspace: &Workspace,
    live: &LiveItem,
    queues: &mut BTreeMap<QueueId, WaitReason>,
    now_ms: Millis,
) -> WaitReason {
    if let Place::Offered { agent, deadline_ms, .. } = &live.place {
        return WaitReason::Offered { agent: agent.clone(), until_ms: *deadline_ms };
    }
    if let Some(kept) = &live.reserved {
        let (agent, why) = (kept.agent.clone(), kept.why);
        return WaitReason::Reserved { agent, why, until_ms: kept.until_ms };
    }
    if let Some(known) = queues.get(&live.queue) {
        return known.clone();
    }
    let reason = why_queue(workspace, &live.queue, now_ms);
    queues.insert(live.queue.clone(), reason.clone());
    reason
}

/// Why what waits in a queue for anybody waits.
fn why_queue(workspace: &Workspace, queue: &QueueId, now_ms: Millis) -> WaitReason {
    let Some(plan) = workspace.plan.as_ref().filter(|plan| plan.config.queues.contains_key(queue))
    else {
        return WaitReason::UnknownQueue;
    };
    let signed_in = workspace.agents.iter().filter(|(_, agent)| agent.session.is_some());
    let (mut any, mut skilled, mut there) = (false, false, false);
    let mut rested_ms: Option<Millis> = None;
    for (id, agent) in signed_in {
        any = true;
        if !plan.serves(id, queue) {
            continue;
        }
        skilled = true;
        if !takes_offers(agent, plan) {
            continue;
        }
        there = true;
        if has_room(agent, id, queue, plan) {
            let at_ms = cooling_until_ms(agent, plan);
            rested_ms = Some(rested_ms.map_or(at_ms, |ms| ms.min(at_ms)));
        }
    }
    let (any_signed_in, any_skilled, any_there) = (any, skilled, there);
    reason_of_queue(Staff { any_signed_in, any_skilled, any_there, rested_ms }, now_ms)
}

/// Why what waits in a queue with such agents waits.
pub(super) fn reason_of_queue(staff: Staff, now_ms: Millis) -> WaitReason {
    match staff.rested_ms {
        _ if !staff.any_signed_in => WaitReason::NobodySignedIn,
        _ if !staff.any_skilled => WaitReason::NobodySkilled,
        _ if !staff.any_there => WaitReason::EverybodyAway,
        None => WaitReason::EverybodyFull,
        Some(until_ms) if until_ms > now_ms => WaitReason::CoolingDown { until_ms },
        Some(_) => WaitReason::Matching,
    }
}

impl Workspace {
    /// How many items wait per queue and reason ([`WaitReason::name`]): looks at everything that waits. [`Waits`] is held
    /// to it.
    ///
    /// [`Waits`]: super::Waits
    #[cfg(test)]
    pub(super) fn waiting_counts(&self, now_ms: Millis) -> BTreeMap<(QueueId, &'static str), u64> {
        let mut queues = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for key in self.index.range(all_aged_range(None)) {
            let Key::Aged(queue, _, item) = key else { continue };
            let Some(live) = self.items.get(item).and_then(Item::live) else { continue };
            let reason = why(self, live, &mut queues, now_ms).name();
            *counts.entry((queue.clone(), reason)).or_default() += 1;
        }
        counts
    }

    /// The latest time seen in an event, ms.
    #[must_use]
    pub fn clock_ms(&self) -> Millis {
        self.clock_ms
    }
}
