//! Batches of several partitions in one transaction: the pages of an index that many messages touch are then written
//! once for all of them.
//!
//! Where a pace is set, a transaction begins at most so often and takes everything that waits by then; a batch that comes
//! alone is applied at once.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    ArchiveError,
    repository::{Applied, Batch},
};

/// What became of one batch.
pub(crate) type Answer = Result<Applied, ArchiveError>;

/// Where batches are applied.
#[async_trait]
pub(crate) trait Together: Send + Sync + 'static {
    /// Applies batches in one transaction; one answer for each, in order. Where that fails for a reason of one batch, the others
    /// are applied all the same. A batch without an answer is answered [`ArchiveError::Closed`].
    async fn apply_all(&self, batches: Vec<Batch>) -> Vec<Answer>;
}

struct Waiting {
    batch: Batch,
    answer: oneshot::Sender<Answer>,
}

/// What waits for the next transaction.
pub(crate) struct Group<S> {
    store: Arc<S>,
    /// Who has it applies what waits: what comes meanwhile waits together.
    turn: Semaphore,
    waiting: Mutex<Vec<Waiting>>,
    clock: Clock,
    /// Least time between the beginnings of two transactions.
    pace_us: u64,
    begun_us: AtomicU64,
}

impl<S> std::fmt::Debug for Group<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group")
    }
}

impl<S: Together> Group<S> {
    pub(crate) fn new(store: Arc<S>, pace: Duration) -> Self {
        Self {
            store,
            turn: Semaphore::new(1),
            waiting: Mutex::default(),
            clock: Clock::system(),
            pace_us: u64::try_from(pace.as_micros()).unwrap_or(u64::MAX),
            begun_us: AtomicU64::new(0),
        }
    }

    /// Applies a batch together with whatever else waits.
    pub(crate) async fn apply(self: &Arc<Self>, batch: Batch) -> Answer {
        let (answer, applied) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Waiting { batch, answer });
            waiting.len() == 1
        };
        if is_first {
            let group = Arc::clone(self);
            // A task of its own: who waits may stop waiting, the others must still be served.
            let run = async move { group.run().await };
            task::spawn(TaskKind::Call, "archive apply", run).detach();
        }
        applied.await.unwrap_or(Err(ArchiveError::Closed))
    }

    async fn run(&self) {
        // Nobody closes it.
        let Ok(_turn) = self.turn.acquire().await else { return };
        let since_us = self.clock.boot_us().saturating_sub(self.begun_us.load(Ordering::Relaxed));
        if since_us < self.pace_us {
            tokio::time::sleep(Duration::from_micros(self.pace_us - since_us)).await;
        }
        self.begun_us.store(self.clock.boot_us(), Ordering::Relaxed);
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (batches, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| (waiting.batch, waiting.answer)).unzip();
        let applied = self.store.apply_all(batches).await;
        for (answer, applied) in answers.into_iter().zip(applied) {
            // Who stopped waiting will look where the read model stands.
            drop(answer.send(applied));
        }
    }
}
