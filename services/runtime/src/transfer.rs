//! Moving an installation from one bus to another, empty one: import, backup and restore (design.md 4.7).
//!
//! Carried are states, never sequences. Each partition of the source is read as its next owner would read it, without
//! taking it: saved parts, later events, timers, what its inbox holds undecided, what its channels have not delivered.
//! All of it is dealt anew among the partitions of the target, which may be another number, and every log of the target
//! opens with an `Epoch` of a higher generation than any of the source.
//!
//! What is of no use elsewhere stays behind: places, channel numbers, `Trying` marks and the count of dead letters. A message
//! under way is numbered anew, on the channel of its target's partition to itself. Later events go as events set aside, which
//! the next owner applies and saves; so no entity is opened here, and this knows nothing of what an entity is.
//!
//! Until everything is there the target says so ([`Standing::Arriving`]), and no process may use it. Then what leaves
//! is held ([`Standing::Held`]) until an operator lets it go: who moved it cannot know what the source sent since the cut.
//!
//! Nobody may own a partition of either bus meanwhile. Inputs may be appended to the source; what comes late is not carried.

mod deal;
mod read;
mod standing;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bus::{
    AppendError, Bus, BusError, CodecError, FormatLevel, Input, LogAppendError, PartitionId,
    Position, RecordHead,
};

pub(crate) use standing::{INSTALLATION, INSTALLATION_PARTITION};
pub use standing::{Standing, release, standing};
pub(crate) use write::ask;

use crate::{Random, format_level, shard::StopReason, store_format_level};
use read::Cut;

/// Who moves it, and when.
#[derive(Clone, Debug)]
pub struct Mover {
    /// Name that stands in the target's first records.
    pub node: String,
    /// Wall time, Unix ms.
    pub now_ms: u64,
    /// Draws the incarnations of those records.
    pub random: Random,
    /// What entities of the target are told, after everything that is carried.
    pub news: Vec<Input>,
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Generation of the target.
    pub generation: u32,
    /// Saved parts.
    pub parts: u64,
    /// Entities whose later events go as events.
    pub unsaved: u64,
    /// Timers.
    pub timers: u64,
    /// Inputs that are still to be decided, messages under way among them.
    pub inputs: u64,
}

/// Why nothing was moved, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The target is in use.
    #[error(
        "partition {partition} of the target holds {what} already: it must be a new installation"
    )]
    NotEmpty {
        /// First partition that holds something.
        partition: PartitionId,
        /// What.
        what: &'static str,
    },
    /// A partition of the source cannot be served as it is, nor moved.
    #[error("partition {partition} of the source")]
    Source {
        /// The partition.
        partition: PartitionId,
        /// Why.
        source: StopReason,
    },
    /// An entry of an inbox cannot be read.
    #[error(
        "entry {seq} of the inbox of partition {partition} cannot be read: start the source once, so that it is set \
         aside as a dead letter, and stop it in order"
    )]
    Entry {
        /// The partition.
        partition: PartitionId,
        /// The entry.
        seq: u64,
        /// Why.
        source: CodecError,
    },
    /// Somebody owns a partition of the source.
    #[error("partition {0} of the source was taken meanwhile: stop its routers, and begin anew")]
    Taken(PartitionId),
    /// The source is of a newer build.
    #[error(
        "the source is at format level {found}, and this program knows levels up to {known}: use the newer one"
    )]
    Format {
        /// Level of the source.
        found: FormatLevel,
        /// Newest level this build knows.
        known: FormatLevel,
    },
    /// A request failed for good, or too often.
    #[error("the bus failed")]
    Bus(#[from] BusError),
    /// An input could not be put into an inbox.
    #[error("an inbox of the target failed")]
    Inbox(#[from] AppendError),
    /// A record could not be put into a log.
    #[error("a log of the target failed")]
    Log(#[from] LogAppendError),
    /// A value has no encoded form.
    #[error("a value could not be encoded")]
    Encode(#[from] CodecError),
}

/// Moves everything that `source` holds into `target`, which must be empty. What was moved does not change the source.
///
/// # Errors
/// [`TransferError`]; before anything was written, unless the target's [`standing`] is [`Standing::Arriving`] afterwards: then
/// it must be made anew.
pub async fn transfer(source: &Bus, target: &Bus, mover: &Mover) -> Result<Moved, TransferError> {
    check_empty(target).await?;
    let format = format_level(source).await?;
    if format > FormatLevel::KNOWN {
        return Err(TransferError::Format { found: format, known: FormatLevel::KNOWN });
    }
    let mut cuts = BTreeMap::new();
    for partition in (0..source.partitions).map(PartitionId) {
        cuts.insert(partition, read::cut(source, partition).await?);
    }
    let generation = cuts.values().map(|cut: &Cut| cut.generation).max().unwrap_or(0).max(1) + 1;
    let mut inputs = deal::undecided(&mut cuts)?;
    let carried = u64::try_from(inputs.len()).unwrap_or(u64::MAX);
    inputs.extend(mover.news.iter().cloned());
    let dealt = deal::inputs(inputs, (source.partitions, target.partitions), generation);
    let ends: BTreeMap<_, _> =
        cuts.iter().map(|(partition, cut)| (*partition, cut.last_seq)).collect();
    let last_now_ms = cuts.values().map(|cut| cut.remainder.last_now_ms).max().unwrap_or(0);
    let own = deal::own_parts(cuts, target.partitions, beginning_of(generation))?;

    standing::write(target, Standing::Arriving, generation).await?;
    // What is carried was written at it.
    store_format_level(target, format).await?;
    let parts = write::parts(source, target).await?;
    write::own_parts(target, own.parts).await?;
    for partition in (0..target.partitions).map(PartitionId) {
        let share = dealt.get(&partition);
        if let Some(share) = share {
            write::inbox(target, partition, &share.inputs).await?;
        }
        let head = RecordHead {
            generation,
            epoch: 1,
            incarnation: mover.random.incarnation(),
            number: 0,
            // The record before it in its history, which a reader then looks for, and misses where it is not there.
            previous_seq: ends.get(&partition).copied().unwrap_or(0),
        };
        let arrived = share.map_or(0, |share| share.messages);
        write::log(target, partition, head, mover, format, (arrived, last_now_ms)).await?;
    }
    unchanged(source, &ends).await?;
    standing::write(target, Standing::Held, generation).await?;
    Ok(Moved { generation, parts, unsaved: own.unsaved, timers: own.timers, inputs: carried })
}

/// The position before everything of a generation.
fn beginning_of(generation: u32) -> Position {
    Position { generation, seq: 0, index: 0 }
}

/// Checks that a bus holds nothing yet.
///
/// # Errors
/// [`TransferError::NotEmpty`], naming what it holds.
pub async fn check_empty(target: &Bus) -> Result<(), TransferError> {
    for partition in (0..target.partitions).map(PartitionId) {
        let holds = |what| Err(TransferError::NotEmpty { partition, what });
        if target.log.last(partition).await?.is_some() {
            return holds("records");
        }
        if target.inbox.last(partition).await? > 0 {
            return holds("inputs");
        }
        if target.states.checkpoint(partition).await?.is_some() {
            return holds("a checkpoint");
        }
        if !target.states.scan(partition, None).await?.parts.is_empty() {
            return holds("states");
        }
    }
    Ok(())
}

async fn unchanged(source: &Bus, ends: &BTreeMap<PartitionId, u64>) -> Result<(), TransferError> {
    for (partition, end) in ends {
        let last = write::ask(|| source.log.last(*partition)).await?;
        let last = last.map_or(0, |(seq, _)| seq);
        if last != *end {
            return Err(TransferError::Taken(*partition));
        }
    }
    Ok(())
}
