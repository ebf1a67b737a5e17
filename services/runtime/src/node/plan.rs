//! Where partitions belong: a pure function of the leases (design.md 4.3). Rendezvous hashing: each partition ranks the
//! nodes by a score of its own, so that a join or a leave moves only what it must.

use std::collections::{BTreeMap, BTreeSet};

use bus::{FormatLevel, PartitionId};

use super::{info::NodeInfo, neighbours::Member};

/// All there is to decide by.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) me: &'a str,
    /// What this node says of itself.
    pub(super) mine: &'a NodeInfo,
    /// The other nodes that live.
    pub(super) others: &'a BTreeMap<String, Member>,
    pub(super) partitions: u16,
    pub(super) now_ms: u64,
    /// Since when each partition that nobody holds is free, as this node saw it.
    pub(super) free_since_ms: &'a BTreeMap<PartitionId, u64>,
    /// Nodes that did not take what was handed to them, and until when they are given nothing.
    pub(super) avoided_until_ms: &'a BTreeMap<String, u64>,
    pub(super) lease_ms: u64,
    pub(super) moves_max: usize,
    /// Whether partitions are ever moved to where they belong ([`crate::Placement::Rendezvous`]).
    pub(super) moves: bool,
    /// The installation's format level: who does not know it may have nothing.
    pub(super) format: FormatLevel,
    /// Self-test: partitions are moved to whom this node thinks best, whether that one agrees or not.
    pub(super) alone: bool,
}

/// What this node does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Free partitions to claim and then to take, and those handed over to it.
    pub(super) take: BTreeSet<PartitionId>,
    /// Others' partitions that belong here.
    pub(super) wants: BTreeSet<PartitionId>,
    /// Own partitions to let go, and to whom.
    pub(super) hand_over: BTreeMap<PartitionId, String>,
}

/// Partitions that no other live node holds and that this one does not own.
pub(super) fn free(
    partitions: u16,
    mine: &NodeInfo,
    others: &BTreeMap<String, Member>,
) -> BTreeSet<PartitionId> {
    let held = |partition: &PartitionId| others.values().any(|m| m.info.holds(*partition));
    let all = (0..partitions).map(PartitionId);
    all.filter(|partition| !mine.holds(*partition) && !held(partition)).collect()
}

/// A node's score for a partition; the highest wins. The key keeps it apart from every other use of the hash.
fn score(partition: PartitionId, node: &str) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("tandem 2026 placement of partitions v1");
    hasher.update(&partition.0.to_le_bytes());
    hasher.update(node.as_bytes());
    let hash = hasher.finalize();
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl View<'_> {
    pub(super) fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        let free = free(self.partitions, self.mine, self.others);
        for partition in (0..self.partitions).map(PartitionId) {
            let ranks = self.ranks(partition);
            if self.is_handed_to_me(partition)
                || (free.contains(&partition) && self.takes(partition, &ranks))
            {
                plan.take.insert(partition);
            } else if self.moves && self.is_wanted(partition, &ranks) {
                plan.wants.insert(partition);
            }
        }
        plan.hand_over = self.hand_over();
        plan
    }

    fn info_of(&self, node: &str) -> Option<&NodeInfo> {
        if node == self.me {
            return Some(self.mine);
        }
        self.others.get(node).map(|member| &member.info)
    }

    /// Live nodes that may have the partition, best first: the one an operator moved it to last, then by score.
    fn ranks(&self, partition: PartitionId) -> Vec<&str> {
        let names = self.others.keys().map(String::as_str).chain([self.me]);
        let ranked = |node| {
            let may =
                |info: &&NodeInfo| info.format_known >= self.format && info.may_have(partition);
            let info = self.info_of(node).filter(may)?;
            let pinned_ms = info.pins.get(&partition).copied();
            Some((pinned_ms, score(partition, node), node))
        };
        let mut ranks: Vec<_> = names.filter_map(ranked).collect();
        ranks.sort_unstable_by(|a, b| b.cmp(a));
        ranks.into_iter().map(|(_, _, node)| node).collect()
    }

    fn is_handed_to_me(&self, partition: PartitionId) -> bool {
        let handed = |member: &Member| {
            let info = &member.info;
            !info.owned.contains(&partition)
                && info.handing.get(&partition).is_some_and(|to| to == self.me)
        };
        let owned = |member: &Member| member.info.owned.contains(&partition);
        !self.mine.owned.contains(&partition)
            && self.mine.may_have(partition)
            && self.others.values().any(handed)
            && !self.others.values().any(owned)
    }

    /// Whether a free partition is ours to take. The best takes it at once; the next ones, should that one not, each a lease
    /// period later: nobody waits for ever for a node that lives and does nothing.
    fn takes(&self, partition: PartitionId, ranks: &[&str]) -> bool {
        let Some(rank) = ranks.iter().position(|node| *node == self.me) else { return false };
        let claimed =
            |node: &&str| self.info_of(node).is_some_and(|info| info.claims.contains(&partition));
        if ranks.iter().take(rank).any(claimed) {
            return false;
        }
        let since_ms = self.free_since_ms.get(&partition).copied().unwrap_or(self.now_ms);
        let wait_ms = self.lease_ms.saturating_mul(u64::try_from(rank).unwrap_or(u64::MAX));
        self.now_ms.saturating_sub(since_ms) >= wait_ms
    }

    fn is_wanted(&self, partition: PartitionId, ranks: &[&str]) -> bool {
        let owned = self.others.values().any(|member| member.info.owned.contains(&partition));
        owned && ranks.first() == Some(&self.me)
    }

    /// A few at a time, each to a node that wants it: what one node alone thinks moves nothing.
    fn hand_over(&self) -> BTreeMap<PartitionId, String> {
        let room = self.moves_max.saturating_sub(self.mine.handing.len());
        if !self.moves && !self.mine.draining {
            return BTreeMap::new();
        }
        let own = self.mine.served.keys().filter(|p| self.mine.owned.contains(*p));
        let staying = own.filter(|p| !self.mine.handing.contains_key(*p));
        let target = |partition: &PartitionId| {
            self.target(*partition).map(|node| (*partition, node.to_owned()))
        };
        staying.filter_map(target).take(room).collect()
    }

    fn target(&self, partition: PartitionId) -> Option<&str> {
        let avoided = |node: &str| {
            self.avoided_until_ms.get(node).is_some_and(|until_ms| *until_ms > self.now_ms)
        };
        let ranks = self.ranks(partition);
        if self.mine.draining {
            return ranks.into_iter().find(|node| !avoided(node));
        }
        let best = ranks.first().copied().filter(|node| *node != self.me && !avoided(node))?;
        let member = self.others.get(best)?;
        let pinned = member.info.pins.contains_key(&partition);
        let agreed = member.settled && member.info.wants.contains(&partition);
        (pinned || agreed || self.alone).then_some(best)
    }
}

#[cfg(test)]
mod tests;
