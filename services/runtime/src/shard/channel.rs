//! Channels out: durable messages to other partitions, in order, one append in flight per channel
//! (design.md 4.5).

use std::collections::VecDeque;

use bus::{Cause, ChannelMessage, INBOX_ENTRY_BYTES_MAX, InboxEntry, Input, PartitionId, Position};
use bytes::Bytes;

use super::{Action, Alarm, Shard, size};

/// Room in an inbox entry for all that is not a message.
const ENTRY_OVERHEAD: usize = 64;

/// The channel to one target partition.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// Last number given out, undurable ones included.
    given: u64,
    /// Last durable number.
    durable: u64,
    /// Last number known to be in the target's inbox.
    confirmed: u64,
    /// Durable and unconfirmed messages, in order.
    waiting: VecDeque<Unconfirmed>,
    flight: Option<Prefix>,
    attempts: u32,
}

#[derive(Debug)]
struct Unconfirmed {
    number: u64,
    /// Sequence of the record that holds it.
    seq: u64,
    input: Input,
}

#[derive(Clone, Debug)]
struct Prefix {
    through: u64,
    entry: Bytes,
}

impl Channel {
    /// A channel that goes on where a checkpoint left it.
    pub(super) fn resume(confirmed: u64, durable: u64) -> Self {
        Self { given: durable, durable, confirmed, ..Self::default() }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// A message whose record is durable; it must be known to the channel once only.
    pub(super) fn durable(&mut self, message: ChannelMessage, position: Position) {
        let ChannelMessage { number, mut input, .. } = message;
        if number <= self.confirmed {
            return;
        }
        if let Cause::Channel { position: sent_by, .. } = &mut input.header.cause {
            *sent_by = Some(position);
        }
        self.durable = self.durable.max(number);
        self.given = self.given.max(number);
        self.waiting.push_back(Unconfirmed { number, seq: position.seq, input });
    }

    /// What stood before the first message that the log still holds was trimmed by who knew that it had arrived.
    pub(super) fn begin_late(&mut self) {
        let arrived = self.waiting.front().map_or(self.durable, |first| first.number - 1);
        self.confirmed = self.confirmed.max(arrived);
    }

    /// Durable messages not known to have arrived, in order of their numbers.
    pub(super) fn into_waiting(self) -> Vec<(u64, Input)> {
        self.waiting.into_iter().map(|message| (message.number, message.input)).collect()
    }

    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    pub(super) fn durable_through(&self) -> u64 {
        self.durable
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sequence of the record that holds the oldest unconfirmed message.
    pub(super) fn oldest_seq(&self) -> Option<u64> {
        self.waiting.front().map(|message| message.seq)
    }

    /// The longest prefix from the first unconfirmed message that fits one entry; `Err`: not even one.
    fn next_prefix(&self) -> Option<Result<Prefix, ()>> {
        let mut room = INBOX_ENTRY_BYTES_MAX - ENTRY_OVERHEAD;
        let mut inputs = Vec::new();
        let mut through = 0;
        for message in &self.waiting {
            let Some(left) = room.checked_sub(size::input(&message.input)) else { break };
            room = left;
            through = message.number;
            inputs.push(message.input.clone());
        }
        if inputs.is_empty() {
            return self.waiting.front().map(|_| Err(()));
        }
        let entry = InboxEntry::new(inputs).encode();
        Some(entry.map(|entry| Prefix { through, entry }).map_err(drop))
    }

    fn confirm(&mut self, through: u64) {
        self.confirmed = through;
        while self.waiting.front().is_some_and(|message| message.number <= through) {
            self.waiting.pop_front();
        }
    }
}

impl Shard {
    /// Sends on every channel that has something and nothing in flight.
    pub(super) fn send_channels(&mut self, out: &mut Vec<Action>) {
        let mut too_large = false;
        for (target, channel) in &mut self.channels {
            if channel.flight.is_some() {
                continue;
            }
            match channel.next_prefix() {
                None => {}
                Some(Err(())) => too_large = true,
                Some(Ok(prefix)) => {
                    let entry = prefix.entry.clone();
                    channel.flight = Some(prefix);
                    out.push(Action::Send { target: *target, entry, delay_ms: 0 });
                }
            }
        }
        if too_large {
            self.alarm(Alarm::MessageTooLarge, out);
        }
    }

    pub(super) fn on_sent(&mut self, target: PartitionId, stored: bool, out: &mut Vec<Action>) {
        let Some(channel) = self.channels.get_mut(&target) else { return };
        let Some(prefix) = channel.flight.take() else { return };
        if stored {
            channel.attempts = 0;
            channel.confirm(prefix.through);
            return;
        }
        channel.attempts = channel.attempts.saturating_add(1);
        self.counts.resent();
        let delay_ms = self.settings.retry_ms(channel.attempts);
        let entry = prefix.entry.clone();
        channel.flight = Some(prefix);
        out.push(Action::Send { target, entry, delay_ms });
    }
}
