//! Processes that hold agents' connections (design.md 4.6): each has a lease, and every connection names the life of the
//! process that took it, so that connections of a dead one can be told gone.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Hash16, SessionId};

/// One life of a desk process; drawn at random when it starts, and anew whenever it has ended all its connections.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DeskId(pub u64);

impl fmt::Display for DeskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl SessionId {
    /// A connection that `desk` took; `random` tells it from the desk's others.
    #[must_use]
    pub fn of(desk: DeskId, random: u64) -> Self {
        Self(Hash16(((u128::from(desk.0) << 64) | u128::from(random)).to_be_bytes()))
    }

    /// The life of the desk process that took the connection.
    #[must_use]
    pub fn desk(self) -> DeskId {
        let high = u128::from_be_bytes(self.0.0) >> 64;
        DeskId(u64::try_from(high).unwrap_or_default())
    }
}

/// What a desk process says of itself in its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskLease {
    /// Its life.
    pub desk: DeskId,
}

/// Name of the lease of the desk process on `node`, apart from the leases of nodes that serve partitions.
#[must_use]
pub fn lease_name(node: &str) -> String {
    format!("desk:{node}")
}

/// Whether a lease of this name is a desk's.
#[must_use]
pub fn is_lease_name(name: &str) -> bool {
    name.starts_with("desk:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_desk() {
        let desk = DeskId(0xfedc_ba98_7654_3210);
        let session = SessionId::of(desk, 7);
        assert_eq!(session.desk(), desk);
        assert_ne!(session, SessionId::of(desk, 8));
        assert_eq!(session.0.to_string(), "fedcba98765432100000000000000007");
    }

    #[test]
    fn leases_of_desks_are_told_from_nodes() {
        assert!(is_lease_name(&lease_name("node-1")));
        assert!(!is_lease_name("node-1"));
    }
}
