//! Who owns what, as the leases of live nodes say: for operators and for whoever wants to be near an owner. The log alone
//! decides who may write.

use std::collections::BTreeMap;

use bus::PartitionId;

use super::info::NodeInfo;

/// Owners by partition; a partition that nobody holds is missing.
pub type Owners = BTreeMap<PartitionId, PartitionOwner>;

/// The owner of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOwner {
    /// Name of the node.
    pub node: String,
    /// Whether it serves the partition; it is taking it otherwise.
    pub serving: bool,
    /// Epoch of this owner, 0 while it is taking the partition.
    pub epoch: u64,
    /// Inbox inputs that it has read and not durably decided.
    pub lag_inputs: u64,
}

/// Where two nodes name themselves, who serves by the later epoch is the owner: the other one was fenced and does not know it.
pub(super) fn of<'a>(nodes: impl IntoIterator<Item = (&'a str, &'a NodeInfo)>) -> Owners {
    let mut owners = Owners::new();
    for (node, info) in nodes {
        for partition in &info.owned {
            let served = info.served.get(partition);
            let owner = PartitionOwner {
                node: node.to_owned(),
                serving: served.is_some(),
                epoch: served.map_or(0, |served| served.epoch),
                lag_inputs: served.map_or(0, |served| served.lag_inputs),
            };
            if owners.get(partition).is_none_or(|known| known.epoch < owner.epoch) {
                owners.insert(*partition, owner);
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::info::Served;

    #[test]
    fn the_later_epoch_is_the_owner() {
        let info = |served: &[(u16, u64)]| {
            let mut info = NodeInfo::new();
            for (partition, epoch) in served {
                info.owned.insert(PartitionId(*partition));
                let served = Served { epoch: *epoch, lag_inputs: 3 };
                info.served.insert(PartitionId(*partition), served);
            }
            info
        };
        let mut other = info(&[(1, 5), (2, 7)]);
        other.owned.insert(PartitionId(3));
        let owners = of([("b", &other), ("a", &info(&[(1, 6)]))]);
        let found: Vec<_> = owners.iter().map(|(p, o)| (p.0, o.node.as_str(), o.epoch)).collect();
        assert_eq!(found, [(1, "a", 6), (2, "b", 7), (3, "b", 0)]);
        assert!(!owners[&PartitionId(3)].serving);
        assert_eq!(owners[&PartitionId(1)].lag_inputs, 3);
    }
}
