//! How many inputs may be under way: as many as are decided about as soon as when nothing queues.
//!
//! Additive increase, multiplicative decrease on the delay, as TCP Vegas does (Brakmo and Peterson, 1995): the shortest
//! delay seen lately is what the bus and the disk take, whatever is above it is queueing of our own making.

/// Fewest inputs under way, so that the pipeline never runs empty.
const INPUTS_MIN: f64 = 32.0;
/// Most; nothing that comes in is held before this many.
const INPUTS_MAX: f64 = 4_096.0;
/// Delays are judged together this long...
const WINDOW_US: u64 = 50_000;
/// ...and the shortest one counts for this many windows.
const BASE_WINDOWS: u32 = 200;
/// Queueing that is no reason to hold anything: grouping in one entry and one flush takes some.
const SLACK_US: u64 = 3_000;

#[derive(Debug)]
pub(super) struct Limit {
    inputs: f64,
    begun_us: u64,
    /// Of this window.
    sum_us: u64,
    count: u64,
    shortest_us: u64,
    short: bool,
    /// The shortest delay of the last windows, and how long it counts.
    base_us: u64,
    base_windows: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            inputs: 64.0,
            begun_us: 0,
            sum_us: 0,
            count: 0,
            shortest_us: u64::MAX,
            short: false,
            base_us: u64::MAX,
            base_windows: 0,
        }
    }
}

impl Limit {
    pub(super) fn inputs(&self) -> usize {
        // Between the two bounds above.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 32 and 4096"
        )]
        let inputs = self.inputs as usize;
        inputs
    }

    /// Somebody had to wait: only then does more room make a difference.
    pub(super) fn was_short(&mut self) {
        self.short = true;
    }

    pub(super) fn decided(&mut self, now_us: u64, lag_us: u64) {
        if self.count > 0 && now_us.saturating_sub(self.begun_us) >= WINDOW_US {
            self.judge();
        }
        if self.count == 0 {
            self.begun_us = now_us;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(lag_us);
        self.shortest_us = self.shortest_us.min(lag_us);
    }

    fn judge(&mut self) {
        self.base_windows += 1;
        if self.shortest_us <= self.base_us || self.base_windows > BASE_WINDOWS {
            (self.base_us, self.base_windows) = (self.shortest_us, 0);
        }
        let mean_us = self.sum_us / self.count.max(1);
        if mean_us > self.base_us.saturating_mul(2).saturating_add(SLACK_US) {
            self.inputs *= 0.8;
        } else if self.short {
            self.inputs += 2.0;
        }
        self.inputs = self.inputs.clamp(INPUTS_MIN, INPUTS_MAX);
        (self.sum_us, self.count, self.shortest_us, self.short) = (0, 0, u64::MAX, false);
    }
}
