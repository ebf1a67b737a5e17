//! Performing what a machine asks for.

use bus::EntityId;
use bytes::Bytes;
use rand::Rng;
use runtime::{
    CallReturn,
    host::{CallRequest, CallResult},
    shard::{Action, Alarm, Life, Notice},
};

use super::{
    CallKept, World,
    entity::{Living, Message},
    flight::What,
};
use crate::{
    check::{Decider, Rule, SIMULATED, is_expected},
    toy::CallBody,
};

impl World {
    pub(super) fn perform(&mut self, id: u64, action: Action) {
        match action {
            Action::Read { after, limit } => self.fly(id, 0, What::Read { after, limit }),
            Action::Load { entity, life } => self.fly(id, 0, What::Load { entity, life }),
            Action::Append { number, expected_last, record, delay_ms, .. } => {
                self.fly(id, delay_ms, What::Append { number, expected_last, record });
            }
            Action::ReadLast { why, delay_ms } => self.fly(id, delay_ms, What::ReadLast(why)),
            Action::Send { target, entry, delay_ms } => {
                self.checker().on_send(target, &entry);
                self.fly(id, delay_ms, What::Send { target, entry });
            }
            Action::Save { puts, delay_ms } => {
                self.checker().on_save(&puts);
                self.fly(id, delay_ms, What::Save(puts));
            }
            Action::PutCheckpoint { checkpoint, delay_ms } => {
                self.fly(id, delay_ms, What::PutCheckpoint(checkpoint));
            }
            Action::Signal(signal) => self.checker().on_publish(&signal.topic, &signal.body),
            Action::Reached(seq) => {
                let Some(partition) = self.owners.get(&id).map(|owner| owner.partition) else {
                    return;
                };
                let signal = bus::decided_signal(partition, seq);
                self.checker().on_publish(&signal.topic, &signal.body);
            }
            Action::Reply { topic, reply } => {
                let body = reply.encode().unwrap();
                self.checker().on_publish(&topic, &body);
            }
            Action::Alarm(alarm) => self.alarm(alarm),
            Action::Stop(reason) => self.owner_ends(id, &reason),
            action => self.perform_inside(id, action),
        }
    }

    /// What stays in the owner's process.
    fn perform_inside(&mut self, id: u64, action: Action) {
        let Some(owner) = self.owners.get_mut(&id) else { return };
        match action {
            Action::Open { entity, life, parts, events } => {
                owner.lives.insert(life, Living::new(entity, life));
                self.post(id, life, Message::Open { parts, events });
            }
            Action::Dispatch { life, ticket, input } => {
                self.post(id, life, Message::Decide { ticket, input });
            }
            Action::Snapshot { life, parts, format } => {
                self.post(id, life, Message::Snapshot { parts, format });
            }
            Action::Close { life } => drop(owner.lives.remove(&life)),
            Action::Call { entity, request, start_by_boot_ms } => {
                owner.calls.insert(request.call, CallKept::default());
                let delay_ms =
                    if self.rng.random_ratio(1, 3) { self.rng.random_range(0..3_000) } else { 0 };
                self.fly(id, delay_ms, What::Door { entity, request, start_by_boot_ms });
            }
            Action::Cancel(call) => {
                if let Some(kept) = owner.calls.get_mut(&call) {
                    kept.cancelled = true;
                }
            }
            Action::Settled(call) => drop(owner.calls.remove(&call)),
            Action::Refused(call) => {
                let partition = owner.partition;
                if let Some(returned) = owner.calls.remove(&call).and_then(|kept| kept.returned) {
                    self.forward(partition, returned);
                }
            }
            Action::CloseDoor => owner.door_closed = true,
            _ => {}
        }
    }

    fn alarm(&mut self, alarm: Alarm) {
        let now_ms = self.now_ms;
        let report = &mut self.checker().report;
        match is_expected(alarm) {
            true => report.count("alarms"),
            false => report.broken(now_ms, Rule::Alarm, || format!("{alarm:?}")),
        }
    }

    fn post(&mut self, id: u64, life: Life, message: Message) {
        let owner = self.owners.get_mut(&id);
        if let Some(living) = owner.and_then(|owner| owner.lives.get_mut(&life)) {
            living.post(message);
            self.fly(id, 0, What::Entity(life));
        }
    }

    pub(super) fn run_entity(&mut self, id: u64, life: Life) {
        let Some(owner) = self.owners.get_mut(&id) else { return };
        let Some(living) = owner.lives.get_mut(&life) else { return };
        if self.faulty && self.rng.random_ratio(1, 2_000) {
            // Its actor ends for no reason of its own.
            let entity = living.entity;
            owner.lives.remove(&life);
            self.store.checker.on_struck(entity);
            let error = SIMULATED.to_owned();
            let gone = Notice::EntityGone { entity, life, error };
            return self.say(id, life, gone);
        }
        if let (Some(input), Some(machine)) = (living.next_decision(), &owner.machine) {
            let epoch = Decider::Epoch(machine.status().epoch);
            self.store.checker.now_ms = self.now_ms;
            self.store.checker.on_decide(&epoch, input);
        }
        let (notice, node) = (living.run(&self.host), owner.node);
        if self.was_killed() {
            self.checker().report.count("nodes ended by an input");
            return self.crash_node(node);
        }
        if let Some(notice) = notice {
            self.say(id, life, notice);
        }
    }

    /// An entity tells its machine something; what one entity says is heard in order.
    fn say(&mut self, id: u64, life: Life, notice: Notice) {
        if let Some(owner) = self.owners.get_mut(&id) {
            owner.said.entry(life).or_default().push_back(notice);
            self.fly(id, 0, What::Said(life));
        }
    }

    pub(super) fn said(&mut self, id: u64, life: Life) {
        let said = self.owners.get_mut(&id).and_then(|owner| owner.said.get_mut(&life));
        if let Some(notice) = said.and_then(std::collections::VecDeque::pop_front) {
            self.notice(id, notice);
        }
    }

    pub(super) fn tick(&mut self, id: u64) {
        self.notice(id, Notice::Tick);
        let Some(owner) = self.owners.get(&id) else { return };
        let now = self.clocks(owner.node);
        let wait_ms = owner.machine.as_ref().map_or(1_000, |machine| machine.next_tick_ms(now));
        self.fly(id, wait_ms, What::Tick);
    }

    /// A call is about to send its first byte.
    pub(super) fn door(
        &mut self,
        id: u64,
        entity: EntityId,
        request: CallRequest,
        start_by_boot_ms: u64,
    ) {
        let Some(owner) = self.owners.get(&id) else { return };
        let boot_ms = self.clocks(owner.node).boot_ms;
        let cancelled = owner.calls.get(&request.call).is_none_or(|kept| kept.cancelled);
        let late = boot_ms >= start_by_boot_ms || owner.door_closed;
        let CallRequest { call, business, body } = request;
        let node = format!("n{}", owner.node);
        let back = |result| CallReturn { entity, business: business.clone(), call, result };
        if cancelled || (late && !self.mix.breaks.start_by) {
            let result = CallResult::NotStarted("too late".to_owned());
            return self.fly(id, 0, What::Back(back(result)));
        }
        let body: CallBody = bus::decode(&body).unwrap();
        let _started = self.checker().on_call_started(&node, call, &body);
        let (result, delay_ms) = match self.rng.random_range(0..10) {
            0 => (CallResult::Unknown("silence".to_owned()), 10_000),
            1 => (CallResult::Unknown("broken".to_owned()), self.rng.random_range(0..9_000)),
            2 => (CallResult::Done(Bytes::new()), self.rng.random_range(0..9_900)),
            _ => (CallResult::Done(Bytes::new()), self.rng.random_range(0..300)),
        };
        self.fly(id, delay_ms, What::Back(back(result)));
    }

    /// A call is over.
    pub(super) fn call_back(&mut self, id: u64, returned: CallReturn) {
        self.checker().on_call_over(returned.call);
        let Some(owner) = self.owners.get_mut(&id) else {
            let partition = returned.entity.partition(self.mix.partitions);
            return self.forward(partition, returned);
        };
        if let Some(kept) = owner.calls.get_mut(&returned.call) {
            kept.returned = Some(returned.clone());
        }
        self.notice(id, Notice::CallResult(returned));
    }
}
