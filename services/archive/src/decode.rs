//! From log records to decided steps, as the read model and the event tail need them.

use bus::{
    Bus, Cause, CodecError, Log, PartitionId, Position, ReadLimit, Record, RecordBody, RecordHead,
    Step,
};
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

/// What every record has, of whatever version.
#[derive(serde::Deserialize)]
struct Envelope {
    #[serde(rename = "version")]
    _version: u16,
}

/// What is read of an entry of a log; `None` where it is no record at all. Whoever reaches the bus can put something there. What has
/// a version and cannot be read is a record all the same: of a newer build, or damaged.
pub(crate) fn record<T>(
    partition: PartitionId,
    seq: u64,
    bytes: &[u8],
    read: fn(&[u8]) -> Result<T, CodecError>,
) -> Result<Option<T>, DecodeError> {
    match read(bytes) {
        Ok(record) => Ok(Some(record)),
        Err(CodecError::Decode(_)) if bus::decode::<Envelope>(bytes).is_err() => Ok(None),
        Err(source) => Err(DecodeError::Record { partition, seq, source }),
    }
}

/// The last record of a log: entries behind it may be none.
pub(crate) async fn last_record(
    log: &dyn Log,
    partition: PartitionId,
) -> Result<Option<(u64, RecordHead)>, StartError> {
    let Some((seq, bytes)) = log.last(partition).await? else { return Ok(None) };
    if let Some(head) = record(partition, seq, &bytes, Record::decode_head)? {
        return Ok(Some((seq, head)));
    }
    // Rare enough to read for it whatever is left of the log.
    let (mut last, mut after) = (None, 0);
    loop {
        let page = log.read(partition, after, ReadLimit::default()).await?;
        let Some((end, _)) = page.last() else { return Ok(last) };
        after = *end;
        for (seq, bytes) in &page {
            let head = record(partition, *seq, bytes, Record::decode_head)?;
            last = head.map(|head| (*seq, head)).or(last);
        }
    }
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
        let Some(record) = record(partition, *seq, bytes, Record::decode)? else {
            ::metrics::counter!(metrics::IGNORED_RECORDS_TOTAL).increment(1);
            tracing::error!(%partition, seq, "an entry of the log is no record and is ignored: something else may write there");
            follower.pass(*seq);
            continue;
        };
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
    let Some((seq, head)) = last_record(&*bus.log, partition).await? else {
        return Ok(Start::LogIsBehind { stored: cursor.seq, last: 0 });
    };
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
    let head = record(partition, *seq, bytes, Record::decode_head)?;
    Ok(head.is_some_and(|head| crate::chain::Cursor::of(*seq, &head) == cursor))
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

#[cfg(test)]
mod tests {
    use bus::Incarnation;

    use super::*;

    #[derive(serde::Serialize)]
    struct Other {
        version: u16,
        head: &'static str,
    }

    #[test]
    fn only_what_has_no_version_is_no_record() {
        let head = RecordHead {
            generation: 1,
            epoch: 1,
            incarnation: Incarnation([1; 16]),
            number: 0,
            previous_seq: 0,
        };
        let good = Record::new(head, RecordBody::Released).encode().unwrap();
        let found = record(PartitionId(0), 7, &good, Record::decode_head).unwrap();
        assert_eq!(found, Some(head));
        for junk in [&br#"{"version": 1}"#[..], b"PUB", b"", &[0x80], &bus::encode(&7_u64).unwrap()]
        {
            let found = record(PartitionId(0), 7, junk, Record::decode).unwrap();
            assert_eq!(found, None, "{junk:?}");
        }
        // A newer build's, of another shape; and one of ours that is damaged.
        for version in [1, 99] {
            let bytes = bus::encode(&Other { version, head: "other" }).unwrap();
            let refused = record(PartitionId(0), 7, &bytes, Record::decode);
            assert!(matches!(refused, Err(DecodeError::Record { seq: 7, .. })), "{refused:?}");
        }
    }
}
