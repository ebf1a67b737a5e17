//! One process per directory: an advisory lock that the kernel drops with its holder, however it ends.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{LOCK_FILE, OpenError};

/// Held as long as the value lives.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
}

impl Drop for DirectoryLock {
    /// Unlocks, not only closes: a child process that another thread is just starting still has the file open.
    fn drop(&mut self) {
        if let Err(errno) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%errno, "the data directory is not unlocked before its file is closed");
        }
    }
}

impl DirectoryLock {
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(LOCK_FILE);
        let failed = |source| OpenError::Directory { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse {
                    path: dir.to_owned(),
                    holder: holder_of(&mut file),
                });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self { file })
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn holder_of(file: &mut File) -> String {
    let mut text = String::new();
    let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between fork and exec a child shares every open file, hence the lock.
    #[test]
    fn a_lock_is_let_go_though_a_child_in_the_making_holds_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirectoryLock::take(dir.path()).unwrap();
        let of_the_child = held.file.try_clone().unwrap();
        assert!(matches!(DirectoryLock::take(dir.path()), Err(OpenError::InUse { .. })));
        drop(held);
        DirectoryLock::take(dir.path()).unwrap();
        drop(of_the_child);
    }
}
