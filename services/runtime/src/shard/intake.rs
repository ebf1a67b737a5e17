//! Reading the inbox: credit, tickets, the channel rule (design.md 4.4, 4.5).

use std::collections::BTreeMap;

use bus::{
    BusinessId, Cause, CodecError, EntityId, Header, InboxEntry, Input, Key, PartitionId, Place,
    ReadLimit,
};
use bytes::Bytes;

use super::{
    Action, Alarm, Now, Phase, Shard, StopReason, Ticket,
    ticket::{Pending, Progress},
};
use crate::{call_return, host::Occasion, shard::RESERVED_KINDS};

/// Most entries and bytes of one read.
const READ_ENTRIES_MAX: usize = 256;
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What an input weighs against the credit besides its body.
const INPUT_OVERHEAD: usize = 256;

/// How far the inbox is read.
#[derive(Debug)]
pub(super) struct Intake {
    /// Last place read or, after a start, decided.
    place: Place,
    /// Sequence to read after.
    after: u64,
    reading: bool,
    /// Last channel number taken per source, undurable ones included.
    taken: BTreeMap<PartitionId, u64>,
    inputs: usize,
    bytes: usize,
    /// A channel message came without its predecessor; nothing is read any more.
    gap: Option<StopReason>,
}

impl Intake {
    /// Goes on after `place`. Its entry is read again: it may hold more inputs.
    pub(super) fn after(place: Place, taken: BTreeMap<PartitionId, u64>) -> Self {
        let after = place.seq.saturating_sub(1);
        Self { place, after, reading: false, taken, inputs: 0, bytes: 0, gap: None }
    }

    /// Gives back the credit of an input that is durable.
    pub(super) fn settle(&mut self, bytes: usize) {
        self.inputs = self.inputs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(super) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    pub(super) fn read_through(&self) -> u64 {
        self.after
    }

    fn credit(&mut self, bytes: usize) {
        self.inputs += 1;
        self.bytes += bytes;
    }
}

/// What the channel rule says of a number.
#[derive(Debug, PartialEq, Eq)]
enum Receipt {
    Take,
    Drop,
    Gap { expected: u64 },
}

fn receipt(taken: u64, number: u64) -> Receipt {
    let expected = taken.saturating_add(1);
    match number.cmp(&expected) {
        std::cmp::Ordering::Less => Receipt::Drop,
        std::cmp::Ordering::Equal => Receipt::Take,
        std::cmp::Ordering::Greater => Receipt::Gap { expected },
    }
}

impl Shard {
    /// Pulls more input while there is credit.
    pub(super) fn read_more(&mut self, out: &mut Vec<Action>) {
        let inputs = self.settings.inputs_in_flight_max.saturating_sub(self.intake.inputs);
        let bytes = self.settings.input_bytes_in_flight_max.saturating_sub(self.intake.bytes);
        let serving = matches!(self.phase, Phase::Serving) && self.intake.gap.is_none();
        if !serving || self.intake.reading || inputs == 0 || bytes == 0 {
            return;
        }
        self.intake.reading = true;
        let limit =
            ReadLimit { values: inputs.min(READ_ENTRIES_MAX), bytes: bytes.min(READ_BYTES_MAX) };
        out.push(Action::Read { after: self.intake.after, limit });
    }

    pub(super) fn on_entries(
        &mut self,
        now: Now,
        entries: Vec<(u64, Bytes)>,
        out: &mut Vec<Action>,
    ) {
        self.intake.reading = false;
        if !matches!(self.phase, Phase::Serving) {
            return;
        }
        for (seq, bytes) in entries {
            if self.is_stopped() || self.intake.gap.is_some() {
                return;
            }
            self.intake.after = self.intake.after.max(seq);
            self.on_entry(now, seq, &bytes, out);
        }
        self.suspect_after_read(now, out);
    }

    fn on_entry(&mut self, now: Now, seq: u64, bytes: &Bytes, out: &mut Vec<Action>) {
        let now_ms = self.clock.read(now);
        let entry = match InboxEntry::decode(bytes) {
            Ok(entry) => entry,
            Err(error @ CodecError::UnknownVersion { .. }) => {
                let what = format!("inbox entry {seq}: {error}");
                return self.stop(StopReason::UnknownVersion(what), out);
            }
            Err(_) => {
                self.alarm(Alarm::InboxUnreadable, out);
                InboxEntry::new(vec![unreadable(self.owned.partition, bytes.clone(), now_ms)])
            }
        };
        for (index, input) in (0_u32..).zip(entry.inputs) {
            let place = Place { seq, index };
            let goes_on = !self.is_stopped() && self.intake.gap.is_none();
            if place > self.intake.place && goes_on {
                self.intake.place = place;
                self.on_input(now, now_ms, place, input, out);
            }
        }
    }

    fn on_input(
        &mut self,
        now: Now,
        now_ms: u64,
        place: Place,
        input: Input,
        out: &mut Vec<Action>,
    ) {
        let mut progress = Progress::Waiting;
        let mut taken = None;
        if let Cause::Channel { source, number, .. } = input.header.cause
            && !self.settings.breaks.channel
        {
            match receipt(self.intake.taken.get(&source).copied().unwrap_or(0), number) {
                Receipt::Take => {
                    self.intake.taken.insert(source, number);
                    taken = Some((source, number));
                }
                Receipt::Drop => progress = Progress::Dropped,
                Receipt::Gap { expected } => {
                    let source_partition = source;
                    let gap = StopReason::ChannelGap { source_partition, expected, number, place };
                    self.intake.gap = Some(gap);
                    return;
                }
            }
        }
        let credit = INPUT_OVERHEAD + input.body.len();
        let (occasion, refused) = self.occasion(&input);
        if let (Some(error), Progress::Waiting) = (refused, &progress) {
            progress = Progress::DeadLetter(error);
        }
        self.intake.credit(credit);
        let pending = Pending {
            entity: input.target,
            header: input.header,
            occasion,
            now_ms,
            foreign_calls_over_ms: self.foreign_calls_over_ms(now, now_ms),
            place: Some(place),
            taken,
            reply_to: input.reply_to,
            credit,
            tries: 0,
            error: String::new(),
            progress,
        };
        self.admit(now, pending, out);
    }

    /// A record is stored that was appended after the gap was met. A former owner that does not know it yet meets gaps where
    /// the new one's checkpoint let the inbox be trimmed: it would have been fenced, and nothing be wrong.
    pub(super) fn gap_is_proved(&mut self, out: &mut Vec<Action>) {
        if let Some(gap) = self.intake.gap.clone() {
            self.alarm(Alarm::ChannelGap, out);
            self.stop(gap, out);
        }
    }

    /// What the entity is asked to decide on, or why it cannot be asked.
    fn occasion(&self, input: &Input) -> (Occasion, Option<String>) {
        let here = input.target.partition(self.owned.partitions) == self.owned.partition;
        let plain = Occasion::Input(input.body.clone());
        if input.target.kind >= RESERVED_KINDS {
            return (plain, Some("the runtime's own entities take no inputs".to_owned()));
        }
        if !here {
            return (plain, Some("the entity belongs to another partition".to_owned()));
        }
        if input.header.cause != Cause::CallResult {
            return (plain, None);
        }
        match call_return::decode_body(&input.body) {
            Ok((call, result)) => (Occasion::CallResult { call, result }, None),
            Err(error) => (plain, Some(error.to_string())),
        }
    }

    /// Gives a ticket and, unless it is settled already, brings it to its entity.
    pub(super) fn admit(&mut self, now: Now, pending: Pending, out: &mut Vec<Action>) -> Ticket {
        let ticket = self.new_ticket();
        let entity = pending.entity;
        self.pending.insert(ticket, pending);
        self.suspect_admitted(ticket, out);
        let progress = self.pending.get(&ticket).map(|pending| &pending.progress);
        if matches!(progress, Some(Progress::Waiting)) {
            let boot_ms = now.boot_ms;
            self.slot(entity).admitted(ticket, boot_ms);
            self.drive(entity, out);
        }
        ticket
    }
}

/// An inbox entry that is none, as an input that will be dead-lettered.
fn unreadable(partition: PartitionId, bytes: Bytes, now_ms: u64) -> Input {
    Input {
        header: Header {
            key: Key([0; 16]),
            business: BusinessId::default(),
            cause: Cause::Command,
            trace: None,
            received_ms: now_ms,
        },
        target: EntityId { kind: u8::MAX, ..super::own_entity(partition) },
        body: bytes,
        reply_to: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_number_is_taken_once_and_in_order() {
        let table = [
            (0, 1, Receipt::Take),
            (0, 2, Receipt::Gap { expected: 1 }),
            (5, 5, Receipt::Drop),
            (5, 1, Receipt::Drop),
            (5, 6, Receipt::Take),
            (5, 7, Receipt::Gap { expected: 6 }),
        ];
        for (taken, number, expected) in table {
            assert_eq!(receipt(taken, number), expected, "{taken} {number}");
        }
    }
}
