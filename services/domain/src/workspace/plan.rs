//! A configuration, worked out: who serves which queue.

use std::collections::BTreeMap;

use super::{AgentConfig, QueueConfig, WorkspaceConfig, WrapUpConfig, input::ANSWER_TARGET_MS};
use crate::{AgentId, Millis, QueueId};

/// Times its target that an item may wait behind others.
const STARVING_TARGETS: u64 = 5;
/// How long an offer stands when its queue is no longer configured.
const OFFER_TIMEOUT_MS: Millis = 30_000;

/// A configuration and what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) config: WorkspaceConfig,
    /// For each agent the queues it serves, with the weight of one item.
    serves: BTreeMap<AgentId, Vec<(QueueId, u32)>>,
}

impl Plan {
    /// Works a configuration out.
    pub(super) fn new(config: WorkspaceConfig) -> Self {
        let serves = config
            .agents
            .iter()
            .map(|(id, agent)| {
                let queues = config.queues.iter().filter(|(queue, wants)| {
                    (agent.queues.is_empty() || agent.queues.contains(queue))
                        && has_skills(agent, wants)
                });
                (id.clone(), queues.map(|(queue, wants)| (queue.clone(), units(wants))).collect())
            })
            .collect();
        Self { config, serves }
    }

    /// The queues an agent serves, with the weight of one item of each.
    pub(super) fn served_by(&self, agent: &AgentId) -> &[(QueueId, u32)] {
        self.serves.get(agent).map_or(&[], Vec::as_slice)
    }

    /// An agent's capacity units; 0 for an agent that is not configured.
    pub(super) fn capacity(&self, agent: &AgentId) -> u32 {
        self.config.agents.get(agent).map_or(0, |agent| agent.capacity)
    }

    /// The units one item of a queue takes.
    pub(super) fn weight(&self, queue: &QueueId) -> u32 {
        self.config.queues.get(queue).map_or(1, units)
    }

    /// Whether an agent serves a queue.
    pub(super) fn serves(&self, agent: &AgentId, queue: &QueueId) -> bool {
        self.served_by(agent).iter().any(|(served, _)| served == queue)
    }

    /// How soon a customer of a queue should have an agent.
    pub(super) fn answer_target_ms(&self, queue: &QueueId) -> Millis {
        match self.config.queues.get(queue).map_or(0, |queue| queue.answer_target_ms) {
            0 => ANSWER_TARGET_MS,
            target_ms => target_ms,
        }
    }

    /// Items of a queue older than this come before everything else (nothing waits longer than five
    /// times its target behind others).
    pub(super) fn starving_before_ms(&self, queue: &QueueId, now_ms: Millis) -> Millis {
        now_ms.saturating_sub(self.answer_target_ms(queue).saturating_mul(STARVING_TARGETS))
    }

    /// What follows a resolved conversation of a queue.
    pub(super) fn wrap_up(&self, queue: &QueueId) -> WrapUpConfig {
        self.config.queues.get(queue).map(|queue| queue.wrap_up).unwrap_or_default()
    }

    /// How long an offer of a queue stands.
    pub(super) fn offer_timeout_ms(&self, queue: &QueueId) -> Millis {
        self.config.queues.get(queue).map_or(OFFER_TIMEOUT_MS, |queue| queue.offer_timeout_ms)
    }

    /// Misses after which an agent is offered nothing until it shows activity.
    pub(super) fn misses_max(&self) -> Option<usize> {
        let max = usize::try_from(self.config.misses_max).unwrap_or(usize::MAX);
        (max > 0).then(|| max.min(super::state::MISSES_MAX))
    }

    /// Why an agent is asked for an item of a queue, for people: each needed skill, the agent's level and the least
    /// level.
    pub(super) fn reason(&self, agent: &AgentId, queue: &QueueId) -> String {
        let (Some(agent), Some(queue)) =
            (self.config.agents.get(agent), self.config.queues.get(queue))
        else {
            return String::new();
        };
        if queue.needs.is_empty() {
            return "no skill needed".to_owned();
        }
        let level = |need: &super::SkillNeed| agent.skills.get(&need.skill).copied().unwrap_or(0);
        let needs = queue.needs.iter();
        let words = needs.map(|need| format!("{} {} of {}", need.skill, level(need), need.level));
        words.collect::<Vec<_>>().join(", ")
    }
}

fn units(queue: &QueueConfig) -> u32 {
    queue.weight.max(1)
}

fn has_skills(agent: &AgentConfig, queue: &QueueConfig) -> bool {
    queue
        .needs
        .iter()
        .all(|need| agent.skills.get(&need.skill).is_some_and(|level| *level >= need.level))
}
