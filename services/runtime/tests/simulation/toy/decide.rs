//! What an account decides, and the host that makes accounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use bus::{Cause, EntityId, Event, FormatLevel, Key, PartName, SavedPart};
use bytes::Bytes;
use runtime::host::{
    CallId, CallRequest, DecideInput, Decision, EntityError, Host, LiveEntity, Occasion,
    OutMessage, OutSignal,
};

use super::{
    Answer, CallBody, Command, Heard, Poison, SIGNALS, business, calls,
    state::{Account, Alarm, Change},
};

/// What all hosts of one run share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The dedupe memory is not looked at.
    dedupe_broken: bool,
    panicked: Mutex<BTreeSet<Key>>,
    kills: Mutex<BTreeMap<Key, u32>>,
    /// Accounts that cannot be made from their parts for now.
    spoiled: Mutex<BTreeSet<EntityId>>,
}

impl Shared {
    pub(crate) fn new(dedupe_broken: bool) -> Self {
        Self { dedupe_broken, ..Self::default() }
    }

    pub(crate) fn spoil(&self, entity: EntityId) {
        self.spoiled.lock().unwrap().insert(entity);
    }

    pub(crate) fn unspoil_all(&self) {
        self.spoiled.lock().unwrap().clear();
    }
}

/// Ends the process in which it is called; false when that is not possible now.
pub(crate) type Killer = Arc<dyn Fn() -> bool + Send + Sync>;

/// Sees what an account is about to decide on.
pub(crate) type Watch = Arc<dyn Fn(&DecideInput) + Send + Sync>;

/// Makes accounts.
#[derive(Clone)]
pub(crate) struct ToyHost {
    pub(crate) shared: Arc<Shared>,
    pub(crate) killer: Killer,
    pub(crate) watch: Watch,
}

impl fmt::Debug for ToyHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToyHost")
    }
}

impl Host for ToyHost {
    fn load(&self, id: EntityId, parts: &[SavedPart]) -> Result<Box<dyn LiveEntity>, EntityError> {
        if self.shared.spoiled.lock().unwrap().contains(&id) {
            return Err(EntityError::Broken("toy: it cannot be made now".to_owned()));
        }
        Ok(Box::new(Live { account: Account::load(parts)?, host: self.clone() }))
    }
}

struct Live {
    account: Account,
    host: ToyHost,
}

/// A decision in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) decision: Decision,
}

impl Draft {
    pub(super) fn record(&mut self, change: Change) {
        self.decision.events.push(change.event());
    }

    pub(super) fn call(&mut self, call: CallId, body: &CallBody) {
        let body = bus::encode(body).unwrap();
        self.decision.calls.push(CallRequest { call, business: business(), body });
    }

    fn tell(&mut self, target: EntityId, key: Key, command: &Command) {
        let body = bus::encode(command).unwrap();
        self.decision.messages.push(OutMessage { target, business: business(), key, body });
    }

    fn pay(&mut self, key: Key, to: EntityId, amount: u64, rest: (Vec<EntityId>, usize)) {
        self.record(Change::Debited { amount });
        let (route, pad) = (rest.0, Bytes::from(vec![7; rest.1]));
        self.tell(to, key, &Command::Receive { amount, route, pad });
    }
}

impl Live {
    /// The entry of this step in the diary.
    fn enter(&self, draft: &mut Draft, entity: EntityId) -> u64 {
        let (n, before) = (self.account.diary.count + 1, self.account.digest());
        draft.record(Change::Entered { n, before });
        if n.is_multiple_of(2) {
            let body = bus::encode(&Heard { entity, n }).unwrap();
            draft.decision.signals.push(OutSignal { topic: SIGNALS.to_owned(), body });
        }
        n
    }

    fn on_input(&self, input: &DecideInput, body: &Bytes) -> Result<Decision, EntityError> {
        let command: Command =
            bus::decode(body).map_err(|error| EntityError::Unreadable(error.to_string()))?;
        let mut draft = Draft::default();
        let key = input.header.key;
        let is_command = input.header.cause == Cause::Command;
        let remembered = self.account.memory.get(&key).filter(|_| is_command);
        if let (Some(answer), false) = (remembered, self.host.shared.dedupe_broken) {
            draft.decision.reply = Some(bus::encode(answer).unwrap());
            return Ok(draft.decision);
        }
        let n = self.enter(&mut draft, input.entity);
        let answer = Answer { n, cents: self.account.balance.cents };
        if is_command {
            draft.record(Change::Remembered { key, answer });
            draft.decision.reply = Some(bus::encode(&answer).unwrap());
        }
        self.on_command(&mut draft, input, command)?;
        Ok(draft.decision)
    }

    fn on_command(
        &self,
        draft: &mut Draft,
        input: &DecideInput,
        command: Command,
    ) -> Result<(), EntityError> {
        let key = input.header.key;
        match command {
            Command::Deposit(amount) => draft.record(Change::Credited { amount, minted: true }),
            Command::Pay { to, pad } => {
                if pad > 0 {
                    draft.record(Change::Padded(Bytes::from(vec![3; pad])));
                }
                for (to, amount) in to {
                    draft.pay(key, to, amount, (Vec::new(), pad));
                }
            }
            Command::Receive { amount, mut route, .. } => {
                draft.record(Change::Credited { amount, minted: false });
                if let Some(next) = route.pop() {
                    draft.pay(key, next, amount, (route, 0));
                }
            }
            Command::Call(lane) => calls::first(draft, input, key, lane),
            Command::Alarm { after_ms, broken_ms, pay } => {
                let due_ms = input.now_ms + after_ms;
                let alarm = Alarm { due_ms, broken_until_ms: due_ms + broken_ms, pay };
                let id = self.account.diary.count;
                draft.record(Change::AlarmSet { id, alarm });
            }
            Command::Job { left } => {
                draft.record(Change::Credited { amount: 1, minted: true });
                draft.record(Change::JobAt { left });
                if left > 0 {
                    draft.tell(input.entity, key, &Command::Job { left: left - 1 });
                }
            }
            Command::Poison(poison) => self.on_poison(draft, key, poison)?,
            Command::Kill { times } => self.on_kill(draft, key, times)?,
        }
        Ok(())
    }

    fn on_poison(&self, draft: &mut Draft, key: Key, poison: Poison) -> Result<(), EntityError> {
        match poison {
            Poison::Panic => panic!("toy: told to panic"),
            Poison::PanicOnce => {
                let is_first = self.host.shared.panicked.lock().unwrap().insert(key);
                assert!(!is_first, "toy: told to panic once");
                draft.record(Change::Credited { amount: 1, minted: true });
            }
            Poison::PanicInApply => draft.record(Change::Poison),
            Poison::Refuse => return Err(EntityError::Broken("toy: told to refuse".to_owned())),
            Poison::TooManyEvents => {
                for _ in 0..300 {
                    draft.record(Change::Credited { amount: 1, minted: true });
                }
            }
        }
        Ok(())
    }

    fn on_kill(&self, draft: &mut Draft, key: Key, times: u32) -> Result<(), EntityError> {
        let killed = self.host.shared.kills.lock().unwrap().get(&key).copied().unwrap_or(0);
        if killed < times && (self.host.killer)() {
            self.host.shared.kills.lock().unwrap().insert(key, killed + 1);
            return Err(EntityError::Broken("toy: the process is gone".to_owned()));
        }
        draft.record(Change::Credited { amount: 1, minted: true });
        Ok(())
    }

    fn on_wake(&self, input: &DecideInput) -> Decision {
        let mut draft = Draft::default();
        if self.account.wake_ms().is_none_or(|due_ms| due_ms > input.now_ms) {
            return draft.decision;
        }
        self.enter(&mut draft, input.entity);
        let due = |alarm: &&Alarm| alarm.due_ms <= input.now_ms;
        for (id, alarm) in &self.account.alarms.set {
            if !due(&alarm) {
                continue;
            }
            assert!(alarm.broken_until_ms <= input.now_ms, "toy: the alarm is broken");
            draft.record(Change::AlarmFired { id: *id });
            if let Some((to, amount)) = alarm.pay {
                draft.pay(input.header.key, to, amount, (Vec::new(), 0));
            }
        }
        calls::on_wake(&self.account.calls, &mut draft, input);
        draft.decision
    }
}

impl LiveEntity for Live {
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError> {
        (self.host.watch)(input);
        match &input.occasion {
            Occasion::Input(body) => self.on_input(input, body),
            Occasion::Wake => Ok(self.on_wake(input)),
            Occasion::CallResult { call, result } => {
                let mut draft = Draft::default();
                calls::on_result(&self.account.calls, &mut draft, input, *call, result);
                if !draft.decision.events.is_empty() {
                    self.enter(&mut draft, input.entity);
                }
                Ok(draft.decision)
            }
        }
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        self.account.apply(&Change::read(event)?);
        Ok(())
    }

    fn part(&self, name: &PartName, _: FormatLevel) -> Result<Option<Bytes>, EntityError> {
        Ok(self.account.part(name))
    }

    fn wake_ms(&self) -> Option<u64> {
        self.account.wake_ms()
    }

    fn weight(&self) -> usize {
        64
    }
}
