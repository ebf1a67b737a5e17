//! The judge's own clock: the only place of this crate that reads time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic microseconds since the process began, and the wall time that belongs to them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    epoch_us: u64,
}

impl Clock {
    /// Wall time is read once: a step of the wall clock during a run must not move windows.
    #[expect(clippy::disallowed_methods, reason = "the one clock of a process without chassis")]
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { start: Instant::now(), epoch_us: micros(wall) }
    }

    pub(crate) fn now_us(self) -> u64 {
        micros(self.start.elapsed())
    }

    pub(crate) fn epoch_us(self) -> u64 {
        self.epoch_us
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
