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

use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{apply, connections::Connections};
use crate::{
    ArchiveError,
    repository::{Applied, Batch},
};

type Answer = Result<Applied, ArchiveError>;

struct Waiting {
    batch: Batch,
    answer: oneshot::Sender<Answer>,
}

/// What waits for the next transaction.
pub(super) struct Group {
    connections: Arc<Connections>,
    waiting: Mutex<Vec<Waiting>>,
    clock: Clock,
    /// Least time between the beginnings of two transactions.
    pace_us: u64,
    begun_us: AtomicU64,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group")
    }
}

impl Group {
    pub(super) fn new(connections: Arc<Connections>, pace: Duration) -> Self {
        Self {
            connections,
            waiting: Mutex::default(),
            clock: Clock::system(),
            pace_us: u64::try_from(pace.as_micros()).unwrap_or(u64::MAX),
            begun_us: AtomicU64::new(0),
        }
    }

    /// Applies a batch together with whatever else waits.
    pub(super) async fn apply(self: &Arc<Self>, batch: Batch) -> Answer {
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
        let since_us = self.clock.boot_us().saturating_sub(self.begun_us.load(Ordering::Relaxed));
        if since_us < self.pace_us {
            tokio::time::sleep(Duration::from_micros(self.pace_us - since_us)).await;
        }
        self.begun_us.store(self.clock.boot_us(), Ordering::Relaxed);
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (batches, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| (waiting.batch, waiting.answer)).unzip();
        // Where this fails as a whole, nobody is answered, which is an answer.
        let applied = self.connections.write(move |db| Ok(apply_all(db, &batches))).await;
        for (answer, applied) in answers.into_iter().zip(applied.unwrap_or_default()) {
            // Who stopped waiting will look where the read model stands.
            drop(answer.send(applied));
        }
    }
}

/// All in one transaction; where that fails, each in its own, so that one bad batch stops only its partition.
fn apply_all(db: &mut Connection, batches: &[Batch]) -> Vec<Answer> {
    match apply::together(db, batches) {
        Ok(applied) => applied.into_iter().map(Ok).collect(),
        Err(error) if batches.len() == 1 => vec![Err(error)],
        Err(_) => batches.iter().map(|batch| apply::apply(db, batch)).collect(),
    }
}
