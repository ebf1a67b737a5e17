//! What the streams hold of each partition, whoever serves it: what is kept, and what waits to be decided.

use std::{collections::BTreeMap, time::Duration};

use bus::{Bus, BusError, InboxEntry, PartitionId, ReadLimit, Record, RecordBody};
use futures::future::try_join_all;
use runtime::shard::Retention;
use tokio::time::timeout;

/// Most waiting entries that are counted.
pub(super) const WAITING_MAX: usize = 1_000;
/// Longest the waiting entries are asked for.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// What is stored of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// Of the log's last record; `None` where there is none, or it cannot be read.
    pub(super) epoch: Option<u64>,
    /// First sequence that was not trimmed from the log, and from the inbox; 0 where nothing is there.
    pub(super) log_from: u64,
    pub(super) inbox_from: u64,
    /// Inbox entries behind the last decided one, [`WAITING_MAX`] at the most.
    pub(super) waiting: usize,
    /// When the first of them was received, Unix ms.
    pub(super) waits_since_ms: Option<u64>,
}

/// Asks the streams' leaders.
pub(super) async fn stored(bus: &Bus) -> Result<BTreeMap<PartitionId, Stored>, BusError> {
    let partitions = (0..bus.partitions).map(PartitionId);
    let asked = partitions
        .map(|partition| async move { of(bus, partition).await.map(|stored| (partition, stored)) });
    Ok(try_join_all(asked).await?.into_iter().collect())
}

async fn of(bus: &Bus, partition: PartitionId) -> Result<Stored, BusError> {
    let last = bus.log.last(partition).await?;
    let last = last.and_then(|(_, bytes)| Record::decode(&bytes).ok());
    let mut stored = Stored {
        epoch: last.as_ref().map(|record| record.head.epoch),
        log_from: bus.log.first(partition).await?,
        inbox_from: bus.inbox.first(partition).await?,
        ..Stored::default()
    };
    let decided = match last.as_ref().and_then(decided_in) {
        Some(seq) => seq,
        None => decided_before(bus, partition).await?,
    };
    // What is decided meanwhile counts as waiting: it is a look at what moves.
    if bus.inbox.last(partition).await? > decided {
        let limit = ReadLimit { values: WAITING_MAX, ..ReadLimit::default() };
        let read = timeout(READ_WITHIN, bus.inbox.read(partition, decided, limit)).await;
        // Where all of it was decided and trimmed meanwhile, a read waits for what comes next.
        let Ok(read) = read else { return Ok(stored) };
        let waiting = read?;
        let first = waiting.first().and_then(|(_, bytes)| InboxEntry::decode(bytes).ok());
        let input = first.and_then(|entry| entry.inputs.into_iter().next());
        stored.waits_since_ms = input.map(|input| input.header.received_ms);
        stored.waiting = waiting.len();
    }
    Ok(stored)
}

/// Sequence of the last inbox entry that was decided by when the record was written, where it says so.
fn decided_in(record: &Record) -> Option<u64> {
    match &record.body {
        RecordBody::Steps(steps) => Some(steps.place.seq),
        RecordBody::Epoch { .. } | RecordBody::Trying { .. } | RecordBody::Released => None,
    }
}

/// The same, by the checkpoint and the records after it.
async fn decided_before(bus: &Bus, partition: PartitionId) -> Result<u64, BusError> {
    let (mut decided, mut after) = match bus.states.checkpoint(partition).await? {
        Some(checkpoint) => {
            // A checkpoint of a newer build says nothing.
            let through = Retention::of(&checkpoint).map_or(0, |it| it.inbox_through);
            let place = if through == 0 { 0 } else { through + 1 };
            (place, checkpoint.position.seq.saturating_sub(1))
        }
        None => (0, 0),
    };
    loop {
        let page = bus.log.read(partition, after, ReadLimit::default()).await?;
        let Some((end, _)) = page.last() else { return Ok(decided) };
        after = *end;
        let records = page.iter().filter_map(|(_, bytes)| Record::decode(bytes).ok());
        decided = records.filter_map(|record| decided_in(&record)).fold(decided, u64::max);
    }
}

#[cfg(test)]
mod tests {
    use bus::{
        BusinessId, Cause, EntityId, FormatLevel, Header, Incarnation, Input, Key, Place,
        RecordHead, Steps, sqlite,
    };

    use super::*;

    const P0: PartitionId = PartitionId(0);

    fn entry(received_ms: u64) -> bytes::Bytes {
        let header = Header {
            key: Key([1; 16]),
            business: BusinessId("shop".to_owned()),
            cause: Cause::Webhook,
            trace: None,
            received_ms,
        };
        let target = EntityId { kind: 1, hash: [1; 16] };
        let input = Input { header, target, body: bytes::Bytes::new(), reply_to: None };
        InboxEntry::new(vec![input]).encode().unwrap()
    }

    fn record(number: u64, previous_seq: u64, body: RecordBody) -> bytes::Bytes {
        let incarnation = Incarnation([1; 16]);
        let head = RecordHead { generation: 1, epoch: 7, incarnation, number, previous_seq };
        Record::at(FormatLevel::FIRST, head, body).encode().unwrap()
    }

    #[tokio::test]
    async fn what_is_kept_and_what_waits_is_said_by_the_bus_itself() {
        let dir = tempfile::tempdir().unwrap();
        let options =
            sqlite::Options { partitions: 1, min_free_bytes: 0, ..sqlite::Options::default() };
        let bus = sqlite::open(dir.path(), options).unwrap();
        assert_eq!(stored(&bus).await.unwrap()[&P0], Stored::default());
        for n in 1..=5 {
            bus.inbox.append(P0, entry(n * 10)).await.unwrap();
        }
        // Nobody reads.
        let found = stored(&bus).await.unwrap()[&P0].clone();
        assert_eq!((found.epoch, found.waiting, found.waits_since_ms), (None, 5, Some(10)));
        let epoch = RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 };
        bus.log.append(P0, 0, record(0, 0, epoch)).await.unwrap();
        let steps = Steps { place: Place { seq: 3, index: 0 }, ..Steps::default() };
        bus.log.append(P0, 1, record(1, 1, RecordBody::Steps(steps))).await.unwrap();
        bus.inbox.trim(P0, 2).await.unwrap();
        let found = stored(&bus).await.unwrap()[&P0].clone();
        let expected = Stored {
            epoch: Some(7),
            log_from: 1,
            inbox_from: 3,
            waiting: 2,
            waits_since_ms: Some(40),
        };
        assert_eq!(found, expected);
        // Whatever the last record is, what was decided stays so.
        bus.log.append(P0, 2, record(2, 2, RecordBody::Released)).await.unwrap();
        bus.log.trim(P0, 1).await.unwrap();
        let found = stored(&bus).await.unwrap()[&P0].clone();
        assert_eq!(found, Stored { log_from: 2, ..expected });
    }
}
