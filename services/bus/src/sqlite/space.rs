//! How much of the disk is left, looked at rarely enough to cost nothing.

use std::path::{Path, PathBuf};

use chassis::clock::Clock;

/// Age of a look after which the next one is taken, ms.
const LOOK_EVERY_MS: u64 = 100;

#[derive(Debug)]
pub(super) struct Space {
    dir: PathBuf,
    clock: Clock,
    min_free_bytes: u64,
    looked_ms: Option<u64>,
    free_bytes: u64,
}

impl Space {
    pub(super) fn new(dir: &Path, min_free_bytes: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            clock: Clock::system(),
            min_free_bytes,
            looked_ms: None,
            free_bytes: u64::MAX,
        }
    }

    /// The free bytes, when they are below the limit.
    pub(super) fn shortage(&mut self) -> Option<u64> {
        if self.min_free_bytes == 0 {
            return None;
        }
        let now_ms = self.clock.boot_ms();
        if self.looked_ms.is_none_or(|looked_ms| now_ms >= looked_ms + LOOK_EVERY_MS) {
            self.looked_ms = Some(now_ms);
            self.look();
        }
        (self.free_bytes < self.min_free_bytes).then_some(self.free_bytes)
    }

    fn look(&mut self) {
        match rustix::fs::statvfs(&self.dir) {
            Ok(found) => self.free_bytes = found.f_bavail.saturating_mul(found.f_frsize),
            // The commit itself will tell; refusing on a failed look would stop a healthy store.
            Err(error) => tracing::warn!(%error, "cannot ask for the free disk space"),
        }
    }
}
