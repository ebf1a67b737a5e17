//! How far each partition is projected, for readers that wait for a decision they know of.

use std::{sync::Arc, time::Duration};

use bus::{Bus, PartitionId, Signal, Signals};
use bytes::Bytes;
use chassis::task::{Shutdown, TaskKind};
use tokio::sync::watch;

use crate::{Repository, chain::Cursor};

/// Topics on which the process that projects says how far it is.
const APPLIED_TOPICS: &str = "applied.>";
/// Between two looks at the read model's own positions.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// (generation, sequence) of the last applied record.
pub(crate) type Reached = (u32, u64);

/// What a stored position says.
pub(crate) fn reached(cursor: Option<Cursor>) -> Reached {
    cursor.map_or((0, 0), |at| (at.generation, at.seq))
}

/// Shared between the projectors and the readers of one process. It says what was heard; what is stored may be less, where the
/// database crashed, or its place was taken by a standby that lagged behind.
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

    /// What is stored, by an answer that was asked for when `known` was heard: where that was more, the read model went back.
    pub(crate) fn correct(&self, partition: PartitionId, known: Reached, stored: Reached) {
        let Some(sender) = self.0.get(usize::from(partition.0)) else { return };
        sender.send_if_modified(|now| {
            // What was heard meanwhile may have been stored after the answer.
            let next = if *now == known { stored } else { stored.max(*now) };
            std::mem::replace(now, next) != next
        });
    }

    /// Waits until less is stored than `reached`.
    pub(crate) async fn falls_below(&self, partition: PartitionId, reached: Reached) {
        let Some(sender) = self.0.get(usize::from(partition.0)) else { return };
        // It fails only when nobody is left who could tell: not while `self` is there.
        drop(sender.subscribe().wait_for(|now| *now < reached).await);
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
        self.start_looking(repository, shutdown);
    }

    /// Compares what was heard with what is stored, from time to time until `shutdown`.
    pub(crate) fn start_looking(&self, repository: Arc<dyn Repository>, shutdown: &Shutdown) {
        let (progress, ending) = (self.clone(), shutdown.clone());
        let look = async move {
            tokio::select! {
                () = progress.look(repository) => {}
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

    async fn look(&self, repository: Arc<dyn Repository>) {
        loop {
            let known = self.all();
            // A database that does not answer is asked again.
            if let Ok(stored) = repository.cursors().await {
                for (partition, known) in (0..).map(PartitionId).zip(known) {
                    self.correct(partition, known, reached(stored.get(&partition).copied()));
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How far each partition is.
    pub(crate) fn all(&self) -> Vec<Reached> {
        self.0.iter().map(|sender| *sender.borrow()).collect()
    }

    /// Waits until it is heard that the partition has reached the position, and answers how far it is then; `None` where
    /// there is no such partition.
    pub(crate) async fn reach(&self, partition: PartitionId, wanted: Reached) -> Option<Reached> {
        let mut receiver = self.0.get(usize::from(partition.0))?.subscribe();
        receiver.wait_for(|reached| *reached >= wanted).await.ok().map(|reached| *reached)
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

    #[test]
    fn what_is_stored_takes_back_what_was_heard_before_it_was_asked() {
        let progress = Progress::new(1);
        progress.raise(PartitionId(0), (1, 9));
        progress.correct(PartitionId(0), (1, 9), (1, 7));
        assert_eq!(progress.all(), [(1, 7)]);
        // Applied while the answer was on its way.
        progress.set(PartitionId(0), (1, 8));
        progress.correct(PartitionId(0), (1, 7), (1, 7));
        assert_eq!(progress.all(), [(1, 8)]);
        progress.correct(PartitionId(0), (1, 7), (1, 9));
        assert_eq!(progress.all(), [(1, 9)]);
    }
}
