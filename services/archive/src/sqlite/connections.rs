//! One connection that writes and a few that read, each used by one blocking thread at a time.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::schema;
use crate::ArchiveError;

/// Reads at once; more wait their turn.
const READERS: usize = 4;
/// The write-ahead log is copied into the file when it has this many pages (16 MiB): a page of an index that many messages
/// touch is then copied once for all of them.
const WAL_PAGES_BEFORE_CHECKPOINT: u32 = 4_096;
/// Page cache of the writer, which touches the same ends of trees again and again.
const WRITER_CACHE_KIB: i32 = 16 * 1024;
/// Page cache of a reader: SQLite empties it when something was written since it last read, and then fills it with what the query
/// touches. The operating system's cache serves the rest.
const READER_CACHE_KIB: i32 = 2 * 1024;
/// Prepared statements kept per connection: more than there are different ones.
const STATEMENTS: usize = 96;

#[derive(Debug)]
pub(super) struct Connections {
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    /// As many permits as there are readers.
    turns: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn open(path: &Path, installation: [u8; 8]) -> Result<Self, ArchiveError> {
        let mut writer = Connection::open(path)?;
        prepare(&writer, WRITER_CACHE_KIB)?;
        schema::create(&mut writer, path, installation)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let readers = (0..READERS)
            .map(|_| {
                let reader = Connection::open_with_flags(path, flags)?;
                prepare(&reader, READER_CACHE_KIB)?;
                Ok(reader)
            })
            .collect::<Result<Vec<_>, rusqlite::Error>>()?;
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            readers: Arc::new(Mutex::new(readers)),
            turns: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Runs `work` on the writing connection.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let writer = Arc::clone(&self.writer);
        let done = tokio::task::spawn_blocking(move || {
            // A panic inside leaves no open transaction: rusqlite rolls back when one is dropped.
            work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.map_err(|_| ArchiveError::Closed)?
    }

    /// Runs `work` in one read transaction on a reading connection.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|_| ArchiveError::Closed)?;
        let readers = Arc::clone(&self.readers);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let taken = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = Returned { connection: Some(taken.ok_or(ArchiveError::Closed)?), readers };
            let connection = reader.connection.as_ref().ok_or(ArchiveError::Closed)?;
            let transaction = connection.unchecked_transaction()?;
            work(&transaction)
        });
        done.await.map_err(|_| ArchiveError::Closed)?
    }
}

/// Puts the connection back, also when the work panicked.
struct Returned {
    connection: Option<Connection>,
    readers: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Returned {
    fn drop(&mut self) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.extend(self.connection.take());
    }
}

fn prepare(connection: &Connection, cache_kib: i32) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES_BEFORE_CHECKPOINT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}
