//! Finding out that another process runs under our name: two processes were given the same `node`.
//!
//! A process cannot tell the lease of its dead predecessor from that of a namesake, except by watching it: the one of a dead
//! process does not change. Whoever has just started watches, so it is the newcomer who finds out and goes.

/// Renewals by another process that make it a namesake. One may be a predecessor's last, which was still on its way.
const RENEWALS: u32 = 2;

/// What a process that has just started has seen of the lease under its own name.
#[derive(Clone, Debug)]
pub struct Namesake {
    until_ms: u64,
    /// A lease that did not change for so long is a dead process's.
    quiet_ms: u64,
    has_looked: bool,
    /// The last look left it open: there must be another one, however late.
    is_open: bool,
    /// Number of the last renewal that was not ours, and when it was first seen.
    theirs: Option<(u64, u64)>,
    renewals: u32,
}

/// What a look at the lease under our own name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameIs {
    /// Nobody else's.
    Ours,
    /// There is a lease of another process, and whether that one lives is not known yet.
    Doubtful,
    /// Another process lives by it.
    Taken,
}

impl Namesake {
    /// Watches from `now_ms` for `lease_ms`, a lease period: at least three times what is between two renewals.
    #[must_use]
    pub fn watch(now_ms: u64, lease_ms: u64) -> Self {
        let (until_ms, quiet_ms) = (now_ms.saturating_add(lease_ms), lease_ms / 2);
        Self { until_ms, quiet_ms, has_looked: false, is_open: false, theirs: None, renewals: 0 }
    }

    /// Whether the lease is to be looked at before the next renewal of our own.
    #[must_use]
    pub fn is_watching(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms || self.is_open
    }

    /// The lease under our name as it is before our own next renewal; `theirs`: its renewal number if another process wrote it.
    pub fn look(&mut self, now_ms: u64, theirs: Option<u64>) -> NameIs {
        // At the first look it may be a predecessor's.
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        if let Some(renewal) = theirs
            && self.theirs.is_none_or(|(known, _)| known != renewal)
        {
            self.theirs = Some((renewal, now_ms));
            self.renewals += u32::from(!is_first);
        }
        let said = match () {
            () if self.renewals >= RENEWALS => NameIs::Taken,
            () if self.is_doubtful(now_ms) => NameIs::Doubtful,
            () => NameIs::Ours,
        };
        self.is_open = said == NameIs::Doubtful;
        said
    }

    fn is_doubtful(&self, now_ms: u64) -> bool {
        self.theirs.is_some_and(|(_, seen_ms)| now_ms.saturating_sub(seen_ms) < self.quiet_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NameIs::{Doubtful, Ours, Taken};

    /// A name, what each look finds that is not ours, and what is said of it.
    type Case<'a> = (&'a str, &'a [Option<u64>], &'a [NameIs]);

    #[test]
    fn who_watches_tells_a_namesake_from_a_dead_predecessor() {
        // The looks are half a second apart.
        let table: [Case<'_>; 5] = [
            ("nobody", &[None, None, None], &[Ours, Ours, Ours]),
            // Our own renewal covers what the dead one left.
            (
                "a dead predecessor",
                &[Some(7), None, None, None],
                &[Doubtful, Doubtful, Doubtful, Ours],
            ),
            (
                "one whose last renewal was on its way",
                &[Some(7), Some(8), None, None, None],
                &[Doubtful, Doubtful, Doubtful, Doubtful, Ours],
            ),
            ("one that lives", &[Some(7), Some(9), Some(11)], &[Doubtful, Doubtful, Taken]),
            ("one that starts with us", &[None, Some(2), Some(4)], &[Ours, Doubtful, Taken]),
        ];
        for (name, looks, said) in table {
            let mut namesake = Namesake::watch(0, 3_000);
            let looks = looks.iter().zip((0..).step_by(500));
            let found: Vec<_> =
                looks.map(|(theirs, now_ms)| namesake.look(now_ms, *theirs)).collect();
            assert_eq!(found, said, "{name}");
        }
    }

    #[test]
    fn it_watches_for_a_while_and_until_it_is_sure() {
        let mut namesake = Namesake::watch(1_000, 3_000);
        assert!(namesake.is_watching(3_999) && !namesake.is_watching(4_000));
        // However often it looks within a moment.
        for now_ms in 3_900..3_910 {
            assert_eq!(namesake.look(now_ms, Some(7)), Doubtful);
        }
        assert!(namesake.is_watching(5_400), "nobody has said yet that it is ours");
        assert_eq!(namesake.look(5_500, None), Ours);
        assert!(!namesake.is_watching(5_500));
    }
}
