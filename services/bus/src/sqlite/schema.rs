//! The database file: how a connection is set up, what the tables are, and what is checked on start.

use std::{fs::File, io, path::Path};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::{DATABASE_FILE, OpenError, Options};

/// Version of the tables below, kept in `user_version`. A newer one is refused.
pub(super) const SCHEMA_VERSION: i64 = 1;
/// Marks the file as ours (`application_id`): "TNDM".
const APPLICATION_ID: i64 = 0x544E_444D;
/// Statements a connection keeps prepared; more than there are in the code.
const STATEMENTS_MAX: usize = 32;
/// The WAL is copied into the database when it has this many pages (16 MiB), and cut back to
/// `WAL_BYTES_KEPT` afterwards, so that one burst does not keep the disk.
const WAL_PAGES_BEFORE_CHECKPOINT: u32 = 4096;
const WAL_BYTES_KEPT: u32 = 64 * 1024 * 1024;
/// Page cache of the writer. Appends touch the ends of trees; a larger one is dearer, because SQLite looks through all of its
/// slots in every commit that has rebalanced a tree (`pcache1TruncateUnsafe`).
const CACHE_KIB: u32 = 4 * 1024;

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    -- id = partition and sequence in one integer, see rows.rs.
    CREATE TABLE inbox (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE log (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE part (
        partition INTEGER NOT NULL,
        entity BLOB NOT NULL,
        name TEXT NOT NULL,
        generation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        step INTEGER NOT NULL,
        body BLOB,
        PRIMARY KEY (partition, entity, name)
    ) STRICT;
    CREATE TABLE checkpoint (
        partition INTEGER PRIMARY KEY,
        generation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        step INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
";

/// Opens the database for writing, creates it if it is new, and checks it.
pub(super) fn open_writer(dir: &Path, options: &Options) -> Result<Connection, OpenError> {
    let path = dir.join(DATABASE_FILE);
    let failed = |error| open_error(&path, error);
    let is_new = !path.exists();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    check_identity(&connection, &path)?;
    set_up_writer(&connection, options).map_err(failed)?;
    create(&mut connection, options.partitions).map_err(failed)?;
    if is_new {
        sync_directories(dir)
            .map_err(|source| OpenError::Directory { path: dir.to_owned(), source })?;
    }
    check_integrity(&connection, &path)?;
    check_partitions(&connection, dir, options.partitions)?;
    // Only now: a directory that holds more than the limit must still open.
    set_max_pages(&connection, options.max_pages).map_err(failed)?;
    Ok(connection)
}

/// Opens the database for reading, after [`open_writer`].
pub(super) fn open_reader(dir: &Path) -> Result<Connection, OpenError> {
    let path = dir.join(DATABASE_FILE);
    let failed = |error| open_error(&path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    set_up_any(&connection).map_err(failed)?;
    Ok(connection)
}

/// Limits the number of pages; `None` takes the limit away.
pub(super) fn set_max_pages(connection: &Connection, pages: Option<u32>) -> rusqlite::Result<()> {
    let pages = pages.unwrap_or(u32::MAX - 1);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

/// Tells damage from other failures.
pub(super) fn open_error(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Damaged { path, detail: error.to_string() }
        }
        _ => OpenError::Sqlite { path, source: error },
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Refuses another program's file and a newer build's before anything is written to it.
fn check_identity(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let tables = "SELECT count(*) FROM sqlite_schema";
        Ok((
            connection.query_row(tables, [], |row| row.get(0))?,
            pragma(connection, "application_id")?,
            pragma(connection, "user_version")?,
        ))
    };
    let (tables, application, found) = read().map_err(|error| open_error(path, error))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > SCHEMA_VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(())
}

fn set_up_any(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.execute_batch(
        "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;",
    )
}

fn set_up_writer(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    set_up_any(connection)?;
    // fullfsync matters on Apple systems only, where a plain fsync does not reach the disk.
    connection.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA wal_autocheckpoint = {WAL_PAGES_BEFORE_CHECKPOINT};
         PRAGMA journal_size_limit = {WAL_BYTES_KEPT};",
    ))?;
    tracing::debug!(partitions = options.partitions, "opened the embedded bus");
    Ok(())
}

fn create(connection: &mut Connection, partitions: u16) -> rusqlite::Result<()> {
    if pragma(connection, "user_version")? == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("INSERT INTO meta (key, value) VALUES ('partitions', ?1)", [partitions])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// Makes the names of new files survive a power cut.
fn sync_directories(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    match dir.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn check_integrity(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| open_error(path, error))?;
    if said == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.to_owned(), detail: said })
}

fn check_partitions(connection: &Connection, dir: &Path, configured: u16) -> Result<(), OpenError> {
    let path = dir.join(DATABASE_FILE);
    let stored: Option<u16> = connection
        .query_row("SELECT value FROM meta WHERE key = 'partitions'", [], |row| row.get(0))
        .optional()
        .map_err(|error| open_error(&path, error))?;
    match stored {
        Some(stored) if stored == configured => Ok(()),
        Some(stored) => Err(OpenError::Partitions { path: dir.to_owned(), stored, configured }),
        None => Err(OpenError::Damaged { path, detail: "its partition count is missing".into() }),
    }
}
