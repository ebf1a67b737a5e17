//! Accounts that add, pay each other, and gain when their timer fires.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use bus::{
    Bus, BusinessId, Cause, EntityId, Event, FormatLevel, Header, InboxEntry, Input, Key, PartName,
    PartitionId, Reply, SavedPart, sqlite,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::FIRED;
use crate::{
    Node, NodeOptions, Placement, Settings,
    host::{
        CallRequest, CallResult, DecideInput, Decision, Door, EntityError, Executor, Host,
        LiveEntity, Occasion, OutMessage,
    },
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    Add(u64),
    Pay { to: EntityId, amount: u64 },
    WakeAt(u64),
    Tell,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Change {
    Gained { key: Key, amount: u64 },
    WakeSet(Option<u64>),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Account {
    total: u64,
    seen: BTreeSet<Key>,
    wake_ms: Option<u64>,
}

fn unreadable(error: &bus::CodecError) -> EntityError {
    EntityError::Unreadable(error.to_string())
}

fn event(change: &Change) -> Event {
    Event { part: "account".into(), body: bus::encode(change).unwrap() }
}

impl Account {
    fn on_input(
        &self,
        input: &DecideInput,
        body: &[u8],
        out: &mut Decision,
    ) -> Result<(), EntityError> {
        let (key, business) = (input.header.key, input.header.business.clone());
        let command: Command = bus::decode(body).map_err(|error| unreadable(&error))?;
        match command {
            Command::Tell => {}
            Command::WakeAt(at_ms) => out.events.push(event(&Change::WakeSet(Some(at_ms)))),
            _ if self.seen.contains(&key) => {}
            Command::Add(amount) => out.events.push(event(&Change::Gained { key, amount })),
            Command::Pay { to, amount } => {
                out.events.push(event(&Change::Gained { key, amount: 0 }));
                let body = bus::encode(&Command::Add(amount)).unwrap();
                out.messages.push(OutMessage { target: to, business, key, body });
            }
        }
        Ok(())
    }
}

impl LiveEntity for Account {
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError> {
        let mut out = Decision::default();
        match &input.occasion {
            Occasion::Input(body) => self.on_input(input, body, &mut out)?,
            Occasion::Wake if self.wake_ms.is_some_and(|at_ms| at_ms <= input.now_ms) => {
                out.events.push(event(&Change::WakeSet(None)));
            }
            Occasion::Wake | Occasion::CallResult { .. } => {}
        }
        out.reply = Some(Bytes::from(self.total.to_string()));
        Ok(out)
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        match bus::decode(&event.body).map_err(|error| unreadable(&error))? {
            Change::Gained { key, amount } => {
                self.seen.insert(key);
                self.total += amount;
            }
            Change::WakeSet(wake_ms) => {
                self.total += if wake_ms.is_none() { FIRED } else { 0 };
                self.wake_ms = wake_ms;
            }
        }
        Ok(())
    }

    fn part(&self, _: &PartName, _: FormatLevel) -> Result<Option<Bytes>, EntityError> {
        Ok(Some(bus::encode(self).unwrap()))
    }

    fn wake_ms(&self) -> Option<u64> {
        self.wake_ms
    }

    fn weight(&self) -> usize {
        64
    }
}

struct Accounts;

impl Host for Accounts {
    fn load(&self, _: EntityId, parts: &[SavedPart]) -> Result<Box<dyn LiveEntity>, EntityError> {
        let saved = parts.iter().find_map(|part| part.bytes.as_ref());
        let account: Option<Account> = saved
            .map(|bytes| bus::decode(bytes))
            .transpose()
            .map_err(|error| unreadable(&error))?;
        Ok(Box::new(account.unwrap_or_default()))
    }
}

struct NoCalls;

#[async_trait]
impl Executor for NoCalls {
    async fn call(&self, _: CallRequest, _: Door) -> CallResult {
        CallResult::NotStarted("nobody calls".to_owned())
    }
}

pub(super) fn embedded(partitions: u16) -> (TempDir, Bus) {
    let dir = tempfile::tempdir().unwrap();
    let options = sqlite::Options { partitions, min_free_bytes: 0, ..sqlite::Options::default() };
    let bus = sqlite::open(dir.path(), options).unwrap();
    (dir, bus)
}

/// A node that serves every partition.
pub(super) async fn node(bus: &Bus) -> Node {
    let mut settings = Settings { placement: Placement::Manual, ..Settings::default() };
    // Only who stops in order saves anything.
    settings.shard.checkpoint_interval_ms = 600_000;
    let options = NodeOptions::new(bus.clone(), Arc::new(Accounts), Arc::new(NoCalls), "n");
    let node = Node::start(NodeOptions { settings, ..options }).await.unwrap();
    for partition in (0..bus.partitions).map(PartitionId) {
        node.take(partition).await.unwrap();
    }
    node
}

pub(super) fn entity(n: u64) -> EntityId {
    EntityId { kind: 1, hash: u128::from(n).to_le_bytes() }
}

pub(super) fn command(key: u64, target: EntityId, command: &Command, cause: Cause) -> Input {
    Input {
        header: Header {
            key: Key(u128::from(key).to_be_bytes()),
            business: BusinessId("toy".to_owned()),
            cause,
            trace: None,
            received_ms: 0,
        },
        target,
        body: bus::encode(command).unwrap(),
        reply_to: None,
    }
}

pub(super) fn add(key: u64, n: u64, amount: u64) -> Input {
    command(key, entity(n), &Command::Add(amount), Cause::Webhook)
}

pub(super) fn pay(key: u64, n: u64, to: u64, amount: u64) -> Input {
    command(key, entity(n), &Command::Pay { to: entity(to), amount }, Cause::Command)
}

pub(super) async fn append(bus: &Bus, input: Input) {
    let partition = input.target.partition(bus.partitions);
    let entry = InboxEntry::new(vec![input]).encode().unwrap();
    bus.inbox.append(partition, entry).await.unwrap();
}

/// What an account holds, as it says itself.
pub(super) async fn total(bus: &Bus, key: u64, n: u64) -> u64 {
    let topic = format!("reply.{key}");
    let mut replies = bus.signals.subscribe(&topic).await.unwrap();
    let asked = command(key, entity(n), &Command::Tell, Cause::Command);
    append(bus, Input { reply_to: Some(topic), ..asked }).await;
    let reply = tokio::time::timeout(Duration::from_secs(30), replies.next()).await;
    let signal = reply.expect("a reply in time").unwrap().unwrap();
    let reply = Reply::decode(&signal.body).unwrap().result.unwrap();
    std::str::from_utf8(&reply).unwrap().parse().unwrap()
}
