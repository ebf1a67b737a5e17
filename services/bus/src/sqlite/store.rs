//! The opened directory: threads, queues, and the traits on them.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{Builder, JoinHandle},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{
    OpenError, Options,
    lock::DirectoryLock,
    op::{Op, Request},
    reader::{Reader, send_blocking},
    rows::{self, Table},
    schema,
    space::Space,
    writer::{BATCH_MAX, Ends, Feeds, Writer, read_ends},
};
use crate::{
    AppendError, Bus, BusError, Checkpoint, EntityId, Inbox, Log, LogAppendError, PartPut,
    PartitionId, ReadLimit, SavedPart, ScanMark, ScanPage, States,
    feed::{Feed, FeedEnd},
    limits::{check_checkpoint, check_entry, check_partition, check_puts, check_record},
    local::{LocalLeases, LocalSignals},
};

/// Requests that may wait for the writer: two transactions' worth.
const REQUESTS_MAX: usize = 2 * BATCH_MAX;
/// Unit in which waiting bytes are counted.
const SHARE_BYTES: usize = 1024;

/// Opens (or creates) the embedded bus in `dir`. It is flushed and closed when the last clone of
/// the returned bus is dropped; [`Store`] gives control over that moment.
///
/// # Errors
/// See [`OpenError`]; each says what to do.
pub fn open(dir: &Path, options: Options) -> Result<Bus, OpenError> {
    Store::open(dir, options).map(|store| store.bus())
}

/// An opened directory; clones share it.
#[derive(Clone)]
pub struct Store {
    core: Arc<Core>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("partitions", &self.core.partitions).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens (or creates) the embedded bus in `dir`.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Core::open(dir, options).map(|core| Self { core: Arc::new(core) })
    }

    /// The bus of this directory.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus {
            inbox: self.core.clone(),
            log: self.core.clone(),
            states: self.core.clone(),
            leases: Arc::clone(&self.core.leases) as _,
            signals: Arc::clone(&self.core.signals) as _,
            partitions: self.core.partitions,
        }
    }

    /// Stores what was already asked for, then ends: the directory is free when this returns, and
    /// every later request answers `Closed`. Blocks for as long as the disk takes.
    pub fn close(&self) {
        self.core.close();
    }

    /// Copies everything that is stored at one moment (inboxes, logs, states of all partitions) into a new
    /// database file at `to`, durably, while requests go on. Blocks for as long as it takes.
    ///
    /// # Errors
    /// When the copy cannot be made; then there is no file at `to`.
    pub fn snapshot(&self, to: &Path) -> Result<(), BusError> {
        super::snapshot::snapshot(&self.core.dir, to)
    }

    /// Changes [`Options::max_pages`] of the open database.
    ///
    /// # Errors
    /// When the store is closed or SQLite refuses.
    pub async fn set_max_pages(&self, pages: Option<u32>) -> Result<(), BusError> {
        let answered = self.core.send(0, |answer| Op::MaxPages { pages, answer }).await;
        answered.map_err(NotSent::bus_error)?.await.unwrap_or(Err(BusError::Closed))
    }
}

struct Core {
    dir: PathBuf,
    partitions: u16,
    feeds: Arc<Feeds>,
    queue: mpsc::Sender<Request>,
    shares: Arc<Semaphore>,
    shares_max: usize,
    loads: Reader,
    scans: Reader,
    signals: Arc<LocalSignals>,
    leases: Arc<LocalLeases>,
    /// Taken by whoever closes first.
    running: Mutex<Option<Running>>,
}

struct Running {
    readers: [JoinHandle<()>; 2],
    writer: JoinHandle<()>,
    // Dropped after the threads ended: only then may another process have the directory.
    _lock: DirectoryLock,
}

/// The writer is gone; the request was not stored.
struct NotSent;

impl NotSent {
    fn bus_error(self) -> BusError {
        BusError::Closed
    }
}

impl Core {
    fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let io_failed = |source| OpenError::Directory { path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_failed)?;
        let lock = DirectoryLock::take(dir)?;
        let connection = schema::open_writer(dir, &options)?;
        let ends = read_ends(&connection, options.partitions)
            .map_err(|error| schema::open_error(&dir.join(super::DATABASE_FILE), error))?;
        let feed = |last: fn(&Ends) -> u64| -> (Vec<Feed>, Vec<FeedEnd>) {
            ends.iter().map(|ends| Feed::new(last(ends), options.recent_bytes)).unzip()
        };
        let (inbox, inbox_ends) = feed(|ends| ends.inbox);
        let (log, log_ends) = feed(|ends| ends.log);
        let feeds = Arc::new(Feeds { inbox, log });
        let (queue, requests) = mpsc::channel(REQUESTS_MAX);
        let (loads, loads_thread) = Reader::new(schema::open_reader(dir)?);
        let (scans, scans_thread) = Reader::new(schema::open_reader(dir)?);
        let writer = Writer {
            connection,
            requests,
            feeds: Arc::clone(&feeds),
            inbox_ends,
            log_ends,
            ends,
            space: Space::new(dir, options.min_free_bytes),
            doubtful: false,
        };
        let readers = [
            start("bus-loads", || loads_thread.run()).map_err(io_failed)?,
            start("bus-scans", || scans_thread.run()).map_err(io_failed)?,
        ];
        let writer = start("bus-writer", || writer.run()).map_err(io_failed)?;
        let shares_max = (options.queue_bytes / SHARE_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            dir: dir.to_owned(),
            partitions: options.partitions,
            feeds,
            queue,
            shares: Arc::new(Semaphore::new(shares_max)),
            shares_max,
            loads,
            scans,
            signals: Arc::default(),
            leases: Arc::default(),
            running: Mutex::new(Some(Running { readers, writer, _lock: lock })),
        })
    }

    fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        self.signals.close();
        self.loads.stop();
        self.scans.stop();
        for reader in running.readers {
            join(reader);
        }
        // The writer is the last connection, so that SQLite folds its log away.
        send_blocking(&self.queue, Request { op: Op::Close, _share: None });
        join(running.writer);
    }

    /// Sends a request of `bytes` bytes and answers where its result will come.
    async fn send<T>(
        &self,
        bytes: usize,
        op: impl FnOnce(oneshot::Sender<T>) -> Op,
    ) -> Result<oneshot::Receiver<T>, NotSent> {
        let shares = (bytes / SHARE_BYTES + 1).min(self.shares_max);
        let shares = u32::try_from(shares).unwrap_or(u32::MAX);
        let share =
            Arc::clone(&self.shares).acquire_many_owned(shares).await.map_err(|_| NotSent)?;
        let (answer, answered) = oneshot::channel();
        let request = Request { op: op(answer), _share: Some(share) };
        self.queue.send(request).await.map_err(|_| NotSent)?;
        Ok(answered)
    }

    fn feed(&self, table: Table, partition: PartitionId) -> Result<&Feed, BusError> {
        check_partition(partition, self.partitions)?;
        if self.queue.is_closed() {
            return Err(BusError::Closed);
        }
        self.feeds.of(table, partition).ok_or(BusError::Closed)
    }

    async fn read_now(
        &self,
        table: Table,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        if let Some(found) = self.feed(table, partition)?.after(after, limit) {
            return Ok(found);
        }
        self.scans
            .ask(move |connection| rows::entries_after(connection, table, partition, after, limit))
            .await
    }

    async fn trim_table(
        &self,
        table: Table,
        partition: PartitionId,
        through: u64,
    ) -> Result<u64, BusError> {
        let feed = self.feed(table, partition)?;
        let through = through.min(feed.last_seq().saturating_sub(1));
        let mut removed = 0;
        // Slice by slice, each one request among others: commits go on in between.
        loop {
            let op = |answer| Op::Trim { table, partition, through, answer };
            let answered = self.send(0, op).await.map_err(NotSent::bus_error)?;
            let slice = answered.await.unwrap_or(Err(BusError::Closed))?;
            removed += slice;
            if slice < table.slice() {
                feed.forget(through);
                return Ok(removed);
            }
        }
    }

    async fn poll(
        &self,
        table: Table,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        loop {
            if !self.feed(table, partition)?.wait_after(after).await {
                return Err(BusError::Closed);
            }
            let found = self.read_now(table, partition, after, limit).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.close();
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the embedded bus panicked");
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(run)
}

#[async_trait]
impl Inbox for Core {
    async fn append(&self, partition: PartitionId, entry: Bytes) -> Result<u64, AppendError> {
        check_entry(partition, self.partitions, &entry)?;
        let bytes = entry.len();
        let sent = self.send(bytes, |answer| Op::Inbox { partition, body: entry, answer }).await;
        let answered = sent.map_err(|NotSent| AppendError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(AppendError::Unknown("the writer ended".into())))
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.poll(Table::Inbox, partition, after, limit).await
    }

    async fn last(&self, partition: PartitionId) -> Result<u64, BusError> {
        self.feed(Table::Inbox, partition).map(Feed::last_seq)
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        self.trim_table(Table::Inbox, partition, through).await
    }
}

#[async_trait]
impl Log for Core {
    async fn append(
        &self,
        partition: PartitionId,
        expected_last: u64,
        record: Bytes,
    ) -> Result<u64, LogAppendError> {
        check_record(partition, self.partitions, &record)?;
        let bytes = record.len();
        let op = |answer| Op::Log { partition, expected_last, body: record, answer };
        let answered = self.send(bytes, op).await.map_err(|NotSent| LogAppendError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(LogAppendError::Unknown("the writer ended".into())))
    }

    async fn last(&self, partition: PartitionId) -> Result<Option<(u64, Bytes)>, BusError> {
        let feed = self.feed(Table::Log, partition)?;
        if let Some(last) = feed.last_entry() {
            return Ok(Some(last));
        }
        self.scans
            .ask(move |connection| {
                let last = rows::last_seq(connection, Table::Log, partition)?;
                let one = ReadLimit { values: 1, bytes: 0 };
                let before = last.saturating_sub(1);
                let found = rows::entries_after(connection, Table::Log, partition, before, one)?;
                Ok(found.into_iter().next())
            })
            .await
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.read_now(Table::Log, partition, after, limit).await
    }

    async fn tail(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.poll(Table::Log, partition, after, limit).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        self.trim_table(Table::Log, partition, through).await
    }
}

#[async_trait]
impl States for Core {
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError> {
        check_partition(partition, self.partitions)?;
        self.loads.ask(move |connection| rows::parts_of(connection, partition, entity)).await
    }

    async fn put(&self, partition: PartitionId, puts: Vec<PartPut>) -> Result<(), BusError> {
        check_partition(partition, self.partitions)?;
        check_puts(&puts)?;
        let bytes = puts.iter().map(|put| put.part.bytes.as_ref().map_or(0, Bytes::len)).sum();
        let sent = self.send(bytes, |answer| Op::Put { partition, puts, answer }).await;
        sent.map_err(NotSent::bus_error)?.await.unwrap_or(Err(BusError::Closed))
    }

    async fn scan(
        &self,
        partition: PartitionId,
        from: Option<ScanMark>,
    ) -> Result<ScanPage, BusError> {
        check_partition(partition, self.partitions)?;
        let after = from.map(|mark| mark.0).unwrap_or_default();
        self.scans.ask(move |connection| rows::scan(connection, partition, &after)).await
    }

    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError> {
        check_partition(partition, self.partitions)?;
        self.loads.ask(move |connection| rows::checkpoint(connection, partition)).await
    }

    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError> {
        check_partition(partition, self.partitions)?;
        check_checkpoint(&checkpoint)?;
        let bytes = checkpoint.bytes.len();
        let sent =
            self.send(bytes, |answer| Op::Checkpoint { partition, checkpoint, answer }).await;
        sent.map_err(NotSent::bus_error)?.await.unwrap_or(Err(BusError::Closed))
    }
}
