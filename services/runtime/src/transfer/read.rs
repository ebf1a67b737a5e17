//! Reading a partition as its next owner would, without becoming it.

use bus::{Bus, BusError, CodecError, InboxEntry, Input, PartitionId, Place, ReadLimit, Record};

use super::TransferError;
use crate::shard::{Link, Owned, Recovery, Remainder, StopReason, own_entity};

/// A partition beside the saved parts of its entities.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Generation of its log; 0 where nobody ever took it.
    pub(super) generation: u32,
    /// Last record of its log; 0 where there is none.
    pub(super) last_seq: u64,
    pub(super) remainder: Remainder,
    /// Inputs after the last decided one, in order.
    pub(super) undecided: Vec<Input>,
}

pub(super) async fn cut(bus: &Bus, partition: PartitionId) -> Result<Cut, TransferError> {
    let corrupt =
        |what: String| TransferError::Source { partition, source: StopReason::Corrupt(what) };
    let Some((seq, bytes)) = bus.log.last(partition).await? else {
        if bus.states.checkpoint(partition).await?.is_some() {
            let what = "there is a checkpoint but no last record: the log is gone";
            return Err(corrupt(what.to_owned()));
        }
        let undecided = undecided(bus, partition, Place::default()).await?;
        return Ok(Cut { undecided, ..Cut::default() });
    };
    let head = Record::decode_head(&bytes)
        .map_err(|error| TransferError::Source { partition, source: unreadable(seq, &error) })?;
    let last = Link { seq, head };
    let remainder = remainder(bus, partition, last).await?;
    let undecided = undecided(bus, partition, remainder.place).await?;
    Ok(Cut { generation: head.generation, last_seq: seq, remainder, undecided })
}

fn unreadable(seq: u64, error: &CodecError) -> StopReason {
    match error {
        CodecError::UnknownVersion { .. } => StopReason::UnknownVersion(format!("record {seq}")),
        _ => StopReason::Corrupt(format!("record {seq}: {error}")),
    }
}

/// Replays the log from the checkpoint to its last record.
async fn remainder(
    bus: &Bus,
    partition: PartitionId,
    last: Link,
) -> Result<Remainder, TransferError> {
    let stopped = |source| TransferError::Source { partition, source };
    let checkpoint = bus.states.checkpoint(partition).await?;
    let own_parts = bus.states.load(partition, own_entity(partition)).await?;
    let owned = Owned::in_mind(partition, bus.partitions, last);
    let mut recovery = Recovery::begin(owned, checkpoint, &own_parts).map_err(stopped)?;
    let mut after = recovery.read_after();
    while after < last.seq {
        let records = bus.log.read(partition, after, ReadLimit::default()).await?;
        if records.is_empty() {
            let what = format!("record {} cannot be read", last.seq);
            return Err(BusError::Unavailable(what).into());
        }
        for (seq, bytes) in records.into_iter().take_while(|(seq, _)| *seq <= last.seq) {
            recovery.record(seq, &bytes).map_err(stopped)?;
            after = seq;
        }
    }
    recovery.into_remainder().map_err(stopped)
}

/// What stands in the inbox now and after `place`.
async fn undecided(
    bus: &Bus,
    partition: PartitionId,
    place: Place,
) -> Result<Vec<Input>, TransferError> {
    let last = bus.inbox.last(partition).await?;
    let mut found = Vec::new();
    // The entry of the place may hold more inputs.
    let mut after = place.seq.saturating_sub(1);
    while after < last {
        for (seq, bytes) in bus.inbox.read(partition, after, ReadLimit::default()).await? {
            after = seq;
            if seq > last {
                break;
            }
            let entry = InboxEntry::decode(&bytes).map_err(|source| TransferError::Entry {
                partition,
                seq,
                source,
            })?;
            let inputs = (0_u32..).zip(entry.inputs);
            let later = inputs.filter(|(index, _)| Place { seq, index: *index } > place);
            found.extend(later.map(|(_, input)| input));
        }
    }
    Ok(found)
}
