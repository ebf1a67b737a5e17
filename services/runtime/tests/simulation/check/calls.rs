//! Outside calls: each starts once, in time, and is repeated by policy only (design.md 4.5).

use bus::{EntityId, Key};
use runtime::host::{CallId, DecideInput};

use super::{Checker, EpochSeen, Rule};
use crate::toy::{
    CallBody, Lane,
    calls::{End, Open, call_id},
};

/// How late a start may seem, because clocks are read in whole milliseconds.
const ROUNDING_MS: u64 = 2;
/// What a call does outside it has done by then. Its end may be noticed later: a process that stands still
/// notices nothing.
const HARD_LIMIT_MS: u64 = 10_000;

/// One attempt whose intent is in the log.
#[derive(Debug)]
pub(super) struct Asked {
    entity: EntityId,
    request: Key,
    attempt: u8,
    lane: Lane,
    /// Index of the epoch that wrote the intent.
    epoch: usize,
    started_ms: Option<u64>,
    running: bool,
    /// The request ended, or went on with another attempt.
    over: bool,
}

impl Asked {
    fn may_act(&self, now_ms: u64) -> bool {
        self.running && self.started_ms.is_some_and(|started| now_ms < started + HARD_LIMIT_MS)
    }
}

/// Who decides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decider<'a> {
    /// The latest owner on this node.
    Node(&'a str),
    /// The owner of this epoch.
    Epoch(u64),
}

/// Proof that a call's start was recorded; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Started(pub(crate) CallId);

impl Checker {
    pub(super) fn on_asked(&mut self, entity: EntityId, request: Key, open: Open) {
        let partition = entity.partition(self.partitions);
        let epoch = self.held(partition).epochs.len().saturating_sub(1);
        let Open { attempt, lane, .. } = open;
        for earlier in self.calls.values_mut().filter(|call| call.request == request) {
            earlier.over = true;
        }
        let (started_ms, running, over) = (None, false, false);
        let asked = Asked { entity, request, attempt, lane, epoch, started_ms, running, over };
        self.report.count("calls asked");
        if self.calls.insert(call_id(request, attempt), asked).is_some() {
            self.broken(Rule::Call, || format!("{request:?} attempt {attempt} asked twice"));
        }
    }

    pub(super) fn on_call_ended(&mut self, entity: EntityId, request: Key, end: End) {
        let now_ms = self.now_ms;
        self.report.note(now_ms, || format!("call {request:?} of {entity} ended {end:?}"));
        self.report.count(match end {
            End::Done { .. } => "calls done",
            End::Failed => "calls failed",
            End::Unknown => "calls unknown",
        });
        let mut wrong = false;
        for call in self.calls.values_mut().filter(|call| call.request == request) {
            call.over = true;
            wrong |= match end {
                End::Done { attempt } => call.attempt == attempt && call.started_ms.is_none(),
                End::Failed => call.started_ms.is_some(),
                End::Unknown => false,
            };
        }
        if wrong {
            self.broken(Rule::Call, || format!("{request:?} of {entity} ended {end:?}"));
        }
    }

    /// An owner is about to decide: an earlier owner's call that may still run is counted with.
    pub(crate) fn on_decide(&mut self, owner: &Decider<'_>, input: &DecideInput) {
        let partition = input.entity.partition(self.partitions);
        let is_owner = |epoch: &EpochSeen| match owner {
            Decider::Node(node) => epoch.node == *node,
            Decider::Epoch(number) => epoch.number == *number,
        };
        let Some(epoch) = self.held(partition).epochs.iter().rposition(is_owner) else { return };
        if input.now_ms < input.foreign_calls_over_ms {
            return;
        }
        let now_ms = self.now_ms;
        let is_foreign = |call: &Asked| {
            call.may_act(now_ms)
                && call.epoch < epoch
                && call.entity.partition(self.partitions) == partition
        };
        let running = self.calls.values().find(|call| is_foreign(call)).map(|call| call.request);
        if let Some(request) = running {
            self.broken(Rule::Call, || {
                format!("epoch {epoch} of {partition} does not count with {request:?}, which runs")
            });
        }
        if let Some(seen) = self.held.get_mut(&partition).and_then(|h| h.epochs.get_mut(epoch)) {
            seen.alone = true;
        }
    }

    /// The first byte of a call leaves.
    pub(crate) fn on_call_started(&mut self, node: &str, call: CallId, body: &CallBody) -> Started {
        let now_ms = self.now_ms;
        self.report.note(now_ms, || format!("call {call:?} starts on {node}"));
        self.report.mix(now_ms, &(node, call));
        self.report.count("calls started");
        for wrong in self.wrong_start(call, body) {
            self.broken(Rule::Call, || format!("{call:?} on {node} at {now_ms}: {wrong}"));
        }
        if let Some(asked) = self.calls.get_mut(&call) {
            asked.started_ms = Some(now_ms);
            asked.running = true;
        }
        Started(call)
    }

    pub(crate) fn on_call_over(&mut self, call: CallId) {
        if let Some(asked) = self.calls.get_mut(&call) {
            asked.running = false;
        }
    }

    fn wrong_start(&self, call: CallId, body: &CallBody) -> Vec<String> {
        let Some(asked) = self.calls.get(&call) else {
            return vec!["its intent is not in the log".to_owned()];
        };
        let mut wrong = Vec::new();
        if asked.entity != body.entity || asked.attempt != body.attempt {
            wrong.push(format!("asked as {asked:?}"));
        }
        if asked.started_ms.is_some() {
            wrong.push("it started before".to_owned());
        }
        if asked.over {
            wrong.push("its request has ended or gone on".to_owned());
        }
        let partition = asked.entity.partition(self.partitions);
        let later = self.held(partition).epochs.get(asked.epoch + 1..).unwrap_or_default();
        if later.iter().any(|epoch| epoch.alone) {
            wrong.push("a later owner has decided as if it could not start any more".to_owned());
        }
        let next = later.first();
        if let Some(next) = next
            && self.now_ms > next.stored_ms + self.start_by_ms + ROUNDING_MS
        {
            let late_ms = self.now_ms - next.stored_ms;
            wrong.push(format!("{late_ms} ms after incarnation {:?} took over", next.incarnation));
        }
        let earlier = self.calls.values().filter(|c| c.request == body.request);
        let earlier: Vec<_> = earlier.filter(|c| c.started_ms.is_some()).collect();
        let most = if asked.lane == Lane::Repeat { 1 } else { 0 };
        if earlier.len() > most {
            wrong.push(format!("{} attempts started before", earlier.len()));
        }
        if let Some(running) = earlier.iter().find(|call| call.may_act(self.now_ms)) {
            wrong.push(format!("attempt {} is running", running.attempt));
        }
        wrong
    }
}
