//! Complaints people have about other routers (numbered as in the collection of complaints), each with its circumstances.
//! Each runs on Tandem and on the naive router that the complaint is about: the test must tell them apart.

use super::kit::{START_MS, World, item, plain, session};
use crate::{
    ItemId,
    workspace::{DeskCommand, Presence, WorkspaceAnswer},
};

/// What the scenarios need of a router.
trait Router {
    fn sign_in(&mut self, agent: &'static str);
    fn away(&mut self, agent: &'static str);
    fn arrives(&mut self, n: u8, since_ms: u64);
    fn accepts(&mut self, n: u8);
    fn resolved(&mut self, n: u8);
    fn offers(&self) -> Vec<(ItemId, String)>;
}

struct Tandem(World);

impl Tandem {
    fn new() -> Self {
        let mut config = plain(&["ana", "ben"]);
        // One conversation at a time.
        for agent in config.agents.values_mut() {
            agent.capacity = 50;
        }
        Self(World::new(&config))
    }

    fn session_of(agent: &str) -> u8 {
        agent.as_bytes()[0]
    }
}

impl Router for Tandem {
    fn sign_in(&mut self, agent: &'static str) {
        self.0.now_ms += 1;
        self.0.sign_in(agent, Self::session_of(agent));
    }
    fn away(&mut self, agent: &'static str) {
        let on = session(Self::session_of(agent));
        assert_eq!(self.0.presence(agent, on, Presence::Away), WorkspaceAnswer::Done);
    }
    fn arrives(&mut self, n: u8, since_ms: u64) {
        self.0.wanted(n, "q", since_ms);
    }
    fn accepts(&mut self, n: u8) {
        let (offer, agent) = self.0.offer_of(n);
        let id = self.0.command();
        let on = session(Self::session_of(&agent.0));
        let answer = self.0.desk(&agent.0, on, DeskCommand::Accept { id, offer });
        assert_eq!(answer, WorkspaceAnswer::Done);
    }
    fn resolved(&mut self, n: u8) {
        self.0.dropped(n, 2);
    }
    fn offers(&self) -> Vec<(ItemId, String)> {
        self.0.offers().into_iter().map(|(item, agent)| (item, agent.to_owned())).collect()
    }
}

/// A router of the kind people complain about: matches on arrival only, and looks at one agent only.
#[derive(Default)]
struct Naive {
    on_release: bool,
    on_login: bool,
    looks_further: bool,
    waiting: Vec<(u64, u8)>,
    agents: Vec<(&'static str, bool, Option<u8>)>,
    offers: Vec<(ItemId, String)>,
}

impl Naive {
    fn distribute(&mut self) {
        while let Some((_, n)) = self.waiting.first().copied() {
            let free =
                |(_, available, has): &&mut (&str, bool, Option<u8>)| *available && has.is_none();
            let agent = if self.looks_further {
                self.agents.iter_mut().find(free)
            } else {
                // The next in turn, whether there or not.
                self.agents.iter_mut().find(|(_, _, has)| has.is_none()).filter(free)
            };
            let Some(agent) = agent else { return };
            agent.2 = Some(n);
            self.offers.push((item(n), agent.0.to_owned()));
            self.waiting.remove(0);
        }
    }
}

impl Router for Naive {
    fn sign_in(&mut self, agent: &'static str) {
        self.agents.push((agent, true, None));
        if self.on_login {
            self.distribute();
        }
    }
    fn away(&mut self, agent: &'static str) {
        let known = self.agents.iter_mut().find(|(name, ..)| *name == agent);
        known.expect("signed in").1 = false;
    }
    fn arrives(&mut self, n: u8, since_ms: u64) {
        self.waiting.push((since_ms, n));
        if !self.on_release {
            // Newest first, as lists on screens are.
            self.waiting.sort_by_key(|(since_ms, _)| std::cmp::Reverse(*since_ms));
        }
        self.distribute();
    }
    fn accepts(&mut self, _n: u8) {}
    fn resolved(&mut self, n: u8) {
        for agent in self.agents.iter_mut().filter(|(.., has)| *has == Some(n)) {
            agent.2 = None;
        }
        if self.on_release {
            self.distribute();
        }
    }
    fn offers(&self) -> Vec<(ItemId, String)> {
        self.offers.clone()
    }
}

fn pairs(expected: &[(u8, &str)]) -> Vec<(ItemId, String)> {
    expected.iter().map(|(n, agent)| (item(*n), (*agent).to_owned())).collect()
}

/// chatwoot 10376, 10583: the backlog is not drained when someone frees up; newer chats overtake older ones.
#[test]
fn complaint_4_backlog_drains_when_someone_frees_up() {
    fn circumstances(router: &mut dyn Router) -> Vec<(ItemId, String)> {
        router.sign_in("ana");
        for n in 1..=4 {
            router.arrives(n, START_MS + u64::from(n));
        }
        for n in 1..=4 {
            router.accepts(n);
            router.resolved(n);
        }
        router.offers()
    }
    let expected = pairs(&[(1, "ana"), (2, "ana"), (3, "ana"), (4, "ana")]);
    assert_eq!(circumstances(&mut Tandem::new()), expected);
    let mut naive = Naive { on_login: true, looks_further: true, ..Naive::default() };
    assert_ne!(circumstances(&mut naive), expected);
    let mut repaired =
        Naive { on_login: true, looks_further: true, on_release: true, ..Naive::default() };
    assert_eq!(circumstances(&mut repaired), expected, "the circumstances are about this alone");
}

/// chatwoot 12334: nothing is assigned if nobody was online on arrival; the fix was a job every 15 minutes.
#[test]
fn complaint_5_login_triggers_matching() {
    fn circumstances(router: &mut dyn Router) -> Vec<(ItemId, String)> {
        router.arrives(1, START_MS);
        router.arrives(2, START_MS + 1);
        router.sign_in("ana");
        router.sign_in("ben");
        router.offers()
    }
    let expected = pairs(&[(1, "ana"), (2, "ben")]);
    assert_eq!(circumstances(&mut Tandem::new()), expected);
    let mut naive = Naive { on_release: true, looks_further: true, ..Naive::default() };
    assert_ne!(circumstances(&mut naive), expected);
    let mut repaired =
        Naive { on_release: true, looks_further: true, on_login: true, ..Naive::default() };
    assert_eq!(circumstances(&mut repaired), expected, "the circumstances are about this alone");
}

/// freeswitch 1221: one unavailable agent, first in turn, blocks the whole distribution.
#[test]
fn complaint_21_one_unavailable_agent_does_not_block() {
    fn circumstances(router: &mut dyn Router) -> Vec<(ItemId, String)> {
        router.sign_in("ana");
        router.sign_in("ben");
        router.away("ana");
        router.arrives(1, START_MS);
        router.accepts_if_offered(1);
        router.resolved(1);
        router.arrives(2, START_MS + 1);
        router.offers()
    }
    let expected = pairs(&[(1, "ben"), (2, "ben")]);
    assert_eq!(circumstances(&mut Tandem::new()), expected);
    let mut naive = Naive { on_release: true, on_login: true, ..Naive::default() };
    assert_ne!(circumstances(&mut naive), expected);
    let mut repaired =
        Naive { on_release: true, on_login: true, looks_further: true, ..Naive::default() };
    assert_eq!(circumstances(&mut repaired), expected, "the circumstances are about this alone");
}

impl dyn Router + '_ {
    fn accepts_if_offered(&mut self, n: u8) {
        if self.offers().iter().any(|(offered, _)| *offered == item(n)) {
            self.accepts(n);
        }
    }
}
