//! Follows every partition's log and applies it to the repository: whole records, exactly once by position.

mod earlier;

use std::{sync::Arc, time::Duration};

use bus::{Bus, BusError, PartitionId};
use chassis::{
    clock::Clock,
    health::{Component, Health},
    seal::Sealer,
    task::{Shutdown, TaskKind},
};

use crate::{
    Archive, ArchiveError, Repository,
    chain::Follower,
    decode::{self, DecodeError, Start, StartError},
    error::chain_text,
    history::{History, HistoryError},
    metrics,
    progress::{self, Progress},
    repository::{Applied, Batch},
    segments::{SegmentError, Segments},
};

/// Pause before a failed request is repeated; each further failure doubles it.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause: so much later the projection goes on after an outage.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(4);

/// Why a partition's projection stands still. Nothing is skipped: a person must look.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// A record or event cannot be read by this build, or records are missing.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The bus failed for good.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The repository failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A segment cannot be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The read model has seen more than the log holds: they do not belong together.
    #[error(
        "the read model stands at record {stored} of partition {partition}, but the log ends at {last}: it \
         belongs to another log; rebuild it with `tandem archive rebuild`"
    )]
    LogIsBehind {
        /// The partition.
        partition: PartitionId,
        /// Where the read model stands.
        stored: u64,
        /// Where the log ends.
        last: u64,
    },
}

impl ProjectorError {
    /// The same request may succeed later.
    fn is_passing(&self) -> bool {
        match self {
            Self::Bus(BusError::Unavailable(_))
            | Self::Archive(
                ArchiveError::Store(_) | ArchiveError::Unreachable(_) | ArchiveError::Refused(_),
            ) => true,
            Self::Segment(error) => error.is_passing(),
            Self::Bus(_) | Self::Archive(_) | Self::Decode(_) | Self::LogIsBehind { .. } => false,
        }
    }
}

impl From<StartError> for ProjectorError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Bus(error) => Self::Bus(error),
            StartError::Decode(error) => Self::Decode(error),
        }
    }
}

impl From<HistoryError> for ProjectorError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Bus(error) => Self::Bus(error),
            HistoryError::Segment(error) => Self::Segment(error),
        }
    }
}

/// Projects all partitions of one bus into one repository.
#[derive(Clone)]
pub struct Projector {
    bus: Bus,
    repository: Arc<dyn Repository>,
    clock: Clock,
    progress: Progress,
    segments: Option<Segments>,
}

impl std::fmt::Debug for Projector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projector").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl Projector {
    /// A projector that has not begun.
    #[must_use]
    pub fn new(bus: Bus, repository: Arc<dyn Repository>, clock: Clock) -> Self {
        let progress = Progress::new(bus.partitions);
        Self { bus, repository, clock, progress, segments: None }
    }

    /// Reads what was trimmed from the logs out of these segments.
    #[must_use]
    pub fn with_segments(self, segments: Segments) -> Self {
        Self { segments: Some(segments), ..self }
    }

    fn history(&self, partition: PartitionId) -> History {
        History::new(&self.bus, self.segments.clone(), partition)
    }

    /// A reader that knows how far this projector is.
    #[must_use]
    pub fn archive(&self, sealer: Sealer) -> Archive {
        Archive::new(Arc::clone(&self.repository), sealer, self.progress.clone())
    }

    /// Starts one task per partition; they end with `shutdown`. `health` has one component per partition, ready
    /// while its log is followed.
    pub fn start(&self, shutdown: &Shutdown, health: &Health) {
        let earlier = self.start_earlier(shutdown, health);
        self.progress.start_looking(Arc::clone(&self.repository), shutdown);
        for partition in (0..self.bus.partitions).map(PartitionId) {
            let component = health.component(format!("archive partition {partition}"));
            let (projector, ending) = (self.clone(), shutdown.clone());
            let mut earlier = earlier.clone();
            let follow = async move {
                let following = async {
                    // Without them nothing is followed.
                    if earlier.wait_for(|applied| *applied).await.is_ok() {
                        projector.follow(partition, &component).await;
                    }
                    // What stopped for good says so for as long.
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = following => {}
                    () = ending.begun() => {}
                }
                component.remove();
            };
            shutdown.spawn(TaskKind::Follower, "archive_projector", follow).detach();
        }
    }

    async fn follow(&self, partition: PartitionId, component: &Component) {
        let (mut pause, mut reached) = (RETRY_PAUSE, None);
        loop {
            let Err(error) = self.follow_while_ahead(partition, component).await else {
                ::metrics::counter!(metrics::TAKEN_BACK_TOTAL).increment(1);
                tracing::warn!(%partition, "the read model holds less than was applied to it; it is applied again");
                continue;
            };
            match error {
                ProjectorError::Bus(BusError::Closed) => return,
                error if error.is_passing() => {
                    ::metrics::counter!(metrics::RETRIES_TOTAL).increment(1);
                    component.not_ready(chain_text(&error));
                    // What was applied since the last failure says that the cause of that one was gone.
                    let now = self.progress.at(partition);
                    if reached.replace(now) != Some(now) {
                        pause = RETRY_PAUSE;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                error => {
                    let text = chain_text(&error);
                    tracing::error!(%partition, error = text, "the projection stopped");
                    component.not_ready(text);
                    return;
                }
            }
        }
    }

    /// Follows the log until something fails, or until the read model holds less than was applied to it: its database crashed,
    /// or a standby took its place that lagged behind.
    async fn follow_while_ahead(
        &self,
        partition: PartitionId,
        component: &Component,
    ) -> Result<(), ProjectorError> {
        let mut follower = self.begin(partition).await?;
        component.ready();
        let mut history = self.history(partition);
        loop {
            let applied = progress::reached(follower.last());
            let records = tokio::select! {
                records = history.tail(&follower) => records?,
                () = self.progress.falls_below(partition, applied) => return Ok(()),
            };
            self.advance(partition, &mut follower, &records).await?;
        }
    }

    /// Where the partition stands, checked against its log.
    async fn begin(&self, partition: PartitionId) -> Result<Follower, ProjectorError> {
        let stored = self.repository.cursor(partition).await?;
        let follower = match decode::start(&self.bus, partition, stored).await {
            Ok(Start::Go(follower)) => follower,
            Ok(Start::LogIsBehind { stored, last }) => {
                return Err(ProjectorError::LogIsBehind { partition, stored, last });
            }
            Err(error) => return Err(error.into()),
        };
        self.report(partition, &follower).await;
        Ok(follower)
    }

    /// Applies records and moves `follower` past them; where the read model turns out to stand elsewhere,
    /// moves there instead.
    async fn advance(
        &self,
        partition: PartitionId,
        follower: &mut Follower,
        records: &[(u64, bytes::Bytes)],
    ) -> Result<(), ProjectorError> {
        let mut next = follower.clone();
        match decode::batch(partition, &mut next, records)? {
            None => *follower = next,
            Some(batch) => match self.apply(batch).await? {
                Applied::Done => *follower = next,
                Applied::Elsewhere(cursor) => *follower = Follower::after(cursor),
            },
        }
        self.report(partition, follower).await;
        Ok(())
    }

    async fn apply(&self, batch: Batch) -> Result<Applied, ProjectorError> {
        let partition = batch.partition.0.to_string();
        let newest_ms = batch.steps.last().map(|step| step.now_ms);
        let (records, seq) = (batch.records, batch.last.seq);
        let steps = u64::try_from(batch.steps.len()).unwrap_or(u64::MAX);
        let dead_letters = batch.steps.iter().filter(|step| step.dead_letter.is_some()).count();
        let applied = self.repository.apply(batch).await?;
        if applied == Applied::Done {
            ::metrics::counter!(metrics::RECORDS_TOTAL).increment(records);
            ::metrics::counter!(metrics::STEPS_TOTAL).increment(steps);
            let dead_letters = u64::try_from(dead_letters).unwrap_or(u64::MAX);
            ::metrics::counter!(metrics::DEAD_LETTERS_TOTAL).increment(dead_letters);
            if let Some(newest_ms) = newest_ms {
                let lag_ms = self.clock.wall_ms().saturating_sub(newest_ms);
                ::metrics::gauge!(metrics::LAG_MS, "partition" => partition.clone())
                    .set(gauge(lag_ms));
                ::metrics::histogram!(metrics::LAG_SECONDS).record(gauge(lag_ms) / 1_000.0);
            }
            ::metrics::gauge!(metrics::POSITION_SEQ, "partition" => partition).set(gauge(seq));
        }
        Ok(applied)
    }

    async fn report(&self, partition: PartitionId, follower: &Follower) {
        let reached = progress::reached(follower.last());
        self.progress.set(partition, reached);
        let signal = progress::applied(partition, reached);
        if self.bus.signals.is_heard(&signal.topic)
            && let Err(error) = self.bus.signals.publish(&signal.topic, signal.body).await
        {
            tracing::debug!(%error, "what is applied was not told");
        }
    }

    /// Applies everything all logs hold now.
    ///
    /// # Errors
    /// When a log, a segment or the repository fails.
    pub async fn catch_up_all(&self) -> Result<(), ProjectorError> {
        self.apply_earlier().await?;
        for partition in (0..self.bus.partitions).map(PartitionId) {
            self.catch_up(partition).await?;
        }
        Ok(())
    }

    /// Applies everything the log holds now.
    async fn catch_up(&self, partition: PartitionId) -> Result<(), ProjectorError> {
        let Some((seq, head)) = decode::last_record(&*self.bus.log, partition).await? else {
            return Ok(());
        };
        let end = (head.generation, seq);
        let mut follower = self.begin(partition).await?;
        let mut history = self.history(partition);
        while follower.position() < end {
            let records = history.read(&follower).await?;
            if records.is_empty() {
                break;
            }
            self.advance(partition, &mut follower, &records).await?;
        }
        Ok(())
    }
}

/// Drops the read model and projects it anew, from the segments and then from the logs. A running projector of the same repository notices and
/// goes on from wherever the rebuild is.
///
/// # Errors
/// When a log, a segment or the repository fails; what was projected until then stays and a projector goes on from it.
pub async fn rebuild(
    bus: &Bus,
    repository: Arc<dyn Repository>,
    clock: Clock,
    segments: Option<Segments>,
) -> Result<(), ProjectorError> {
    repository.clear().await?;
    let projector = Projector { segments, ..Projector::new(bus.clone(), repository, clock) };
    projector.catch_up_all().await
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 52 bits")]
fn gauge(value: u64) -> f64 {
    value as f64
}
