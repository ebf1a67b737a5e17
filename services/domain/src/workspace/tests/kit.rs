//! A workspace under test: every event it records is checked against the model and against its part's name.

use std::collections::BTreeMap;

use super::model::Model;
use crate::{
    AgentId, CommandId, EntityId, EntityKind, Hash16, ItemId, Millis, OfferId, Outcome, QueueId,
    SessionId, ToEntity,
    conversation::{ConversationInput, WorkspaceNews},
    effect::OutSignal,
    persist,
    workspace::{
        AgentConfig, DeskCommand, Look, Occasion, OfferEnd, Part, Presence, QueueConfig,
        RoutingHints, SkillNeed, WaitReason, Waits, Workspace, WorkspaceAnswer, WorkspaceChange,
        WorkspaceConfig, WorkspaceEvent, WorkspaceInput, WrapUpConfig,
    },
};

pub(super) const START_MS: Millis = 1_700_000_000_000;
pub(super) const OFFER_TIMEOUT_MS: Millis = 30_000;
pub(super) const COOL_DOWN_MS: Millis = 10_000;
pub(super) const HOLD_MS: Millis = 120_000;

pub(super) type Decided = Outcome<WorkspaceEvent, WorkspaceAnswer>;

pub(super) struct World {
    pub(super) workspace: Workspace,
    pub(super) waits: Waits,
    pub(super) model: Model,
    pub(super) now_ms: Millis,
    /// Offers made so far, in order.
    pub(super) offered: Vec<(OfferId, AgentId)>,
    /// News told to conversations so far, in order.
    pub(super) told: Vec<(ItemId, u32, WorkspaceNews)>,
    /// Signals by session.
    pub(super) signals: BTreeMap<SessionId, Vec<(u64, WorkspaceChange)>>,
    commands: u64,
}

pub(super) fn me() -> EntityId {
    EntityId { kind: EntityKind::Workspace, hash: Hash16([7; 16]) }
}

pub(super) fn conversation(n: u8) -> EntityId {
    EntityId { kind: EntityKind::Conversation, hash: Hash16([n; 16]) }
}

pub(super) fn item(n: u8) -> ItemId {
    ItemId { conversation: conversation(n).hash, n: 1 }
}

pub(super) fn session(n: u8) -> SessionId {
    SessionId(Hash16([n; 16]))
}

pub(super) fn queue_config(needs: &[(&str, u8)], weight: u32, priority: i32) -> QueueConfig {
    let needs =
        needs.iter().map(|(skill, level)| SkillNeed { skill: (*skill).into(), level: *level });
    QueueConfig {
        title: "a queue".to_owned(),
        priority,
        needs: needs.collect(),
        offer_timeout_ms: OFFER_TIMEOUT_MS,
        weight,
        answer_target_ms: 0,
        wrap_up: WrapUpConfig::default(),
    }
}

pub(super) fn agent_config(skills: &[(&str, u8)], capacity: u32) -> AgentConfig {
    AgentConfig {
        name: "an agent".to_owned(),
        skills: skills.iter().map(|(skill, level)| ((*skill).into(), *level)).collect(),
        capacity,
        queues: Vec::new(),
    }
}

/// One queue `q` of weight 50 without needs, and the named agents with room for two.
pub(super) fn plain(agents: &[&str]) -> WorkspaceConfig {
    WorkspaceConfig {
        business: "shop".into(),
        queues: BTreeMap::from([("q".into(), queue_config(&[], 50, 0))]),
        agents: agents.iter().map(|id| ((*id).into(), agent_config(&[], 100))).collect(),
        re_offer_after_ms: 600_000,
        reject_cool_down_ms: COOL_DOWN_MS,
        misses_max: 2,
        lost_connection_hold_ms: HOLD_MS,
        stranded_keep_ms: 0,
        sticky_ttl_ms: 7 * 24 * 3_600_000,
    }
}

impl World {
    pub(super) fn new(config: &WorkspaceConfig) -> Self {
        let mut world = Self {
            workspace: Workspace::default(),
            waits: Waits::default(),
            model: Model::default(),
            now_ms: START_MS,
            offered: Vec::new(),
            told: Vec::new(),
            signals: BTreeMap::new(),
            commands: 0,
        };
        world.input(&WorkspaceInput::Configure(Box::new(config.clone())));
        world
    }

    pub(super) fn input(&mut self, input: &WorkspaceInput) -> Decided {
        self.decide(Occasion::Input { key: [0; 16], input })
    }

    fn decide(&mut self, occasion: Occasion<'_>) -> Decided {
        let outcome = self.workspace.decide(me(), occasion, self.now_ms);
        assert!(outcome.events.len() <= 256, "a step of {} events", outcome.events.len());
        for event in &outcome.events {
            self.take(event);
        }
        for message in &outcome.messages {
            let ToEntity::Conversation(to, input) = message else { panic!("to {message:?}") };
            let ConversationInput::Workspace { item, version, news } = input.as_ref() else {
                panic!("told {input:?}")
            };
            assert_eq!(to.kind, EntityKind::Conversation);
            self.told.push((*item, *version, news.clone()));
        }
        for signal in &outcome.signals {
            let OutSignal::Session(session, signal) = signal else { panic!("{signal:?}") };
            let all = self.signals.entry(*session).or_default();
            assert_eq!(signal.n, all.len() as u64 + 1, "a gap in the signals of a session");
            all.push((signal.n, signal.change.clone()));
        }
        self.model.check_settled(&self.workspace, self.now_ms);
        outcome
    }

    fn take(&mut self, event: &WorkspaceEvent) {
        let before = self.parts();
        self.model.take(event, self.now_ms);
        let look = self.workspace.look(&event.part());
        self.workspace.apply(event);
        self.count(event, &look);
        let mut after = self.parts();
        for (name, part) in before {
            if name != event.part() {
                assert_eq!(after.get(&name), Some(&part), "{event:?} changed {name}");
            }
            after.remove(&name);
        }
        after.remove(&event.part());
        assert!(after.is_empty(), "{event:?} made {after:?}");
        if let WorkspaceEvent::ItemOffered { offer, agent, .. } = event {
            self.offered.push((*offer, agent.clone()));
        }
    }

    /// What is counted by difference is what waits.
    fn count(&mut self, event: &WorkspaceEvent, before: &Look) {
        match event {
            WorkspaceEvent::Configured(_) => self.waits = Waits::of(&self.workspace),
            _ => self.waits.moved(&self.workspace, before, &self.workspace.look(&event.part())),
        }
        let now_ms = self.workspace.clock_ms();
        let naive = self.workspace.waiting_counts(now_ms);
        assert_eq!(self.waits.all(now_ms), naive, "after {event:?}");
    }

    pub(super) fn parts(&self) -> BTreeMap<String, Part> {
        let names = self.workspace.part_names();
        names
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.workspace.part(&name)?)))
            .collect()
    }

    /// The same workspace from its saved parts.
    pub(super) fn reload(&mut self) {
        let mut loaded = Workspace::default();
        for (name, part) in self.parts() {
            let bytes = persist::encode(&part).unwrap();
            assert!(loaded.put_part(&name, persist::decode(&bytes).unwrap()), "part {name}");
        }
        assert_eq!(loaded.index, self.workspace.index, "the index from the saved parts differs");
        assert_eq!(loaded.wake_ms().is_some(), self.workspace.wake_ms().is_some());
        self.waits = Waits::of(&loaded);
        self.workspace = loaded;
    }

    /// Lets time pass; the workspace is woken whenever it asks for it.
    pub(super) fn pass(&mut self, ms: Millis) {
        let until_ms = self.now_ms + ms;
        let mut at_once = 0;
        while let Some(wake_ms) = self.workspace.wake_ms().filter(|wake_ms| *wake_ms <= until_ms) {
            at_once = if wake_ms > self.now_ms { 0 } else { at_once + 1 };
            assert!(at_once < 200, "asks to be woken without end");
            self.now_ms = self.now_ms.max(wake_ms);
            self.decide(Occasion::Wake);
        }
        self.now_ms = until_ms;
    }

    pub(super) fn wanted(&mut self, n: u8, queue: &str, since_ms: Millis) -> Decided {
        self.wanted_version(n, 1, queue, since_ms)
    }

    pub(super) fn wanted_version(
        &mut self,
        n: u8,
        version: u32,
        queue: &str,
        since_ms: Millis,
    ) -> Decided {
        self.wanted_with(n, version, queue, since_ms, RoutingHints::default())
    }

    /// As a conversation asks that says more.
    pub(super) fn wanted_with(
        &mut self,
        n: u8,
        version: u32,
        queue: &str,
        since_ms: Millis,
        hints: RoutingHints,
    ) -> Decided {
        self.input(&WorkspaceInput::Wanted {
            item: item(n),
            version,
            conversation: conversation(n),
            queue: QueueId::from(queue),
            since_ms,
            priority: 0,
            hints,
        })
    }

    pub(super) fn dropped(&mut self, n: u8, version: u32) -> Decided {
        let input =
            WorkspaceInput::Dropped { item: item(n), version, conversation: conversation(n) };
        self.input(&input)
    }

    pub(super) fn finished(&mut self, n: u8, version: u32, agent: &str, wrap_up: bool) -> Decided {
        self.input(&WorkspaceInput::Finished {
            item: item(n),
            version,
            conversation: conversation(n),
            agent: agent.into(),
            wrap_up,
        })
    }

    /// Why what waits waits, by item, in the order of the list.
    pub(super) fn reasons(&mut self) -> Vec<(ItemId, WaitReason)> {
        let input = WorkspaceInput::ListWaiting { queue: None, after: None, limit: 100 };
        let outcome = self.input(&input);
        assert!(outcome.events.is_empty(), "a question decides nothing");
        let Some(WorkspaceAnswer::Waiting { items, more: false }) = outcome.reply else {
            panic!("{:?}", outcome.reply)
        };
        items.into_iter().map(|view| (view.item, view.reason)).collect()
    }

    pub(super) fn reason(&mut self, n: u8) -> WaitReason {
        let found = self.reasons().into_iter().find(|(of, _)| *of == item(n));
        found.expect("it waits").1
    }

    pub(super) fn changes(&self, on: SessionId) -> Vec<WorkspaceChange> {
        self.signals[&on].iter().map(|(_, change)| change.clone()).collect()
    }

    pub(super) fn claimed(&mut self, n: u8, version: u32, agent: &str) -> Decided {
        self.input(&WorkspaceInput::Claimed {
            item: item(n),
            version,
            conversation: conversation(n),
            agent: agent.into(),
            queue: "q".into(),
            since_ms: self.now_ms,
        })
    }

    pub(super) fn desk(
        &mut self,
        agent: &str,
        on: SessionId,
        command: DeskCommand,
    ) -> WorkspaceAnswer {
        let input = WorkspaceInput::Desk { agent: agent.into(), session: on, command };
        self.input(&input).reply.expect("a desk command is answered")
    }

    pub(super) fn command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId { client: Hash16([1; 16]), n: self.commands }
    }

    /// Signs an agent in on session `n` and makes it available.
    pub(super) fn sign_in(&mut self, agent: &str, n: u8) -> SessionId {
        let on = session(n);
        let opened_ms = self.now_ms;
        assert_eq!(self.desk(agent, on, DeskCommand::SignIn { opened_ms }), WorkspaceAnswer::Done);
        assert_eq!(self.presence(agent, on, Presence::Available), WorkspaceAnswer::Done);
        on
    }

    pub(super) fn presence(
        &mut self,
        agent: &str,
        on: SessionId,
        presence: Presence,
    ) -> WorkspaceAnswer {
        let id = self.command();
        self.desk(agent, on, DeskCommand::SetPresence { id, presence })
    }

    pub(super) fn accept(&mut self, agent: &str, on: SessionId, offer: OfferId) -> WorkspaceAnswer {
        let id = self.command();
        self.desk(agent, on, DeskCommand::Accept { id, offer })
    }

    pub(super) fn reject(&mut self, agent: &str, on: SessionId, offer: OfferId) -> WorkspaceAnswer {
        let id = self.command();
        self.desk(agent, on, DeskCommand::Reject { id, offer, reason: "busy".to_owned() })
    }

    pub(super) fn delivered(
        &mut self,
        agent: &str,
        on: SessionId,
        offer: OfferId,
    ) -> WorkspaceAnswer {
        self.desk(agent, on, DeskCommand::Delivered { offer })
    }

    /// The newest offer of an item.
    pub(super) fn offer_of(&self, n: u8) -> (OfferId, AgentId) {
        let made = self.offered.iter().rev();
        made.clone().find(|(offer, _)| offer.item == item(n)).cloned().expect("an offer was made")
    }

    /// Accepts the newest offer of an item; says who.
    pub(super) fn accept_newest(&mut self, n: u8, on: SessionId) -> AgentId {
        let (offer, agent) = self.offer_of(n);
        assert_eq!(self.accept(&agent.0, on, offer), WorkspaceAnswer::Done);
        agent
    }

    /// Items offered so far with the agent, in order.
    pub(super) fn offers(&self) -> Vec<(ItemId, &str)> {
        self.offered.iter().map(|(offer, agent)| (offer.item, agent.0.as_str())).collect()
    }

    /// How the newest offer of an item ended, as its agent was told.
    pub(super) fn end_told(&self, on: SessionId, offer: OfferId) -> Option<OfferEnd> {
        self.signals.get(&on)?.iter().find_map(|(_, change)| match change {
            WorkspaceChange::OfferEnded { offer: ended, end } if *ended == offer => Some(*end),
            _ => None,
        })
    }
}
