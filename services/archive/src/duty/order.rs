//! The archives of an installation in the order in which they came, by their leases.

use std::collections::BTreeMap;

use bus::NodeLease;
use domain::persist;
use serde::{Deserialize, Serialize};

/// What the names of archives' leases begin with; no node may be named so.
const PREFIX: &str = "archive:";

/// Name of the lease of the archive on `node`, apart from those of routers and desks.
pub(super) fn lease_name(node: &str) -> String {
    format!("{PREFIX}{node}")
}

/// Name of the node of an archive's lease.
pub(super) fn node_of(lease: &str) -> &str {
    lease.strip_prefix(PREFIX).unwrap_or(lease)
}

/// What an archive says of itself in its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArchiveLease {
    /// Drawn at the beginning of a life: tells it from another one of the same name.
    pub(super) life: u64,
    /// Number of the first renewal of the life; 0 in that one.
    pub(super) first: u64,
}

impl ArchiveLease {
    /// What a lease says; `None` where a newer build says it otherwise.
    pub(super) fn of(lease: &NodeLease) -> Option<Self> {
        persist::decode(&lease.info).ok()
    }

    /// Whether it is of this life.
    pub(super) fn is_of(lease: &NodeLease, life: u64) -> bool {
        Self::of(lease).is_some_and(|said| said.life == life)
    }
}

/// What was seen of one archive.
#[derive(Clone, Copy, Debug)]
struct Seen {
    life: u64,
    first: u64,
    renewal: u64,
    /// When the renewal was first seen.
    since_ms: u64,
    is_dead: bool,
}

/// Archives by their leases, judged by our own clock: one is dead after a full lease period without a renewal in which we could
/// read the leases all the time. It stays so for the rest of its life.
#[derive(Debug)]
pub(super) struct Order {
    lease_ms: u64,
    seen: BTreeMap<String, Seen>,
    sound_since_ms: Option<u64>,
}

impl Order {
    pub(super) fn new(lease_ms: u64) -> Self {
        Self { lease_ms, seen: BTreeMap::new(), sound_since_ms: None }
    }

    /// The leases could not be read.
    pub(super) fn failed(&mut self) {
        self.sound_since_ms = None;
    }

    /// The leases as they were read between `asked_ms` and `now_ms`.
    pub(super) fn observe(
        &mut self,
        asked_ms: u64,
        now_ms: u64,
        leases: &BTreeMap<String, NodeLease>,
    ) {
        let sound_ms = *self.sound_since_ms.get_or_insert(now_ms);
        self.seen.retain(|name, _| leases.contains_key(name));
        for (name, lease) in leases.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            let (said, renewal) = (ArchiveLease::of(lease), lease.renewal);
            let life = said.map_or(0, |said| said.life);
            let first = match said {
                Some(ArchiveLease { first: 0, .. }) => renewal,
                Some(said) => said.first,
                // It was there before us until it is gone.
                None => 0,
            };
            let fresh = Seen { life, first, renewal, since_ms: now_ms, is_dead: false };
            let seen = self.seen.entry(name.clone()).or_insert(fresh);
            if seen.life != life {
                *seen = fresh;
                continue;
            }
            // Its holder knows best, once it does: it may have begun more than once, and such a renewal may come late.
            if said.is_some_and(|said| said.first != 0) {
                seen.first = first;
            }
            if seen.renewal != renewal {
                (seen.renewal, seen.since_ms) = (renewal, now_ms);
            } else if asked_ms.saturating_sub(seen.since_ms.max(sound_ms)) >= self.lease_ms {
                seen.is_dead = true;
            }
        }
    }

    /// The lease of the archive that lives longest of those whose life began before the renewal `first`.
    pub(super) fn before(&self, first: u64) -> Option<&str> {
        let before = self.seen.iter().filter(|(_, seen)| !seen.is_dead && seen.first < first);
        before.min_by_key(|(_, seen)| seen.first).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE_MS: u64 = 3_000;

    /// (node and life, first, renewal)
    fn leases(list: &[(&str, u64, u64)]) -> BTreeMap<String, NodeLease> {
        let lease = |(name, first, renewal): &(&str, u64, u64)| {
            let (node, life) = name.split_once(' ').unwrap_or((name, "1"));
            let said = ArchiveLease { life: life.parse().unwrap(), first: *first };
            let info = persist::encode(&said).unwrap().into();
            let node = lease_name(node);
            (node.clone(), NodeLease { node, info, renewal: *renewal, ..NodeLease::default() })
        };
        list.iter().map(lease).collect()
    }

    fn order() -> Order {
        Order::new(LEASE_MS)
    }

    impl Order {
        fn look(&mut self, at_ms: u64, list: &[(&str, u64, u64)]) {
            self.observe(at_ms, at_ms, &leases(list));
        }
    }

    #[test]
    fn who_came_first_is_before_all_others_also_in_its_first_renewal() {
        let mut order = order();
        order.look(0, &[("b", 0, 4), ("a", 0, 7)]);
        assert_eq!(order.before(9), Some("archive:b"));
        assert_eq!(order.before(7), Some("archive:b"));
        assert_eq!(order.before(4), None);
        // The second renewal says what the first one was.
        order.look(500, &[("b", 4, 11), ("a", 7, 12)]);
        assert_eq!((order.before(9), order.before(4)), (Some("archive:b"), None));
    }

    /// The answer to a first renewal may be lost, and the request may come late.
    #[test]
    fn what_the_holder_itself_says_of_its_beginning_counts() {
        let mut order = order();
        order.look(0, &[("a", 0, 4)]);
        order.look(100, &[("a", 0, 8)]);
        assert_eq!(order.before(6), Some("archive:a"));
        order.look(200, &[("a", 8, 10)]);
        assert_eq!((order.before(6), order.before(9)), (None, Some("archive:a")));
        order.look(300, &[("a", 0, 12)]);
        assert_eq!((order.before(6), order.before(9)), (None, Some("archive:a")));
    }

    #[test]
    fn a_released_lease_is_gone_at_once_and_a_new_life_is_the_last() {
        let mut order = order();
        order.look(0, &[("a", 4, 5), ("b", 7, 8)]);
        order.look(500, &[("b", 7, 9)]);
        assert_eq!(order.before(9), Some("archive:b"));
        order.look(1_000, &[("a 2", 0, 12), ("b", 7, 13)]);
        assert_eq!((order.before(7), order.before(12)), (None, Some("archive:b")));
    }

    #[test]
    fn who_does_not_renew_for_a_full_period_is_dead_for_the_rest_of_its_life() {
        let mut order = order();
        order.look(0, &[("a", 4, 5)]);
        order.look(2_000, &[("a", 4, 6)]);
        order.look(4_999, &[("a", 4, 6)]);
        assert_eq!(order.before(9), Some("archive:a"));
        order.look(5_000, &[("a", 4, 6)]);
        assert_eq!(order.before(9), None);
        // A renewal that was on its way.
        order.look(5_500, &[("a", 4, 7)]);
        assert_eq!(order.before(9), None);
        order.look(6_000, &[("a 2", 0, 20)]);
        assert_eq!((order.before(9), order.before(21)), (None, Some("archive:a")));
    }

    /// The holder reckons from when it asked: what we saw came later, and what we ask now may show what came since.
    #[test]
    fn a_period_begins_when_the_leases_were_there_and_ends_before_they_are_asked_for() {
        let mut order = order();
        order.observe(0, 900, &leases(&[("a", 4, 5)]));
        order.observe(3_800, 9_000, &leases(&[("a", 4, 5)]));
        assert_eq!(order.before(9), Some("archive:a"));
        order.observe(3_900, 3_950, &leases(&[("a", 4, 5)]));
        assert_eq!(order.before(9), None);
    }

    #[test]
    fn a_period_in_which_the_leases_could_not_be_read_does_not_count() {
        let mut order = order();
        order.look(0, &[("a", 4, 5)]);
        order.failed();
        order.look(9_000, &[("a", 4, 5)]);
        order.look(11_999, &[("a", 4, 5)]);
        assert_eq!(order.before(9), Some("archive:a"));
        order.look(12_000, &[("a", 4, 5)]);
        assert_eq!(order.before(9), None);
    }

    #[test]
    fn leases_of_others_are_passed_over_and_an_unknown_form_is_waited_for() {
        let mut order = order();
        let mut found = leases(&[("a", 4, 5)]);
        for (name, info) in [("desk:x", "x"), ("router-1", "y")] {
            let (node, info) = (name.to_owned(), bytes::Bytes::from_static(info.as_bytes()));
            found
                .insert(node.clone(), NodeLease { node, info, renewal: 1, ..NodeLease::default() });
        }
        order.observe(0, 0, &found);
        assert_eq!((order.before(4), order.before(9)), (None, Some("archive:a")));
        let node = lease_name("newer");
        let info = bytes::Bytes::from_static(b"newer");
        found.insert(node.clone(), NodeLease { node, info, renewal: 90, ..NodeLease::default() });
        order.observe(500, 500, &found);
        assert_eq!(order.before(4), Some("archive:newer"));
    }
}
