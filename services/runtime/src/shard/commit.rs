//! The one append in flight, and how its outcome is found (design.md 4.2).

use std::collections::{BTreeMap, VecDeque};

use bus::{
    EncodedRecord, PartitionId, Place, Position, RECORD_BYTES_MAX, Record, RecordBody, RecordHead,
    Step, Steps,
};
use bytes::Bytes;

use super::{
    Action, Alarm, AppendAnswer, Link, Now, Shard, StopReason, Verdict, Why, gate::Held, judge,
    read_record, size, ticket::Staged,
};

/// Reads of a leader that is behind what was acknowledged, before it is alarmed on.
const OLDER_READS_MAX: u32 = 3;

/// The end of the log as this owner knows it.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) last: Link,
    /// Position of the last durable step or record.
    pub(super) position: Position,
    flight: Option<Flight>,
    /// Boot clock when the latest append was sent that was stored: nobody had taken over by then. No read shows that: a
    /// leader that was deposed and does not know it answers too.
    pub(super) shown_boot_ms: u64,
    /// Boot clock when the latest log request was sent whose answer did not show another owner.
    pub(super) asked_boot_ms: u64,
    failed_reads: u32,
    pub(super) older_reads: u32,
    /// Calls and cancels that wait for a younger proof that we are last.
    pub(super) held: VecDeque<Held>,
    pub(super) confirming: bool,
}

#[derive(Debug)]
struct Flight {
    head: RecordHead,
    bytes: Bytes,
    /// What replay and memory are bounded by.
    plain_bytes: usize,
    content: Content,
    steps: usize,
    results: bool,
    attempts: u32,
}

#[derive(Debug)]
enum Content {
    Steps {
        items: Vec<Staged>,
        place: Place,
        taken: Vec<(PartitionId, u64)>,
    },
    Trying(Place),
    Released,
    /// Nothing: that it is stored is all it says.
    Proof,
    /// The same, begun after a gap in a channel was met.
    ProofOfGap,
}

impl Commit {
    pub(super) fn after(last: Link, shown_boot_ms: u64) -> Self {
        Self {
            last,
            position: Position { generation: last.head.generation, seq: last.seq, index: 0 },
            flight: None,
            shown_boot_ms,
            asked_boot_ms: shown_boot_ms,
            failed_reads: 0,
            older_reads: 0,
            held: VecDeque::new(),
            confirming: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_none()
    }

    fn next_head(&self) -> RecordHead {
        RecordHead {
            number: self.last.head.number + 1,
            previous_seq: self.last.seq,
            ..self.last.head
        }
    }
}

impl Shard {
    /// Appends what is staged when nothing is in flight.
    pub(super) fn append_next(&mut self, out: &mut Vec<Action>) {
        if !self.commit.is_idle() || self.is_stopped() {
            return;
        }
        if let Some(place) = self.wants_trying() {
            let body = RecordBody::Trying { place };
            self.begin_append(body, 0, false, |_| Content::Trying(place), out);
        } else if !self.staged.is_empty() {
            self.append_staged(out);
        } else if self.wants_proof() {
            let nothing = Steps { place: self.place, ..Steps::default() };
            let has_gap = self.intake.has_gap();
            let content = |_| if has_gap { Content::ProofOfGap } else { Content::Proof };
            self.begin_append(RecordBody::Steps(nothing), 0, false, content, out);
        }
    }

    pub(super) fn append_released(&mut self, out: &mut Vec<Action>) {
        self.begin_append(RecordBody::Released, 0, false, |_| Content::Released, out);
    }

    fn append_staged(&mut self, out: &mut Vec<Action>) {
        let mut items = self.cut_staged();
        let place = items.iter().filter_map(|item| item.place).fold(self.place, Place::max);
        let taken: BTreeMap<_, _> = items.iter().filter_map(|item| item.taken).collect();
        let taken: Vec<_> = taken.into_iter().collect();
        let holds: Vec<bool> = items.iter().map(|item| item.step.is_some()).collect();
        let steps: Vec<Step> = items.iter_mut().filter_map(|item| item.step.take()).collect();
        let results = items.iter().any(|item| item.result);
        let (count, body) = (steps.len(), Steps { steps, place, taken: taken.clone() });
        let give_back = |body| {
            if let RecordBody::Steps(Steps { steps, .. }) = body {
                let mut steps = steps.into_iter();
                for (item, _) in items.iter_mut().zip(holds).filter(|(_, held)| *held) {
                    item.step = steps.next();
                }
            }
            Content::Steps { items, place, taken }
        };
        self.begin_append(RecordBody::Steps(body), count, results, give_back, out);
    }

    /// The longest prefix of what is staged that fits one record.
    fn cut_staged(&mut self) -> Vec<Staged> {
        let room = RECORD_BYTES_MAX
            - size::RECORD_OVERHEAD
            - size::TAKEN_BYTES * usize::from(self.owned.partitions);
        let mut bytes = 0;
        let fits = |item: &&Staged| {
            bytes += item.bytes;
            bytes <= room
        };
        let count = self.staged.iter().take_while(fits).count().max(1);
        self.staged.drain(..count.min(self.staged.len())).collect()
    }

    fn begin_append(
        &mut self,
        body: RecordBody,
        steps: usize,
        results: bool,
        content: impl FnOnce(RecordBody) -> Content,
        out: &mut Vec<Action>,
    ) {
        let head = self.commit.next_head();
        let record = Record::at(self.format(), head, body);
        let EncodedRecord { bytes, plain_bytes } = match record.encode_sized() {
            Ok(encoded) => encoded,
            Err(error) => return self.stop(StopReason::Corrupt(error.to_string()), out),
        };
        let content = content(record.body);
        self.counts.appending(bytes.len());
        let attempts = 0;
        self.commit.flight =
            Some(Flight { head, bytes, plain_bytes, content, steps, results, attempts });
        self.send_flight(out);
    }

    fn send_flight(&self, out: &mut Vec<Action>) {
        let Some(flight) = &self.commit.flight else { return };
        out.push(Action::Append {
            number: flight.head.number,
            expected_last: flight.head.previous_seq,
            record: flight.bytes.clone(),
            steps: flight.steps,
            results: flight.results,
            delay_ms: self.settings.retry_ms(flight.attempts),
        });
    }

    fn send_flight_again(&mut self, out: &mut Vec<Action>) {
        if let Some(flight) = &mut self.commit.flight {
            flight.attempts = flight.attempts.saturating_add(1);
        }
        self.send_flight(out);
    }

    pub(super) fn on_appended(
        &mut self,
        now: Now,
        number: u64,
        answer: &AppendAnswer,
        sent_boot_ms: u64,
        out: &mut Vec<Action>,
    ) {
        if self.commit.flight.as_ref().is_none_or(|flight| flight.head.number != number) {
            return;
        }
        match *answer {
            AppendAnswer::Stored(seq) => {
                self.commit.shown_boot_ms = self.commit.shown_boot_ms.max(sent_boot_ms);
                self.on_durable(now, seq, sent_boot_ms, out);
            }
            AppendAnswer::Unknown => self.send_flight_again(out),
            AppendAnswer::Conflict => {
                out.push(Action::ReadLast { why: Why::Conflict, delay_ms: 0 });
            }
            AppendAnswer::TooLarge => {
                let what = "a record is larger than the bus takes".to_owned();
                self.stop(StopReason::Corrupt(what), out);
            }
        }
    }

    pub(super) fn on_last(
        &mut self,
        now: Now,
        why: Why,
        answer: Result<Option<(u64, Bytes)>, String>,
        sent_boot_ms: u64,
        out: &mut Vec<Action>,
    ) {
        let Ok(last) = answer else {
            self.commit.failed_reads = self.commit.failed_reads.saturating_add(1);
            let delay_ms = self.settings.retry_ms(self.commit.failed_reads);
            return out.push(Action::ReadLast { why, delay_ms });
        };
        self.commit.failed_reads = 0;
        let known = self.settings.format_known;
        let last =
            match last.map(|(seq, bytes)| read_record(&bytes, known).map(|r| (seq, r.0.head))) {
                None => None,
                Some(Ok(last)) => Some(last),
                Some(Err(error)) => {
                    let what = format!("the last record: {error}");
                    return self.stop(StopReason::UnknownVersion(what), out);
                }
            };
        match why {
            Why::Confirm => self.on_confirmed(now, last, sent_boot_ms, out),
            Why::Conflict => self.on_conflict_read(now, last, sent_boot_ms, out),
        }
    }

    fn on_conflict_read(
        &mut self,
        now: Now,
        last: Option<(u64, RecordHead)>,
        sent_boot_ms: u64,
        out: &mut Vec<Action>,
    ) {
        let Some(flight) = &self.commit.flight else { return };
        let head = flight.head;
        let found = last.as_ref().map(|(seq, head)| (*seq, head));
        let mut verdict = judge(head.incarnation, head.number, head.previous_seq, found);
        if let (true, Some((seq, _))) = (self.settings.breaks.incarnation, found) {
            verdict = Verdict::Worked(seq);
        }
        if self.settings.breaks.leader_reads && matches!(verdict, Verdict::Worked(_)) {
            self.commit.shown_boot_ms = self.commit.shown_boot_ms.max(sent_boot_ms);
        }
        match verdict {
            Verdict::Worked(seq) => self.on_durable(now, seq, sent_boot_ms, out),
            Verdict::Fenced => self.stop(StopReason::Fenced, out),
            Verdict::SendAgain => self.send_flight_again(out),
            Verdict::Older => self.leader_is_behind(Why::Conflict, out),
        }
    }

    /// The leader's last record is older than what was acknowledged: asks again, then alarms.
    pub(super) fn leader_is_behind(&mut self, why: Why, out: &mut Vec<Action>) {
        self.commit.older_reads = self.commit.older_reads.saturating_add(1);
        if self.commit.older_reads > OLDER_READS_MAX {
            self.alarm(Alarm::LogWentBack, out);
        }
        let delay_ms = self.settings.retry_ms(self.commit.older_reads);
        out.push(Action::ReadLast { why, delay_ms });
    }

    /// The record in flight is durable: everything it held back may go on.
    fn on_durable(&mut self, now: Now, seq: u64, sent_boot_ms: u64, out: &mut Vec<Action>) {
        let Some(flight) = self.commit.flight.take() else { return };
        self.commit.asked_boot_ms = self.commit.asked_boot_ms.max(sent_boot_ms);
        self.commit.older_reads = 0;
        self.commit.last = Link { seq, head: flight.head };
        self.commit.position = Position { generation: flight.head.generation, seq, index: 0 };
        self.checkpoints.logged(flight.plain_bytes);
        match flight.content {
            Content::Trying(place) => self.trying_is_durable(place, out),
            Content::Released => self.stop(StopReason::Released, out),
            Content::Proof => {}
            Content::ProofOfGap => self.gap_is_proved(out),
            Content::Steps { items, place, taken } => {
                if place > self.place {
                    self.place = place;
                    out.push(Action::Reached(place.seq));
                }
                self.taken.extend(taken);
                self.let_steps_out(now, items, out);
                self.suspect_resolved(now, out);
            }
        }
        if !self.is_stopped() {
            self.let_calls_out(now, out);
        }
    }

    fn let_steps_out(&mut self, now: Now, items: Vec<Staged>, out: &mut Vec<Action>) {
        let mut position = self.commit.position;
        for item in items {
            let is_step = item.step.is_some();
            if is_step {
                self.commit.position = position;
            }
            self.item_is_durable(now, item, position, out);
            position.index += u32::from(is_step);
        }
    }
}
