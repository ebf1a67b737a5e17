//! How far each partition is projected, for readers that wait for a decision they know of.

use std::{sync::Arc, time::Duration};

use bus::PartitionId;
use tokio::sync::watch;

/// (generation, sequence) of the last applied record.
type Reached = (u32, u64);

/// Shared between the projectors and the readers of one process.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Vec<watch::Sender<Reached>>>);

impl Progress {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(Arc::new((0..partitions).map(|_| watch::Sender::new((0, 0))).collect()))
    }

    pub(crate) fn set(&self, partition: PartitionId, reached: Reached) {
        if let Some(sender) = self.0.get(usize::from(partition.0)) {
            sender.send_replace(reached);
        }
    }

    /// How far one partition is.
    pub(crate) fn at(&self, partition: PartitionId) -> Reached {
        self.0.get(usize::from(partition.0)).map_or((0, 0), |sender| *sender.borrow())
    }

    /// How far each partition is.
    pub(crate) fn all(&self) -> Vec<Reached> {
        self.0.iter().map(|sender| *sender.borrow()).collect()
    }

    /// Waits at most `wait` until the partition has reached the position; says whether it has.
    pub(crate) async fn reach(
        &self,
        partition: PartitionId,
        wanted: Reached,
        wait: Duration,
    ) -> bool {
        let Some(sender) = self.0.get(usize::from(partition.0)) else { return false };
        let mut receiver = sender.subscribe();
        let reached = receiver.wait_for(|reached| *reached >= wanted);
        tokio::time::timeout(wait, reached).await.is_ok_and(|reached| reached.is_ok())
    }
}
