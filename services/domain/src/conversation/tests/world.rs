//! A world of a few conversations with the messages between them: decides, applies, keeps what left, projects
//! the thread as a read model would, and checks after every step what must always hold.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use proptest::prelude::ProptestConfig;

use crate::{
    AgentId, CommandId, EntityId, EntityKind, Hash16, ItemId, MessageId, Millis, QueueId,
    RequestId, Sealed, Sealing, ToEntity,
    content::{Content, ContentKind},
    conversation::*,
    effect::{BotCall, BotKey, OutSignal},
    flow::{Flow, MenuOption, OneQuestion},
    number::{NumberInput, SendRequest},
    persist,
    workspace::WorkspaceInput,
};

/// A round second in January 2027.
pub(super) const T0: Millis = 1_800_000_000_000;
pub(super) const S: Millis = 1_000;
pub(super) const MIN: Millis = 60 * S;
pub(super) const H: Millis = 60 * MIN;

pub(super) fn entity(kind: EntityKind, n: u8) -> EntityId {
    EntityId { kind, hash: Hash16([n; 16]) }
}

/// The usual conversation (a BSUID), its phone, and another BSUID.
pub(super) const B: u8 = 9;
pub(super) const P: u8 = 1;
pub(super) const C: u8 = 8;

pub(super) fn address(n: u8) -> EntityId {
    entity(EntityKind::Conversation, n)
}

pub(super) fn via() -> Via {
    Via { number: entity(EntityKind::Number, 100), workspace: entity(EntityKind::Workspace, 101) }
}

pub(super) fn message(n: u32) -> MessageId {
    MessageId(Hash16(u128::from(n).to_be_bytes()))
}

pub(super) fn sealed(text: &str) -> Sealed {
    Sealed { key_id: 1, bytes: text.as_bytes().to_vec() }
}

pub(super) fn agent(name: &str) -> AgentId {
    name.into()
}

/// Seals nothing, so that tests read what was said.
#[derive(Debug)]
pub(super) struct Open;

impl Sealing for Open {
    fn seal(&self, _: u32, plain: &[u8]) -> Sealed {
        Sealed { key_id: 1, bytes: plain.to_vec() }
    }

    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        Some(sealed.bytes.clone())
    }
}

pub(super) fn plain_rules() -> Rules {
    Rules::new("general".into())
}

pub(super) fn bot_rules() -> Rules {
    let option = |title: &str, keyword: &str, queue: &str| MenuOption {
        title: title.into(),
        keywords: vec![keyword.into()],
        queue: queue.into(),
    };
    let bot = Flow::one_question(&OneQuestion {
        question: "question".into(),
        options: vec![option("Sales", "buy", "sales"), option("Billing", "invoice", "billing")],
        hand_off: "handoff".into(),
        fallback: "fallback".into(),
        ..OneQuestion::default()
    });
    Rules { bot: Some(Arc::new(bot)), ..plain_rules() }
}

/// An external bot, and behind it nobody, or the question.
pub(super) fn external_rules(behind: Rules) -> Rules {
    Rules { external: Some(ExternalBot { over_ms: 8 * S }), ..behind }
}

pub(super) fn inbound(n: u32, at_ms: Millis) -> Inbound {
    Inbound {
        via: via(),
        message: message(n),
        at_ms,
        kind: ContentKind::Text,
        paired: None,
        who: sealed("who"),
        content: sealed(&format!("in {n}")),
        target: None,
        referral: false,
    }
}

pub(super) fn echo(n: u32, at_ms: Millis) -> Echo {
    Echo {
        via: via(),
        message: message(n),
        at_ms,
        kind: ContentKind::Text,
        paired: None,
        who: sealed("who"),
        content: sealed(&format!("echo {n}")),
        target: None,
        configured_automatic: false,
        text_hash: Some(u64::from(n)),
    }
}

pub(super) fn status(n: u32, status: StatusKind, at_ms: Millis) -> Status {
    Status {
        via: via(),
        message: message(n),
        request: None,
        status,
        at_ms,
        error: (status == StatusKind::Failed).then_some(131_026),
        content: sealed("status"),
        who: None,
        pricing: None,
        window: None,
    }
}

pub(super) fn accepted(n: u32, at_ms: Millis) -> SendOutcome {
    SendOutcome::Accepted { message: message(n), wamid: sealed("wamid"), at_ms, repeated: false }
}

/// A message as the read model shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) direction: Direction,
    pub(super) kind: ContentKind,
    pub(super) at_ms: Millis,
    pub(super) content: Sealed,
    pub(super) target: Option<MessageId>,
}

/// The thread, as a projection of events; keyed by message, so that a repeat is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) messages: BTreeMap<MessageId, Shown>,
    pub(super) statuses: BTreeMap<MessageId, StatusFacts>,
    pub(super) sends: BTreeMap<RequestId, SendRecord>,
    pub(super) outcomes: BTreeMap<RequestId, SendOutcome>,
    /// The ledger: of several prices of a message the one that replaces the others.
    pub(super) prices: BTreeMap<MessageId, Pricing>,
    pub(super) billing_windows: BTreeMap<String, Millis>,
    pub(super) free_entry_until_ms: Millis,
}

impl Thread {
    fn apply(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::MessageRecorded(record) => {
                let record = record.clone();
                self.messages.entry(record.message).or_insert(Shown {
                    direction: record.direction,
                    kind: record.kind,
                    at_ms: record.at_ms,
                    content: record.content,
                    target: record.target,
                });
            }
            ConversationEvent::StatusMerged { message, status, at_ms, error, .. } => {
                self.statuses.entry(*message).or_default().merge(*status, *at_ms, *error);
            }
            ConversationEvent::BillingRecorded { message, pricing, .. } => {
                let known = self.prices.entry(*message).or_insert_with(|| pricing.clone());
                if pricing.replaces(known) {
                    *known = pricing.clone();
                }
            }
            ConversationEvent::BillingWindowMoved { category, until_ms } => {
                let known = self.billing_windows.entry(category.clone()).or_default();
                *known = (*known).max(*until_ms);
            }
            ConversationEvent::FreeEntryMoved { until_ms } => {
                self.free_entry_until_ms = *until_ms;
            }
            ConversationEvent::SendRequested(record) => {
                self.sends.insert(record.request, record.clone());
            }
            ConversationEvent::SendResolved { request, outcome, .. } => {
                self.outcomes.insert(*request, outcome.clone());
            }
            _ => {}
        }
    }

    /// With the echoes of our own sends taken out: they are the sends.
    pub(super) fn settled(mut self) -> Self {
        for outcome in self.outcomes.values() {
            if let SendOutcome::Accepted { message, .. } = outcome {
                self.messages.remove(message);
            }
        }
        self
    }
}

pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) now_ms: Millis,
    pub(super) conversations: BTreeMap<EntityId, Conversation>,
    pub(super) thread: Thread,
    pub(super) events: Vec<ConversationEvent>,
    /// Which address recorded which message.
    pub(super) recorded_by: Vec<(EntityId, MessageId)>,
    pub(super) signals: Vec<ConversationSignal>,
    pub(super) workspace: Vec<WorkspaceInput>,
    pub(super) number: Vec<NumberInput>,
    pub(super) reply: Option<CommandAnswer>,
    pub(super) bot_calls: Vec<BotCall>,
    pub(super) bot_cancels: Vec<BotKey>,
    /// Turns whose answer was taken, by address.
    answered: BTreeSet<(EntityId, u64)>,
    /// Messages between conversations wait here while set.
    pub(super) hold_channels: bool,
    pub(super) channels: VecDeque<(EntityId, ConversationInput)>,
    keys: u64,
    commands: u64,
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            now_ms: T0,
            conversations: BTreeMap::new(),
            thread: Thread::default(),
            events: Vec::new(),
            recorded_by: Vec::new(),
            signals: Vec::new(),
            workspace: Vec::new(),
            number: Vec::new(),
            reply: None,
            bot_calls: Vec::new(),
            bot_cancels: Vec::new(),
            answered: BTreeSet::new(),
            hold_channels: false,
            channels: VecDeque::new(),
            keys: 1 << 40,
            commands: 1_000,
        }
    }

    pub(super) fn at(&mut self, now_ms: Millis) -> &mut Self {
        assert!(now_ms >= self.now_ms, "time runs forward");
        self.now_ms = now_ms;
        self
    }

    pub(super) fn get(&self, n: u8) -> Conversation {
        self.conversations.get(&address(n)).cloned().unwrap_or_default()
    }

    pub(super) fn floor(&self) -> Floor {
        self.get(B).floor().clone()
    }

    /// A webhook of its own key.
    pub(super) fn give(&mut self, n: u8, input: ConversationInput) {
        self.keys += 1;
        self.give_keyed(n, self.keys, input, None);
    }

    pub(super) fn say(&mut self, n: u8, inbound: Inbound, plain: &str) {
        self.keys += 1;
        self.give_keyed(n, self.keys, ConversationInput::Inbound(inbound), Some(plain));
    }

    pub(super) fn inbound(&mut self, n: u32, at_ms: Millis) {
        self.say(B, inbound(n, at_ms), "hello");
    }

    pub(super) fn echo(&mut self, n: u32, at_ms: Millis) {
        self.give(B, ConversationInput::Echo(echo(n, at_ms)));
    }

    pub(super) fn outcome(&mut self, request: RequestId, outcome: SendOutcome) {
        self.give(B, ConversationInput::SendOutcome { request, outcome });
    }

    /// An external bot's result reaches the conversation that asked.
    pub(super) fn bot(&mut self, key: BotKey, result: &BotResult) {
        let id = EntityId { kind: EntityKind::Conversation, hash: key.conversation };
        let base = self.conversations.get(&id).cloned().unwrap_or_default();
        let occasion = Occasion::Bot { key, result };
        let out = base.decide(&self.rules, id, occasion, self.now_ms, &Open);
        self.settle(id, base, out);
        self.pump();
    }

    pub(super) fn news(&mut self, item: ItemId, version: u32, news: WorkspaceNews) {
        self.give(B, ConversationInput::Workspace { item, version, news });
    }

    pub(super) fn give_keyed(
        &mut self,
        n: u8,
        key: u64,
        input: ConversationInput,
        plain: Option<&str>,
    ) {
        let mut long = [0; 16];
        long[..8].copy_from_slice(&key.to_be_bytes());
        self.decide(address(n), long, &input, plain);
        self.pump();
    }

    /// Delivers what conversations said to each other.
    pub(super) fn pump(&mut self) {
        let mut hops = 0;
        while !self.hold_channels
            && let Some((to, input)) = self.channels.pop_front()
        {
            hops += 1;
            assert!(hops < 100, "conversations talk in circles: {input:?}");
            self.decide(to, [0xcc; 16], &input, None);
        }
    }

    pub(super) fn wake(&mut self) {
        for id in self.conversations.keys().copied().collect::<Vec<_>>() {
            let due = self.conversations.get(&id).and_then(Conversation::wake_ms);
            if due.is_some_and(|due_ms| due_ms <= self.now_ms) {
                let base = self.conversations[&id].clone();
                let out = base.decide(&self.rules, id, Occasion::Wake, self.now_ms, &Open);
                self.settle(id, base, out);
            }
        }
        self.pump();
    }

    /// Lets time pass until `now_ms`, waking on the way.
    pub(super) fn pass(&mut self, now_ms: Millis) {
        for _ in 0..10_000 {
            let next = self.conversations.values().filter_map(Conversation::wake_ms).min();
            match next.filter(|next_ms| *next_ms <= now_ms) {
                Some(next_ms) => self.now_ms = self.now_ms.max(next_ms),
                None => break,
            }
            self.wake();
        }
        self.at(now_ms);
    }

    fn decide(
        &mut self,
        to: EntityId,
        key: [u8; 16],
        input: &ConversationInput,
        text: Option<&str>,
    ) {
        let (text, choice) = match text.and_then(|text| text.strip_prefix("tap:")) {
            Some(id) => (None, Some(id.to_owned())),
            None => (text.map(str::to_owned), None),
        };
        let opened = Opened { text, choice, reachable: true };
        let base = self.conversations.get(&to).cloned().unwrap_or_default();
        let occasion = Occasion::Input { key, input, opened: &opened };
        let out = base.decide(&self.rules, to, occasion, self.now_ms, &Open);
        let again = base.decide(&self.rules, to, occasion, self.now_ms, &Open);
        assert_eq!(out, again, "decide is pure");
        self.settle(to, base, out);
    }

    fn settle(
        &mut self,
        id: EntityId,
        mut conversation: Conversation,
        out: crate::Outcome<ConversationEvent, CommandAnswer>,
    ) {
        assert!(out.events.len() <= 256);
        for event in out.events {
            if let ConversationEvent::SendRequested(record) = &event
                && let Author::Bot { turn } = record.author
            {
                assert_eq!(*conversation.floor(), Floor::Bot { turn }, "a stale bot turn speaks");
            }
            if let ConversationEvent::BotAnswered { turn } = &event {
                assert!(self.answered.insert((id, *turn)), "an answer was taken twice");
            }
            conversation.apply(&event);
            self.thread.apply(&event);
            if let ConversationEvent::MessageRecorded(record) = &event {
                self.recorded_by.push((id, record.message));
            }
            self.events.push(event);
        }
        let bytes = persist::encode(&conversation).unwrap();
        assert!(bytes.len() <= 64 * 1024, "{} bytes", bytes.len());
        assert_eq!(persist::decode::<Conversation>(&bytes).unwrap(), conversation);
        assert_cared_for(&conversation);
        self.conversations.insert(id, conversation);
        for message in out.messages {
            match message {
                ToEntity::Conversation(to, input) => self.channels.push_back((to, *input)),
                ToEntity::Workspace(to, input) => {
                    assert_eq!(to, via().workspace);
                    self.workspace.push(*input);
                }
                ToEntity::Number(to, input) => {
                    assert_eq!(to, via().number);
                    self.number.push(*input);
                }
            }
        }
        self.bot_calls.extend(out.bot_calls);
        self.bot_cancels.extend(out.bot_cancels);
        for signal in out.signals {
            let OutSignal::Conversation(_, signal) = signal else { panic!("{signal:?}") };
            self.signals.push(signal);
        }
        if out.reply.is_some() {
            self.reply = out.reply;
        }
    }

    // Commands.

    pub(super) fn command(&mut self, by: Option<&str>, kind: CommandKind) -> CommandAnswer {
        self.commands += 1;
        let n = self.commands;
        self.command_n(B, by, n, kind)
    }

    pub(super) fn command_n(
        &mut self,
        to: u8,
        by: Option<&str>,
        n: u64,
        kind: CommandKind,
    ) -> CommandAnswer {
        let id = CommandId { client: Hash16([77; 16]), n };
        self.reply = None;
        let command = ConversationCommand { id, agent: by.map(agent), kind };
        self.give(to, ConversationInput::Command(command));
        self.reply.clone().expect("a command is answered")
    }

    pub(super) fn send(&mut self, by: Option<&str>, take_floor: bool) -> CommandAnswer {
        self.command(by, send_of(take_floor))
    }

    pub(super) fn sent(&mut self, by: Option<&str>, take_floor: bool) -> RequestId {
        match self.send(by, take_floor) {
            CommandAnswer::Sent { request } => request,
            other => panic!("{other:?}"),
        }
    }

    // What left.

    pub(super) fn requests(&self) -> Vec<&SendRequest> {
        let requests = self.number.iter().filter_map(|input| match input {
            NumberInput::Request(request) => Some(&**request),
            _ => None,
        });
        requests.collect()
    }

    /// First lines of the texts asked of the Number, in order.
    pub(super) fn said(&self) -> Vec<String> {
        let text = |r: &&SendRequest| match persist::decode::<Content>(&r.content.bytes) {
            Ok(content) => content.text.unwrap().lines().next().unwrap().to_owned(),
            Err(_) => String::from_utf8(r.content.bytes.clone()).unwrap(),
        };
        self.requests().iter().map(text).collect()
    }

    pub(super) fn cancelled(&self) -> Vec<RequestId> {
        let cancels = self.number.iter().filter_map(|input| match input {
            NumberInput::Cancel { request, .. } => Some(*request),
            _ => None,
        });
        cancels.collect()
    }

    pub(super) fn last_wanted(&self) -> (ItemId, u32, QueueId, Millis) {
        match self.workspace.last() {
            Some(WorkspaceInput::Wanted { item, version, queue, since_ms, .. }) => {
                (*item, *version, queue.clone(), *since_ms)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn floor_changes(&self) -> Vec<(Floor, FloorCause)> {
        let changes = self.events.iter().filter_map(|event| match event {
            ConversationEvent::FloorChanged { floor, cause, .. } => Some((floor.clone(), *cause)),
            _ => None,
        });
        changes.collect()
    }

    /// Lets the workspace give the open item to `name`.
    pub(super) fn assign(&mut self, name: &str) {
        let (item, version, ..) = self.last_wanted();
        self.news(item, version, WorkspaceNews::Assigned { agent: agent(name) });
        assert_eq!(self.floor(), Floor::Desk { agent: agent(name) });
    }
}

/// `PROPTEST_CASES` sets how many; nothing is written into the source tree.
pub(super) fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

pub(super) fn send_of(take_floor: bool) -> CommandKind {
    CommandKind::Send {
        kind: ContentKind::Text,
        content: sealed("desk"),
        take_floor,
        marketing: false,
    }
}

/// Invariant 5, on the state: who waits has an agent, an open item, a bot whose words are under way or await an
/// answer, or a timer. And what the state says of itself agrees with itself.
fn assert_cared_for(conversation: &Conversation) {
    let core = &conversation.core;
    assert_eq!(core.phone.is_some(), core.floor == Floor::Phone);
    assert!(core.timers.len() <= 5 && core.waiting_since_ms.is_none_or(|_| core.episode.open));
    if let Floor::Desk { agent } = &core.floor {
        assert_eq!(core.assigned(), Some(agent), "the desk's floor is that of the item's agent");
    }
    if core.item.is_some() {
        assert!(core.timers.contains_key(&ConversationTimer::Compare));
        assert!(core.episode.open, "an item without an episode");
    }
    if let Some(awaited) = core.external.awaited {
        assert_eq!(core.floor, Floor::Bot { turn: awaited.turn }, "asked without the floor");
    }
    let snoozed = core.routing.snooze.is_some();
    assert_eq!(snoozed, core.timers.contains_key(&ConversationTimer::Snooze), "{core:?}");
    if core.waiting_since_ms.is_none() {
        return;
    }
    let left_alone = core.routing.agent_gone && core.floor != Floor::Phone;
    assert!(!left_alone || core.is_joining(), "who waits is left with an agent who is gone");
    let joining = core.is_joining() && core.timers.contains_key(&ConversationTimer::Join);
    let cared = match &core.floor {
        Floor::Desk { .. } => true,
        Floor::Phone => core.timers.contains_key(&ConversationTimer::PhoneAnswer),
        Floor::Bot { .. } => core.asked.is_some() || core.external.awaited.is_some(),
        Floor::Nobody => core.item.is_some() || snoozed,
    };
    assert!(cared || joining, "nobody cares: {core:?}");
}
