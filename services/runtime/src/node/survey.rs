//! The nodes of an installation as their leases tell of them: for operators, who have no node of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bus::{Bus, FormatLevel, NodeLease, PartitionId};

use super::{
    NodeError,
    info::NodeInfo,
    owners::{self, Owners},
};

/// How often the leases are read while it is watched who renews.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the leases say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Nodes by name.
    pub nodes: BTreeMap<String, NodeView>,
    /// Owners by partition, as the nodes that live name themselves; what nobody holds is missing.
    pub owners: Owners,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeView {
    /// Whether it renewed its lease while it was watched.
    pub lives: bool,
    /// Partitions it owns or is taking.
    pub owned: BTreeSet<PartitionId>,
    /// Those of them that it serves.
    pub serving: BTreeSet<PartitionId>,
    /// Partitions it found it cannot serve.
    pub cannot_serve: BTreeSet<PartitionId>,
    /// Partitions on their way to another node, by name.
    pub handing: BTreeMap<PartitionId, String>,
    /// Partitions that an operator moved to it.
    pub pinned: BTreeSet<PartitionId>,
    /// It hands everything over and takes nothing.
    pub draining: bool,
    /// It takes nothing, because its clock differs from the bus's or it is told what to take.
    pub takes_none: bool,
    /// Newest format level it knows.
    pub format_known: FormatLevel,
}

impl NodeView {
    fn new(info: &NodeInfo, lives: bool) -> Self {
        Self {
            lives,
            owned: info.owned.clone(),
            serving: info.served.keys().copied().collect(),
            cannot_serve: info.cannot_serve.clone(),
            handing: info.handing.clone(),
            pinned: info.pins.keys().copied().collect(),
            draining: info.draining,
            takes_none: info.takes_none,
            format_known: info.format_known,
        }
    }
}

/// Looks who lives: whoever renews its lease within `within`, which should be a lease period. It is back sooner when everybody
/// has. Other processes than routers have leases too; theirs are passed over.
///
/// # Errors
/// When the leases cannot be read.
pub async fn survey(bus: &Bus, within: Duration) -> Result<Survey, NodeError> {
    let first = bus.leases.list().await.map_err(NodeError::ReadLeases)?;
    let mut leases = first.clone();
    let looks = within.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if leases.values().filter(|lease| is_node(lease)).all(|lease| renewed(&first, lease)) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        leases = bus.leases.list().await.map_err(NodeError::ReadLeases)?;
    }
    Ok(read(&leases, |lease| renewed(&first, lease)))
}

fn is_node(lease: &NodeLease) -> bool {
    NodeInfo::decode(&lease.info).is_ok()
}

/// Whether it was renewed since it was first seen; one that was not there at first is young.
fn renewed(first: &BTreeMap<String, NodeLease>, lease: &NodeLease) -> bool {
    first.get(&lease.node).is_none_or(|seen| seen.renewal != lease.renewal)
}

fn read(leases: &BTreeMap<String, NodeLease>, lives: impl Fn(&NodeLease) -> bool) -> Survey {
    let infos: BTreeMap<&str, (NodeInfo, bool)> = leases
        .iter()
        .filter_map(|(node, lease)| {
            Some((node.as_str(), (NodeInfo::decode(&lease.info).ok()?, lives(lease))))
        })
        .collect();
    let living = infos.iter().filter(|(_, (_, lives))| *lives);
    let owners = owners::of(living.map(|(node, (info, _))| (*node, info)));
    let view = |(node, (info, lives)): (&&str, &(NodeInfo, bool))| {
        ((*node).to_owned(), NodeView::new(info, *lives))
    };
    Survey { nodes: infos.iter().map(view).collect(), owners }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::info::Served;

    fn lease(node: &str, renewal: u64, info: bytes::Bytes) -> (String, NodeLease) {
        let node = node.to_owned();
        (node.clone(), NodeLease { node, info, renewal, renewed_wall_ms: None })
    }

    fn serving(partition: u16, epoch: u64) -> bytes::Bytes {
        let mut info = NodeInfo::new();
        info.owned.insert(PartitionId(partition));
        info.served.insert(PartitionId(partition), Served { epoch, lag_inputs: 0 });
        info.encode().unwrap()
    }

    #[test]
    fn who_does_not_renew_owns_nothing() {
        let first = [lease("a", 1, serving(0, 5)), lease("b", 2, serving(1, 6))].into();
        let later = [lease("a", 3, serving(0, 5)), lease("b", 2, serving(1, 6))].into();
        let survey = read(&later, |lease| renewed(&first, lease));
        assert!(survey.nodes["a"].lives && !survey.nodes["b"].lives);
        assert_eq!(survey.nodes["b"].serving, [PartitionId(1)].into());
        let owners: Vec<_> = survey.owners.iter().map(|(p, o)| (p.0, o.node.as_str())).collect();
        assert_eq!(owners, [(0, "a")]);
    }

    #[test]
    fn leases_of_other_processes_are_passed_over() {
        let desk = bus::encode(&7_u64).unwrap();
        let leases = [lease("a", 1, serving(0, 5)), lease("desk", 2, desk)].into();
        let survey = read(&leases, |_| true);
        assert_eq!(survey.nodes.keys().collect::<Vec<_>>(), ["a"]);
    }
}
