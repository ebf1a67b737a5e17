//! The chain of records, and what a record says besides its steps.

use std::collections::BTreeMap;

use bus::{PartitionId, Place, Position, Record, RecordBody, RecordHead, Steps};
use bytes::Bytes;

use super::{Checker, EpochSeen, Held, Mark, Rule};

/// Suspicion of one input (design.md 4.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct TryingSeen {
    place: Place,
    /// Tries that an abnormal end followed.
    failed: u32,
    open: bool,
}

/// Why a record does not continue the chain.
fn break_of(last: Option<(u64, RecordHead)>, record: &Record) -> Option<String> {
    let head = record.head;
    let is_epoch = matches!(record.body, RecordBody::Epoch { .. });
    let expected = match (last, is_epoch) {
        (None, true) => RecordHead { previous_seq: 0, epoch: 1, number: 0, ..head },
        (None, false) => return Some("the log does not begin with an epoch".to_owned()),
        (Some((seq, last)), true) => RecordHead {
            previous_seq: seq,
            epoch: last.epoch + 1,
            number: 0,
            generation: last.generation,
            incarnation: head.incarnation,
        },
        (Some((seq, last)), false) => {
            RecordHead { previous_seq: seq, number: last.number + 1, ..last }
        }
    };
    if is_epoch && last.is_some_and(|(_, last)| last.incarnation == head.incarnation) {
        return Some(format!("an epoch of the incarnation that wrote before: {head:?}"));
    }
    (head != expected).then(|| format!("{head:?} where {expected:?} was expected"))
}

impl Checker {
    pub(super) fn on_log(&mut self, partition: PartitionId, seq: u64, bytes: &Bytes) {
        let (record, plain_bytes) = Record::decode_sized(bytes).unwrap();
        let now_ms = self.now_ms;
        self.report.count("records");
        if bytes.len() < plain_bytes {
            self.report.count("records compressed");
        }
        self.report.note(now_ms, || format!("log {partition} {seq}: {}", brief(&record)));
        let held = self.held.get_mut(&partition).unwrap();
        if let Some(why) = break_of(held.last, &record) {
            self.report
                .broken(now_ms, Rule::Chain, || format!("partition {partition} seq {seq}: {why}"));
            return;
        }
        held.last = Some((seq, record.head));
        let generation = record.head.generation;
        held.position = Position { generation, seq, index: 0 };
        let released = std::mem::take(&mut held.released);
        match record.body {
            RecordBody::Epoch { now_ms: epoch_ms, node } => {
                let RecordHead { incarnation, epoch: number, .. } = record.head;
                let stored_ms = now_ms;
                held.epochs.push(EpochSeen { number, node, incarnation, stored_ms, alone: false });
                held.now_ms = held.now_ms.max(epoch_ms);
                if let (Some(trying), false) = (&mut held.trying, released) {
                    trying.failed += u32::from(trying.open);
                    trying.open = false;
                }
                self.report.count("epochs");
            }
            RecordBody::Trying { place } => {
                let failed = match held.trying {
                    Some(trying) if trying.place == place => trying.failed,
                    _ => 0,
                };
                held.trying = Some(TryingSeen { place, failed, open: true });
                self.report.count("tryings");
            }
            RecordBody::Released => {
                held.released = true;
                self.report.count("releases");
            }
            RecordBody::Steps(steps) => self.on_steps(partition, generation, seq, steps),
        }
        self.mark(partition, seq);
    }

    fn on_steps(&mut self, partition: PartitionId, generation: u32, seq: u64, steps: Steps) {
        let Steps { steps, place, taken } = steps;
        let before = self.held(partition).place;
        if steps.len() > 1 {
            self.report.count("records of several steps");
        }
        let mut decided: BTreeMap<Place, ()> = BTreeMap::new();
        let taken_before = self.held(partition).taken.clone();
        for (index, step) in (0_u32..).zip(steps) {
            let position = Position { generation, seq, index };
            if let Some(at) = step.place {
                let last = decided.last_key_value().map_or(before, |(last, ())| *last);
                if at <= last || at > place {
                    self.broken(Rule::Order, || {
                        format!("partition {partition} {position:?}: {at:?} after {last:?}")
                    });
                }
                decided.insert(at, ());
            }
            self.on_step(partition, position, step);
        }
        for (source, number) in self.held(partition).taken.clone() {
            let stated = taken.iter().find(|(stated, _)| *stated == source).map(|(_, n)| *n);
            let changed = taken_before.get(&source) != Some(&number);
            if changed && stated != Some(number) {
                let text = format!(
                    "partition {partition} {seq}: {source} taken {number}, said {stated:?}"
                );
                self.broken(Rule::Taken, || text);
                break;
            }
        }
        self.check_left_out(partition, before, place, &decided);
        let held = self.held.get_mut(&partition).unwrap();
        held.place = held.place.max(place);
        held.trying = None;
    }

    /// Inputs the record passes over: only channel messages that were taken already.
    fn check_left_out(
        &mut self,
        partition: PartitionId,
        before: Place,
        through: Place,
        decided: &BTreeMap<Place, ()>,
    ) {
        let held = self.held(partition);
        let mut lost = Vec::new();
        if through > before {
            let passed = held.inbox.range(before..=through).filter(|(at, _)| **at > before);
            for (at, input) in passed.filter(|(at, _)| !decided.contains_key(at)) {
                let is_repeat = match input.header.cause {
                    bus::Cause::Channel { source, number, .. } => {
                        held.taken.get(&source).is_some_and(|taken| number <= *taken)
                    }
                    _ => false,
                };
                if !is_repeat {
                    lost.push((*at, input.header.key));
                }
            }
        }
        if through < before || !lost.is_empty() {
            self.broken(Rule::Order, || {
                format!("partition {partition} from {before:?} to {through:?} without {lost:?}")
            });
        }
    }

    fn mark(&mut self, partition: PartitionId, seq: u64) {
        let held = self.held.get_mut(&partition).unwrap();
        let sent = held.sent.iter().map(|(target, sent)| (*target, sent.len() as u64)).collect();
        held.marks.insert(seq, Mark { place: held.place, taken: held.taken.clone(), sent });
    }

    pub(super) fn held(&self, partition: PartitionId) -> &Held {
        &self.held[&partition]
    }

    pub(super) fn broken(&mut self, rule: Rule, text: impl FnOnce() -> String) {
        self.report.broken(self.now_ms, rule, text);
    }

    /// Whether an input may be given up because deciding it ended two owners in a row.
    pub(super) fn is_given_up(&self, partition: PartitionId, place: Option<Place>) -> bool {
        let trying = self.held(partition).trying;
        trying.is_some_and(|trying| Some(trying.place) == place && trying.failed >= 2)
    }
}

fn brief(record: &Record) -> String {
    let head = record.head;
    let id = format!("epoch {} number {}", head.epoch, head.number);
    match &record.body {
        RecordBody::Epoch { node, .. } => format!("{id} Epoch of {node}"),
        RecordBody::Trying { place } => format!("{id} Trying {place:?}"),
        RecordBody::Released => format!("{id} Released"),
        RecordBody::Steps(steps) => {
            let step = |step: &bus::Step| {
                let place = step.place.map_or_else(
                    || format!("{:?}", step.header.cause),
                    |place| format!("{}/{}", place.seq, place.index),
                );
                let events = step.events.iter().map(|event| event.part.0.as_str());
                let events: Vec<_> = events.collect();
                let dead = step.dead_letter.as_ref().map_or("", |letter| letter.error.as_str());
                let (n, wake) = (step.messages.len(), step.wake_ms);
                format!("[{place} {} {events:?} +{n} wake {wake:?} {dead}]", step.entity)
            };
            let list: Vec<_> = steps.steps.iter().map(step).collect();
            format!("{id} to {}/{} {}", steps.place.seq, steps.place.index, list.join(" "))
        }
    }
}
