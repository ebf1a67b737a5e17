//! Which nodes live, as this one sees it, and hence which partitions are free (design.md 4.3).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bus::{NodeLease, PartitionId};
use ractor::ActorRef;
use tokio::sync::oneshot;

use super::{
    encode_info,
    info::NodeInfo,
    root::{Owned, RootMsg},
};
use crate::{
    Placement,
    shell::context::{Context, sleep_ms},
};

/// Leases judged by our own clock: a node is dead only after a full lease period without a renewal of its
/// own, in which our renewals in that same store were all acknowledged.
#[derive(Debug)]
pub(super) struct Neighbours {
    lease_ms: u64,
    /// Last renewal number per node, and when it was first seen.
    seen: BTreeMap<String, (u64, u64)>,
    /// Since when all our own renewals were acknowledged.
    sound_since_ms: Option<u64>,
    claimed: BTreeMap<String, Vec<PartitionId>>,
}

impl Neighbours {
    pub(super) fn new(lease_ms: u64) -> Self {
        Self { lease_ms, seen: BTreeMap::new(), sound_since_ms: None, claimed: BTreeMap::new() }
    }

    /// One of our own renewals, or the reading of the leases, failed.
    pub(super) fn failed(&mut self) {
        self.sound_since_ms = None;
    }

    /// The leases as read at `boot_ms`, after our own renewal was acknowledged.
    pub(super) fn observe(&mut self, boot_ms: u64, me: &str, leases: &BTreeMap<String, NodeLease>) {
        self.sound_since_ms.get_or_insert(boot_ms);
        self.seen.retain(|node, _| leases.contains_key(node));
        self.claimed.clear();
        for (node, lease) in leases.iter().filter(|(node, _)| node.as_str() != me) {
            let seen = self.seen.entry(node.clone()).or_insert((lease.renewal, boot_ms));
            if seen.0 != lease.renewal {
                *seen = (lease.renewal, boot_ms);
            }
            let info = NodeInfo::decode(&lease.info);
            self.claimed.insert(node.clone(), info.map(|info| info.owned).unwrap_or_default());
        }
    }

    /// Partitions that other live nodes claim.
    pub(super) fn claimed(&self, boot_ms: u64) -> BTreeSet<PartitionId> {
        let lives = |node: &String| {
            let Some((_, changed_ms)) = self.seen.get(node) else { return false };
            let watched_from = self.sound_since_ms.map(|sound| sound.max(*changed_ms));
            watched_from.is_none_or(|from| boot_ms.saturating_sub(from) < self.lease_ms)
        };
        self.claimed.iter().filter(|(node, _)| lives(node)).flat_map(|(_, p)| p).copied().collect()
    }
}

/// Renews the node's lease and tells the root what is free.
pub(super) struct Follower {
    context: Arc<Context>,
    root: ActorRef<RootMsg>,
    neighbours: Neighbours,
}

impl Follower {
    pub(super) fn new(context: Arc<Context>, root: ActorRef<RootMsg>) -> Self {
        let neighbours = Neighbours::new(context.settings.lease_ms);
        Self { context, root, neighbours }
    }

    pub(super) async fn run(mut self) {
        while self.round().await {
            sleep_ms(self.context.settings.renew_ms).await;
        }
    }

    /// One renewal; false when the root is gone.
    async fn round(&mut self) -> bool {
        let (answer, answered) = oneshot::channel();
        if self.root.cast(RootMsg::Owned(answer)).is_err() {
            return false;
        }
        let Ok(Owned { owned, cannot_serve }) = answered.await else { return false };
        let (leases, me) = (Arc::clone(&self.context.bus.leases), &self.context.name);
        let observed = async {
            leases.renew(me, encode_info(owned, cannot_serve)).await?;
            leases.list().await
        };
        match observed.await {
            Err(error) => {
                tracing::warn!(%error, "lease not renewed");
                self.neighbours.failed();
            }
            Ok(leases) => {
                self.neighbours.observe(self.context.clock.boot_ms(), me, &leases);
                self.place();
            }
        }
        true
    }

    fn place(&self) {
        if self.context.settings.placement == Placement::Manual {
            return;
        }
        let claimed = self.neighbours.claimed(self.context.clock.boot_ms());
        let all = (0..self.context.bus.partitions).map(PartitionId);
        let free = all.filter(|partition| !claimed.contains(partition)).collect();
        // Without its root the node is gone.
        drop(self.root.cast(RootMsg::Free(free)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases(list: &[(&str, u64, u16)]) -> BTreeMap<String, NodeLease> {
        let lease = |(node, renewal, partition): &(&str, u64, u16)| {
            let info = encode_info(vec![PartitionId(*partition)], Vec::new());
            let lease = NodeLease { node: (*node).to_owned(), info, renewal: *renewal };
            ((*node).to_owned(), lease)
        };
        list.iter().map(lease).collect()
    }

    fn claimed(neighbours: &Neighbours, boot_ms: u64) -> Vec<u16> {
        neighbours.claimed(boot_ms).into_iter().map(|partition| partition.0).collect()
    }

    #[test]
    fn a_node_is_dead_after_a_full_period_that_we_watched_soundly() {
        let mut neighbours = Neighbours::new(100);
        let list = leases(&[("me", 1, 0), ("other", 7, 3)]);
        neighbours.observe(0, "me", &list);
        assert_eq!(claimed(&neighbours, 99), [3]);
        assert_eq!(claimed(&neighbours, 100), [0; 0]);
        // It renewed: it lives for another period.
        neighbours.observe(90, "me", &leases(&[("me", 2, 0), ("other", 8, 3)]));
        assert_eq!(claimed(&neighbours, 189), [3]);
        // Our own renewal failed meanwhile: the period starts anew.
        neighbours.failed();
        assert_eq!(claimed(&neighbours, 500), [3]);
        neighbours.observe(500, "me", &leases(&[("me", 3, 0), ("other", 8, 3)]));
        assert_eq!(claimed(&neighbours, 599), [3]);
        assert_eq!(claimed(&neighbours, 600), [0; 0]);
    }

    #[test]
    fn a_released_lease_and_our_own_claim_nothing() {
        let mut neighbours = Neighbours::new(100);
        neighbours.observe(0, "me", &leases(&[("me", 1, 0), ("other", 7, 3)]));
        neighbours.observe(10, "me", &leases(&[("me", 2, 0)]));
        assert_eq!(claimed(&neighbours, 10), [0; 0]);
    }
}
