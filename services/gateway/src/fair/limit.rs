//! How many inputs may be under way: as many as are decided about as soon as when nothing queues.
//!
//! Additive increase, multiplicative decrease on the delay, as TCP Vegas does (Brakmo and Peterson, 1995). What a delay without
//! queueing of our own making is, is measured again and again while somebody waits: for a moment next to nothing is let
//! through, as BBR does to find its round trip (Cardwell and others, 2016). So a machine that others keep busy has a longer
//! base, not a closed door.

/// Fewest inputs under way.
const INPUTS_MIN: f64 = 1.0;
/// So many inputs a second are let through at least, in microseconds between them: where the way is long (a bus of several
/// servers), one at a time would be next to nothing.
const EACH_US_MAX: u64 = 5_000;
/// How many there may be at first: a flood meets a door that is nearly where it will be.
const INPUTS_FIRST: f64 = 2.0;
/// How many there may be while nothing is heard of what is decided, so that each counts as under way for long.
const INPUTS_UNHEARD: f64 = 64.0;
/// Most; nothing that comes in is held before this many.
const INPUTS_MAX: f64 = 4_096.0;
/// Delays are judged together this long.
const WINDOW_US: u64 = 50_000;
/// Longest that a base counts while somebody waits.
const BASE_LASTS_US: u64 = 3_000_000;
/// A measurement is over after this long, whether anything was decided in it or not.
const MEASURE_MAX_US: u64 = 1_000_000;
/// Queueing that is no reason to hold anything: the base divided by this. What an input does after it is decided (routing,
/// offers, what agents do with them) loads the machine, too, and is seen only as far as it delays inputs: so little.
const BASE_PER_SLACK: u64 = 4;

/// What the delays of this window are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// They are held against the base.
    Judged,
    /// What was under way before the measurement runs out.
    RunsOut { since_us: u64 },
    /// They become the base.
    Measured { since_us: u64 },
}

#[derive(Debug)]
pub(super) struct Limit {
    inputs: f64,
    phase: Phase,
    /// Of this window.
    begun_us: u64,
    sum_us: u64,
    count: u64,
    short: bool,
    /// The mean delay of an input that meets no queue of our making, and when that was seen.
    base_us: u64,
    base_at_us: u64,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            inputs: INPUTS_FIRST,
            phase: Phase::Judged,
            begun_us: 0,
            sum_us: 0,
            count: 0,
            short: false,
            base_us: u64::MAX,
            base_at_us: 0,
        }
    }
}

impl Limit {
    /// Nothing is heard: what was learned is void.
    pub(super) fn unheard() -> Self {
        Self { inputs: INPUTS_UNHEARD, ..Self::default() }
    }

    pub(super) fn inputs(&self) -> usize {
        let inputs = if self.phase == Phase::Judged { self.inputs } else { self.least() };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between the two bounds above"
        )]
        let inputs = inputs as usize;
        inputs
    }

    /// How many there are at least, and while the base is measured (Little's law).
    fn least(&self) -> f64 {
        if self.base_us == u64::MAX {
            return INPUTS_MIN;
        }
        let under_way = u32::try_from(self.base_us / EACH_US_MAX).unwrap_or(u32::MAX);
        f64::from(under_way).clamp(INPUTS_MIN, INPUTS_UNHEARD)
    }

    /// Somebody had to wait: only then does more room make a difference.
    pub(super) fn was_short(&mut self) {
        self.short = true;
    }

    /// Time passes, also while nothing is decided.
    pub(super) fn look(&mut self, now_us: u64) {
        if let Phase::RunsOut { since_us } | Phase::Measured { since_us } = self.phase
            && now_us.saturating_sub(since_us) >= MEASURE_MAX_US
        {
            self.phase = Phase::Judged;
            self.base_at_us = now_us;
        }
    }

    /// An input was decided this long after it went on.
    pub(super) fn decided(&mut self, now_us: u64, lag_us: u64) {
        if self.count > 0 && now_us.saturating_sub(self.begun_us) >= WINDOW_US {
            self.end_window(now_us);
        }
        if self.count == 0 {
            self.begun_us = now_us;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(lag_us);
    }

    fn end_window(&mut self, now_us: u64) {
        let mean_us = self.sum_us / self.count.max(1);
        match self.phase {
            Phase::Judged => self.judge(now_us, mean_us),
            Phase::RunsOut { .. } => self.phase = Phase::Measured { since_us: now_us },
            Phase::Measured { .. } => {
                (self.base_us, self.base_at_us) = (mean_us, now_us);
                self.phase = Phase::Judged;
            }
        }
        (self.sum_us, self.count, self.short) = (0, 0, false);
    }

    fn judge(&mut self, now_us: u64, mean_us: u64) {
        if mean_us <= self.base_us {
            (self.base_us, self.base_at_us) = (mean_us, now_us);
        }
        if self.short && now_us.saturating_sub(self.base_at_us) >= BASE_LASTS_US {
            self.phase = Phase::RunsOut { since_us: now_us };
        }
        if mean_us > self.base_us.saturating_add(self.base_us / BASE_PER_SLACK) {
            self.inputs *= 0.8;
        } else if self.short {
            self.inputs += 1.0;
        }
        self.inputs = self.inputs.clamp(self.least(), INPUTS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that decides one input in `each_us`, where every input takes `base_us` more; the limit after `seconds` in which
    /// somebody always waits.
    fn settled(limit: &mut Limit, from_us: u64, seconds: u64, base_us: u64, each_us: u64) -> usize {
        let mut now_us = from_us;
        while now_us < from_us + seconds * 1_000_000 {
            let under_way = u64::try_from(limit.inputs()).unwrap();
            // Little's law: they queue only beyond what is on the way anyway.
            let lag_us = base_us.max(under_way * each_us);
            now_us += (lag_us / under_way).max(each_us);
            limit.look(now_us);
            limit.was_short();
            limit.decided(now_us, lag_us);
        }
        limit.inputs()
    }

    #[test]
    fn it_settles_where_the_pipeline_is_just_full() {
        // 4 ms on the way, 1,000 a second: 4 are on the way, and what is allowed above is slack.
        let settled = settled(&mut Limit::default(), 0, 20, 4_000, 1_000);
        assert!((4..=10).contains(&settled), "{settled}");
    }

    #[test]
    fn a_machine_that_others_keep_busy_does_not_close_the_door() {
        let mut limit = Limit::default();
        settled(&mut limit, 0, 20, 2_000, 500);
        // Everything takes ten times as long now, queue or not.
        let settled = settled(&mut limit, 20_000_000, 20, 20_000, 500);
        assert!(settled >= 40, "{settled}: less than is on the way");
    }

    #[test]
    fn a_base_that_was_taken_from_a_full_queue_is_corrected() {
        let mut limit = Limit { base_us: 64_000, ..Limit::default() };
        let settled = settled(&mut limit, 0, 20, 4_000, 1_000);
        assert!(settled <= 10, "{settled}");
    }

    #[test]
    fn where_the_way_is_long_some_are_always_on_it() {
        let limit = |base_us| Limit { base_us, inputs: 1.0, ..Limit::default() }.least();
        assert!((limit(7_000) - 1.0).abs() < 0.1);
        assert!((limit(40_000) - 8.0).abs() < 0.1);
        assert!((limit(10_000_000) - INPUTS_UNHEARD).abs() < 0.1);
        // A noisy machine: every other window looks like a queue.
        let mut noisy = Limit { base_us: 40_000, ..Limit::default() };
        for n in 0..200 {
            noisy.was_short();
            noisy.judge(1, if n % 2 == 0 { 40_000 } else { 60_000 });
        }
        assert!(noisy.inputs() >= 8, "{}", noisy.inputs());
    }

    #[test]
    fn a_measurement_ends_though_nothing_is_decided() {
        let mut limit = Limit { phase: Phase::RunsOut { since_us: 5 }, ..Limit::default() };
        assert_eq!(limit.inputs(), 1);
        limit.look(5 + MEASURE_MAX_US);
        assert_eq!(limit.inputs(), 2);
    }
}
