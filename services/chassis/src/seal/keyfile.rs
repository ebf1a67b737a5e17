//! `installation.key`: 32 raw bytes, readable by its owner only, written once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The key's file in the data directory.
pub const FILE_NAME: &str = "installation.key";
const KEY_BYTES: u64 = 32;

/// Why the installation key could not be used. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file or its directory could not be read, created or made durable.
    #[error("cannot {doing} {}: give the user of this process access to it", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Not a key, or a damaged one.
    #[error(
        "{} has {found} bytes, an installation key has 32: restore the file from a backup \
         (what was sealed with the old key can be read with nothing else)", path.display()
    )]
    WrongSize {
        /// The key file.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
    },
    /// Group or others may read or write the key.
    #[error("{} has mode {mode:03o}, so others may read the key: run chmod 600 on it", path.display())]
    OpenPermissions {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, a device or a pipe stands in the file's place.
    #[error("{} is not a regular file: move it away and restore the key", path.display())]
    NotAFile {
        /// The key file.
        path: PathBuf,
    },
    /// The system gave no randomness for a new key.
    #[error("the system gave no randomness for a new installation key: {0}")]
    NoRandomness(getrandom::Error),
}

type Key = Zeroizing<[u8; 32]>;

pub(super) fn read_or_create(dir: &Path) -> Result<Key, KeyFileError> {
    let path = dir.join(FILE_NAME);
    match read(&path)? {
        Some(key) => Ok(key),
        None => {
            create(dir, &path)?;
            // Read back: of two processes starting at once one has won, and both must use its key.
            read(&path)?.ok_or(KeyFileError::WrongSize { path, found: 0 })
        }
    }
}

fn read(path: &Path) -> Result<Option<Key>, KeyFileError> {
    let fail = |doing| move |source| KeyFileError::Io { doing, path: path.to_path_buf(), source };
    // Looked at before it is opened: opening a pipe would block.
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            return Err(KeyFileError::NotAFile { path: path.to_path_buf() });
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail("look at")(e)),
    }
    let mut file = File::open(path).map_err(fail("read"))?;
    let meta = file.metadata().map_err(fail("look at"))?;
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::OpenPermissions { path: path.to_path_buf(), mode });
    }
    if meta.len() != KEY_BYTES {
        return Err(KeyFileError::WrongSize { path: path.to_path_buf(), found: meta.len() });
    }
    let mut key = Zeroizing::new([0u8; 32]);
    file.read_exact(key.as_mut_slice()).map_err(fail("read"))?;
    Ok(Some(key))
}

/// Writes a new key beside its place and links it there: a crash leaves no half key, and a link,
/// unlike a rename, never replaces the key of a process that was faster.
fn create(dir: &Path, path: &Path) -> Result<(), KeyFileError> {
    let io_at =
        |doing, at: &Path, source| KeyFileError::Io { doing, path: at.to_path_buf(), source };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| io_at("create the directory", dir, e))?;

    let mut key = Zeroizing::new([0u8; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(KeyFileError::NoRandomness)?;
    let mut suffix = [0u8; 8];
    getrandom::fill(&mut suffix).map_err(KeyFileError::NoRandomness)?;
    let draft = dir.join(format!("{FILE_NAME}.{:016x}", u64::from_le_bytes(suffix)));

    let written = write_durably(&draft, key.as_slice())
        .and_then(|()| match std::fs::hard_link(&draft, path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        })
        .map_err(|e| io_at("write", path, e));
    // The draft goes in any case; failing to remove it leaves a key nobody uses.
    let _ = std::fs::remove_file(&draft);
    written?;
    // The directory holds the link, and its parent may hold a directory just created.
    sync_dir(dir).map_err(|e| io_at("make durable", dir, e))?;
    let parent =
        dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    sync_dir(parent).map_err(|e| io_at("make durable", parent, e))
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
