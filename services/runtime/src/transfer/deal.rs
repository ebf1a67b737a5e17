//! What goes into which partition of the target. Pure.

use std::collections::BTreeMap;

use bus::{BusinessId, Cause, CodecError, EntityId, Input, PartPut, PartitionId, Place, Position};

use super::{TransferError, read::Cut};
use crate::shard::{StopReason, buckets_of, own_entity};

/// Inputs of one partition of the target.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// In the order in which they are decided.
    pub(super) inputs: Vec<Input>,
    /// How many of them are messages of a channel.
    pub(super) messages: u64,
}

/// Takes every input that is still to be decided out of the cuts. Those of one entity keep their order: what stands in an
/// inbox comes before what is still on its way there. A message that is in both counts once.
pub(super) fn undecided(
    cuts: &mut BTreeMap<PartitionId, Cut>,
) -> Result<Vec<Input>, TransferError> {
    let partitions: Vec<PartitionId> = cuts.keys().copied().collect();
    let mut all = Vec::new();
    for partition in &partitions {
        let Some(cut) = cuts.get_mut(partition) else { continue };
        let mut line =
            Line { partition: *partition, taken: std::mem::take(&mut cut.remainder.taken) };
        for input in std::mem::take(&mut cut.undecided) {
            if line.admits(&input)? {
                all.push(input);
            }
        }
        for sender in &partitions {
            let messages =
                cuts.get_mut(sender).and_then(|c| c.remainder.messages.remove(partition));
            for (number, input) in messages.into_iter().flatten() {
                if line.admits_message(*sender, number)? {
                    all.push(input);
                }
            }
        }
    }
    Ok(all)
}

/// What has come to one partition of the source, by its channels' numbers.
struct Line {
    partition: PartitionId,
    taken: BTreeMap<PartitionId, u64>,
}

impl Line {
    fn admits(&mut self, input: &Input) -> Result<bool, TransferError> {
        match input.header.cause {
            Cause::Channel { source, number, .. } => self.admits_message(source, number),
            _ => Ok(true),
        }
    }

    fn admits_message(&mut self, sender: PartitionId, number: u64) -> Result<bool, TransferError> {
        let taken = self.taken.entry(sender).or_default();
        let expected = *taken + 1;
        if number > expected {
            let source = StopReason::ChannelGap {
                source_partition: sender,
                expected,
                number,
                place: Place::default(),
            };
            return Err(TransferError::Source { partition: self.partition, source });
        }
        *taken = (*taken).max(number);
        Ok(number == expected)
    }
}

/// Deals inputs to where their entities will be. Numbers of channels and places of logs mean nothing there: a message is
/// numbered on the channel of its new partition to itself, and a replayed dead letter is one command more.
pub(super) fn inputs(
    inputs: Vec<Input>,
    (from, to): (u16, u16),
    generation: u32,
) -> BTreeMap<PartitionId, Share> {
    let mut shares: BTreeMap<PartitionId, Share> = BTreeMap::new();
    for mut input in inputs {
        let partition = input.target.partition(to);
        let share = shares.entry(partition).or_default();
        match input.header.cause {
            Cause::Channel { .. } => {
                share.messages += 1;
                let number = share.messages;
                input.header.cause =
                    Cause::Channel { source: partition, generation, number, position: None };
            }
            Cause::Replay { .. } if from != to => input.header.cause = Cause::Command,
            Cause::Replay { .. }
            | Cause::Webhook
            | Cause::Command
            | Cause::Timer
            | Cause::CallResult => {}
        }
        share.inputs.push(input);
    }
    shares
}

/// Parts of the partitions' own entities.
#[derive(Debug, Default)]
pub(super) struct OwnParts {
    pub(super) parts: BTreeMap<PartitionId, Vec<PartPut>>,
    pub(super) timers: u64,
    pub(super) unsaved: u64,
}

type Timers = Vec<(EntityId, u64, BusinessId)>;

/// Timers, and events that no saved part may hold, where their entities will be.
pub(super) fn own_parts(
    cuts: BTreeMap<PartitionId, Cut>,
    to: u16,
    at: Position,
) -> Result<OwnParts, CodecError> {
    let mut own = OwnParts::default();
    let mut timers: BTreeMap<PartitionId, Timers> = BTreeMap::new();
    for cut in cuts.into_values() {
        for timer in cut.remainder.timers {
            own.timers += 1;
            timers.entry(timer.0.partition(to)).or_default().push(timer);
        }
        for (entity, parts) in cut.remainder.later {
            own.unsaved += 1;
            let partition = entity.partition(to);
            let put = |part| PartPut { entity: own_entity(partition), part };
            own.parts.entry(partition).or_default().extend(parts.into_iter().map(put));
        }
    }
    for (partition, timers) in timers {
        own.parts.entry(partition).or_default().extend(buckets_of(partition, timers, at)?);
    }
    Ok(own)
}
