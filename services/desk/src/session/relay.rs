//! Which of the workspace's numbered changes are passed on, and when one was missed.

/// What to do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Pass it on.
    Forward,
    /// It is old, or a snapshot that is on its way contains it.
    Drop,
    /// One was missed: ask for a snapshot.
    Resync,
}

/// Follows the numbers of one session.
#[derive(Debug)]
pub(super) struct Relay {
    last: u64,
    /// A snapshot was asked for (or comes with the sign-in) and is not here yet.
    waits: bool,
}

impl Relay {
    pub(super) fn new() -> Self {
        Self { last: 0, waits: true }
    }

    /// Last number passed on.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    pub(super) fn admit(&mut self, number: u64, is_snapshot: bool) -> Verdict {
        if number <= self.last {
            return Verdict::Drop;
        }
        if is_snapshot {
            self.last = number;
            self.waits = false;
            return Verdict::Forward;
        }
        if self.waits {
            return Verdict::Drop;
        }
        if number == self.last + 1 {
            self.last = number;
            return Verdict::Forward;
        }
        self.waits = true;
        Verdict::Resync
    }

    /// Something was lost, nobody knows what.
    pub(super) fn lost(&mut self) {
        self.waits = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Drop, Forward, Resync};

    #[test]
    fn a_gap_asks_once_and_ends_with_a_snapshot() {
        let mut relay = Relay::new();
        let changes = [
            (1, true, Forward),
            (2, false, Forward),
            (2, false, Drop),
            (4, false, Resync),
            (5, false, Drop),
            (6, true, Forward),
            (5, true, Drop),
            (7, false, Forward),
        ];
        for (number, is_snapshot, expected) in changes {
            assert_eq!(relay.admit(number, is_snapshot), expected, "{number}");
        }
        assert_eq!(relay.last(), 7);
    }

    #[test]
    fn nothing_is_passed_on_before_the_first_snapshot_nor_after_a_loss() {
        let mut relay = Relay::new();
        assert_eq!(relay.admit(1, false), Drop);
        assert_eq!(relay.admit(2, true), Forward);
        relay.lost();
        assert!(relay.waits());
        assert_eq!(relay.admit(3, false), Drop);
        assert_eq!(relay.admit(4, true), Forward);
    }
}
