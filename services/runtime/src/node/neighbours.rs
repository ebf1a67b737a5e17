//! Which nodes live, judged by our own clock (design.md 4.3).

use std::collections::BTreeMap;

use bus::{FormatLevel, NodeLease};

use super::info::NodeInfo;

/// Leases judged by our own clock: a node is dead only after a full lease period without a renewal of its
/// own, in which our renewals in that same store were all acknowledged.
#[derive(Debug)]
pub(super) struct Neighbours {
    lease_ms: u64,
    settle_ms: u64,
    seen: BTreeMap<String, Seen>,
    /// Since when all our own renewals were acknowledged.
    sound_since_ms: Option<u64>,
    observed_ms: u64,
    /// Self-test: others are judged whether we watched them or not.
    unsound: bool,
}

#[derive(Debug)]
struct Seen {
    renewal: u64,
    /// When that renewal was first seen.
    changed_ms: u64,
    /// Since when it lives without a break.
    alive_since_ms: u64,
    /// `None`: another kind of process.
    info: Option<NodeInfo>,
    format_known: FormatLevel,
}

/// Another node that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) info: NodeInfo,
    /// It has lived long enough for partitions to be moved to it.
    pub(super) settled: bool,
}

impl Neighbours {
    pub(super) fn new(lease_ms: u64, settle_ms: u64, unsound: bool) -> Self {
        let (seen, sound_since_ms, observed_ms) = (BTreeMap::new(), None, 0);
        Self { lease_ms, settle_ms, seen, sound_since_ms, observed_ms, unsound }
    }

    /// One of our own renewals, or the reading of the leases, failed.
    pub(super) fn failed(&mut self) {
        if !self.unsound {
            self.sound_since_ms = None;
        }
    }

    /// The leases as read at `boot_ms`, after our own renewal, begun at `begun_ms`, was acknowledged.
    pub(super) fn observe(
        &mut self,
        begun_ms: u64,
        boot_ms: u64,
        me: &str,
        leases: &BTreeMap<String, NodeLease>,
    ) {
        // Who stood still (a stopped process, an answer that took long) has not watched anybody meanwhile.
        let slow = boot_ms.saturating_sub(begun_ms) > self.lease_ms / 2;
        let gap = begun_ms.saturating_sub(self.observed_ms) > self.lease_ms;
        if slow || gap {
            self.failed();
        }
        self.sound_since_ms.get_or_insert(boot_ms);
        let was_dead: Vec<String> =
            self.seen.keys().filter(|node| !self.lives(boot_ms, node)).cloned().collect();
        self.observed_ms = boot_ms;
        self.seen.retain(|node, _| leases.contains_key(node));
        for (node, lease) in leases.iter().filter(|(node, _)| node.as_str() != me) {
            let first = || Seen {
                renewal: lease.renewal,
                changed_ms: boot_ms,
                alive_since_ms: boot_ms,
                info: None,
                format_known: lease.format_known,
            };
            let seen = self.seen.entry(node.clone()).or_insert_with(first);
            if seen.renewal != lease.renewal {
                (seen.renewal, seen.changed_ms) = (lease.renewal, boot_ms);
                if was_dead.contains(node) {
                    seen.alive_since_ms = boot_ms;
                }
            }
            seen.info = NodeInfo::decode(&lease.info).ok();
            // Nodes say it in their own information: builds that have levels, but none in the lease itself, do so, too.
            let by_node = seen.info.as_ref().map(|info| info.format_known);
            seen.format_known = by_node.unwrap_or(lease.format_known);
        }
    }

    fn lives(&self, boot_ms: u64, node: &str) -> bool {
        let Some(seen) = self.seen.get(node) else { return false };
        let watched_from = self.sound_since_ms.map(|sound| sound.max(seen.changed_ms));
        watched_from.is_none_or(|from| boot_ms.saturating_sub(from) < self.lease_ms)
    }

    /// For how long a node has not renewed, as far as we saw; `None` where its lease is gone.
    pub(super) fn silent_ms(&self, boot_ms: u64, node: &str) -> Option<u64> {
        self.seen.get(node).map(|seen| boot_ms.saturating_sub(seen.changed_ms))
    }

    /// The other nodes that live.
    pub(super) fn living(&self, boot_ms: u64) -> BTreeMap<String, Member> {
        let member = |(node, seen): (&String, &Seen)| {
            let settled = boot_ms.saturating_sub(seen.alive_since_ms) >= self.settle_ms;
            Some((node.clone(), Member { info: seen.info.clone()?, settled }))
        };
        self.seen.iter().filter(|(node, _)| self.lives(boot_ms, node)).filter_map(member).collect()
    }

    /// The newest format level that each other process knows that lives, of whatever kind.
    pub(super) fn formats(&self, boot_ms: u64) -> BTreeMap<&str, FormatLevel> {
        let living = self.seen.iter().filter(|(node, _)| self.lives(boot_ms, node));
        living.map(|(node, seen)| (node.as_str(), seen.format_known)).collect()
    }
}

#[cfg(test)]
mod tests {
    use bus::PartitionId;

    use super::*;

    fn leases(list: &[(&str, u64)]) -> BTreeMap<String, NodeLease> {
        let lease = |(node, renewal): &(&str, u64)| {
            let mut info = NodeInfo::new();
            info.owned.insert(PartitionId(3));
            let info = info.encode().unwrap();
            let node = (*node).to_owned();
            (node.clone(), NodeLease { node, info, renewal: *renewal, ..NodeLease::default() })
        };
        list.iter().map(lease).collect()
    }

    fn living(neighbours: &Neighbours, boot_ms: u64) -> Vec<(String, bool)> {
        neighbours.living(boot_ms).into_iter().map(|(node, m)| (node, m.settled)).collect()
    }

    fn other(settled: bool) -> Vec<(String, bool)> {
        vec![("other".to_owned(), settled)]
    }

    #[test]
    fn a_node_is_dead_after_a_full_period_that_we_watched_soundly() {
        let mut neighbours = Neighbours::new(100, 50, false);
        neighbours.observe(0, 0, "me", &leases(&[("me", 1), ("other", 7)]));
        assert_eq!(living(&neighbours, 49), other(false));
        assert_eq!(living(&neighbours, 99), other(true));
        assert_eq!(living(&neighbours, 100), []);
        // It renewed: it lives for another period.
        neighbours.observe(90, 90, "me", &leases(&[("me", 2), ("other", 8)]));
        assert_eq!(living(&neighbours, 189), other(true));
        // Our own renewal failed meanwhile: the period starts anew.
        neighbours.failed();
        assert_eq!(living(&neighbours, 180), other(true));
        neighbours.observe(180, 180, "me", &leases(&[("me", 3), ("other", 8)]));
        assert_eq!(living(&neighbours, 279), other(true));
        assert_eq!(living(&neighbours, 280), []);
    }

    #[test]
    fn who_stood_still_declares_nobody_dead() {
        let list = leases(&[("me", 1), ("other", 7)]);
        let mut neighbours = Neighbours::new(100, 0, false);
        neighbours.observe(0, 0, "me", &list);
        // Stopped between two rounds.
        neighbours.observe(5_000, 5_001, "me", &list);
        assert_eq!(living(&neighbours, 5_050), other(true));
        // Stopped, or waiting for an answer, within a round.
        neighbours.observe(5_060, 9_000, "me", &list);
        assert_eq!(living(&neighbours, 9_099), other(true));
        assert_eq!(living(&neighbours, 9_100), []);
    }

    #[test]
    fn who_comes_back_from_the_dead_must_settle_again() {
        let mut neighbours = Neighbours::new(100, 50, false);
        for at in [0, 60, 120] {
            neighbours.observe(at, at, "me", &leases(&[("me", 1 + at), ("other", 7)]));
        }
        assert_eq!(living(&neighbours, 120), []);
        neighbours.observe(130, 130, "me", &leases(&[("me", 300), ("other", 8)]));
        assert_eq!(living(&neighbours, 179), other(false));
        assert_eq!(living(&neighbours, 180), other(true));
    }

    #[test]
    fn a_released_lease_and_that_of_another_kind_of_process_are_no_node() {
        let mut neighbours = Neighbours::new(100, 0, false);
        neighbours.observe(0, 0, "me", &leases(&[("me", 1), ("other", 7)]));
        neighbours.observe(10, 10, "me", &leases(&[("me", 2)]));
        assert_eq!(living(&neighbours, 10), []);
        let mut list = leases(&[("me", 3), ("desk", 7)]);
        list.get_mut("desk").unwrap().info = bus::encode(&7_u64).unwrap();
        neighbours.observe(20, 20, "me", &list);
        assert_eq!(living(&neighbours, 20), []);
    }

    #[test]
    fn a_process_of_any_kind_says_what_it_knows_while_it_lives() {
        let known = |desk: FormatLevel| {
            let mut list = leases(&[("me", 1), ("node", 7), ("desk", 7)]);
            let lease = list.get_mut("desk").unwrap();
            (lease.info, lease.format_known) = (bus::encode(&7_u64).unwrap(), desk);
            let info = NodeInfo { format_known: FormatLevel(3), ..NodeInfo::new() };
            list.get_mut("node").unwrap().info = info.encode().unwrap();
            list
        };
        let mut neighbours = Neighbours::new(100, 0, false);
        neighbours.observe(0, 0, "me", &known(FormatLevel::FIRST));
        let first = [("desk", FormatLevel::FIRST), ("node", FormatLevel(3))];
        assert_eq!(neighbours.formats(50), first.into());
        neighbours.observe(60, 60, "me", &known(FormatLevel(2)));
        assert_eq!(neighbours.formats(60)["desk"], FormatLevel(2));
        neighbours.observe(120, 120, "me", &known(FormatLevel(2)));
        assert_eq!(neighbours.formats(120), [].into(), "nobody has renewed");
    }
}
