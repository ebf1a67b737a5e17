//! Reading inboxes and logs: the end from followers, everything older by a passing consumer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Client, jetstream::Context};
use bytes::Bytes;
use chassis::task::{AbortOnDrop, TaskKind, spawn_abort_on_drop};
use tokio::time::{sleep, timeout};

use super::{
    cursor::{Cursor, HEARTBEAT_EVERY, Next},
    follower::{Followed, Follower},
    names::{Names, Table},
    publish::{last_of, next_of, purge},
    streams,
};
use crate::{BusError, PartitionId, ReadLimit, limits::check_partition};

/// Pause of a waiting read before it asks again after a failure.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Empty scans (of a second each) of entries that exist, before the read is given up.
const SCANS_MAX: u32 = 3;

const NO_TRIMMER: &str = "this process has no credentials for trimming: give it those of the trimmer role \
                          (`trimmer` of the bus's settings), or trim where they are";

type Place = (Table, PartitionId);

struct Registered {
    followed: Arc<Followed>,
    _task: AbortOnDrop<()>,
}

pub(super) struct Reads {
    client: Client,
    context: Context,
    /// A connection that may purge, where one is configured.
    trimmer: Option<Context>,
    pub(super) names: Arc<Names>,
    pub(super) partitions: u16,
    recent_bytes: usize,
    followers: Mutex<BTreeMap<Place, Registered>>,
    /// Consumers that stand where a long read left off.
    scans: Mutex<BTreeMap<Place, Cursor>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reads {
    pub(super) fn new(
        client: Client,
        trimmer: Option<&Client>,
        names: Arc<Names>,
        partitions: u16,
        recent_bytes: usize,
    ) -> Self {
        Self {
            context: streams::context(&client),
            trimmer: trimmer.map(streams::context),
            client,
            names,
            partitions,
            recent_bytes,
            followers: Mutex::default(),
            scans: Mutex::default(),
        }
    }

    /// The last entry, from the stream's leader.
    pub(super) async fn last(
        &self,
        table: Table,
        partition: PartitionId,
    ) -> Result<Option<(u64, Bytes)>, BusError> {
        check_partition(partition, self.partitions)?;
        let subject = self.names.entry(table, partition);
        let last = last_of(&self.context, &self.names.stream(table, partition), &subject).await?;
        Ok(last.map(|message| (message.sequence, message.payload)))
    }

    /// Sequence of the first entry that is left, by the stream's leader; 0 where there is none.
    pub(super) async fn first(
        &self,
        table: Table,
        partition: PartitionId,
    ) -> Result<u64, BusError> {
        check_partition(partition, self.partitions)?;
        let (stream, subject) =
            (self.names.stream(table, partition), self.names.entry(table, partition));
        let first = next_of(&self.context, &stream, &subject, 1).await?;
        Ok(first.map_or(0, |message| message.sequence))
    }

    /// Purges the partition's own subject up to and with `through`, but never its last entry.
    pub(super) async fn trim(
        &self,
        table: Table,
        partition: PartitionId,
        through: u64,
    ) -> Result<u64, BusError> {
        let Some(trimmer) = &self.trimmer else {
            return Err(BusError::Unavailable(NO_TRIMMER.to_owned()));
        };
        let Some((last, _)) = self.last(table, partition).await? else { return Ok(0) };
        let through = through.min(last.saturating_sub(1));
        let (stream, subject) =
            (self.names.stream(table, partition), self.names.entry(table, partition));
        let removed = purge(trimmer, &stream, &subject, through).await?;
        if let Some(registered) = locked(&self.followers).get(&(table, partition)) {
            registered.followed.feed.forget(through);
        }
        Ok(removed)
    }

    /// Entries after `after`; empty only when the stream's leader knows none.
    pub(super) async fn read_now(
        &self,
        table: Table,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        let Some((last, body)) = self.last(table, partition).await? else { return Ok(Vec::new()) };
        if last <= after {
            return Ok(Vec::new());
        }
        if let Some(found) = self.remembered(table, partition, after, limit) {
            return Ok(found);
        }
        // The replica that serves the consumer may lag behind the leader for a moment.
        for _ in 0..SCANS_MAX {
            let found = self.scan(table, partition, after, limit).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if last == after + 1 {
            return Ok(vec![(last, body)]);
        }
        Err(BusError::Unavailable(format!("entry {last} exists but cannot be read yet")))
    }

    /// As `read_now`, but waits until there is something, over any failure.
    pub(super) async fn poll(
        self: &Arc<Self>,
        table: Table,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        check_partition(partition, self.partitions)?;
        loop {
            let followed = self.follow(table, partition);
            let known = followed.feed.last_seq();
            match followed.feed.after(after, limit) {
                Some(found) if !found.is_empty() => return Ok(found),
                None if known > after => match self.scan(table, partition, after, limit).await {
                    Ok(found) if !found.is_empty() => return Ok(found),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(partition = partition.0, %error, "a read is tried again");
                        sleep(RETRY_AFTER).await;
                    }
                },
                Some(_) | None => {}
            }
            // Bounded, because a scan may have missed what is already known.
            let waited = followed.feed.wait_after(after.max(known));
            drop(timeout(HEARTBEAT_EVERY, waited).await);
        }
    }

    fn remembered(
        &self,
        table: Table,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Option<Vec<(u64, Bytes)>> {
        let followers = locked(&self.followers);
        let found = followers.get(&(table, partition))?.followed.feed.after(after, limit)?;
        (!found.is_empty()).then_some(found)
    }

    /// The follower of a subject, started if there is none.
    fn follow(self: &Arc<Self>, table: Table, partition: PartitionId) -> Arc<Followed> {
        let mut followers = locked(&self.followers);
        let registered = followers.entry((table, partition)).or_insert_with(|| {
            let (followed, end) = Followed::new(self.recent_bytes);
            let follower = Follower {
                client: self.client.clone(),
                names: Arc::clone(&self.names),
                table,
                partition,
                followed: Arc::clone(&followed),
                end,
                home: Arc::downgrade(self),
            };
            let task = spawn_abort_on_drop(TaskKind::Follower, "bus-follower", follower.run());
            Registered { followed, _task: task }
        });
        registered.followed.touch();
        Arc::clone(&registered.followed)
    }

    /// Takes a follower off the register if nobody read since `touches`.
    pub(super) fn forget(&self, table: Table, partition: PartitionId, touches: u64) -> bool {
        let mut followers = locked(&self.followers);
        let unread = followers
            .get(&(table, partition))
            .is_none_or(|registered| registered.followed.touches() == touches);
        if unread {
            followers.remove(&(table, partition));
        }
        unread
    }

    /// Reads a page with a consumer. Given up in the middle, it costs a new consumer and nothing else.
    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        let place = (table, partition);
        let left = locked(&self.scans).remove(&place).filter(|left| left.position() == after);
        let unavailable = |error: super::cursor::Lost| BusError::Unavailable(error.to_string());
        let mut cursor = match left {
            Some(cursor) => cursor,
            None => {
                let (stream, subject) =
                    (self.names.stream(table, partition), self.names.entry(table, partition));
                Cursor::open(&self.client, &stream, &subject, after).await.map_err(unavailable)?
            }
        };
        let found = page(&mut cursor, limit).await.map_err(unavailable)?;
        locked(&self.scans).insert(place, cursor);
        Ok(found)
    }
}

async fn page(
    cursor: &mut Cursor,
    limit: ReadLimit,
) -> Result<Vec<(u64, Bytes)>, super::cursor::Lost> {
    let mut found: Vec<(u64, Bytes)> = Vec::new();
    let mut bytes = 0;
    while found.len() < limit.values.max(1) {
        let before = cursor.position();
        let Next::Entry(entry) = cursor.next().await? else { break };
        bytes += entry.body.len();
        if bytes > limit.bytes && !found.is_empty() {
            cursor.put_back(entry, before);
            break;
        }
        let pending = entry.pending;
        found.push((entry.seq, entry.body));
        if pending == 0 {
            break;
        }
    }
    Ok(found)
}
