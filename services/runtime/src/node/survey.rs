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
    /// Processes of other kinds, by the names of their leases.
    pub others: BTreeMap<String, ProcessView>,
    /// Owners by partition, as the nodes that live name themselves; what nobody holds is missing.
    pub owners: Owners,
}

/// A process that owns no partitions: a desk, an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessView {
    /// Whether it renewed its lease while it was watched.
    pub lives: bool,
    /// Newest format level it knows.
    pub format_known: FormatLevel,
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
/// has.
///
/// # Errors
/// When the leases cannot be read.
pub async fn survey(bus: &Bus, within: Duration) -> Result<Survey, NodeError> {
    let first = bus.leases.list().await.map_err(NodeError::ReadLeases)?;
    let mut leases = first.clone();
    let looks = within.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if leases.values().all(|lease| renewed(&first, lease)) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        leases = bus.leases.list().await.map_err(NodeError::ReadLeases)?;
    }
    Ok(read(&leases, |lease| renewed(&first, lease)))
}

/// Whether it was renewed since it was first seen; one that was not there at first is young.
fn renewed(first: &BTreeMap<String, NodeLease>, lease: &NodeLease) -> bool {
    first.get(&lease.node).is_none_or(|seen| seen.renewal != lease.renewal)
}

fn read(leases: &BTreeMap<String, NodeLease>, lives: impl Fn(&NodeLease) -> bool) -> Survey {
    let mut infos = BTreeMap::new();
    let mut survey = Survey::default();
    for (name, lease) in leases {
        let lives = lives(lease);
        if let Ok(info) = NodeInfo::decode(&lease.info) {
            survey.nodes.insert(name.clone(), NodeView::new(&info, lives));
            infos.extend(lives.then_some((name.as_str(), info)));
        } else {
            let format_known = lease.format_known;
            survey.others.insert(name.clone(), ProcessView { lives, format_known });
        }
    }
    survey.owners = owners::of(infos.iter().map(|(node, info)| (*node, info)));
    survey
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::info::Served;

    fn lease(node: &str, renewal: u64, info: bytes::Bytes) -> (String, NodeLease) {
        let node = node.to_owned();
        (node.clone(), NodeLease { node, info, renewal, ..NodeLease::default() })
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
    fn processes_of_other_kinds_are_named_apart() {
        let desk = bus::encode(&7_u64).unwrap();
        let leases = [lease("a", 1, serving(0, 5)), lease("desk", 2, desk)].into();
        let survey = read(&leases, |_| true);
        assert_eq!(survey.nodes.keys().collect::<Vec<_>>(), ["a"]);
        let desk = ProcessView { lives: true, format_known: FormatLevel::FIRST };
        assert_eq!(survey.others, [("desk".to_owned(), desk)].into());
    }
}
