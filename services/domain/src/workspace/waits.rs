//! Who waits and why, counted for metrics by what an event moved: an event costs the queues it touches, not what waits
//! in them.
//!
//! Offered and reserved items have their reason from themselves. All others of a queue wait for one reason, which follows from
//! its agents; so agents are counted by queue, too. [`Workspace::look`] before and after an event says what moved.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Standing, Standpoint, WaitReason,
    board::reason_of_queue,
    index::{cooling_until_ms, takes_offers},
    state::{Agent, PartKey, Workspace},
};
use crate::{AgentId, Millis, QueueId};

/// What of a part metrics count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The live item of an item's part.
    pub item: Option<Standpoint>,
    agent: Option<(AgentId, Readiness)>,
}

/// What of an agent others wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Readiness {
    signed_in: bool,
    takes_offers: bool,
    /// Capacity units.
    left: u32,
    /// It rests until then.
    rests_until_ms: Millis,
}

/// Counts of one workspace.
#[derive(Debug, Default)]
pub struct Waits {
    signed_in: usize,
    queues: BTreeMap<QueueId, QueueWaits>,
    /// Queues whose counts may have changed since they were told.
    touched: BTreeSet<QueueId>,
}

#[derive(Debug, Default)]
struct QueueWaits {
    configured: bool,
    offered: u64,
    reserved: u64,
    /// Neither offered nor reserved.
    free: u64,
    /// Agents who are signed in and serve it.
    skilled: usize,
    /// Those of them who take offers.
    there: usize,
    /// Those of them who have room, by the end of their rest.
    with_room: BTreeSet<(Millis, AgentId)>,
}

/// What is known of the agents of a queue, as far as it says why items wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Staff {
    pub(super) any_signed_in: bool,
    pub(super) any_skilled: bool,
    pub(super) any_there: bool,
    /// The end of the shortest rest among those with room.
    pub(super) rested_ms: Option<Millis>,
}

impl Workspace {
    /// What metrics count of a part.
    #[must_use]
    pub fn look(&self, part: &str) -> Look {
        match PartKey::parse(part) {
            Some(PartKey::Item(_)) => Look { item: self.item_of_part(part), agent: None },
            Some(PartKey::Agent(id)) => {
                let readiness = self.readiness(&id);
                Look { item: None, agent: Some((id, readiness)) }
            }
            _ => Look::default(),
        }
    }

    fn readiness(&self, id: &AgentId) -> Readiness {
        let signed_in = |agent: &&Agent| agent.session.is_some();
        let (Some(agent), Some(plan)) = (self.agents.get(id).filter(signed_in), &self.plan) else {
            return Readiness::default();
        };
        Readiness {
            signed_in: true,
            takes_offers: takes_offers(agent, plan),
            left: plan.capacity(id).saturating_sub(agent.used),
            rests_until_ms: cooling_until_ms(agent, plan),
        }
    }
}

impl Waits {
    /// Counts everything anew: when a workspace is loaded or configured.
    #[must_use]
    pub fn of(workspace: &Workspace) -> Self {
        let mut waits = Self::default();
        if let Some(plan) = &workspace.plan {
            for queue in plan.config.queues.keys() {
                waits.queue(queue).configured = true;
            }
        }
        for item in workspace.standpoints() {
            waits.count_item(&item, true);
        }
        for id in workspace.agents.keys() {
            waits.count_agent(workspace, id, workspace.readiness(id), true);
        }
        waits
    }

    /// A part changed.
    pub fn moved(&mut self, workspace: &Workspace, before: &Look, after: &Look) {
        if before == after {
            return;
        }
        for (look, comes) in [(before, false), (after, true)] {
            if let Some(item) = &look.item {
                self.count_item(item, comes);
            }
            if let Some((id, readiness)) = &look.agent {
                self.count_agent(workspace, id, *readiness, comes);
            }
        }
    }

    /// The counts, by [`WaitReason::name`], of each queue in which they may have changed since this was asked last.
    pub fn changed(&mut self, now_ms: Millis) -> Vec<(QueueId, BTreeMap<&'static str, u64>)> {
        let touched = std::mem::take(&mut self.touched).into_iter();
        touched.map(|queue| (queue.clone(), self.counts(&queue, now_ms))).collect()
    }

    fn counts(&self, queue: &QueueId, now_ms: Millis) -> BTreeMap<&'static str, u64> {
        let Some(waits) = self.queues.get(queue) else { return BTreeMap::new() };
        let reason = match waits.configured {
            false => WaitReason::UnknownQueue,
            true => reason_of_queue(waits.staff(self.signed_in > 0), now_ms),
        };
        let counts =
            [("offered", waits.offered), ("reserved", waits.reserved), (reason.name(), waits.free)];
        counts.into_iter().filter(|(_, n)| *n > 0).collect()
    }

    fn queue(&mut self, queue: &QueueId) -> &mut QueueWaits {
        self.touched.insert(queue.clone());
        self.queues.entry(queue.clone()).or_default()
    }

    fn count_item(&mut self, item: &Standpoint, comes: bool) {
        let waits = self.queue(&item.queue);
        let count = match item.standing {
            Standing::Assigned => return,
            Standing::Offered => &mut waits.offered,
            Standing::Waiting if item.reserved => &mut waits.reserved,
            Standing::Waiting => &mut waits.free,
        };
        *count = if comes { count.saturating_add(1) } else { count.saturating_sub(1) };
    }

    fn count_agent(&mut self, workspace: &Workspace, id: &AgentId, agent: Readiness, comes: bool) {
        let Some(plan) = workspace.plan.as_ref().filter(|_| agent.signed_in) else { return };
        let none_before = self.signed_in == 0;
        step(&mut self.signed_in, comes);
        if none_before != (self.signed_in == 0) {
            // Every queue waits for another reason now.
            self.touched.extend(self.queues.keys().cloned());
        }
        for (queue, weight) in plan.served_by(id) {
            let waits = self.queue(queue);
            step(&mut waits.skilled, comes);
            if !agent.takes_offers {
                continue;
            }
            step(&mut waits.there, comes);
            let rest = (agent.rests_until_ms, id.clone());
            match comes {
                _ if agent.left < *weight => {}
                true => drop(waits.with_room.insert(rest)),
                false => drop(waits.with_room.remove(&rest)),
            }
        }
    }
}

impl QueueWaits {
    fn staff(&self, any_signed_in: bool) -> Staff {
        Staff {
            any_signed_in,
            any_skilled: self.skilled > 0,
            any_there: self.there > 0,
            rested_ms: self.with_room.first().map(|(until_ms, _)| *until_ms),
        }
    }
}

fn step(count: &mut usize, up: bool) {
    *count = if up { count.saturating_add(1) } else { count.saturating_sub(1) };
}

#[cfg(test)]
impl Waits {
    /// All counts, for comparing.
    pub(super) fn all(&self, now_ms: Millis) -> BTreeMap<(QueueId, &'static str), u64> {
        let queues = self.queues.keys();
        let counts = queues.map(|queue| (queue, self.counts(queue, now_ms)));
        counts
            .flat_map(|(queue, by)| by.into_iter().map(|(name, n)| ((queue.clone(), name), n)))
            .collect()
    }
}
