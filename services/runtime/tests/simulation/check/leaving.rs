//! What leaves a node: nothing before the record that caused it is durable.

use bus::{Cause, InboxEntry, Input, PartitionId, Reply, Signal};
use bytes::Bytes;

use super::{Checker, Rule};
use crate::toy::{Answer, Heard, REPLIES, SIGNALS};

impl Checker {
    /// A node that was killed did something.
    pub(crate) fn on_dead(&mut self, node: &str, what: &str) {
        self.broken(Rule::Dead, || format!("{node}: {what}"));
    }

    /// A node appends to an inbox.
    pub(crate) fn on_send(&mut self, target: PartitionId, entry: &Bytes) {
        for input in InboxEntry::decode(entry).unwrap().inputs {
            let right = match input.header.cause {
                Cause::Channel { .. } => self.is_durable_message(target, &input),
                Cause::CallResult => self.calls.contains_key(&input.header.key),
                _ => false,
            };
            if !right {
                self.broken(Rule::Gate, || {
                    format!("to partition {target}: {:?} {:?}", input.header.cause, input.target)
                });
            }
        }
    }

    fn is_durable_message(&self, target: PartitionId, input: &Input) -> bool {
        let Cause::Channel { source, number, position, generation } = input.header.cause else {
            return false;
        };
        let sent = self.held.get(&source).and_then(|held| held.sent.get(&target));
        let Some(index) = number.checked_sub(1).and_then(|n| usize::try_from(n).ok()) else {
            return false;
        };
        let Some((message, sent_by)) = sent.and_then(|sent| sent.get(index)) else { return false };
        position == Some(*sent_by)
            && generation == sent_by.generation
            && message.body == input.body
            && message.target == input.target
            && message.header.key == input.header.key
    }

    /// A node publishes.
    pub(crate) fn on_publish(&mut self, topic: &str, body: &Bytes) {
        let now_ms = self.now_ms;
        self.report.mix(now_ms, &(topic, body));
        match topic {
            SIGNALS => self.on_signal(body),
            REPLIES => self.on_reply(body),
            // Best effort, and nothing is decided by it: the leases say the same.
            "placement" => {}
            _ if topic.starts_with("decided.") => self.on_told_decided(topic, body),
            _ => self.broken(Rule::Gate, || format!("{topic} is nobody's topic")),
        }
    }

    /// An owner says how far it has decided: not further than the log says.
    fn on_told_decided(&mut self, topic: &str, body: &Bytes) {
        self.report.count("decided told");
        let signal = Signal { topic: topic.to_owned(), body: body.clone() };
        let told = bus::decided_up_to(&signal);
        let is_durable = told.is_some_and(|(partition, seq)| {
            self.held.get(&partition).is_some_and(|held| seq <= held.place.seq)
        });
        if !is_durable {
            self.broken(Rule::Gate, || format!("{told:?} is said to be decided"));
        }
    }

    fn on_signal(&mut self, body: &Bytes) {
        self.report.count("signals");
        let heard: Heard = bus::decode(body).unwrap();
        let count = self.account(heard.entity).map_or(0, |account| account.diary.count);
        if heard.n > count {
            self.broken(Rule::Gate, || format!("signal {heard:?}, the log has {count}"));
        }
    }

    fn on_reply(&mut self, body: &Bytes) {
        self.report.count("replies");
        let reply = Reply::decode(body).unwrap();
        let step = reply
            .position
            .and_then(|position| self.held.values().find_map(|held| held.steps.get(&position)));
        let is_durable =
            step.is_some_and(|step| step.key == reply.key && step.dead == reply.result.is_err());
        let answer = reply.result.as_ref().map(|bytes| bus::decode::<Answer>(bytes).ok());
        let remembered = |answer: &Answer| {
            self.accounts.values().any(|account| account.memory.get(&reply.key) == Some(answer))
        };
        let is_remembered =
            answer.is_err() || answer.is_ok_and(|a| a.is_some_and(|a| remembered(&a)));
        if !is_durable || !is_remembered {
            self.broken(Rule::Gate, || format!("{reply:?}: in the log {is_durable}"));
        }
    }
}
