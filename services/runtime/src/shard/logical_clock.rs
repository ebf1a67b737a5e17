//! Time of decisions: the wall clock, but never behind what the log has recorded (design.md 4.1).

use super::Now;

/// When the wall clock is behind the last recorded `now`, time runs on from there at half the
/// monotonic speed, until the wall clock has caught up.
#[derive(Clone, Copy, Debug)]
pub struct LogicalClock {
    last_ms: u64,
    /// Set while the wall clock is behind: (`now` and boot time when it was found behind).
    behind_since: Option<(u64, u64)>,
}

impl LogicalClock {
    /// Time that goes on from the last recorded `now`.
    #[must_use]
    pub fn from_last(last_ms: u64) -> Self {
        Self { last_ms, behind_since: None }
    }

    /// Last `now` given out or recorded.
    #[must_use]
    pub fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// Reads it; the value never decreases.
    pub fn read(&mut self, now: Now) -> u64 {
        *self = self.advanced(now);
        self.last_ms
    }

    /// What [`LogicalClock::read`] would say, without giving it out.
    #[must_use]
    pub fn peek(&self, now: Now) -> u64 {
        self.advanced(now).last_ms
    }

    fn advanced(self, now: Now) -> Self {
        if now.wall_ms >= self.last_ms {
            return Self { last_ms: now.wall_ms, behind_since: None };
        }
        let (from_ms, boot_ms) = self.behind_since.unwrap_or((self.last_ms, now.boot_ms));
        let ran_ms = now.boot_ms.saturating_sub(boot_ms) / 2;
        let last_ms = self.last_ms.max(from_ms.saturating_add(ran_ms));
        Self { last_ms, behind_since: Some((from_ms, boot_ms)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_wall_or_runs_on_at_half_speed() {
        // (wall, boot, expected)
        let table = [
            (1_000, 0, 1_000),
            (5_000, 10, 5_000),
            (2_000, 20, 5_000),
            (2_100, 120, 5_050),
            (2_101, 121, 5_050),
            (2_102, 122, 5_051),
            (5_060, 130, 5_060),
            (5_059, 140, 5_060),
            (5_059, 160, 5_070),
            (1, 0, 5_070),
        ];
        let mut clock = LogicalClock::from_last(500);
        for (wall_ms, boot_ms, expected) in table {
            let now = Now { wall_ms, boot_ms };
            assert_eq!(clock.peek(now), expected, "{now:?}");
            assert_eq!(clock.read(now), expected, "{now:?}");
        }
    }

    #[test]
    fn a_new_owner_goes_on_from_the_recorded_time() {
        let mut clock = LogicalClock::from_last(9_000);
        assert_eq!(clock.read(Now { wall_ms: 1, boot_ms: 100 }), 9_000);
        assert_eq!(clock.read(Now { wall_ms: 1, boot_ms: 300 }), 9_100);
    }
}
