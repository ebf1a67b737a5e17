//! The embedded bus: one SQLite database in one directory, owned by one process.
//!
//! Owns the directory: its lock (a second process is refused), the database, and the threads on it. One
//! writer thread puts everything that waits (inbox, log, saves, checkpoints) into one transaction and
//! answers after the commit (`synchronous=FULL`), so that one flush of the disk serves all. Reads
//! of what was stored lately come from memory; the rest is read by two reader threads, one for
//! loads and one for long reads, so that a replay never delays a load.
//!
//! When a commit fails nothing of it counts: inbox appends are answered `Full` or `Unknown`, log appends
//! `Unknown`, saves `Unavailable`; the writer reads from the database what is true and goes on.
//! Below [`Options::min_free_bytes`] of free disk only inbox appends are refused, so that what
//! was accepted can still be decided. Signals and leases live in memory.

mod lock;
mod op;
mod reader;
mod rows;
mod schema;
mod snapshot;
mod space;
mod store;
mod writer;

use std::{io, path::PathBuf};

pub use store::{Store, open};

/// File name of the database in its directory.
pub const DATABASE_FILE: &str = "bus.db";
/// File name of the lock in the directory.
pub const LOCK_FILE: &str = "lock";

/// How an embedded bus is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of partitions; stored when the directory is created, and must be the same ever after.
    pub partitions: u16,
    /// Free bytes of the file system below which inbox appends are refused as `Full`.
    pub min_free_bytes: u64,
    /// Bytes of recent entries kept in memory per partition, for the inbox and for the log each.
    pub recent_bytes: usize,
    /// Bytes of requests that may wait for the writer; more make their callers wait.
    pub queue_bytes: usize,
    /// Most pages (of 4 KiB) of the database; more is `SQLITE_FULL`. `None`: only the disk limits it.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: 8,
            min_free_bytes: 64 * 1024 * 1024,
            recent_bytes: 2 * 1024 * 1024,
            queue_bytes: 16 * 1024 * 1024,
            max_pages: None,
        }
    }
}

/// Why a directory was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or its lock file cannot be made or opened.
    #[error("cannot use the data directory {}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process (or another bus of this one) has it.
    #[error(
        "the data directory {} is in use by process {holder}: stop that process, or give this one a \
         directory of its own",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Process id the holder wrote into the lock file, or `unknown`.
        holder: String,
    },
    /// The database does not pass SQLite's check.
    #[error(
        "the database {} is damaged ({detail}): keep a copy of it and its -wal file, then restore the \
         directory from a backup; nothing was changed",
        path.display()
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What the check said first.
        detail: String,
    },
    /// The file is a database of another program.
    #[error("the database {} was not made by Tandem: choose another directory", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// Written by a newer build.
    #[error(
        "the database {} has schema version {found}, newer than the {known} this build knows: upgrade \
         Tandem",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version of this build.
        known: i64,
    },
    /// The configured number of partitions is not the one it was created with.
    #[error(
        "the directory {} was created with {stored} partitions, but {configured} are configured: set \
         {stored}, or reshard",
        path.display()
    )]
    Partitions {
        /// The directory.
        path: PathBuf,
        /// Number it was created with.
        stored: u16,
        /// Number configured now.
        configured: u16,
    },
    /// SQLite failed otherwise.
    #[error("cannot open the database {}", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}
