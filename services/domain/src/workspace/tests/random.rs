//! Random commands: the model watches every event, and every invariant is looked at after every decision.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::kit::{START_MS, World, agent_config, conversation, item, plain, queue_config, session};
use crate::{
    SessionId,
    conversation::WorkspaceNews,
    workspace::{
        AgentSince, DeskCommand, Presence, RoutingHints, WorkspaceAnswer, WorkspaceConfig,
        WorkspaceInput, WrapUpConfig, WrapUpMode,
    },
};

const QUEUES: [&str; 4] = ["light", "spanish", "billing", "nowhere"];
const AGENTS: [&str; 5] = ["ana", "ben", "cai", "dee", "eva"];

/// What else a need says, by agent.
#[derive(Clone, Debug)]
enum Hint {
    None,
    Vip,
    Last(usize),
    Target(usize),
    Giver(usize),
    Returning(usize),
}

impl Hint {
    fn hints(&self, now_ms: u64) -> RoutingHints {
        let since =
            |agent: &usize| Some(AgentSince { agent: AGENTS[*agent].into(), at_ms: now_ms });
        let hints = RoutingHints::default();
        match self {
            Self::None => hints,
            Self::Vip => RoutingHints { vip: true, ..hints },
            Self::Last(agent) => RoutingHints { last_agent: since(agent), ..hints },
            Self::Target(agent) => RoutingHints { target: Some(AGENTS[*agent].into()), ..hints },
            Self::Giver(agent) => RoutingHints { giver: since(agent), ..hints },
            Self::Returning(agent) => {
                RoutingHints { returning: true, target: Some(AGENTS[*agent].into()), ..hints }
            }
        }
    }
}

fn hint() -> impl Strategy<Value = Hint> {
    let agent = || 0..AGENTS.len();
    prop_oneof![
        4 => Just(Hint::None),
        1 => Just(Hint::Vip),
        3 => agent().prop_map(Hint::Last),
        2 => agent().prop_map(Hint::Target),
        1 => agent().prop_map(Hint::Giver),
        1 => agent().prop_map(Hint::Returning),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Configure(u8),
    Wanted { n: u8, version: u32, queue: usize, since: u64, priority: i32, hint: Hint },
    Finished { n: u8, version: u32, agent: usize, wrap_up: bool },
    EndWrapUp { agent: usize, n: u8 },
    Dropped { n: u8, version: u32 },
    Claimed { n: u8, version: u32, agent: usize },
    SignIn { agent: usize, again: bool, ago_ms: u64 },
    SignOut { agent: usize, back: usize },
    SetPresence { agent: usize, back: usize, presence: Presence },
    Delivered { pick: usize },
    Accept { pick: usize },
    Reject { pick: usize },
    Resync { agent: usize, back: usize },
    Pass(u64),
    Reload,
}

/// Mostly the newest connection, at times an older one.
fn back() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0_usize), 1 => 1_usize..3]
}

fn acts() -> impl Strategy<Value = Act> {
    let agent = 0..AGENTS.len();
    let presence = prop_oneof![3 => Just(Presence::Available), 1 => Just(Presence::Away)];
    prop_oneof![
        1 => (0_u8..4).prop_map(Act::Configure),
        8 => (0_u8..14, 1_u32..4, 0..QUEUES.len(), 0_u64..5, -1_i32..2, hint()).prop_map(
            |(n, version, queue, since, priority, hint)| {
                Act::Wanted { n, version, queue, since, priority, hint }
            }
        ),
        3 => (0_u8..14, 1_u32..5, agent.clone(), any::<bool>()).prop_map(
            |(n, version, agent, wrap_up)| Act::Finished { n, version, agent, wrap_up }
        ),
        1 => (agent.clone(), 0_u8..14).prop_map(|(agent, n)| Act::EndWrapUp { agent, n }),
        3 => (0_u8..14, 1_u32..5).prop_map(|(n, version)| Act::Dropped { n, version }),
        2 => (0_u8..14, 1_u32..4, agent.clone())
            .prop_map(|(n, version, agent)| Act::Claimed { n, version, agent }),
        4 => (agent.clone(), prop::bool::weighted(0.1), 0_u64..3_000)
            .prop_map(|(agent, again, ago_ms)| Act::SignIn { agent, again, ago_ms }),
        1 => (agent.clone(), back()).prop_map(|(agent, back)| Act::SignOut { agent, back }),
        5 => (agent.clone(), back(), presence)
            .prop_map(|(agent, back, presence)| Act::SetPresence { agent, back, presence }),
        3 => (0_usize..8).prop_map(|pick| Act::Delivered { pick }),
        5 => (0_usize..8).prop_map(|pick| Act::Accept { pick }),
        3 => (0_usize..8).prop_map(|pick| Act::Reject { pick }),
        1 => (agent, back()).prop_map(|(agent, back)| Act::Resync { agent, back }),
        4 => prop_oneof![0_u64..2_000, 5_000_u64..40_000, 60_000_u64..400_000].prop_map(Act::Pass),
        1 => Just(Act::Reload),
    ]
}

/// Four configurations: the whole, without a queue, without two agents, with less capacity.
fn config(n: u8) -> WorkspaceConfig {
    let mut config = plain(&[]);
    config.queues = BTreeMap::from([
        ("light".into(), queue_config(&[], 20, 0)),
        ("spanish".into(), queue_config(&[("es", 2)], 50, 1)),
        ("billing".into(), queue_config(&[("es", 1), ("billing", 3)], 100, 0)),
    ]);
    let wrap_up = |mode, holds_capacity| WrapUpConfig { mode, for_ms: 20_000, holds_capacity };
    for (queue, rule) in [
        ("light", wrap_up(WrapUpMode::Timed, true)),
        ("spanish", wrap_up(WrapUpMode::Optional, false)),
        ("billing", wrap_up(WrapUpMode::Optional, true)),
    ] {
        config.queues.get_mut(&queue.into()).unwrap().wrap_up = rule;
    }
    config.stranded_keep_ms = 300_000;
    let skills: [&[(&str, u8)]; 5] = [
        &[],
        &[("es", 1)],
        &[("es", 2)],
        &[("es", 5), ("billing", 3)],
        &[("es", 3), ("billing", 5)],
    ];
    for (agent, skills) in AGENTS.iter().zip(skills) {
        config.agents.insert((*agent).into(), agent_config(skills, 100));
    }
    config.agents.get_mut(&"eva".into()).unwrap().queues = vec!["billing".into()];
    match n {
        1 => {
            config.queues.remove(&"spanish".into());
            config.stranded_keep_ms = 0;
        }
        2 => config.agents.retain(|id, _| id.0 != "ana" && id.0 != "dee"),
        3 => config.agents.values_mut().for_each(|agent| agent.capacity = 60),
        _ => {}
    }
    config
}

/// The connections of each agent so far; each has an id of its own.
struct Run {
    world: World,
    sessions: Vec<Vec<SessionId>>,
    drawn: u8,
}

impl Run {
    fn session(&self, agent: usize, back: usize) -> SessionId {
        self.sessions[agent].iter().rev().nth(back).copied().unwrap_or_else(|| session(255))
    }

    fn sign_in(&mut self, agent: usize, again: bool, ago_ms: u64) {
        if !again || self.sessions[agent].is_empty() {
            self.drawn += 1;
            self.sessions[agent].push(session(self.drawn));
        }
        let opened_ms = self.world.now_ms - ago_ms;
        let on = self.session(agent, 0);
        self.world.desk(AGENTS[agent], on, DeskCommand::SignIn { opened_ms });
    }
}

fn run(acts: Vec<Act>) {
    let sessions = vec![Vec::new(); AGENTS.len()];
    let mut run = Run { world: World::new(&config(0)), sessions, drawn: 0 };
    for act in acts {
        run.step(act);
    }
}

impl Run {
    fn step(&mut self, act: Act) {
        let world = &self.world;
        let before = world.model.items.keys().copied().collect::<Vec<_>>();
        let told = world.told.len();
        let dropped = match &act {
            Act::Dropped { n, .. } | Act::Finished { n, .. } => Some(item(*n)),
            _ => None,
        };
        let wanted = match &act {
            Act::Wanted { n, version, .. } => Some((item(*n), *version)),
            _ => None,
        };
        let known =
            wanted.and_then(|(item, _)| world.model.items.get(&item)).map(|item| item.version);
        self.act_on(act);
        let world = &self.world;
        // Never forgotten: what was wanted stays until it is dropped or its conversation is told that it cannot be routed.
        let refused = |item| {
            let mut news = world.told[told..].iter();
            news.any(|(of, _, news)| *of == item && matches!(news, WorkspaceNews::Refused(_)))
        };
        for item in before {
            let here = world.model.items.contains_key(&item);
            assert!(here || dropped == Some(item) || refused(item), "{item:?} was forgotten");
        }
        if let Some((item, version)) = wanted {
            let answered = world.told[told..].iter().any(|(of, ..)| *of == item);
            let is = world.model.items.get(&item).map(|item| item.version);
            match known {
                Some(known) if version < known => assert!(answered && is == Some(known)),
                _ => assert!(is == Some(version) || answered, "{item:?} {version}: {is:?}"),
            }
        }
    }

    fn act_on(&mut self, act: Act) {
        let world = &mut self.world;
        match act {
            Act::Configure(n) => {
                world.input(&WorkspaceInput::Configure(Box::new(config(n))));
            }
            Act::Finished { n, version, agent, wrap_up } => {
                world.input(&WorkspaceInput::Finished {
                    item: item(n),
                    version,
                    conversation: conversation(n),
                    agent: AGENTS[agent].into(),
                    wrap_up,
                });
            }
            Act::EndWrapUp { agent, n } => {
                let on = self.session(agent, 0);
                let id = self.world.command();
                let command = DeskCommand::EndWrapUp { id, conversation: conversation(n) };
                self.world.desk(AGENTS[agent], on, command);
            }
            Act::Wanted { n, version, queue, since, priority, hint } => {
                let hints = hint.hints(world.now_ms);
                world.input(&WorkspaceInput::Wanted {
                    item: item(n),
                    version,
                    conversation: conversation(n),
                    queue: QUEUES[queue].into(),
                    since_ms: START_MS + since,
                    priority,
                    hints,
                });
            }
            Act::Dropped { n, version } => drop(world.dropped(n, version)),
            Act::Claimed { n, version, agent } => drop(world.claimed(n, version, AGENTS[agent])),
            Act::SignIn { agent, again, ago_ms } => self.sign_in(agent, again, ago_ms),
            Act::SignOut { agent, back } => {
                let on = self.session(agent, back);
                self.world.desk(AGENTS[agent], on, DeskCommand::SignOut);
            }
            Act::SetPresence { agent, back, presence } => {
                let on = self.session(agent, back);
                self.world.presence(AGENTS[agent], on, presence);
            }
            Act::Resync { agent, back } => {
                let on = self.session(agent, back);
                self.world.desk(AGENTS[agent], on, DeskCommand::Resync);
            }
            Act::Delivered { pick } | Act::Accept { pick } | Act::Reject { pick } => {
                on_offer(world, &act, pick);
            }
            Act::Pass(ms) => world.pass(ms),
            Act::Reload => world.reload(),
        }
    }
}

/// Answers one of the latest offers, open or not, on the session that is open now.
fn on_offer(world: &mut World, act: &Act, pick: usize) {
    let Some((offer, agent)) = world.offered.iter().rev().nth(pick).cloned() else { return };
    let open = world.workspace.agents.get(&agent).and_then(|agent| agent.session.as_ref());
    let on = open.map_or_else(|| session(255), |open| open.id);
    let answer = match act {
        Act::Delivered { .. } => world.delivered(&agent.0, on, offer),
        Act::Accept { .. } => world.accept(&agent.0, on, offer),
        _ => world.reject(&agent.0, on, offer),
    };
    assert_ne!(answer, WorkspaceAnswer::TooOld);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_under_random_commands(acts in prop::collection::vec(acts(), 1..120)) {
        run(acts);
    }
}
