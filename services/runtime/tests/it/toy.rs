//! A toy installation: accounts that add, send to each other, call out, set timers, and fail on demand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bus::{
    BusinessId, Cause, EntityId, Event, FormatLevel, Header, Input, Key, PartName, SavedPart,
};
use bytes::Bytes;
use runtime::host::{
    CallId, CallRequest, CallResult, DecideInput, Decision, Door, EntityError, Executor, Host,
    LiveEntity, Occasion, OutMessage, OutSignal,
};
use serde::{Deserialize, Serialize};

/// What an account can be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    Add(u64),
    Send { to: EntityId, amount: u64 },
    Call { text: String },
    CancelCall(CallId),
    WakeAt(u64),
    Panic,
    PanicOnce,
    PanicInApply,
    Large(usize),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Change {
    Added { key: Key, amount: u64 },
    Sent { key: Key },
    Called { key: Key },
    CallEnded { call: CallId, done: bool },
    WakeSet { at: Option<u64> },
    Poison,
    Padding(Vec<u8>),
}

/// The one part of an account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) total: u64,
    pub(crate) seen: BTreeSet<Key>,
    pub(crate) calls: BTreeMap<Key, Option<bool>>,
    pub(crate) wake_ms: Option<u64>,
    pub(crate) fired: u64,
    pub(crate) padding: usize,
}

struct Live {
    account: Account,
    panicked: Arc<Mutex<BTreeSet<Key>>>,
}

pub(crate) const PART: &str = "account";

fn event(change: &Change) -> Event {
    Event { part: PART.into(), body: bus::encode(change).unwrap() }
}

impl Live {
    fn on_command(&self, input: &DecideInput, command: Command, out: &mut Decision) {
        let key = input.header.key;
        match command {
            Command::Add(amount) => out.events.push(event(&Change::Added { key, amount })),
            Command::Send { to, amount } => {
                out.events.push(event(&Change::Sent { key }));
                let body = bus::encode(&Command::Add(amount)).unwrap();
                let business = input.header.business.clone();
                out.messages.push(OutMessage { target: to, business, key, body });
            }
            Command::Call { text } => {
                out.events.push(event(&Change::Called { key }));
                let business = input.header.business.clone();
                let body = Bytes::from(text);
                out.calls.push(CallRequest { call: key, business, body });
            }
            Command::CancelCall(call) => out.cancels.push(call),
            Command::WakeAt(at) => out.events.push(event(&Change::WakeSet { at: Some(at) })),
            Command::Panic => panic!("told to panic"),
            Command::PanicOnce => {
                assert!(!self.panicked.lock().unwrap().insert(key), "told to panic once");
                out.events.push(event(&Change::Added { key, amount: 1 }));
            }
            Command::PanicInApply => out.events.push(event(&Change::Poison)),
            Command::Large(bytes) => out.events.push(event(&Change::Padding(vec![0; bytes]))),
        }
        let topic = "toy.changed".to_owned();
        out.signals.push(OutSignal { topic, body: Bytes::from_static(b"changed") });
    }
}

impl LiveEntity for Live {
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError> {
        let mut out = Decision::default();
        match &input.occasion {
            Occasion::Input(_) if self.account.seen.contains(&input.header.key) => {}
            Occasion::Input(body) => {
                let command = bus::decode(body)
                    .map_err(|error| EntityError::Unreadable(error.to_string()))?;
                self.on_command(input, command, &mut out);
            }
            Occasion::Wake if self.account.wake_ms.is_some_and(|at| at <= input.now_ms) => {
                out.events.push(event(&Change::WakeSet { at: None }));
            }
            Occasion::Wake => {}
            Occasion::CallResult { call, result } => {
                let done = matches!(result, CallResult::Done(_));
                out.events.push(event(&Change::CallEnded { call: *call, done }));
            }
        }
        out.reply = Some(Bytes::from(self.account.total.to_string()));
        Ok(out)
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        let account = &mut self.account;
        match bus::decode(&event.body).map_err(|e| EntityError::Unreadable(e.to_string()))? {
            Change::Added { key, amount } => {
                account.seen.insert(key);
                account.total += amount;
            }
            Change::Sent { key } => drop(account.seen.insert(key)),
            Change::Called { key } => {
                account.seen.insert(key);
                account.calls.insert(key, None);
            }
            Change::CallEnded { call, done } => drop(account.calls.insert(call, Some(done))),
            Change::WakeSet { at } => {
                account.fired += u64::from(at.is_none());
                account.wake_ms = at;
            }
            Change::Poison => panic!("told to panic in apply"),
            Change::Padding(bytes) => account.padding += bytes.len(),
        }
        Ok(())
    }

    fn part(&self, _: &PartName, _: FormatLevel) -> Result<Option<Bytes>, EntityError> {
        Ok(Some(bus::encode(&self.account).unwrap()))
    }

    fn wake_ms(&self) -> Option<u64> {
        self.account.wake_ms
    }

    fn weight(&self) -> usize {
        64 * self.account.seen.len()
    }
}

/// Makes accounts; counts loads.
#[derive(Debug, Default)]
pub(crate) struct ToyHost {
    pub(crate) loads: Mutex<BTreeMap<EntityId, usize>>,
    panicked: Arc<Mutex<BTreeSet<Key>>>,
}

impl Host for ToyHost {
    fn load(&self, id: EntityId, parts: &[SavedPart]) -> Result<Box<dyn LiveEntity>, EntityError> {
        *self.loads.lock().unwrap().entry(id).or_default() += 1;
        let saved = parts.iter().find_map(|part| part.bytes.as_ref());
        let account = saved.map(|bytes| bus::decode(bytes)).transpose();
        let account = account.map_err(|e| EntityError::Unreadable(e.to_string()))?;
        let panicked = Arc::clone(&self.panicked);
        Ok(Box::new(Live { account: account.unwrap_or_default(), panicked }))
    }
}

/// The outside world: notes what reached it.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) calls: Mutex<Vec<(CallId, String)>>,
}

#[async_trait]
impl Executor for World {
    async fn call(&self, request: CallRequest, door: Door) -> CallResult {
        let text = String::from_utf8(request.body.to_vec()).unwrap();
        if text == "hang" {
            std::future::pending::<()>().await;
        }
        if let Some(ms) = text.strip_prefix("wait ") {
            tokio::time::sleep(std::time::Duration::from_millis(ms.parse().unwrap())).await;
        }
        if let Err(late) = door.check() {
            return CallResult::NotStarted(late.to_string());
        }
        self.calls.lock().unwrap().push((request.call, text.clone()));
        assert_ne!(text, "panic", "told to panic");
        CallResult::Done(Bytes::from(text))
    }
}

pub(crate) fn key(n: u64) -> Key {
    Key(u128::from(n).to_be_bytes())
}

/// An account in this partition of `partitions`.
pub(crate) fn account(partition: u16, n: u64, partitions: u16) -> EntityId {
    let n = u128::from(n) * u128::from(partitions) + u128::from(partition);
    let entity = EntityId { kind: 1, hash: n.to_le_bytes() };
    assert_eq!(entity.partition(partitions).0, partition);
    entity
}

pub(crate) fn input(n: u64, target: EntityId, command: &Command, reply_to: Option<&str>) -> Input {
    Input {
        header: Header {
            key: key(n),
            business: BusinessId("toy".to_owned()),
            cause: Cause::Command,
            trace: None,
            received_ms: 0,
        },
        target,
        body: bus::encode(command).unwrap(),
        reply_to: reply_to.map(str::to_owned),
    }
}
