//! Following the record chain of a partition's log (design.md 4.3): a record that does not continue the chain is
//! ignored, a later epoch supersedes, a gap is refused by naming it.

use bus::{Incarnation, RecordHead};

/// The last record that was followed. Stored with the read model, in the same transaction as its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Sequence of the record in the log.
    pub seq: u64,
    /// Its generation.
    pub generation: u32,
    /// Its epoch.
    pub epoch: u64,
    /// Its writer.
    pub incarnation: Incarnation,
    /// Its number within the incarnation.
    pub number: u64,
}

impl Cursor {
    /// The cursor of a record.
    #[must_use]
    pub fn of(seq: u64, head: &RecordHead) -> Self {
        Self {
            seq,
            generation: head.generation,
            epoch: head.epoch,
            incarnation: head.incarnation,
            number: head.number,
        }
    }
}

/// What to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It continues the chain.
    Follow,
    /// It begins a higher generation: what follows re-bases on it.
    Rebase,
    /// It does not continue the chain: count it, alarm, apply nothing of it.
    Ignore,
    /// Records between `after` and `before` are missing: they were trimmed, or the log was damaged.
    Gap {
        /// Last record seen.
        after: u64,
        /// The record that follows the missing ones.
        before: u64,
    },
}

/// Follows one partition's chain.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    last: Option<Cursor>,
    /// Last record seen, also when it was ignored: a gap is what was never seen.
    seen: u64,
    /// Last entry passed that is no record.
    passed: u64,
}

impl Follower {
    /// Goes on after `last`; `None` begins with the first record of the log.
    #[must_use]
    pub fn after(last: Option<Cursor>) -> Self {
        Self { last, seen: last.map_or(0, |cursor| cursor.seq), passed: 0 }
    }

    /// As [`Follower::after`], but reads the log from its beginning: for a log of a later generation, whose
    /// sequences may have begun anew.
    #[must_use]
    pub fn after_any(last: Cursor) -> Self {
        Self { last: Some(last), ..Self::default() }
    }

    /// Last record followed.
    #[must_use]
    pub fn last(&self) -> Option<Cursor> {
        self.last
    }

    /// How far it is, generation first.
    #[must_use]
    pub fn position(&self) -> (u32, u64) {
        let (generation, seq) = self.last.map_or((0, 0), |last| (last.generation, last.seq));
        (generation, seq.max(self.seen))
    }

    /// Whether records before this one are missing.
    #[must_use]
    pub fn misses(&self, seq: u64, head: &RecordHead) -> bool {
        matches!(self.judge(seq, head), Verdict::Gap { .. })
    }

    /// Sequence to read on from.
    #[must_use]
    pub fn read_after(&self) -> u64 {
        self.seen.max(self.passed)
    }

    /// Passes an entry that is no record. It names no predecessor, so it does not say that nothing is missing before it.
    pub fn pass(&mut self, seq: u64) {
        self.passed = self.passed.max(seq);
    }

    /// Judges the next record and, when it is followed, moves to it.
    pub fn admit(&mut self, seq: u64, head: &RecordHead) -> Verdict {
        let verdict = self.judge(seq, head);
        if let Verdict::Follow | Verdict::Rebase = verdict {
            self.last = Some(Cursor::of(seq, head));
        }
        match verdict {
            Verdict::Gap { .. } => {}
            // Sequences may have begun anew.
            Verdict::Rebase => (self.seen, self.passed) = (seq, 0),
            Verdict::Follow | Verdict::Ignore => self.seen = self.seen.max(seq),
        }
        verdict
    }

    fn judge(&self, seq: u64, head: &RecordHead) -> Verdict {
        let Some(last) = self.last else {
            return match (head.previous_seq, head.number) {
                (0, 0) => Verdict::Follow,
                (0, _) => Verdict::Ignore,
                _ => Verdict::Gap { after: 0, before: seq },
            };
        };
        // Who reads a log from its beginning knows what stands before it up to the record it comes from.
        let known = last.seq.max(self.seen);
        if head.generation > last.generation {
            // Neither the beginning of the generation is missing, nor what came before it.
            let is_next = head.number == 0 && head.previous_seq <= known;
            return match is_next {
                true => Verdict::Rebase,
                false => Verdict::Gap { after: known, before: seq },
            };
        }
        if head.generation != last.generation || seq <= last.seq {
            return Verdict::Ignore;
        }
        if head.previous_seq > known {
            return Verdict::Gap { after: known, before: seq };
        }
        let begins = head.number == 0 && head.epoch > last.epoch;
        let continues = head.epoch == last.epoch
            && head.incarnation == last.incarnation
            && last.number.checked_add(1) == Some(head.number)
            && head.previous_seq == last.seq;
        if begins || continues { Verdict::Follow } else { Verdict::Ignore }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Incarnation = Incarnation([1; 16]);
    const B: Incarnation = Incarnation([2; 16]);

    fn head(epoch: u64, incarnation: Incarnation, number: u64, previous_seq: u64) -> RecordHead {
        RecordHead { generation: 1, epoch, incarnation, number, previous_seq }
    }

    fn followed(records: &[(u64, RecordHead)]) -> (Vec<Verdict>, Follower) {
        let mut follower = Follower::default();
        let verdicts = records.iter().map(|(seq, head)| follower.admit(*seq, head)).collect();
        (verdicts, follower)
    }

    #[test]
    fn a_chain_with_gaps_in_its_sequences_is_followed() {
        let (verdicts, follower) =
            followed(&[(3, head(1, A, 0, 0)), (7, head(1, A, 1, 3)), (8, head(2, B, 0, 7))]);
        assert_eq!(verdicts, [Verdict::Follow; 3]);
        assert_eq!(follower.read_after(), 8);
    }

    #[test]
    fn a_fenced_owners_record_is_ignored_and_a_later_epoch_supersedes() {
        let (verdicts, _) = followed(&[
            (1, head(1, A, 0, 0)),
            (2, head(2, B, 0, 1)),
            (3, head(1, A, 1, 1)),
            (4, head(2, B, 1, 2)),
            (5, head(2, A, 2, 4)),
            (6, head(3, A, 0, 5)),
        ]);
        use Verdict::{Follow, Ignore};
        assert_eq!(verdicts, [Follow, Follow, Ignore, Follow, Ignore, Follow]);
    }

    #[test]
    fn missing_records_are_a_gap_also_at_the_beginning() {
        let mut follower = Follower::default();
        assert_eq!(follower.admit(9, &head(1, A, 4, 8)), Verdict::Gap { after: 0, before: 9 });
        let (verdicts, mut follower) = followed(&[(1, head(1, A, 0, 0))]);
        assert_eq!(verdicts, [Verdict::Follow]);
        assert_eq!(follower.admit(5, &head(1, A, 4, 4)), Verdict::Gap { after: 1, before: 5 });
        // A take-over after the missing records does not hide them.
        assert_eq!(follower.admit(6, &head(2, B, 0, 5)), Verdict::Gap { after: 1, before: 6 });
    }

    #[test]
    fn a_higher_generation_rebases_whatever_its_sequence_and_a_lower_one_is_ignored() {
        let (_, mut follower) = followed(&[(40, head(5, A, 0, 0))]);
        let restored = RecordHead { generation: 2, ..head(1, B, 0, 0) };
        assert_eq!(follower.admit(1, &restored), Verdict::Rebase);
        assert_eq!((follower.read_after(), follower.position()), (1, (2, 1)));
        assert_eq!(follower.admit(41, &head(6, A, 0, 40)), Verdict::Ignore);
        assert_eq!(follower.last().map(|last| last.generation), Some(2));
    }

    #[test]
    fn a_higher_generation_without_its_beginning_is_a_gap() {
        let (_, mut follower) = followed(&[(40, head(5, A, 0, 0))]);
        let later = RecordHead { generation: 2, ..head(1, B, 7, 60) };
        assert!(follower.misses(61, &later));
        assert_eq!(follower.admit(61, &later), Verdict::Gap { after: 40, before: 61 });
        assert_eq!(follower.position(), (1, 40));
    }

    #[test]
    fn a_higher_generation_does_not_hide_what_is_missing_before_it() {
        let (_, mut follower) = followed(&[(40, head(5, A, 0, 0))]);
        let imported = |previous_seq| RecordHead { generation: 2, ..head(1, B, 0, previous_seq) };
        assert_eq!(follower.admit(1, &imported(41)), Verdict::Gap { after: 40, before: 1 });
        assert_eq!(follower.admit(1, &imported(40)), Verdict::Rebase);
    }

    /// A restored log was trimmed up to the segments' end: it goes on in the old generation, then in the new one.
    #[test]
    fn a_log_that_is_read_from_its_beginning_may_begin_right_after_the_cursor() {
        let mut follower = Follower::after_any(Cursor::of(40, &head(5, A, 7, 39)));
        assert_eq!(follower.admit(41, &head(5, A, 8, 40)), Verdict::Follow);
        let restored = RecordHead { generation: 2, ..head(6, B, 0, 41) };
        assert_eq!(follower.admit(42, &restored), Verdict::Rebase);
        let mut follower = Follower::after_any(Cursor::of(40, &head(5, A, 7, 39)));
        let missing = Verdict::Gap { after: 40, before: 42 };
        assert_eq!(follower.admit(42, &head(5, A, 9, 41)), missing);
    }

    #[test]
    fn an_entry_that_is_no_record_is_passed_and_hides_no_gap() {
        let (_, mut follower) = followed(&[(1, head(1, A, 0, 0))]);
        follower.pass(5);
        assert_eq!((follower.read_after(), follower.position()), (5, (1, 1)));
        assert_eq!(follower.admit(6, &head(1, A, 2, 4)), Verdict::Gap { after: 1, before: 6 });
        assert_eq!(follower.admit(6, &head(1, A, 1, 1)), Verdict::Follow);
        assert_eq!(follower.read_after(), 6);
    }

    #[test]
    fn a_record_seen_before_is_ignored() {
        let (verdicts, _) = followed(&[(1, head(1, A, 0, 0)), (1, head(1, A, 0, 0))]);
        assert_eq!(verdicts, [Verdict::Follow, Verdict::Ignore]);
    }
}
