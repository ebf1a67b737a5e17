//! A follower keeps the newest entries of one subject in memory for everyone here who reads its end.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::Client;

use super::{
    cursor::{Cursor, Next},
    names::{Names, Table},
    publish::last_of,
    reads::Reads,
    streams,
};
use crate::{
    PartitionId,
    feed::{Feed, FeedEnd},
};

/// Heartbeats (of one second) without a reader after which a follower ends.
const IDLE_HEARTBEATS_MAX: u32 = 60;
/// Pause before a lost consumer is made again.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a follower and its readers share.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) feed: Feed,
    reads: AtomicU64,
}

impl Followed {
    pub(super) fn new(bytes_max: usize) -> (Arc<Self>, FeedEnd) {
        let (feed, end) = Feed::unknown(bytes_max);
        (Arc::new(Self { feed, reads: AtomicU64::new(0) }), end)
    }

    /// A reader says that it reads.
    pub(super) fn touch(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn touches(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

pub(super) struct Follower {
    pub(super) client: Client,
    pub(super) names: Arc<Names>,
    pub(super) table: Table,
    pub(super) partition: PartitionId,
    pub(super) followed: Arc<Followed>,
    pub(super) end: FeedEnd,
    /// Where the follower is registered; gone with the bus.
    pub(super) home: Weak<Reads>,
}

impl Follower {
    /// Runs until nobody has read for a while.
    pub(super) async fn run(self) {
        let mut position = self.find_end().await;
        self.followed.feed.reset(&self.end, position);
        let mut pause = PAUSE_MIN;
        let (stream, subject) = self.subject();
        loop {
            let before = position;
            match Cursor::open(&self.client, &stream, &subject, position).await {
                Ok(mut cursor) => match self.follow(&mut cursor).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(stream, partition = self.partition.0, %error, "reading on anew");
                        position = cursor.position();
                    }
                },
                Err(error) => {
                    tracing::warn!(stream, partition = self.partition.0, %error, "cannot read");
                }
            }
            pause = if position > before { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            tokio::time::sleep(pause).await;
        }
    }

    fn subject(&self) -> (String, String) {
        (
            self.names.stream(self.table, self.partition),
            self.names.entry(self.table, self.partition),
        )
    }

    async fn find_end(&self) -> u64 {
        let context = streams::context(&self.client);
        let (stream, subject) = self.subject();
        let mut pause = PAUSE_MIN;
        loop {
            match last_of(&context, &stream, &subject).await {
                Ok(last) => return last.map_or(0, |message| message.sequence),
                Err(error) => {
                    tracing::warn!(stream, partition = self.partition.0, %error, "cannot find the end");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Takes entries until nobody reads (`Ok`) or the cursor is lost.
    async fn follow(&self, cursor: &mut Cursor) -> Result<(), super::cursor::Lost> {
        let (mut touches, mut idle) = (self.followed.touches(), 0);
        loop {
            match cursor.next().await? {
                Next::Entry(entry) => self.followed.feed.push(&self.end, entry.seq, entry.body),
                Next::Idle => {}
            }
            let now = self.followed.touches();
            idle = if now == touches && !self.followed.feed.is_awaited() { idle + 1 } else { 0 };
            touches = now;
            if idle >= IDLE_HEARTBEATS_MAX && self.leave(touches) {
                return Ok(());
            }
        }
    }

    /// Leaves the register, unless a reader came meanwhile.
    fn leave(&self, touches: u64) -> bool {
        self.home.upgrade().is_none_or(|home| home.forget(self.table, self.partition, touches))
    }
}
