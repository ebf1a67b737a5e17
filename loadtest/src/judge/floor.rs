//! Who the bot must leave the floor to, as far as the judge can know it from outside.

/// After how long the phone's hold may have ended by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhoneTimers {
    answer_us: u64,
    silence_us: u64,
}

/// The product counts in Meta's whole seconds and may be a little early by our clock.
const SLACK_US: u64 = 2_000_000;

impl PhoneTimers {
    pub(super) fn new(answer_ms: u64, silence_ms: u64) -> Self {
        let early = |ms: u64| (ms * 1_000).saturating_sub(SLACK_US);
        Self { answer_us: early(answer_ms), silence_us: early(silence_ms) }
    }
}

/// The floor of one chat. Lenient on purpose: it blames the bot only where no reading of the events excuses it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    taken: Option<Taken>,
    /// Meta time of the last message an agent sent.
    last_desk_ts_s: Option<i64>,
    left_us: u64,
    last_word_us: u64,
    /// The customer wrote then, and nobody answered since.
    unanswered_us: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    since_us: u64,
    by_phone: bool,
}

impl Floor {
    /// A phone message whose echo was acknowledged at `acked_us`. One older than the desk's last message takes nothing.
    pub(super) fn phone(&mut self, ts_s: i64, written_us: u64, acked_us: u64) {
        let stale =
            self.last_desk_ts_s.is_some_and(|last| ts_s <= last) || written_us <= self.left_us;
        if !stale {
            self.take(acked_us, true);
        }
    }

    /// An agent's acceptance, asked for at `asked_us`, was confirmed. A late confirmation takes nothing back.
    pub(super) fn desk(&mut self, asked_us: u64, now_us: u64) {
        if asked_us > self.left_us {
            self.take(now_us, false);
        }
    }

    /// An agent's message reached the customer.
    pub(super) fn desk_spoke(&mut self, ts_s: i64) {
        self.last_desk_ts_s = Some(self.last_desk_ts_s.map_or(ts_s, |last| last.max(ts_s)));
    }

    /// An agent asked to resolve: from here on a new episode may begin.
    pub(super) fn left(&mut self, now_us: u64) {
        self.taken = None;
        self.left_us = now_us;
    }

    /// Somebody wrote something.
    pub(super) fn word(&mut self, by_customer: bool, now_us: u64, timers: PhoneTimers) {
        if self.has_run_out(now_us, timers) {
            self.taken = None;
        }
        self.last_word_us = now_us;
        self.unanswered_us =
            if by_customer { Some(self.unanswered_us.unwrap_or(now_us)) } else { None };
    }

    /// Whether a bot message arriving at `now_us` speaks out of turn.
    pub(super) fn bot_is_late(
        &self,
        now_us: u64,
        calm_since_us: u64,
        grace_us: u64,
        timers: PhoneTimers,
    ) -> bool {
        let Some(taken) = self.taken else { return false };
        let ours = !self.has_run_out(now_us, timers);
        ours && now_us >= taken.since_us.max(calm_since_us) + grace_us
    }

    /// How long ago it was taken, and how long ago something failed between the product and us, ms; for who looks at a finding.
    pub(super) fn taken_ago_ms(&self, now_us: u64, calm_since_us: u64) -> (u64, u64) {
        let since_us = self.taken.map_or(now_us, |taken| taken.since_us);
        ((now_us - since_us) / 1_000, now_us.saturating_sub(calm_since_us) / 1_000)
    }

    /// The phone's hold ends by silence on both sides, or when the phone leaves a customer unanswered.
    fn has_run_out(&self, now_us: u64, timers: PhoneTimers) -> bool {
        let by_phone = self.taken.is_some_and(|taken| taken.by_phone);
        let silent = now_us.saturating_sub(self.last_word_us) >= timers.silence_us;
        let ignored =
            self.unanswered_us.is_some_and(|us| now_us.saturating_sub(us) >= timers.answer_us);
        by_phone && (silent || ignored)
    }

    fn take(&mut self, since_us: u64, by_phone: bool) {
        if self.taken.is_none_or(|taken| taken.by_phone != by_phone) {
            self.taken = Some(Taken { since_us, by_phone });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: u64 = 3;
    const TIMERS: PhoneTimers = PhoneTimers { answer_us: 500, silence_us: 1_000 };

    fn late(floor: &Floor, now: u64) -> bool {
        floor.bot_is_late(now, 0, GRACE, TIMERS)
    }

    #[test]
    fn the_bot_is_late_only_after_the_grace() {
        let mut floor = Floor::default();
        assert!(!late(&floor, 100));
        floor.desk(9, 10);
        assert!(!late(&floor, 12));
        assert!(late(&floor, 13));
        assert!(!floor.bot_is_late(13, 11, GRACE, TIMERS), "a disturbance starts the grace anew");
        floor.left(20);
        assert!(!late(&floor, 100));
        floor.desk(15, 25);
        assert!(!late(&floor, 100), "accepted before it was resolved");
    }

    #[test]
    fn an_old_echo_takes_nothing() {
        let mut floor = Floor::default();
        floor.desk_spoke(50);
        floor.phone(50, 5, 10);
        assert!(!late(&floor, 100));
        floor.phone(51, 6, 10);
        assert!(late(&floor, 100));
        floor.left(200);
        floor.phone(52, 150, 210);
        assert!(!late(&floor, 300), "written before the agent resolved");
    }

    #[test]
    fn the_phones_hold_runs_out_and_the_desks_does_not() {
        let mut floor = Floor::default();
        floor.phone(1, 10, 10);
        floor.word(false, 10, TIMERS);
        assert!(late(&floor, 1_009) && !late(&floor, 1_010), "silence");
        floor.word(true, 1_100, TIMERS);
        assert!(!late(&floor, 1_200), "what ran out stays out");
        floor.phone(2, 1_300, 1_300);
        floor.word(false, 1_300, TIMERS);
        floor.word(true, 1_400, TIMERS);
        floor.word(true, 1_800, TIMERS);
        assert!(late(&floor, 1_899) && !late(&floor, 1_900), "a customer left unanswered");
        floor.desk(1_950, 1_960);
        assert!(late(&floor, 9_000));
        assert_eq!(PhoneTimers::new(5_000, 1_000).answer_us, 3_000_000);
    }
}
