//! One step: what it was decided on, and what replaying it gives.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use bus::{Cause, EntityId, PartName, PartitionId, Position, Step};
use bytes::Bytes;

use super::{Checker, Rule, StepSeen};
use crate::toy::{Command, Poison, calls::CallChange, state::Change};

impl Checker {
    pub(super) fn on_step(&mut self, partition: PartitionId, position: Position, step: Step) {
        self.report.count("steps");
        let held = self.held.get_mut(&partition).unwrap();
        let went_back = step.now_ms < held.now_ms;
        held.now_ms = held.now_ms.max(step.now_ms);
        held.position = position;
        let seen = StepSeen { key: step.header.key, dead: step.dead_letter.is_some() };
        held.steps.insert(position, seen);
        if went_back {
            self.broken(Rule::Time, || format!("partition {partition} {position:?}"));
        }
        self.check_input(partition, position, &step);
        self.take_channel(partition, position, &step);
        match &step.dead_letter {
            Some(_) => self.on_dead_letter(partition, position, &step),
            None => self.on_decided(position, &step),
        }
        self.on_wake_stated(partition, position, &step);
        self.send(partition, position, step);
    }

    fn check_input(&mut self, partition: PartitionId, position: Position, step: &Step) {
        let Some(place) = step.place else { return };
        let input = self.held(partition).inbox.get(&place);
        let letter = step.dead_letter.as_ref().map(|letter| &letter.input);
        let same = input.is_some_and(|input| {
            input.header == step.header
                && input.target == step.entity
                && letter.is_none_or(|letter| letter.body == input.body)
        });
        if !same {
            self.broken(Rule::Input, || format!("partition {partition} {position:?} {place:?}"));
        }
    }

    fn take_channel(&mut self, partition: PartitionId, position: Position, step: &Step) {
        let Cause::Channel { source, number, .. } = step.header.cause else { return };
        let taken = self.held.get_mut(&partition).unwrap().taken.entry(source).or_default();
        let expected = *taken + 1;
        *taken = (*taken).max(number);
        let sent = self.held(source).sent.get(&partition);
        let message = sent.and_then(|sent| sent.get(usize::try_from(number - 1).unwrap()));
        let is_sent = message.is_some_and(|(message, _)| {
            message.header.key == step.header.key && message.target == step.entity
        });
        self.report.count("channel messages");
        if number != expected || !is_sent {
            self.broken(Rule::Channel, || {
                format!(
                    "partition {partition} {position:?} took {number} of {source}, expected \
                     {expected}, sent: {is_sent}"
                )
            });
        }
    }

    fn on_decided(&mut self, position: Position, step: &Step) {
        let entity = step.entity;
        let before = self.accounts.entry(entity).or_default().digest();
        let mut touched = BTreeSet::new();
        for event in &step.events {
            let change = Change::read(event).unwrap();
            touched.insert(event.part.clone());
            self.on_change(position, step, &change, before);
            if change != Change::Poison {
                self.accounts.entry(entity).or_default().apply(&change);
            }
        }
        for name in touched {
            let value = self.accounts.get(&entity).and_then(|account| account.part(&name));
            self.versions.entry((entity, name)).or_default().push((position, hash(value.as_ref())));
        }
        let wake_ms = self.accounts.entry(entity).or_default().wake_ms();
        if wake_ms != step.wake_ms {
            self.broken(Rule::LiveState, || {
                format!("{entity} {position:?} wakes {:?}, replay {wake_ms:?}", step.wake_ms)
            });
        }
    }

    fn on_change(&mut self, position: Position, step: &Step, change: &Change, digest: u64) {
        let entity = step.entity;
        match change {
            Change::Entered { n, before } => {
                let count = self.accounts.entry(entity).or_default().diary.count;
                if *n != count + 1 || *before != digest {
                    self.broken(Rule::LiveState, || {
                        format!("{entity} {position:?} entry {n} on another state than replay's")
                    });
                }
            }
            Change::Remembered { key, .. } => {
                if let Some(earlier) = self.decided.insert(*key, position) {
                    self.broken(Rule::Once, || {
                        format!("{key:?} of {entity} at {earlier:?} and {position:?}")
                    });
                }
            }
            Change::Credited { amount, minted: true } => self.minted += amount,
            Change::Call(CallChange::Asked { request, open }) => {
                self.on_asked(entity, *request, *open);
            }
            Change::Call(CallChange::Ended { request, end }) => {
                self.on_call_ended(entity, *request, *end);
            }
            Change::Poison => {
                self.broken(Rule::DeadLetter, || format!("{position:?} holds poison"))
            }
            _ => {}
        }
    }

    fn on_dead_letter(&mut self, partition: PartitionId, position: Position, step: &Step) {
        let Some(letter) = &step.dead_letter else { return };
        self.report.count("dead letters");
        self.dead.insert(step.header.key, position);
        let given_up = self.is_given_up(partition, step.place);
        let is_spoiled =
            letter.error.contains("quarantined") && self.spoiled.contains(&step.entity);
        // The simulation ends live entities at will; twice at one input looks like poison.
        let is_simulated = letter.error == SIMULATED;
        let may_be = match step.header.cause {
            Cause::Timer => letter.error.contains("the alarm is broken"),
            Cause::CallResult => given_up,
            _ => match bus::decode::<Command>(&letter.input.body) {
                Ok(Command::Poison(Poison::PanicOnce)) => {
                    given_up || self.struck.contains(&step.entity)
                }
                Ok(Command::Poison(_)) => true,
                Ok(Command::Receive { amount, .. }) => {
                    self.dead_money += amount;
                    given_up
                }
                _ => given_up,
            },
        };
        if given_up {
            self.report.count("inputs given up");
        }
        let may_be = may_be || is_spoiled || is_simulated;
        if !may_be || !step.events.is_empty() || !step.messages.is_empty() {
            self.broken(Rule::DeadLetter, || {
                format!("{} at {position:?}: {}", step.header.key_text(), letter.error)
            });
        }
    }

    fn on_wake_stated(&mut self, partition: PartitionId, position: Position, step: &Step) {
        let held = self.held.get_mut(&partition).unwrap();
        let wake = held.wakes.entry(step.entity).or_insert((None, position));
        if wake.0 != step.wake_ms {
            *wake = (step.wake_ms, position);
        }
    }

    fn send(&mut self, partition: PartitionId, position: Position, step: Step) {
        for message in step.messages {
            let partitions = self.partitions;
            let held = self.held.get_mut(&partition).unwrap();
            let sent = held.sent.entry(message.target).or_default();
            sent.push((message.input, position));
            let expected = sent.len() as u64;
            let (input, _) = &sent[sent.len() - 1];
            let right = input.target.partition(partitions) == message.target
                && matches!(input.header.cause, Cause::Channel { source, number, .. }
                    if source == partition && number == message.number)
                && message.number == expected;
            if !right {
                self.broken(Rule::Channel, || {
                    format!("{position:?} sent {} where {expected} was next", message.number)
                });
            }
        }
    }
}

/// Error of an entity that the simulation ended.
pub(crate) const SIMULATED: &str = "simulated";

trait KeyText {
    fn key_text(&self) -> String;
}

impl KeyText for bus::Header {
    fn key_text(&self) -> String {
        format!("{:?} ({:?})", self.key, self.cause)
    }
}

/// Hash of a part's value; a dropped part has one of its own.
pub(super) fn hash(value: Option<&Bytes>) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Name and owner of a part.
pub(super) type PartKey = (EntityId, PartName);
