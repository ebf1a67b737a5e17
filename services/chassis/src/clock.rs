//! Time, in one place. Everything else receives a [`Clock`], so that a test or the simulation owns
//! time; clippy bans the underlying calls everywhere but here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Cloneable source of time; clones share one source.
///
/// A virtual clock follows tokio's time, so it stands still while paused tokio time stands still.
/// It must be created, and is meaningful only when read, inside the runtime whose time it follows.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Virtual(Arc<Virtual>),
}

#[derive(Debug)]
struct Virtual {
    origin: tokio::time::Instant,
    start_wall_ms: u64,
    /// How far the wall clock was jumped, in sum.
    skew_ms: AtomicI64,
    /// How long the process seemed stopped, in sum.
    suspended_ms: AtomicU64,
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that follows tokio's (pausable) time: `boot` starts at 0, and wall time is
    /// `start_wall_ms` + elapsed + skew, where elapsed includes what [`Clock::suspend`] added.
    #[must_use]
    pub fn virtual_from(start_wall_ms: u64) -> Self {
        Self(Source::Virtual(Arc::new(Virtual {
            origin: tokio_now(),
            start_wall_ms,
            skew_ms: AtomicI64::new(0),
            suspended_ms: AtomicU64::new(0),
        })))
    }

    /// Unix time in milliseconds. It may step backwards: whoever needs order keeps the highest
    /// value seen (design, section 4.1, "Time").
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        match &self.0 {
            Source::System => system_wall_ms(),
            Source::Virtual(v) => v
                .start_wall_ms
                .saturating_add(v.elapsed_us() / 1_000)
                .saturating_add_signed(v.skew_ms.load(Ordering::Relaxed)),
        }
    }

    /// Milliseconds from an arbitrary origin; never goes back and counts suspension of the machine
    /// and a stopped process (`CLOCK_BOOTTIME`).
    #[must_use]
    pub fn boot_ms(&self) -> u64 {
        self.boot_us() / 1_000
    }

    /// As [`Clock::boot_ms`], in microseconds and from the same origin.
    #[must_use]
    pub fn boot_us(&self) -> u64 {
        match &self.0 {
            Source::System => system_boot_us(),
            Source::Virtual(v) => v.elapsed_us(),
        }
    }

    /// Jumps the wall clock by `delta_ms`, as an operator or a bad time server would; jumps add up.
    /// A system clock ignores it: nobody moves the machine's time from here.
    pub fn skew(&self, delta_ms: i64) {
        if let Source::Virtual(v) = &self.0 {
            v.skew_ms.fetch_add(delta_ms, Ordering::Relaxed);
        }
    }

    /// Moves boot and wall time `ms` ahead without letting any timer run meanwhile, as a process
    /// sees it that was stopped (SIGSTOP) and continued. A system clock ignores it.
    pub fn suspend(&self, ms: u64) {
        if let Source::Virtual(v) = &self.0 {
            v.suspended_ms.fetch_add(ms, Ordering::Relaxed);
        }
    }
}

impl Virtual {
    fn elapsed_us(&self) -> u64 {
        let ran = tokio_now().saturating_duration_since(self.origin).as_micros();
        let stopped_us = self.suspended_ms.load(Ordering::Relaxed).saturating_mul(1_000);
        u64::try_from(ran).unwrap_or(u64::MAX).saturating_add(stopped_us)
    }
}

#[expect(clippy::disallowed_methods, reason = "this module is the one door to the clocks")]
fn tokio_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this module is the one door to the clocks")]
fn system_wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A machine that believes in 1969 reads as 0: far behind any recorded `now`, hence alarmed on.
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

fn system_boot_us() -> u64 {
    // On Apple systems CLOCK_MONOTONIC is the one that counts sleep.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let id = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(id);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let micros = u64::try_from(now.tv_nsec / 1_000).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: u64 = 1_700_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_moves_only_with_tokio() {
        let clock = Clock::virtual_from(START);
        assert_eq!((clock.wall_ms(), clock.boot_ms()), (START, 0));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!((clock.wall_ms(), clock.boot_ms()), (START + 1_500, 1_500));
        assert_eq!(clock.boot_us(), 1_500_000);
    }

    #[tokio::test(start_paused = true)]
    async fn skew_moves_the_wall_and_never_boot() {
        let clock = Clock::virtual_from(START);
        let clone = clock.clone();
        clock.skew(-5_000);
        clock.skew(1_000);
        assert_eq!((clone.wall_ms(), clone.boot_ms()), (START - 4_000, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn suspension_moves_both_without_running_a_timer() {
        let clock = Clock::virtual_from(START);
        let timer = tokio::time::sleep(Duration::from_secs(10));
        tokio::pin!(timer);
        clock.suspend(20_000);
        assert_eq!((clock.wall_ms(), clock.boot_ms()), (START + 20_000, 20_000));
        assert!(!timer.is_elapsed());
        timer.await;
        assert_eq!(clock.boot_ms(), 30_000);
    }

    #[test]
    fn system_time_is_now_and_ignores_the_test_switches() {
        let clock = Clock::system();
        assert!(clock.wall_ms() > START);
        let before = clock.boot_us();
        clock.skew(-10_000_000_000);
        clock.suspend(10_000_000_000);
        assert!(clock.wall_ms() > START);
        let passed = clock.boot_us() - before;
        assert!(passed < 10_000_000_000, "suspended a system clock by {passed} us");
    }
}
