//! The naive model: follows the events, looks at everything every time, and knows the rules by heart.
//!
//! It shares nothing with the code under test but the contract. At each event it says whether that event was allowed
//! then; after each decision it says whether anything was left undone.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AgentId, ItemId, Millis, QueueId,
    workspace::{
        AgentSince, OfferEnd, Presence, ReservedFor, SkillNeed, Workspace, WorkspaceConfig,
        WorkspaceEvent,
    },
};

#[derive(Default)]
pub(super) struct Model {
    config: Option<WorkspaceConfig>,
    pub(super) items: BTreeMap<ItemId, MItem>,
    pub(super) agents: BTreeMap<AgentId, MAgent>,
}

#[derive(Clone, Debug)]
pub(super) struct MItem {
    pub(super) queue: QueueId,
    pub(super) since_ms: Millis,
    pub(super) priority: i32,
    pub(super) version: u32,
    /// Who, and whether assigned.
    pub(super) holder: Option<(AgentId, bool, u32)>,
    turned_down: Vec<(AgentId, Millis)>,
    ahead: bool,
    giver: Option<AgentSince>,
    kept: Option<(AgentId, ReservedFor)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct MAgent {
    pub(super) online: bool,
    pub(super) presence: Presence,
    idle_since_ms: Millis,
    rejected_ms: Option<Millis>,
    misses_ms: Vec<Millis>,
    wrap_ups: BTreeMap<ItemId, u32>,
}

impl Model {
    /// Follows one event, and panics if it was not allowed.
    pub(super) fn take(&mut self, event: &WorkspaceEvent, now_ms: Millis) {
        match event {
            WorkspaceEvent::Configured(config) => self.config = Some(config.as_ref().clone()),
            WorkspaceEvent::ItemQueued {
                item, version, queue, since_ms, priority, hints, ..
            } => {
                let held = self.items.get(item).and_then(|item| item.holder.clone());
                assert_eq!(held, None, "{item:?} is queued although held");
                let queued = MItem {
                    queue: queue.clone(),
                    since_ms: *since_ms,
                    priority: *priority,
                    version: *version,
                    holder: None,
                    turned_down: self.items.remove(item).map_or(Vec::new(), |it| it.turned_down),
                    ahead: hints.vip || hints.returning,
                    giver: hints.giver.clone(),
                    kept: None,
                };
                self.items.insert(*item, queued);
            }
            WorkspaceEvent::ItemReserved { .. } | WorkspaceEvent::ReservationEnded { .. } => {
                self.take_kept(event, now_ms);
            }
            WorkspaceEvent::ItemRenewed { item, version, since_ms, priority, hints, .. } => {
                let item = self.items.get_mut(item).expect("renewed");
                assert!(item.version < *version);
                item.ahead = hints.vip || hints.returning;
                item.giver = hints.giver.clone();
                (item.version, item.since_ms, item.priority) = (*version, *since_ms, *priority);
            }
            WorkspaceEvent::ItemOffered { offer, agent, weight, .. } => {
                assert_eq!(
                    self.best_pair(now_ms),
                    Some((offer.item, agent.clone())),
                    "another offer was due"
                );
                assert_eq!(*weight, self.queue_weight(&self.items[&offer.item].queue));
                self.hold(offer.item, agent, false, *weight);
                let capacity = self.config.as_ref().unwrap().agents[agent].capacity;
                assert!(self.used(agent) <= capacity, "an offer above capacity");
            }
            WorkspaceEvent::OfferEnded { offer, agent, end, at_ms } => {
                let item = self.items.get_mut(&offer.item).expect("offered");
                let holder = item.holder.take().expect("offered");
                assert!(!holder.1 && holder.0 == *agent, "{holder:?} has no offer to end");
                if matches!(end, OfferEnd::Rejected | OfferEnd::Missed | OfferEnd::Undeliverable) {
                    item.turned_down.push((agent.clone(), *at_ms));
                }
            }
            WorkspaceEvent::ItemAssigned { item, agent, weight, .. } => {
                self.hold(*item, agent, true, *weight);
                self.items.get_mut(item).expect("assigned").kept = None;
            }
            WorkspaceEvent::ItemReturned { item, .. } => {
                let item = self.items.get_mut(item).expect("assigned");
                assert!(item.holder.take().expect("assigned").1, "returned, not assigned");
            }
            WorkspaceEvent::ItemEnded { item, .. } => {
                let gone = self.items.remove(item);
                assert_eq!(gone.and_then(|item| item.holder), None, "ended while held");
            }
            _ => self.take_agent(event),
        }
    }

    fn take_kept(&mut self, event: &WorkspaceEvent, now_ms: Millis) {
        match event {
            WorkspaceEvent::ItemReserved { item, agent, why, until_ms, .. } => {
                let bound_ms = if *why == ReservedFor::LastAgent { 20_000 } else { 60_000 };
                assert!(*until_ms <= now_ms + bound_ms, "kept for too long");
                let kept = self.items.get_mut(item).expect("a live item is kept");
                assert_eq!(kept.holder, None, "kept although held");
                kept.kept = Some((agent.clone(), *why));
                assert!(
                    self.may_be_kept(&self.items[item]),
                    "{item:?} is kept for {agent} in vain"
                );
            }
            WorkspaceEvent::ReservationEnded { item, .. } => {
                let kept = self.items.get_mut(item).expect("kept").kept.take();
                assert!(kept.is_some(), "nothing was kept");
            }
            _ => {}
        }
    }

    fn take_agent(&mut self, event: &WorkspaceEvent) {
        match event {
            WorkspaceEvent::AgentUnloaded { agent, at_ms, .. } => {
                self.agent(agent).idle_since_ms = *at_ms;
            }
            WorkspaceEvent::WrapUpBegan { agent, item, weight, .. } => {
                self.agent(agent).wrap_ups.insert(*item, *weight);
            }
            WorkspaceEvent::WrapUpEnded { agent, item, at_ms } => {
                let agent = self.agent(agent);
                assert!(agent.wrap_ups.remove(item).is_some(), "no wrap-up to end");
                agent.idle_since_ms = *at_ms;
            }
            WorkspaceEvent::AgentMissed { agent, end, at_ms, .. } => {
                let agent = self.agent(agent);
                if *end == OfferEnd::Rejected {
                    agent.rejected_ms = Some(*at_ms);
                } else {
                    agent.misses_ms.push(*at_ms);
                }
            }
            WorkspaceEvent::AgentActive { agent, .. } => self.agent(agent).misses_ms.clear(),
            WorkspaceEvent::SignedIn { agent, at_ms, .. } => {
                let agent = self.agent(agent);
                agent.online = true;
                agent.idle_since_ms = *at_ms;
                agent.misses_ms.clear();
            }
            WorkspaceEvent::SignedOut { agent, .. } => self.agent(agent).online = false,
            WorkspaceEvent::PresenceSet { agent, presence, at_ms } => {
                let agent = self.agent(agent);
                if agent.presence == Presence::Away && *presence == Presence::Available {
                    agent.idle_since_ms = *at_ms;
                }
                agent.presence = *presence;
                agent.misses_ms.clear();
            }
            _ => {}
        }
    }

    fn agent(&mut self, id: &AgentId) -> &mut MAgent {
        self.agents.entry(id.clone()).or_default()
    }

    fn hold(&mut self, item: ItemId, agent: &AgentId, assigned: bool, weight: u32) {
        let item = self.items.get_mut(&item).expect("only a live item is given");
        assert_eq!(item.holder, None, "given twice");
        item.holder = Some((agent.clone(), assigned, weight));
    }

    pub(super) fn used(&self, agent: &AgentId) -> u32 {
        let holders = self.items.values().filter_map(|item| item.holder.as_ref());
        let held: u32 =
            holders.filter(|(holder, ..)| holder == agent).map(|(.., weight)| weight).sum();
        let wraps = self.agents.get(agent).map_or(0, |agent| agent.wrap_ups.values().sum());
        held + wraps
    }

    /// Signed in, available, not silent.
    fn is_there(&self, id: &AgentId) -> bool {
        let (Some(config), Some(agent)) = (&self.config, self.agents.get(id)) else { return false };
        let silent = config.misses_max > 0 && {
            let last = agent.misses_ms.last().copied().unwrap_or(0);
            let recent = agent.misses_ms.iter().filter(|at_ms| **at_ms + 600_000 > last).count();
            recent >= config.misses_max as usize
        };
        let known = config.agents.contains_key(id);
        known && agent.online && agent.presence == Presence::Available && !silent
    }

    fn is_cool(&self, id: &AgentId, now_ms: Millis) -> bool {
        let (Some(config), Some(agent)) = (&self.config, self.agents.get(id)) else { return false };
        agent.rejected_ms.is_none_or(|at_ms| at_ms + config.reject_cool_down_ms <= now_ms)
    }

    fn has_skills(&self, id: &AgentId, queue: &QueueId) -> bool {
        let config = self.config.as_ref().unwrap();
        let (Some(wants), Some(has)) = (config.queues.get(queue), config.agents.get(id)) else {
            return false;
        };
        let level = |need: &SkillNeed| has.skills.get(&need.skill).copied().unwrap_or(0);
        (has.queues.is_empty() || has.queues.contains(queue))
            && wants.needs.iter().all(|need| level(need) >= need.level)
    }

    fn fits(&self, id: &AgentId, queue: &QueueId) -> bool {
        let config = self.config.as_ref().unwrap();
        let weight = config.queues.get(queue).map_or(1, |queue| queue.weight);
        config.agents.get(id).is_some_and(|has| self.used(id) + weight <= has.capacity)
    }

    /// Whether keeping the item for its agent makes sense: a last agent could take it, a chosen one is there.
    fn may_be_kept(&self, item: &MItem) -> bool {
        let Some((agent, why)) = &item.kept else { return true };
        let chosen = *why != ReservedFor::LastAgent;
        let can = self.has_skills(agent, &item.queue) && self.fits(agent, &item.queue);
        let config = self.config.as_ref().unwrap();
        let weight = config.queues.get(&item.queue).map_or(1, |queue| queue.weight);
        let ever = config.agents.get(agent).is_some_and(|has| weight <= has.capacity);
        self.is_there(agent) && if chosen { ever } else { can }
    }

    fn queue_weight(&self, queue: &QueueId) -> u32 {
        self.config.as_ref().unwrap().queues[queue].weight
    }

    /// Whether the agent may be offered an item of the queue now.
    fn eligible(&self, id: &AgentId, queue: &QueueId, now_ms: Millis) -> bool {
        self.is_there(id)
            && self.has_skills(id, queue)
            && self.is_cool(id, now_ms)
            && self.fits(id, queue)
    }

    /// The pair that is due now: the first item in order that anybody can take, with the best agent for it.
    fn best_pair(&self, now_ms: Millis) -> Option<(ItemId, AgentId)> {
        let config = self.config.as_ref()?;
        let waiting = self.items.iter().filter(|(_, item)| item.holder.is_none());
        let mut waiting: Vec<_> =
            waiting.filter(|(_, it)| config.queues.contains_key(&it.queue)).collect();
        waiting.sort_by_key(|(id, item)| {
            let starves = item.since_ms + 5 * 120_000 < now_ms;
            let priority = -i64::from(config.queues[&item.queue].priority + item.priority);
            match (starves, item.ahead) {
                (true, _) => (0, 0, item.since_ms, **id),
                (false, true) => (1, priority, item.since_ms, **id),
                (false, false) => (2, priority, item.since_ms, **id),
            }
        });
        waiting.into_iter().find_map(|(id, item)| Some((*id, self.best_agent(item, now_ms)?)))
    }

    fn best_agent(&self, item: &MItem, now_ms: Millis) -> Option<AgentId> {
        let config = self.config.as_ref()?;
        if let Some((agent, _)) = &item.kept {
            let can = self.is_there(agent)
                && self.is_cool(agent, now_ms)
                && self.fits(agent, &item.queue);
            return can.then(|| agent.clone());
        }
        let all: BTreeSet<&AgentId> =
            self.agents.keys().filter(|id| self.eligible(id, &item.queue, now_ms)).collect();
        let asked: BTreeSet<&AgentId> = item
            .turned_down
            .iter()
            .filter(|(_, at_ms)| at_ms + config.re_offer_after_ms > now_ms)
            .map(|(id, _)| id)
            .chain(
                item.giver
                    .iter()
                    .filter(|giver| giver.at_ms + config.re_offer_after_ms > now_ms)
                    .map(|giver| &giver.agent),
            )
            .collect();
        let others: BTreeSet<&AgentId> = all.difference(&asked).copied().collect();
        let pool = if others.is_empty() { all } else { others };
        let (idle, busy): (Vec<_>, Vec<_>) = pool.into_iter().partition(|id| self.used(id) == 0);
        let idle = idle.into_iter().min_by_key(|id| (self.agents[*id].idle_since_ms, *id));
        let load = |id: &&AgentId| {
            u64::from(self.used(id)) * 10_000 / u64::from(config.agents[*id].capacity)
        };
        idle.or_else(|| busy.into_iter().min_by_key(|id| (load(id), *id))).cloned()
    }

    /// After a decision: the workspace agrees with the model, and nothing was left undone (or it asks to go on at once).
    pub(super) fn check_settled(&self, workspace: &Workspace, now_ms: Millis) {
        for (id, agent) in &workspace.agents {
            assert_eq!(agent.used, self.used(id), "units of {id}");
        }
        let live: BTreeMap<_, _> = workspace
            .items
            .iter()
            .filter_map(|(id, item)| Some((*id, item.live()?.holder().map(|(id, _)| id.clone()))))
            .collect();
        let expected: BTreeMap<_, _> = self
            .items
            .iter()
            .map(|(id, item)| (*id, item.holder.as_ref().map(|(id, ..)| id.clone())))
            .collect();
        assert_eq!(live, expected, "items and who has them");
        if workspace.wake_ms().is_none_or(|wake_ms| wake_ms > now_ms) {
            assert_eq!(self.best_pair(now_ms), None, "somebody waits whom somebody could take");
            for (id, item) in &self.items {
                let sensible = item.holder.is_some() || self.may_be_kept(item);
                assert!(sensible, "{id:?} is kept for somebody who cannot take it");
            }
            let stranded = self.items.values().filter_map(|item| item.holder.as_ref());
            for (agent, assigned, _) in stranded {
                let online = self.agents.get(agent).is_some_and(|agent| agent.online);
                assert!(*assigned || online, "an open offer to {agent}, who is not there");
            }
        }
    }
}
