//! Leases in memory: they die with the process, which is what they are about.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{BusError, FormatLevel, Leases, NodeLease};

#[derive(Debug, Default)]
struct Table {
    renewals: u64,
    nodes: BTreeMap<String, NodeLease>,
}

/// Leases of the nodes of this process.
#[derive(Debug, Default)]
pub(crate) struct LocalLeases {
    table: Mutex<Table>,
}

impl LocalLeases {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews, without waiting for anything.
    pub(crate) fn renew_now(&self, node: &str, info: Bytes) -> u64 {
        let mut table = self.table();
        // One counter for all nodes: it also rises over a release.
        table.renewals += 1;
        let renewal = table.renewals;
        // The clock of this machine is everybody's: there is none to compare with.
        let lease = NodeLease {
            node: node.to_owned(),
            info,
            renewal,
            renewed_wall_ms: None,
            format_known: FormatLevel::KNOWN,
        };
        table.nodes.insert(node.to_owned(), lease);
        renewal
    }

    /// Gives up, without waiting for anything.
    pub(crate) fn release_now(&self, node: &str) {
        self.table().nodes.remove(node);
    }
}

#[async_trait]
impl Leases for LocalLeases {
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError> {
        Ok(self.renew_now(node, info))
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        Ok(self.table().nodes.clone())
    }

    async fn release(&self, node: &str) -> Result<(), BusError> {
        self.release_now(node);
        Ok(())
    }
}
