//! Generations before the logs' own, out of their segments, before anything else.
//!
//! An import deals entities anew: what one decided before lies in another partition's segments than what it decides now. So a
//! generation is applied in all partitions before the next one is in any: what an event finds in the read model is what
//! came before it. Partitions of one generation keep no order among each other, here as in their logs.

use bus::{PartitionId, Record};
use chassis::{
    health::{Component, Health},
    task::{Shutdown, TaskKind},
};
use tokio::sync::watch;

use super::{Projector, ProjectorError, RETRY_PAUSE_MAX};
use crate::{
    chain::Follower,
    decode::{self, StartError},
    error::chain_text,
    metrics,
    segments::SegmentError,
};

impl Projector {
    /// Begins to apply them; the answer turns true when that is done, and never where it cannot be done.
    pub(super) fn start_earlier(
        &self,
        shutdown: &Shutdown,
        health: &Health,
    ) -> watch::Receiver<bool> {
        let (applied, earlier) = watch::channel(false);
        let component = health.component("archive of earlier generations");
        let (projector, ending) = (self.clone(), shutdown.clone());
        let apply = async move {
            let applying = async {
                if !projector.apply_earlier_at_last(&component).await {
                    // What stopped for good says so for as long.
                    std::future::pending::<()>().await;
                }
                applied.send_replace(true);
            };
            tokio::select! {
                () = applying => {}
                () = ending.begun() => {}
            }
            component.remove();
        };
        shutdown.spawn(TaskKind::Follower, "archive_earlier", apply).detach();
        earlier
    }

    async fn apply_earlier_at_last(&self, component: &Component) -> bool {
        loop {
            let Err(error) = self.apply_earlier().await else { return true };
            let text = chain_text(&error);
            component.not_ready(text.clone());
            if !error.is_passing() {
                tracing::error!(error = text, "the projection of earlier generations stopped");
                return false;
            }
            ::metrics::counter!(metrics::RETRIES_TOTAL).increment(1);
            tokio::time::sleep(RETRY_PAUSE_MAX).await;
        }
    }

    /// Applies what segments hold of generations that are no log's any more.
    pub(super) async fn apply_earlier(&self) -> Result<(), ProjectorError> {
        let Some(segments) = &self.segments else { return Ok(()) };
        let is_fetching = segments.is_fetching();
        let mut logs = Vec::new();
        for partition in (0..self.bus.partitions).map(PartitionId) {
            logs.push((partition, self.generation_of(partition).await?));
        }
        for generation in segments.generations() {
            for (partition, _) in logs.iter().filter(|(_, of_log)| generation < *of_log) {
                self.apply_segments(*partition, generation).await?;
            }
        }
        if is_fetching && self.lacks_earlier(&logs).await? {
            return Err(SegmentError::Fetching.into());
        }
        Ok(())
    }

    /// Whether a partition's log is of a later generation than what was applied of it: what lies between may be in the bucket.
    async fn lacks_earlier(&self, logs: &[(PartitionId, u32)]) -> Result<bool, ProjectorError> {
        for (partition, of_log) in logs {
            let applied = self.repository.cursor(*partition).await?;
            if *of_log > applied.map_or(1, |at| at.generation) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Generation of a log; 0 where nothing is in it.
    async fn generation_of(&self, partition: PartitionId) -> Result<u32, ProjectorError> {
        match decode::last_record(&*self.bus.log, partition).await {
            Ok(last) => Ok(last.map_or(0, |(_, head)| head.generation)),
            // What cannot be read is met, and named, by who follows the log.
            Err(StartError::Decode(_)) => Ok(0),
            Err(StartError::Bus(error)) => Err(error.into()),
        }
    }

    /// Applies the segments of one partition up to and with a generation.
    async fn apply_segments(
        &self,
        partition: PartitionId,
        generation: u32,
    ) -> Result<(), ProjectorError> {
        let mut follower = Follower::after(self.repository.cursor(partition).await?);
        let mut history = self.history(partition);
        loop {
            let records = history.of_segments(&follower).await?;
            let Some((_, first)) = records.first() else { return Ok(()) };
            if Record::decode_head(first).is_ok_and(|head| head.generation > generation) {
                return Ok(());
            }
            self.advance(partition, &mut follower, &records).await?;
        }
    }
}
