//! A second, small router for the complaints: correct by itself, or with one of the flaws people complain about. And what
//! the complaints need of a router, so that Tandem and this one meet the same circumstances.

use std::collections::BTreeMap;

use super::kit::{World, conversation, item, session};
use crate::{
    Millis, SessionId,
    conversation::WorkspaceNews,
    workspace::{
        AgentSince, DeskCommand, Presence, RoutingHints, WorkspaceAnswer, WorkspaceConfig,
        WorkspaceInput,
    },
};

/// A router as the complaints meet it. Queue `q` is everybody's.
pub(super) trait Router {
    fn sign_in(&mut self, agent: &'static str);
    fn sign_out(&mut self, agent: &'static str);
    fn available(&mut self, agent: &'static str, available: bool);
    /// A conversation needs an agent of a queue, or needs another queue; `last` had it before.
    fn wants(&mut self, n: u8, version: u32, queue: &'static str, last: Option<&'static str>);
    /// Somebody outside gives it to an agent.
    fn gives(&mut self, n: u8, version: u32, agent: &'static str);
    /// The agent takes the first offer it ever had of it; whether it has it then.
    fn accepts(&mut self, agent: &'static str, n: u8) -> bool;
    fn rejects(&mut self, agent: &'static str, n: u8);
    /// The agent resolves it.
    fn resolves(&mut self, agent: &'static str, n: u8, version: u32);
    /// The conversation is over and nobody says so unless asked.
    fn ends_silently(&mut self, n: u8);
    fn passes(&mut self, ms: Millis);
    /// Another node goes on with what was saved.
    fn moves_to_another_node(&mut self);
    /// Who is offered (`false`) or has (`true`) it.
    fn holder(&self, n: u8) -> Option<(String, bool)>;
    /// Every offer so far.
    fn offers(&self) -> Vec<(u8, String)>;

    fn arrives(&mut self, n: u8) {
        self.wants(n, 1, "q", None);
    }
    /// Whoever is offered it takes it.
    fn is_taken(&mut self, n: u8) {
        let (agent, _) = self.holder(n).expect("it is offered");
        self.accepts(name_of(&agent), n);
    }
}

const NAMES: [&str; 3] = ["ana", "ben", "cai"];

fn name_of(agent: &str) -> &'static str {
    NAMES.into_iter().find(|name| *name == agent).expect("one of us")
}

pub(super) struct Tandem {
    pub(super) world: World,
    sessions: BTreeMap<&'static str, SessionId>,
    signed_in: u8,
    over: Vec<u8>,
}

impl Tandem {
    pub(super) fn new(config: &WorkspaceConfig) -> Self {
        let world = World::new(config);
        Self { world, sessions: BTreeMap::new(), signed_in: 0, over: Vec::new() }
    }

    pub(super) fn on(&self, agent: &str) -> SessionId {
        self.sessions[agent]
    }

    /// Conversations that are over say so when they are asked.
    fn answer_checks(&mut self) {
        let asked: Vec<u8> = self.over.clone();
        for n in asked {
            let told = self.world.told.iter();
            let mut told =
                told.filter(|(of, _, news)| *of == item(n) && *news == WorkspaceNews::Check);
            if told.next().is_some() {
                self.over.retain(|over| *over != n);
                self.world.dropped(n, 9);
            }
        }
    }
}

impl Router for Tandem {
    fn sign_in(&mut self, agent: &'static str) {
        self.signed_in += 1;
        self.world.now_ms += 1;
        let on = self.world.sign_in(agent, self.signed_in);
        self.sessions.insert(agent, on);
    }
    fn sign_out(&mut self, agent: &'static str) {
        let on = self.on(agent);
        self.world.desk(agent, on, DeskCommand::SignOut);
    }
    fn available(&mut self, agent: &'static str, available: bool) {
        let presence = if available { Presence::Available } else { Presence::Away };
        let on = self.on(agent);
        self.world.presence(agent, on, presence);
    }
    fn wants(&mut self, n: u8, version: u32, queue: &'static str, last: Option<&'static str>) {
        let at_ms = self.world.now_ms;
        let last_agent = last.map(|agent| AgentSince { agent: agent.into(), at_ms });
        let hints = RoutingHints { last_agent, ..RoutingHints::default() };
        let since_ms = super::kit::START_MS + u64::from(n);
        self.world.wanted_with(n, version, queue, since_ms, hints);
    }
    fn gives(&mut self, n: u8, version: u32, agent: &'static str) {
        self.world.claimed(n, version, agent);
    }
    fn accepts(&mut self, agent: &'static str, n: u8) -> bool {
        let made = self.world.offered.iter();
        let mut made = made.filter(|(offer, to)| offer.item == item(n) && to.0 == agent);
        let offer = made.next().expect("it was offered").0;
        let on = self.on(agent);
        self.world.accept(agent, on, offer) == WorkspaceAnswer::Done
    }
    fn rejects(&mut self, agent: &'static str, n: u8) {
        let on = self.on(agent);
        let (offer, _) = self.world.offer_of(n);
        self.world.reject(agent, on, offer);
    }
    fn resolves(&mut self, agent: &'static str, n: u8, version: u32) {
        self.world.finished(n, version, agent, false);
    }
    fn ends_silently(&mut self, n: u8) {
        self.over.push(n);
    }
    fn passes(&mut self, ms: Millis) {
        self.world.pass(ms);
        self.answer_checks();
    }
    fn moves_to_another_node(&mut self) {
        self.world.reload();
    }
    fn holder(&self, n: u8) -> Option<(String, bool)> {
        let known = self.world.model.items.get(&item(n))?;
        known.holder.as_ref().map(|(agent, assigned, _)| (agent.0.clone(), *assigned))
    }
    fn offers(&self) -> Vec<(u8, String)> {
        let made = self.world.offered.iter();
        made.map(|(offer, agent)| (offer.item.conversation.0[0], agent.0.clone())).collect()
    }
}

/// What people complain about, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The last write wins, whatever it knew.
    WritesCarryNoVersion,
    /// An acceptance counts as it was offered, not as things are now.
    AcceptsFromASnapshot,
    /// Open offers do not count against the limit.
    LimitCountsOnlyTaken,
    /// The last agent, there or not.
    SticksToTheAbsent,
    /// What a person gave away by hand still looks unassigned to the automation.
    ManualLooksUnassigned,
    /// Load is what an agent ever had.
    LifetimeLoad,
    /// An offer ends only with an answer.
    NoDeadline,
    /// A timer acts on whatever is there when it fires.
    TimerWithoutEpoch,
    /// A transfer queues the conversation and forgets the former holder.
    TransferInTwoSteps,
    /// Who loses a race stays reserved.
    LoserStaysReserved,
    /// A change of presence cancels the offer and offers it anew.
    CancelsOnPresence,
    /// Nobody ever asks whether a conversation still is.
    NeverCompares,
    /// Who has what is known to one process only.
    LoadInMemory,
    /// After a task the agent is available.
    AvailableAfterTask,
}

#[derive(Clone, Debug, Default)]
struct Person {
    here: bool,
    available: bool,
    since_ms: Millis,
    ever: u32,
    /// Counted by itself where flaws make it differ from the items.
    stuck: u32,
    /// What this process believes it has.
    memory_lost: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Task {
    n: u8,
    version: u32,
    queue: &'static str,
    last: Option<&'static str>,
    holder: Option<(&'static str, bool)>,
    /// When offers run out, with whom they were made.
    timers: Vec<(Millis, &'static str)>,
    turned_down: Vec<&'static str>,
    manual: bool,
}

/// The naive router.
pub(super) struct Naive {
    flaw: Option<Flaw>,
    now_ms: Millis,
    limit: u32,
    people: BTreeMap<&'static str, Person>,
    tasks: Vec<Task>,
    over: Vec<u8>,
    offers: Vec<(u8, &'static str)>,
    /// Who serves only one queue.
    only: Vec<(&'static str, &'static str)>,
}

impl Naive {
    pub(super) fn new(
        limit: u32,
        only: &[(&'static str, &'static str)],
        flaw: Option<Flaw>,
    ) -> Self {
        Self {
            flaw,
            now_ms: 0,
            limit,
            people: BTreeMap::new(),
            tasks: Vec::new(),
            over: Vec::new(),
            offers: Vec::new(),
            only: only.to_vec(),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn load(&self, agent: &str) -> u32 {
        let person = &self.people[agent];
        let counts = |task: &&Task| {
            let lost = person.memory_lost.contains(&task.n);
            let taken = task.holder.is_some_and(|(holder, taken)| {
                holder == agent && (taken || !self.has(Flaw::LimitCountsOnlyTaken))
            });
            taken && !lost
        };
        let held = self.tasks.iter().filter(counts).count();
        u32::try_from(held).unwrap() + person.stuck
    }

    fn free(&self, task: &Task) -> Option<&'static str> {
        let serves = |agent: &str| {
            self.only.iter().all(|(who, queue)| *who != agent || *queue == task.queue)
        };
        let there = |agent: &&&'static str| {
            let person = &self.people[**agent];
            person.here && person.available && serves(agent) && self.load(agent) < self.limit
        };
        let fresh = |agent: &&&'static str| there(agent) && !task.turned_down.contains(agent);
        if let Some(last) = task.last {
            let here = self.people.keys().filter(fresh).any(|agent| *agent == last);
            if here || self.has(Flaw::SticksToTheAbsent) {
                return here.then_some(last);
            }
        }
        let order = |agent: &&&'static str| {
            let person = &self.people[**agent];
            let load = if self.has(Flaw::LifetimeLoad) { person.ever } else { self.load(agent) };
            (load, person.since_ms)
        };
        self.people.keys().filter(fresh).min_by_key(order).copied()
    }

    fn distribute(&mut self) {
        for at in 0..self.tasks.len() {
            let task = self.tasks[at].clone();
            let unassigned =
                task.holder.is_none() || (task.manual && self.has(Flaw::ManualLooksUnassigned));
            if !unassigned {
                continue;
            }
            let Some(agent) = self.free(&task) else { continue };
            let deadline_ms = self.now_ms + 35_000;
            let task = &mut self.tasks[at];
            task.holder = Some((agent, false));
            task.manual = false;
            task.timers.push((deadline_ms, agent));
            self.offers.push((task.n, agent));
            self.people.get_mut(agent).unwrap().ever += 1;
        }
    }

    fn task(&mut self, n: u8) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.n == n)
    }

    fn turn_down(&mut self, n: u8) {
        let Some(task) = self.task(n) else { return };
        if let Some((agent, false)) = task.holder.take() {
            task.turned_down.push(agent);
        }
        self.distribute();
    }

    fn run_timers(&mut self) {
        let now_ms = self.now_ms;
        for at in 0..self.tasks.len() {
            let fired: Vec<&'static str> = {
                let task = &mut self.tasks[at];
                let due = task.timers.iter().filter(|(at_ms, _)| *at_ms <= now_ms);
                let fired = due.map(|(_, agent)| *agent).collect();
                task.timers.retain(|(at_ms, _)| *at_ms > now_ms);
                fired
            };
            for agent in fired {
                let task = &self.tasks[at];
                let still = task.holder == Some((agent, false));
                let anyway = self.has(Flaw::TimerWithoutEpoch) && task.holder.is_some();
                if (still || anyway) && !self.has(Flaw::NoDeadline) {
                    let task = &mut self.tasks[at];
                    // Whoever has it then loses it.
                    let loser = task.holder.take().map_or(agent, |(holder, _)| holder);
                    task.turned_down.push(loser);
                    self.distribute();
                }
            }
        }
    }
}

impl Router for Naive {
    fn sign_in(&mut self, agent: &'static str) {
        self.now_ms += 1;
        let now_ms = self.now_ms;
        let person = self.people.entry(agent).or_default();
        (person.here, person.available, person.since_ms) = (true, true, now_ms);
        self.distribute();
    }
    fn sign_out(&mut self, agent: &'static str) {
        self.people.get_mut(agent).unwrap().here = false;
        for task in &mut self.tasks {
            task.holder = task.holder.filter(|holder| *holder != (agent, false));
        }
        self.distribute();
    }
    fn available(&mut self, agent: &'static str, available: bool) {
        self.people.get_mut(agent).unwrap().available = available;
        if self.has(Flaw::CancelsOnPresence) {
            for task in &mut self.tasks {
                task.holder = task.holder.filter(|holder| *holder != (agent, false));
            }
        }
        self.distribute();
    }
    fn wants(&mut self, n: u8, version: u32, queue: &'static str, last: Option<&'static str>) {
        let (stale, two_steps) = {
            let known = self.tasks.iter().find(|task| task.n == n);
            let stale = known.is_some_and(|task| version <= task.version);
            (stale && !self.has(Flaw::WritesCarryNoVersion), self.has(Flaw::TransferInTwoSteps))
        };
        if stale {
            return;
        }
        let task = Task {
            n,
            version,
            queue,
            last,
            holder: None,
            timers: Vec::new(),
            turned_down: Vec::new(),
            manual: false,
        };
        match self.task(n) {
            // The former holder is never told.
            Some(known) if two_steps => (known.version, known.queue) = (version, queue),
            Some(known) => *known = task,
            None => self.tasks.push(task),
        }
        self.distribute();
    }
    fn gives(&mut self, n: u8, version: u32, agent: &'static str) {
        let ignores = self.has(Flaw::WritesCarryNoVersion);
        if let Some(task) = self.task(n).filter(|task| version >= task.version || ignores) {
            (task.version, task.holder, task.manual) = (version, Some((agent, true)), true);
        }
        self.distribute();
    }
    fn accepts(&mut self, agent: &'static str, n: u8) -> bool {
        let (snapshot, keeps) =
            (self.has(Flaw::AcceptsFromASnapshot), self.has(Flaw::LoserStaysReserved));
        match self.task(n).filter(|task| task.holder == Some((agent, false)) || snapshot) {
            Some(task) => task.holder = Some((agent, true)),
            None => {
                self.people.get_mut(agent).unwrap().stuck += u32::from(keeps);
                return false;
            }
        }
        true
    }
    fn rejects(&mut self, _agent: &'static str, n: u8) {
        self.turn_down(n);
    }
    fn resolves(&mut self, agent: &'static str, n: u8, _version: u32) {
        self.tasks.retain(|task| task.n != n);
        self.people.get_mut(agent).unwrap().available |= self.has(Flaw::AvailableAfterTask);
        self.distribute();
    }
    fn ends_silently(&mut self, n: u8) {
        self.over.push(n);
    }
    fn passes(&mut self, ms: Millis) {
        self.now_ms += ms;
        self.run_timers();
        if !self.has(Flaw::NeverCompares) {
            let over = std::mem::take(&mut self.over);
            self.tasks.retain(|task| !over.contains(&task.n));
            self.distribute();
        }
    }
    fn moves_to_another_node(&mut self) {
        if self.has(Flaw::LoadInMemory) {
            let held: Vec<u8> = self.tasks.iter().map(|task| task.n).collect();
            for person in self.people.values_mut() {
                person.memory_lost.clone_from(&held);
            }
        }
    }
    fn holder(&self, n: u8) -> Option<(String, bool)> {
        let task = self.tasks.iter().find(|task| task.n == n)?;
        task.holder.map(|(agent, taken)| (agent.to_owned(), taken))
    }
    fn offers(&self) -> Vec<(u8, String)> {
        self.offers.iter().map(|(n, agent)| (*n, (*agent).to_owned())).collect()
    }
}

/// Runs the circumstances on Tandem, on the naive router as it should be, and with the flaw: only the last may fail.
pub(super) fn tell_apart<T: PartialEq + std::fmt::Debug>(
    config: &WorkspaceConfig,
    flaw: Flaw,
    circumstances: impl Fn(&mut dyn Router) -> T,
    expected: &T,
) {
    let only: Vec<(&'static str, &'static str)> = config
        .agents
        .iter()
        .filter_map(|(agent, config)| {
            let queue = config.queues.first()?;
            let queue = if queue.0 == "q" { "q" } else { "billing" };
            Some((name_of(&agent.0), queue))
        })
        .collect();
    let limit = config.agents.values().next().map_or(0, |agent| agent.capacity / 50);
    assert_eq!(circumstances(&mut Tandem::new(config)), *expected);
    let mut sound = Naive::new(limit, &only, None);
    assert_eq!(circumstances(&mut sound), *expected, "the circumstances are about the flaw alone");
    let mut flawed = Naive::new(limit, &only, Some(flaw));
    assert_ne!(circumstances(&mut flawed), *expected, "{flaw:?} is not told apart");
}

/// A question about a conversation that Tandem is asked; unused by the naive router.
pub(super) fn end_wrap_up(world: &mut World, on: SessionId, n: u8) -> WorkspaceAnswer {
    let id = world.command();
    world.desk("ana", on, DeskCommand::EndWrapUp { id, conversation: conversation(n) })
}

/// Somebody asks for what is there now.
pub(super) fn resync(world: &mut World, agent: &str) {
    let on = session(1);
    let input =
        WorkspaceInput::Desk { agent: agent.into(), session: on, command: DeskCommand::Resync };
    world.input(&input);
}
