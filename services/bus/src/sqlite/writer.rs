//! The writer thread: everything that waits goes into one transaction; answers follow the commit.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::{
    op::{Failure, Op, Outcome, Request},
    rows::{self, Table},
    schema,
    space::Space,
};
use crate::{
    PartitionId,
    feed::{Feed, FeedEnd},
};

/// Most requests in one transaction: at 74 k rows/s one takes about 7 ms, which bounds how long an
/// answer waits for others.
pub(super) const BATCH_MAX: usize = 512;

/// Histogram: requests per transaction.
const COMMIT_REQUESTS: &str = "tandem_bus_commit_requests";
/// Counter, label `reason`: transactions that failed.
const COMMIT_FAILURES_TOTAL: &str = "tandem_bus_commit_failures_total";

/// The two feeds of every partition, by partition number.
#[derive(Debug)]
pub(super) struct Feeds {
    pub(super) inbox: Vec<Feed>,
    pub(super) log: Vec<Feed>,
}

impl Feeds {
    pub(super) fn of(&self, table: Table, partition: PartitionId) -> Option<&Feed> {
        match table {
            Table::Inbox => self.inbox.get(usize::from(partition.0)),
            Table::Log => self.log.get(usize::from(partition.0)),
        }
    }
}

/// Last sequences of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) inbox: u64,
    pub(super) log: u64,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) feeds: Arc<Feeds>,
    pub(super) inbox_ends: Vec<FeedEnd>,
    pub(super) log_ends: Vec<FeedEnd>,
    pub(super) ends: Vec<Ends>,
    pub(super) space: Space,
    /// Set while the database may hold more or less than `ends` says.
    pub(super) doubtful: bool,
}

/// Reads where every partition ends.
pub(super) fn read_ends(connection: &Connection, partitions: u16) -> rusqlite::Result<Vec<Ends>> {
    (0..partitions)
        .map(|partition| {
            Ok(Ends {
                inbox: rows::last_seq(connection, Table::Inbox, PartitionId(partition))?,
                log: rows::last_seq(connection, Table::Log, PartitionId(partition))?,
            })
        })
        .collect()
}

impl Writer {
    /// Runs until it is closed and everything sent before is answered.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        while self.requests.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            if batch.iter().any(|request| matches!(request.op, Op::Close)) {
                self.requests.close();
            }
            self.serve(std::mem::take(&mut batch));
        }
        // Everything is durable in the WAL already; this only leaves one tidy file behind.
        let tidied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = tidied {
            tracing::warn!(%error, "the write-ahead log was not folded into the database on close");
        }
    }

    fn serve(&mut self, batch: Vec<Request>) {
        let mut ends = self.ends.clone();
        match self.commit(&batch, &mut ends) {
            Ok(outcomes) => {
                self.ends = ends;
                for (request, outcome) in batch.into_iter().zip(outcomes) {
                    self.publish(&request.op, &outcome);
                    request.op.answer(outcome);
                }
            }
            Err(error) => {
                let failure = Failure::from(&error);
                self.recover(&failure);
                batch.into_iter().for_each(|request| request.op.fail(&failure));
            }
        }
    }

    fn commit(
        &mut self,
        batch: &[Request],
        ends: &mut Vec<Ends>,
    ) -> rusqlite::Result<Vec<Outcome>> {
        if self.doubtful {
            self.settle()?;
            ends.clone_from(&self.ends);
        }
        let shortage = self.space.shortage();
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let outcomes: Vec<Outcome> = batch
            .iter()
            .map(|request| self.apply(&request.op, ends, shortage))
            .collect::<rusqlite::Result<_>>()?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        metrics::histogram!(COMMIT_REQUESTS).record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        Ok(outcomes)
    }

    fn apply(
        &self,
        op: &Op,
        ends: &mut [Ends],
        shortage: Option<u64>,
    ) -> rusqlite::Result<Outcome> {
        let connection = &self.connection;
        match op {
            Op::Inbox { partition, body, .. } => {
                if let Some(free_bytes) = shortage {
                    return Ok(Outcome::Short { free_bytes });
                }
                let Some(end) = ends.get_mut(usize::from(partition.0)) else {
                    return Ok(Outcome::Conflict);
                };
                rows::insert(connection, Table::Inbox, *partition, end.inbox + 1, body)?;
                end.inbox += 1;
                Ok(Outcome::Stored(end.inbox))
            }
            Op::Log { partition, expected_last, body, .. } => {
                let Some(end) = ends.get_mut(usize::from(partition.0)) else {
                    return Ok(Outcome::Conflict);
                };
                if end.log != *expected_last {
                    return Ok(Outcome::Conflict);
                }
                rows::insert(connection, Table::Log, *partition, end.log + 1, body)?;
                end.log += 1;
                Ok(Outcome::Stored(end.log))
            }
            Op::Put { partition, puts, .. } => {
                puts.iter().try_for_each(|put| rows::put_part(connection, *partition, put))?;
                Ok(Outcome::Done)
            }
            Op::Checkpoint { partition, checkpoint, .. } => {
                rows::put_checkpoint(connection, *partition, checkpoint)?;
                Ok(Outcome::Done)
            }
            Op::Trim { table, partition, through, .. } => {
                let Some(end) = ends.get(usize::from(partition.0)) else {
                    return Ok(Outcome::Removed(0));
                };
                let last = match table {
                    Table::Inbox => end.inbox,
                    Table::Log => end.log,
                };
                let through = (*through).min(last.saturating_sub(1));
                rows::delete_through(connection, *table, *partition, through).map(Outcome::Removed)
            }
            Op::MaxPages { pages, .. } => {
                schema::set_max_pages(connection, *pages)?;
                Ok(Outcome::Done)
            }
            Op::Close => Ok(Outcome::Done),
        }
    }

    /// Makes a committed entry visible, before its append is answered.
    fn publish(&self, op: &Op, outcome: &Outcome) {
        let Outcome::Stored(seq) = *outcome else { return };
        let (table, partition, body, ends) = match op {
            Op::Inbox { partition, body, .. } => (Table::Inbox, partition, body, &self.inbox_ends),
            Op::Log { partition, body, .. } => (Table::Log, partition, body, &self.log_ends),
            Op::Put { .. }
            | Op::Checkpoint { .. }
            | Op::Trim { .. }
            | Op::MaxPages { .. }
            | Op::Close => return,
        };
        let end = ends.get(usize::from(partition.0));
        if let (Some(feed), Some(end)) = (self.feeds.of(table, *partition), end) {
            feed.push(end, seq, body.clone());
        }
    }

    /// After a failed transaction nothing in memory is believed: the database says what is true.
    fn recover(&mut self, failure: &Failure) {
        let reason = if failure.is_full() { "full" } else { "other" };
        metrics::counter!(COMMIT_FAILURES_TOTAL, "reason" => reason).increment(1);
        tracing::error!(error = failure.why(), "a transaction of the embedded bus failed");
        self.doubtful = true;
        if let Err(error) = self.settle() {
            tracing::error!(%error, "the embedded bus cannot be read after a failed transaction");
        }
    }

    fn settle(&mut self) -> rusqlite::Result<()> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        let found =
            read_ends(&self.connection, u16::try_from(self.ends.len()).unwrap_or(u16::MAX))?;
        let feeds = self.feeds.inbox.iter().zip(&self.feeds.log);
        let writers = self.inbox_ends.iter().zip(&self.log_ends);
        let changes = self.ends.iter().zip(&found);
        for (((inbox, log), (inbox_end, log_end)), (known, found)) in
            feeds.zip(writers).zip(changes)
        {
            if known.inbox != found.inbox {
                inbox.reset(inbox_end, found.inbox);
            }
            if known.log != found.log {
                log.reset(log_end, found.log);
            }
        }
        self.ends = found;
        self.doubtful = false;
        Ok(())
    }
}
