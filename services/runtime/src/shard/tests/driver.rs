//! A driver that does what the machine asks, in memory, except for what a test holds back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bus::{
    BusinessId, Cause, Checkpoint, EntityId, Event, FormatLevel, Header, InboxEntry, Incarnation,
    Input, Key, PartName, PartitionId, Position, Record, RecordBody, RecordHead, SavedPart, Step,
};
use bytes::Bytes;

use crate::{
    ShardSettings,
    host::{CallRequest, DecideInput, Decision, EntityError, Occasion, OutMessage, OutSignal},
    shard::{
        Action, AppendAnswer, Decided, Life, Link, Notice, Now, Outcome, Owned, Recovery, Shard,
        StopReason, own_entity,
    },
};

pub(super) const PARTITIONS: u16 = 4;
pub(super) const START_MS: u64 = 1_000_000_000;

/// What everyone shares and a crash leaves: logs, states, checkpoint, inbox of one partition.
#[derive(Debug, Default, Clone)]
pub(super) struct Store {
    pub(super) inbox: Vec<(u64, Bytes)>,
    pub(super) log: Vec<(u64, Bytes)>,
    pub(super) parts: BTreeMap<(EntityId, PartName), SavedPart>,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Store {
    pub(super) fn put_inputs(&mut self, inputs: Vec<Input>) -> u64 {
        let seq = self.inbox.last().map_or(0, |(seq, _)| *seq) + 3;
        self.inbox.push((seq, InboxEntry::new(inputs).encode().unwrap()));
        seq
    }

    pub(super) fn last(&self) -> Option<(u64, Bytes)> {
        self.log.last().cloned()
    }

    /// Appends with the fence; sequences have gaps.
    pub(super) fn append(&mut self, expected: u64, record: Bytes) -> Option<u64> {
        let last = self.log.last().map_or(0, |(seq, _)| *seq);
        (last == expected).then(|| {
            self.log.push((last + 5, record));
            last + 5
        })
    }

    pub(super) fn records(&self) -> Vec<(u64, Record)> {
        self.log.iter().map(|(seq, bytes)| (*seq, Record::decode(bytes).unwrap())).collect()
    }

    pub(super) fn steps(&self) -> Vec<(Position, Step)> {
        let mut all = Vec::new();
        for (seq, record) in self.records() {
            if let RecordBody::Steps(steps) = record.body {
                let generation = record.head.generation;
                let at = |index| Position { generation, seq, index };
                all.extend((0..).map(at).zip(steps.steps));
            }
        }
        all
    }

    /// Another owner takes the partition.
    pub(super) fn take_over(&mut self, incarnation: u8) -> Link {
        let last = self.log.last().map(|(seq, b)| (*seq, Record::decode(b).unwrap()));
        let head = RecordHead {
            generation: 1,
            epoch: last.as_ref().map_or(0, |(_, record)| record.head.epoch) + 1,
            incarnation: Incarnation([incarnation; 16]),
            number: 0,
            previous_seq: last.map_or(0, |(seq, _)| seq),
        };
        let body = RecordBody::Epoch { node: "n".to_owned(), now_ms: START_MS };
        let record = Record::new(head, body).encode().unwrap();
        Link { seq: self.append(head.previous_seq, record).unwrap(), head }
    }

    pub(super) fn part(&self, entity: EntityId, name: &str) -> Option<(Position, String)> {
        let part = self.parts.get(&(entity, PartName::from(name)))?;
        let text = part.bytes.as_ref().map(|b| String::from_utf8(b.to_vec()).unwrap());
        Some((part.position, text.unwrap_or_default()))
    }
}

/// An entity that keeps, per part, the texts applied to it.
#[derive(Debug, Default)]
struct Texts {
    parts: BTreeMap<PartName, String>,
    through: u64,
}

/// Drives one owner's machine.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) shard: Shard,
    pub(super) store: Store,
    pub(super) now: Now,
    /// Kinds of actions left to the test (see [`kind`]).
    pub(super) hold: BTreeSet<&'static str>,
    pub(super) held: VecDeque<Action>,
    /// Everything that left, in order.
    pub(super) left: Vec<String>,
    pub(super) stopped: Option<StopReason>,
    pub(super) alarms: Vec<&'static str>,
    /// Last entry it was said to have decided.
    pub(super) reached: u64,
    pub(super) sent: Vec<(PartitionId, Bytes)>,
    pub(super) loads: Vec<EntityId>,
    panicked: BTreeSet<Key>,
    live: BTreeMap<Life, (EntityId, Texts)>,
    reading: Option<u64>,
    actions: VecDeque<Action>,
}

pub(super) fn kind(action: &Action) -> &'static str {
    match action {
        Action::Read { .. } => "read",
        Action::Load { .. } => "load",
        Action::Dispatch { .. } => "dispatch",
        Action::Snapshot { .. } => "snapshot",
        Action::Append { .. } => "append",
        Action::ReadLast { .. } => "last",
        Action::Send { .. } => "send",
        Action::Save { .. } => "save",
        Action::PutCheckpoint { .. } => "checkpoint",
        _ => "other",
    }
}

pub(super) fn settings() -> ShardSettings {
    ShardSettings { checkpoint_interval_ms: 1_000_000, ..ShardSettings::default() }
}

impl Driver {
    /// The first owner of an empty partition 0.
    pub(super) fn new(settings: ShardSettings) -> Self {
        Self::over(Store::default(), settings, 1)
    }

    /// A new owner of what an earlier one left.
    pub(super) fn over(store: Store, settings: ShardSettings, incarnation: u8) -> Self {
        Self::try_over(store, settings, incarnation, &[]).unwrap()
    }

    /// As `over`, holding these kinds from the start.
    pub(super) fn over_holding(store: Store, incarnation: u8, hold: &[&'static str]) -> Self {
        Self::try_over(store, settings(), incarnation, hold).unwrap()
    }

    pub(super) fn try_over(
        mut store: Store,
        settings: ShardSettings,
        incarnation: u8,
        hold: &[&'static str],
    ) -> Result<Self, StopReason> {
        let had_owner = !store.log.is_empty();
        let epoch = store.take_over(incarnation);
        let now = Now { wall_ms: START_MS, boot_ms: 50_000 };
        let owned = Owned {
            partition: PartitionId(0),
            partitions: PARTITIONS,
            epoch,
            had_owner,
            shown_boot_ms: now.boot_ms,
            acked_boot_ms: now.boot_ms,
            inbox_last: store.inbox.last().map_or(0, |(seq, _)| *seq),
            format: FormatLevel::FIRST,
        };
        let own: Vec<_> = parts_of(&store, own_entity(PartitionId(0)));
        let mut recovery = Recovery::begin(owned, store.checkpoint.clone(), &own)?;
        let after = recovery.read_after();
        for (seq, bytes) in store.log.clone().iter().filter(|(seq, _)| *seq > after) {
            if !recovery.record(*seq, bytes)? {
                break;
            }
        }
        let (shard, alarms) = recovery.finish(settings)?;
        let mut driver = Self {
            shard,
            store,
            now,
            hold: hold.iter().copied().collect(),
            held: VecDeque::new(),
            left: Vec::new(),
            stopped: None,
            alarms: alarms.into_iter().map(super::super::Alarm::name).collect(),
            reached: 0,
            sent: Vec::new(),
            loads: Vec::new(),
            panicked: BTreeSet::new(),
            live: BTreeMap::new(),
            reading: None,
            actions: VecDeque::new(),
        };
        let mut out = Vec::new();
        driver.shard.start(now, &mut out);
        driver.actions.extend(out);
        driver.run();
        Ok(driver)
    }

    /// Puts inputs into the inbox, as one entry, and runs.
    pub(super) fn input(&mut self, inputs: Vec<Input>) {
        self.store.put_inputs(inputs);
        self.run();
    }

    pub(super) fn tell(&mut self, notice: Notice) {
        let mut out = Vec::new();
        self.shard.step(self.now, notice, &mut out);
        self.actions.extend(out);
        self.run();
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now.wall_ms += ms;
        self.now.boot_ms += ms;
        self.tell(Notice::Tick);
    }

    /// Lets go of what was held, and runs.
    pub(super) fn let_go(&mut self) {
        self.hold.clear();
        let held: Vec<_> = self.held.drain(..).collect();
        self.actions.extend(held);
        self.run();
    }

    /// Takes the held actions of one kind.
    pub(super) fn take_held(&mut self, wanted: &str) -> Vec<Action> {
        let all = std::mem::take(&mut self.held);
        let (wanted, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|action| kind(action) == wanted);
        self.held = rest.into();
        wanted
    }

    /// Performs one held action now.
    pub(super) fn perform_held(&mut self, action: Action) {
        let notice = self.perform(action);
        if let Some(notice) = notice {
            self.tell(notice);
        }
    }

    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            if let Some(action) = self.actions.pop_front() {
                if self.hold.contains(kind(&action)) {
                    self.held.push_back(action);
                } else if let Some(notice) = self.perform(action) {
                    let mut out = Vec::new();
                    self.shard.step(self.now, notice, &mut out);
                    self.actions.extend(out);
                }
                continue;
            }
            let Some(entries) = self.readable() else { return };
            let mut out = Vec::new();
            self.shard.step(self.now, Notice::Entries(entries), &mut out);
            self.actions.extend(out);
        }
        panic!("the machine does not come to rest");
    }

    fn readable(&mut self) -> Option<Vec<(u64, Bytes)>> {
        let after = self.reading?;
        let entries: Vec<_> =
            self.store.inbox.iter().filter(|(seq, _)| *seq > after).cloned().collect();
        if entries.is_empty() {
            return None;
        }
        self.reading = None;
        Some(entries)
    }

    fn perform(&mut self, action: Action) -> Option<Notice> {
        let sent_boot_ms = self.now.boot_ms;
        match action {
            Action::Read { after, .. } => self.reading = Some(after),
            Action::Load { entity, life } => {
                self.loads.push(entity);
                let parts = parts_of(&self.store, entity);
                return Some(Notice::Loaded { entity, life, parts });
            }
            Action::Open { entity, life, parts, events } => {
                return self.open(entity, life, parts, &events);
            }
            Action::Dispatch { life, ticket, input } => {
                let outcome = self.decide(life, ticket, &input)?;
                return Some(Notice::Decided { life, ticket, outcome });
            }
            Action::Snapshot { life, parts, .. } => {
                let (entity, texts) = self.live.get(&life)?;
                let part = |name: PartName| {
                    let text = texts.parts.get(&name).cloned();
                    (name, text.map(Bytes::from))
                };
                let parts = Ok(parts.into_iter().map(part).collect());
                let (entity, through) = (*entity, texts.through);
                return Some(Notice::Snapshot { entity, life, through, parts });
            }
            Action::Close { life } => drop(self.live.remove(&life)),
            Action::Append { number, expected_last, record, .. } => {
                let answer = match self.store.append(expected_last, record) {
                    Some(seq) => AppendAnswer::Stored(seq),
                    None => AppendAnswer::Conflict,
                };
                return Some(Notice::Appended { number, answer, sent_boot_ms });
            }
            Action::ReadLast { why, .. } => {
                let answer = Ok(self.store.last());
                return Some(Notice::Last { why, answer, sent_boot_ms });
            }
            Action::Send { target, entry, .. } => {
                self.sent.push((target, entry));
                return Some(Notice::Sent { target, stored: true });
            }
            Action::Save { puts, .. } => {
                for put in puts {
                    let key = (put.entity, put.part.name.clone());
                    let old = self.store.parts.get(&key).map(|part| part.position);
                    if old.is_none_or(|old| old < put.part.position) {
                        self.store.parts.insert(key, put.part);
                    }
                }
                return Some(Notice::Saved { stored: true });
            }
            Action::PutCheckpoint { checkpoint, .. } => {
                self.store.checkpoint = Some(checkpoint);
                return Some(Notice::Checkpointed { stored: true });
            }
            other => self.leave(other),
        }
        None
    }

    fn leave(&mut self, action: Action) {
        match action {
            Action::Call { request, start_by_boot_ms, .. } => {
                let text = String::from_utf8(request.body.to_vec()).unwrap();
                self.left.push(format!("call {text} by {start_by_boot_ms}"));
            }
            Action::Cancel(call) => self.left.push(format!("cancel {}", number_of(call))),
            Action::Settled(call) => self.left.push(format!("settled {}", number_of(call))),
            Action::Refused(call) => self.left.push(format!("refused {}", number_of(call))),
            Action::CloseDoor => self.left.push("door closed".to_owned()),
            Action::Reached(seq) => self.reached = seq,
            Action::Signal(signal) => self.left.push(format!("signal {}", signal.topic)),
            Action::Reply { topic, reply } => {
                let result = reply.result.map(|b| String::from_utf8(b.to_vec()).unwrap());
                let at = reply.position.unwrap();
                let (seq, index) = (at.seq, at.index);
                self.left.push(format!("reply {topic} {result:?} at {seq}.{index}"));
            }
            Action::Alarm(alarm) => self.alarms.push(alarm.name()),
            Action::Stop(reason) => self.stopped = Some(reason),
            other => panic!("not performed: {other:?}"),
        }
    }

    fn open(
        &mut self,
        entity: EntityId,
        life: Life,
        parts: Vec<SavedPart>,
        events: &[Event],
    ) -> Option<Notice> {
        let mut texts = Texts::default();
        for part in parts {
            if let Some(bytes) = part.bytes {
                texts.parts.insert(part.name, String::from_utf8(bytes.to_vec()).unwrap());
            }
        }
        for event in events {
            if event.body.starts_with(b"unloadable") {
                let error = EntityError::Broken("told so".to_owned());
                return Some(Notice::OpenFailed { entity, life, error });
            }
            apply(&mut texts, event);
        }
        self.live.insert(life, (entity, texts));
        None
    }

    fn decide(&mut self, life: Life, ticket: u64, input: &DecideInput) -> Option<Outcome> {
        let (_, texts) = self.live.get_mut(&life)?;
        let text = match &input.occasion {
            Occasion::Input(body) => String::from_utf8(body.to_vec()).unwrap(),
            Occasion::Wake => match wake_ms(texts) {
                Some(at) if at <= input.now_ms => "woken".to_owned(),
                _ => String::new(),
            },
            Occasion::CallResult { call, .. } => format!("put a=result-{}", number_of(*call)),
        };
        let mut decision = Decision::default();
        for word in text.split(';') {
            let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
            match verb {
                "put" => decision.events.push(event(rest)),
                "many" => {
                    for n in 0..rest.parse().unwrap() {
                        decision.events.push(event(&format!("a={n}")));
                    }
                }
                "large" => {
                    let text = "x".repeat(rest.parse().unwrap());
                    decision.events.push(event(&format!("a={text}")));
                }
                "foreign" => {
                    let over = input.foreign_calls_over_ms;
                    decision.reply = Some(Bytes::from(over.to_string()));
                }
                "now" => decision.reply = Some(Bytes::from(input.now_ms.to_string())),
                "wake" => {
                    decision.events.push(event(&format!("w={rest}")));
                }
                "woken" => {
                    decision.events.push(event("w=none"));
                }
                "panic" => {
                    self.live.remove(&life);
                    return Some(Outcome::Poison("told to panic".to_owned()));
                }
                "panic-once" if self.panicked.insert(input.header.key) => {
                    self.live.remove(&life);
                    return Some(Outcome::Poison("told to panic once".to_owned()));
                }
                "panic-once" => decision.events.push(event("a=after-panic")),
                "newer" => return Some(Outcome::UnknownVersion("told so".to_owned())),
                _ => effect(&mut decision, input, verb, rest),
            }
        }
        for event in &decision.events {
            apply(texts, event);
        }
        texts.through = ticket;
        let wake_ms = wake_ms(texts);
        Some(Outcome::Decided(Box::new(Decided { decision, wake_ms })))
    }
}

/// Verbs for what leaves.
fn effect(decision: &mut Decision, input: &DecideInput, verb: &str, rest: &str) {
    match verb {
        "send" => {
            let (target, size) = rest.split_once(' ').unwrap();
            decision.messages.push(OutMessage {
                target: entity_in(target.parse().unwrap(), 7),
                business: BusinessId::default(),
                key: input.header.key,
                body: Bytes::from("m".repeat(size.parse().unwrap())),
            });
        }
        "call" => decision.calls.push(CallRequest {
            call: input.header.key,
            business: BusinessId::default(),
            body: Bytes::from(rest.to_owned()),
        }),
        "cancel" => decision.cancels.push(key(rest.parse().unwrap())),
        "signal" => {
            let topic = rest.to_owned();
            decision.signals.push(OutSignal { topic, body: Bytes::new() });
        }
        "reply" => decision.reply = Some(Bytes::from(rest.to_owned())),
        _ => {}
    }
}

/// The timer is the last word of part "w".
fn wake_ms(texts: &Texts) -> Option<u64> {
    texts.parts.get(&PartName::from("w"))?.split_whitespace().last()?.parse().ok()
}

fn apply(texts: &mut Texts, event: &Event) {
    let text = String::from_utf8(event.body.to_vec()).unwrap();
    let part = texts.parts.entry(event.part.clone()).or_default();
    part.push_str(&text[..text.len().min(20)]);
    part.push(' ');
}

fn event(assignment: &str) -> Event {
    let (part, text) = assignment.split_once('=').unwrap();
    Event { part: part.into(), body: Bytes::from(text.to_owned()) }
}

fn parts_of(store: &Store, entity: EntityId) -> Vec<SavedPart> {
    let own = store.parts.iter().filter(|((id, _), _)| *id == entity);
    own.map(|(_, part)| part.clone()).collect()
}

pub(super) fn key(n: u64) -> Key {
    Key(u128::from(n).to_be_bytes())
}

fn number_of(key: Key) -> u64 {
    u64::try_from(u128::from_be_bytes(key.0)).unwrap()
}

pub(super) fn entity_in(partition: u16, n: u64) -> EntityId {
    let n = u128::from(n) * u128::from(PARTITIONS) + u128::from(partition);
    EntityId { kind: 1, hash: n.to_le_bytes() }
}

/// Entity `n` of partition 0.
pub(super) fn entity(n: u64) -> EntityId {
    entity_in(0, n)
}

/// A command for entity `n`; verbs see [`Driver::decide`]. Asks for a reply.
pub(super) fn command(id: u64, n: u64, text: &str) -> Input {
    Input {
        header: Header {
            key: key(id),
            business: BusinessId("b".to_owned()),
            cause: Cause::Command,
            trace: None,
            received_ms: 0,
        },
        target: entity(n),
        body: Bytes::from(text.to_owned()),
        reply_to: text.contains("reply").then(|| format!("r{id}")),
    }
}

/// A message of partition 2's channel.
pub(super) fn message(number: u64, n: u64, text: &str) -> Input {
    let mut input = command(1_000 + number, n, text);
    let source = PartitionId(2);
    input.header.cause = Cause::Channel { source, generation: 1, number, position: None };
    input
}

/// Keys of the inbox inputs decided in the log, as numbers.
pub(super) fn keys(store: &Store) -> Vec<u64> {
    let steps = store.steps();
    let placed = steps.iter().filter(|(_, step)| step.place.is_some());
    placed.map(|(_, step)| number_of(step.header.key)).collect()
}
