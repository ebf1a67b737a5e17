//! Who the bot must leave the floor to, as far as the judge can know it from outside.

/// The floor of one chat. Lenient on purpose: it blames the bot only where no reading of the events excuses it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    taken: Option<Taken>,
    /// Meta time of the last message an agent sent.
    last_desk_ts_s: Option<i64>,
    left_us: u64,
    last_word_us: u64,
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

    /// Anyone wrote anything.
    pub(super) fn word(&mut self, now_us: u64) {
        self.last_word_us = now_us;
    }

    /// Whether a bot message arriving at `now_us` speaks out of turn.
    pub(super) fn bot_is_late(
        &self,
        now_us: u64,
        calm_since_us: u64,
        grace_us: u64,
        silence_us: u64,
    ) -> bool {
        let Some(taken) = self.taken else { return false };
        let expired = taken.by_phone && now_us.saturating_sub(self.last_word_us) >= silence_us;
        !expired && now_us >= taken.since_us.max(calm_since_us) + grace_us
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
    const SILENCE: u64 = 1_000;

    fn late(floor: &Floor, now: u64) -> bool {
        floor.bot_is_late(now, 0, GRACE, SILENCE)
    }

    #[test]
    fn the_bot_is_late_only_after_the_grace() {
        let mut floor = Floor::default();
        assert!(!late(&floor, 100));
        floor.desk(9, 10);
        assert!(!late(&floor, 12));
        assert!(late(&floor, 13));
        assert!(!floor.bot_is_late(13, 11, GRACE, SILENCE), "a disturbance starts the grace anew");
        floor.left(20);
        assert!(!late(&floor, 100));
        floor.desk(15, 25);
        assert!(!late(&floor, 100), "accepted before it was resolved");
    }

    #[test]
    fn an_old_echo_takes_nothing_and_a_long_silence_gives_it_back() {
        let mut floor = Floor::default();
        floor.desk_spoke(50);
        floor.phone(50, 5, 10);
        assert!(!late(&floor, 100));
        floor.phone(51, 6, 10);
        floor.word(10);
        assert!(late(&floor, 100));
        assert!(!late(&floor, 10 + SILENCE));
        floor.left(200);
        floor.phone(52, 150, 210);
        assert!(!late(&floor, 300), "written before the agent resolved");
    }
}
