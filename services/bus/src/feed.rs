//! What was stored lately, in memory, so that a running owner or tailer does not ask the store.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::watch;

use crate::ReadLimit;

/// What an entry costs in memory besides its bytes.
const ENTRY_BYTES: usize = 64;

/// The newest entries of one partition's inbox or log.
#[derive(Debug)]
struct Ring {
    /// Every stored entry after this sequence is in `entries`.
    complete_after: u64,
    entries: VecDeque<(u64, Bytes)>,
    bytes: usize,
}

/// One partition's inbox or log as its readers see it.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Ring>,
    bytes_max: usize,
    last: watch::Receiver<u64>,
    /// Cloned by every reader for as long as it waits.
    waiting: Arc<()>,
}

/// The filling end of a [`Feed`]; its readers notice when it is dropped.
#[derive(Debug)]
pub(crate) struct FeedEnd {
    last: watch::Sender<u64>,
}

impl Feed {
    /// A feed that ends at `last` and has nothing in memory yet.
    pub(crate) fn new(last: u64, bytes_max: usize) -> (Self, FeedEnd) {
        let (sender, receiver) = watch::channel(last);
        let ring = Ring { complete_after: last, entries: VecDeque::new(), bytes: 0 };
        let ring = Mutex::new(ring);
        let feed = Self { ring, bytes_max, last: receiver, waiting: Arc::default() };
        (feed, FeedEnd { last: sender })
    }

    /// A feed of which nothing is known before its first [`Feed::reset`].
    pub(crate) fn unknown(bytes_max: usize) -> (Self, FeedEnd) {
        let (feed, end) = Self::new(0, bytes_max);
        feed.ring().complete_after = u64::MAX;
        (feed, end)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a stored entry.
    pub(crate) fn push(&self, end: &FeedEnd, seq: u64, body: Bytes) {
        let mut ring = self.ring();
        ring.bytes += body.len() + ENTRY_BYTES;
        ring.entries.push_back((seq, body));
        while ring.bytes > self.bytes_max {
            let Some((evicted, body)) = ring.entries.pop_front() else { break };
            ring.bytes -= body.len() + ENTRY_BYTES;
            ring.complete_after = evicted;
        }
        drop(ring);
        end.last.send_replace(seq);
    }

    /// Forgets everything: the feed ends at `last`, and only the store knows what is in it.
    pub(crate) fn reset(&self, end: &FeedEnd, last: u64) {
        let mut ring = self.ring();
        *ring = Ring { complete_after: last, entries: VecDeque::new(), bytes: 0 };
        drop(ring);
        end.last.send_replace(last);
    }

    /// Forgets the entries up to and with `through`: the store has removed them.
    pub(crate) fn forget(&self, through: u64) {
        let mut ring = self.ring();
        while ring.entries.front().is_some_and(|(seq, _)| *seq <= through) {
            let Some((_, body)) = ring.entries.pop_front() else { break };
            ring.bytes -= body.len() + ENTRY_BYTES;
        }
    }

    /// Entries after `after`; `None` when the store must be asked.
    pub(crate) fn after(&self, after: u64, limit: ReadLimit) -> Option<Vec<(u64, Bytes)>> {
        let ring = self.ring();
        if after < ring.complete_after {
            return None;
        }
        let start = ring.entries.partition_point(|(seq, _)| *seq <= after);
        let mut found: Vec<(u64, Bytes)> = Vec::new();
        let mut bytes = 0;
        for (seq, body) in ring.entries.iter().skip(start).take(limit.values.max(1)) {
            bytes += body.len();
            if bytes > limit.bytes && !found.is_empty() {
                break;
            }
            found.push((*seq, body.clone()));
        }
        Some(found)
    }

    /// The last entry; `None` when the store must be asked.
    pub(crate) fn last_entry(&self) -> Option<(u64, Bytes)> {
        self.ring().entries.back().cloned()
    }

    /// Sequence of the last entry (0: none).
    pub(crate) fn last_seq(&self) -> u64 {
        *self.last.borrow()
    }

    /// True while a reader waits.
    pub(crate) fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.waiting) > 1
    }

    /// Waits until there is an entry after `after`; false when nobody fills the feed any more.
    pub(crate) async fn wait_after(&self, after: u64) -> bool {
        let _waiting = Arc::clone(&self.waiting);
        self.last.clone().wait_for(|last| *last > after).await.is_ok()
    }
}
