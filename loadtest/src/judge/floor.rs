//! Who the bot must leave the floor to, as far as the judge can know it from outside.

use super::JudgeRules;

/// After how long the phone's hold may have ended by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhoneTimers {
    answer_us: u64,
    silence_us: u64,
}

/// The product counts in Meta's whole seconds and may be a little early by our clock.
const SLACK_US: u64 = 2_000_000;
/// What was posted so shortly before the floor became free may be decided after that.
const LATELY_US: u64 = 10_000_000;

impl PhoneTimers {
    pub(super) fn new(answer_ms: u64, silence_ms: u64) -> Self {
        let early = |ms: u64| (ms * 1_000).saturating_sub(SLACK_US);
        Self { answer_us: early(answer_ms), silence_us: early(silence_ms) }
    }
}

/// How long the bot may still be heard after a taking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    grace_us: u64,
    stale_max_us: u64,
    unseen_failures: bool,
}

impl Patience {
    pub(super) fn new(rules: &JudgeRules) -> Self {
        let stale_max_us = rules.stale_max_ms.map_or(u64::MAX, |ms| ms * 1_000);
        let (grace_us, unseen_failures) = (rules.stale_grace_ms * 1_000, rules.unseen_failures);
        Self { grace_us, stale_max_us, unseen_failures }
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
    /// Messages of the customer that reached the product while the bot had the floor, and that it has not answered.
    owed: u32,
    /// Messages of the customer that were posted and have no 200.
    unacked: u32,
    last_post_us: Option<u64>,
    /// Nothing failed between the product and this chat since then.
    calm_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    since_us: u64,
    by_phone: bool,
    /// What the bot owed at that moment, less what it said since.
    owed: u32,
}

/// What somebody who looks at a finding wants to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenAgo {
    pub(super) taken_ms: u64,
    pub(super) calm_ms: u64,
    pub(super) owed: u32,
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
        self.free(now_us);
        self.left_us = now_us;
    }

    /// Somebody wrote something.
    pub(super) fn word(&mut self, by_customer: bool, now_us: u64, timers: PhoneTimers) {
        if self.has_run_out(now_us, timers) {
            self.free(now_us);
        }
        self.last_word_us = now_us;
        self.unanswered_us =
            if by_customer { Some(self.unanswered_us.unwrap_or(now_us)) } else { None };
    }

    /// A message of the customer is posted for the first time. While somebody has the floor it stands behind what took it: the
    /// bot has nothing to answer.
    pub(super) fn posted(&mut self, now_us: u64, timers: PhoneTimers) {
        self.unacked += 1;
        self.last_post_us = Some(now_us);
        if self.taken.is_none() || self.has_run_out(now_us, timers) {
            self.owed += 1;
        }
    }

    /// A message of the customer has its 200.
    pub(super) fn acked(&mut self) {
        self.unacked = self.unacked.saturating_sub(1);
    }

    /// A POST about this chat failed, or the product was replaced: what it acknowledged may be decided late.
    pub(super) fn disturbed(&mut self, now_us: u64) {
        self.calm_us = now_us;
    }

    /// A message of the bot, no repeated one, reached the customer: it owes one less.
    pub(super) fn bot_spoke(&mut self) {
        let owed = self.taken.as_mut().map_or(&mut self.owed, |taken| &mut taken.owed);
        *owed = owed.saturating_sub(1);
    }

    /// Whether a bot message arriving at `now_us` speaks out of turn. Whatever fails, a bot that owes nothing has nothing to
    /// say; what it owes may be decided before the taking and leave after a fail-over. How late a second attempt may be is
    /// another rule's business, so `repeated` is judged as leniently as can be.
    pub(super) fn bot_is_late(
        &self,
        now_us: u64,
        repeated: bool,
        patience: Patience,
        timers: PhoneTimers,
    ) -> bool {
        let Some(taken) = self.taken else { return false };
        let Patience { grace_us, stale_max_us, unseen_failures } = patience;
        let calm_us = taken.since_us.max(self.calm_us) + grace_us;
        let last_us = taken.since_us.saturating_add(stale_max_us);
        let silent_us = match (repeated, taken.owed) {
            (false, 0) => taken.since_us + grace_us,
            _ if unseen_failures => last_us,
            (true, _) => calm_us,
            (false, _) => calm_us.min(last_us),
        };
        now_us >= silent_us && !self.has_run_out(now_us, timers)
    }

    /// When it was taken, and when something last failed, for who looks at a finding.
    pub(super) fn taken_ago(&self, now_us: u64) -> TakenAgo {
        let ms_since = |us: u64| now_us.saturating_sub(us) / 1_000;
        TakenAgo {
            taken_ms: self.taken.map_or(0, |taken| ms_since(taken.since_us)),
            calm_ms: ms_since(self.calm_us),
            owed: self.taken.map_or(self.owed, |taken| taken.owed),
        }
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
            let owed = self.taken.map_or(0, |taken| taken.owed) + std::mem::take(&mut self.owed);
            self.taken = Some(Taken { since_us, by_phone, owed });
        }
    }

    /// Nobody holds it any more. Of what was posted before, only what may not be decided yet is the bot's to answer.
    fn free(&mut self, now_us: u64) {
        if self.taken.take().is_some() {
            let lately = self.last_post_us.is_some_and(|us| now_us.saturating_sub(us) < LATELY_US);
            self.owed = self.owed.max(u32::from(lately || self.unacked > 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { grace_us: 3, stale_max_us: 20, unseen_failures: false };
    const TIMERS: PhoneTimers = PhoneTimers { answer_us: 500, silence_us: 1_000 };

    fn late(floor: &Floor, now: u64) -> bool {
        floor.bot_is_late(now, false, PATIENCE, TIMERS)
    }

    /// The first moment at which a message of the bot is late.
    fn late_from(floor: &Floor) -> Option<u64> {
        (0..1_000).find(|now| late(floor, *now))
    }

    /// The customer wrote at 5, perhaps was answered, and an agent took the floor at 10.
    fn taken(answered: bool) -> Floor {
        let mut floor = Floor::default();
        floor.posted(5, TIMERS);
        floor.acked();
        if answered {
            floor.bot_spoke();
        }
        floor.desk(9, 10);
        floor
    }

    #[test]
    fn the_bot_is_late_only_after_the_grace() {
        let mut floor = Floor::default();
        assert!(!late(&floor, 100));
        floor.desk(9, 10);
        assert!(!late(&floor, 12));
        assert!(late(&floor, 13));
        floor.left(20);
        assert!(!late(&floor, 100));
        floor.desk(15, 25);
        assert!(!late(&floor, 100), "accepted before it was resolved");
    }

    #[test]
    fn a_disturbance_excuses_what_was_owed_and_only_so_long() {
        for (answered, disturbed, from) in [
            (false, &[][..], 13),
            (false, &[11], 14),
            (false, &[11, 20], 23),
            (false, &[11, 20, 40], 30),
            (true, &[11], 13),
            (true, &[11, 20, 40], 13),
        ] {
            let mut floor = taken(answered);
            disturbed.iter().for_each(|us| floor.disturbed(*us));
            assert_eq!(late_from(&floor), Some(from), "{answered} {disturbed:?}");
        }
    }

    #[test]
    fn a_second_attempt_is_excused_by_any_disturbance() {
        let mut floor = taken(true);
        floor.disturbed(40);
        let late = |now| floor.bot_is_late(now, true, PATIENCE, TIMERS);
        assert!(!late(42) && late(43));
    }

    #[test]
    fn a_message_of_the_bot_pays_for_one_of_the_customers() {
        let mut floor = taken(false);
        floor.disturbed(18);
        floor.bot_spoke();
        assert_eq!(late_from(&floor), Some(13), "it has said what it owed");
        let mut floor = Floor::default();
        floor.posted(4, TIMERS);
        floor.posted(5, TIMERS);
        floor.bot_spoke();
        floor.desk(9, 10);
        floor.disturbed(18);
        assert_eq!(late_from(&floor), Some(21), "of two messages one is answered");
        floor.desk_spoke(11);
        floor.phone(12, 12, 13);
        assert_eq!(late_from(&floor), Some(21), "the phone takes over what was owed");
    }

    #[test]
    fn what_comes_while_somebody_has_the_floor_is_not_owed() {
        let mut floor = taken(true);
        floor.posted(11, TIMERS);
        floor.disturbed(18);
        assert_eq!(late_from(&floor), Some(13));
        // When it becomes free, what has no 200 or came lately may be decided after that.
        floor.left(20);
        floor.desk(21, 22);
        floor.disturbed(30);
        assert_eq!(late_from(&floor), Some(33), "posted a moment ago");
        floor.left(LATELY_US + 20);
        let late_after = |floor: &mut Floor, by: u64| {
            floor.desk(LATELY_US + 21, LATELY_US + 22);
            floor.disturbed(LATELY_US + 30);
            late(floor, LATELY_US + by)
        };
        let mut unacked = floor;
        assert!(!late_after(&mut unacked, 32) && late_after(&mut unacked, 33), "without a 200");
        floor = taken(true);
        floor.left(LATELY_US + 20);
        assert!(!late_after(&mut floor, 24) && late_after(&mut floor, 25), "decided long ago");
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
