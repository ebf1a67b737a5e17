//! From log records to decided steps, as the read model and the event tail need them.

use bus::{Bus, Cause, CodecError, PartitionId, Position, Record, RecordBody, Step};
use bytes::Bytes;
use domain::{
    BusinessId, EntityKind,
    conversation::ConversationEvent,
    persist::{self, PersistError},
};

use crate::{
    chain::{Follower, Verdict},
    metrics,
    repository::{Batch, DecodedStep},
};

/// Why a record cannot be applied. The reader stops here; nothing is skipped.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The record itself.
    #[error("record {seq} of partition {partition} cannot be read")]
    Record {
        /// Its partition.
        partition: PartitionId,
        /// Its sequence.
        seq: u64,
        /// Why.
        source: CodecError,
    },
    /// An event in it.
    #[error("an event of record {seq} of partition {partition} cannot be read")]
    Event {
        /// Its partition.
        partition: PartitionId,
        /// Its record.
        seq: u64,
        /// Why.
        source: PersistError,
    },
    /// Records are missing.
    #[error(
        "the log of partition {partition} has no records between {after} and {before}: they were trimmed"
    )]
    Gap {
        /// The partition.
        partition: PartitionId,
        /// Last record before the gap.
        after: u64,
        /// First record after it.
        before: u64,
    },
}

/// The conversation events of a step; none for entities of other kinds.
///
/// # Errors
/// When one was written by a newer build or is damaged.
pub fn step_events(step: &Step) -> Result<Vec<ConversationEvent>, PersistError> {
    if step.entity.kind != EntityKind::Conversation.code() {
        return Ok(Vec::new());
    }
    step.events.iter().map(|event| persist::decode(&event.body)).collect()
}

/// Decodes records into one batch that continues where `follower` stands, and moves `follower` past them. `None`
/// when none of them is to be applied.
pub(crate) fn batch(
    partition: PartitionId,
    follower: &mut Follower,
    records: &[(u64, Bytes)],
) -> Result<Option<Batch>, DecodeError> {
    let after = follower.last();
    let mut steps = Vec::new();
    let mut count: u64 = 0;
    for (seen, (seq, bytes)) in records.iter().enumerate() {
        let record = Record::decode(bytes).map_err(|source| DecodeError::Record {
            partition,
            seq: *seq,
            source,
        })?;
        match follower.admit(*seq, &record.head) {
            Verdict::Follow => {}
            Verdict::Rebase => {
                ::metrics::counter!(metrics::REBASED_TOTAL).increment(1);
                tracing::warn!(%partition, seq, generation = record.head.generation, "the log's generation rose; re-basing on it");
            }
            Verdict::Ignore => {
                ::metrics::counter!(metrics::IGNORED_RECORDS_TOTAL).increment(1);
                tracing::error!(%partition, seq, "a record does not continue the chain and is ignored");
                continue;
            }
            // Whoever reads on from here looks for what is missing first.
            Verdict::Gap { .. } if seen > 0 => break,
            Verdict::Gap { after, before } => {
                return Err(DecodeError::Gap { partition, after, before });
            }
        }
        count += 1;
        if let RecordBody::Steps(body) = record.body {
            let generation = record.head.generation;
            decode_steps(partition, generation, *seq, body.steps, &mut steps)?;
        }
    }
    match follower.last() {
        Some(last) if count > 0 => {
            Ok(Some(Batch { partition, after, last, records: count, steps }))
        }
        _ => Ok(None),
    }
}

fn decode_steps(
    partition: PartitionId,
    generation: u32,
    seq: u64,
    from: Vec<Step>,
    into: &mut Vec<DecodedStep>,
) -> Result<(), DecodeError> {
    for (index, step) in (0u32..).zip(from) {
        let events =
            step_events(&step).map_err(|source| DecodeError::Event { partition, seq, source })?;
        into.push(DecodedStep {
            position: Position { generation, seq, index },
            business: BusinessId(step.header.business.0),
            entity: step.entity,
            now_ms: step.now_ms,
            events,
            dead_letter: step.dead_letter,
            replays: match step.header.cause {
                Cause::Replay { letter } => Some(letter),
                _ => None,
            },
        });
    }
    Ok(())
}

/// Where a partition's follower must begin, given what the read model holds.
pub(crate) async fn start(
    bus: &Bus,
    partition: PartitionId,
    stored: Option<crate::chain::Cursor>,
) -> Result<Start, StartError> {
    let Some(cursor) = stored else { return Ok(Start::Go(Follower::default())) };
    let Some((seq, bytes)) = bus.log.last(partition).await? else {
        return Ok(Start::LogIsBehind { stored: cursor.seq, last: 0 });
    };
    let head = Record::decode(&bytes)
        .map_err(|source| DecodeError::Record { partition, seq, source })?
        .head;
    Ok(if head.generation > cursor.generation {
        // The sequences of another generation may start anew: then read them all, skip the older ones.
        let follower = match goes_on(bus, partition, cursor).await? {
            true => Follower::after(Some(cursor)),
            false => Follower::after_any(cursor),
        };
        Start::Go(follower)
    } else if seq < cursor.seq || head.generation < cursor.generation {
        Start::LogIsBehind { stored: cursor.seq, last: seq }
    } else {
        Start::Go(Follower::after(Some(cursor)))
    })
}

/// Whether the log holds the record of the cursor: what comes after it there continues what led to the cursor.
pub(crate) async fn goes_on(
    bus: &Bus,
    partition: PartitionId,
    cursor: crate::chain::Cursor,
) -> Result<bool, StartError> {
    let one = bus::ReadLimit { values: 1, bytes: 1 };
    let found = bus.log.read(partition, cursor.seq.saturating_sub(1), one).await?;
    let Some((seq, bytes)) = found.first() else { return Ok(false) };
    let head = Record::decode_head(bytes).map_err(|source| DecodeError::Record {
        partition,
        seq: *seq,
        source,
    })?;
    Ok(crate::chain::Cursor::of(*seq, &head) == cursor)
}

/// Answer of [`start`].
pub(crate) enum Start {
    /// Follow from here.
    Go(Follower),
    /// The log ends before what the read model has seen: they do not belong together.
    LogIsBehind { stored: u64, last: u64 },
}

/// Why [`start`] has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Bus(#[from] bus::BusError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}
