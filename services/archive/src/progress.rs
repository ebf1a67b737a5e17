//! How far each partition is projected, for readers that wait for a decision they know of.

use std::{sync::Arc, time::Duration};

use bus::{Bus, PartitionId, Signal, Signals};
use bytes::Bytes;
use chassis::task::{Shutdown, TaskKind};
use tokio::sync::watch;

use crate::Repository;

/// Topics on which the process that projects says how far it is.
const APPLIED_TOPICS: &str = "applied.>";
/// Between two looks at the read model's own positions.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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

    /// As [`Progress::set`], where what is heard may be older than what is known.
    fn raise(&self, partition: PartitionId, reached: Reached) {
        if let Some(sender) = self.0.get(usize::from(partition.0)) {
            sender.send_if_modified(|known| {
                let newer = reached > *known;
                *known = reached.max(*known);
                newer
            });
        }
    }

    /// Follows a read model that another process projects: by its signals, and by looking from time to time, as signals
    /// are best effort. Ends with `shutdown`.
    pub(crate) fn follow(&self, bus: &Bus, repository: Arc<dyn Repository>, shutdown: &Shutdown) {
        let (progress, signals, ending) =
            (self.clone(), Arc::clone(&bus.signals), shutdown.clone());
        let listen = async move {
            tokio::select! {
                () = progress.listen(signals) => {}
                () = ending.begun() => {}
            }
        };
        shutdown.spawn(TaskKind::Follower, "archive progress", listen).detach();
        let (progress, partitions, ending) = (self.clone(), bus.partitions, shutdown.clone());
        let look = async move {
            tokio::select! {
                () = progress.look(repository, partitions) => {}
                () = ending.begun() => {}
            }
        };
        shutdown.spawn(TaskKind::Follower, "archive progress", look).detach();
    }

    async fn listen(&self, signals: Arc<dyn Signals>) {
        loop {
            match signals.subscribe(APPLIED_TOPICS).await {
                Ok(mut stream) => {
                    while let Some(signal) = stream.next().await {
                        let applied = signal.ok().and_then(|signal| read(&signal));
                        if let Some((partition, reached)) = applied {
                            self.raise(partition, reached);
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "what is applied is not heard"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self, repository: Arc<dyn Repository>, partitions: u16) {
        loop {
            for partition in (0..partitions).map(PartitionId) {
                if let Ok(Some(cursor)) = repository.cursor(partition).await {
                    self.raise(partition, (cursor.generation, cursor.seq));
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
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

/// What the process that projects says when a partition has reached a record.
pub(crate) fn applied(partition: PartitionId, (generation, seq): Reached) -> Signal {
    let mut body = [0; 12];
    let (first, second) = body.split_at_mut(4);
    first.copy_from_slice(&generation.to_be_bytes());
    second.copy_from_slice(&seq.to_be_bytes());
    Signal { topic: format!("applied.{partition}"), body: Bytes::copy_from_slice(&body) }
}

fn read(signal: &Signal) -> Option<(PartitionId, Reached)> {
    let partition = signal.topic.strip_prefix("applied.")?.parse().ok()?;
    let (generation, seq) = signal.body.split_at_checked(4)?;
    let generation = u32::from_be_bytes(generation.try_into().ok()?);
    Some((PartitionId(partition), (generation, u64::from_be_bytes(seq.try_into().ok()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_partition_is_survives_its_signal() {
        let reached = (3, u64::MAX);
        assert_eq!(read(&applied(PartitionId(9), reached)), Some((PartitionId(9), reached)));
        let other = Signal { topic: "applied.9".to_owned(), body: Bytes::from_static(&[0; 3]) };
        assert_eq!(read(&other), None);
    }

    #[test]
    fn what_is_heard_late_takes_nothing_back() {
        let progress = Progress::new(1);
        progress.raise(PartitionId(0), (0, 9));
        progress.raise(PartitionId(0), (0, 4));
        assert_eq!(progress.all(), [(0, 9)]);
        progress.raise(PartitionId(0), (1, 1));
        assert_eq!(progress.all(), [(1, 1)]);
    }
}
