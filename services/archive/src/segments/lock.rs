//! One process writes the segments of a directory: an advisory lock that the system drops with its holder, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use super::{OPEN_ENDING, SegmentError, files, has_ending, partition_dirs, write::create_dir};

const LOCK_FILE: &str = "lock";

/// Nobody else writes there while it lives.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the directory, which is made where it is not there, and removes what a crash left half written.
    ///
    /// # Errors
    /// [`SegmentError::InUse`] when another process has it; else when the file system refuses.
    pub fn take(dir: &Path) -> Result<Self, SegmentError> {
        create_dir(dir)?;
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(SegmentError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SegmentError::InUse { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(SegmentError::io("lock", &path)(source));
            }
        }
        for (_, partition_dir) in partition_dirs(dir)? {
            for half in files(&partition_dir)?.iter().filter(|path| has_ending(path, OPEN_ENDING)) {
                std::fs::remove_file(half).map_err(SegmentError::io("remove", half))?;
            }
        }
        Ok(Self(file))
    }
}

impl Drop for Lock {
    /// Unlocks, not only closes: a child process that another thread is just starting still has the file open.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the segments directory is not unlocked before its file is closed");
        }
    }
}
