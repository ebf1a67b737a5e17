//! Throwing away what nobody needs any more (design.md 4.7): inboxes up to the checkpoint's place, logs up to the lowest
//! of checkpoint, oldest unconfirmed channel message, segments and read model, never the last record.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus::{Bus, BusError, Checkpoint, CodecError, PartitionId};
use chassis::task::{Shutdown, TaskKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    ArchiveError, Repository,
    decode::{self, DecodeError, StartError},
    metrics,
    segments::{Segment, Segments},
};

/// What a checkpoint needs no more: up to and with these sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// Of the inbox.
    pub inbox_through: u64,
    /// Of the log.
    pub log_through: u64,
}

/// How trimming goes about it.
#[derive(Clone, Copy)]
pub struct TrimOptions {
    /// Pause between two rounds.
    pub interval: Duration,
    /// Reads a checkpoint (its format belongs to the runtime).
    pub floor: fn(&Checkpoint) -> Result<Floor, CodecError>,
}

impl std::fmt::Debug for TrimOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrimOptions").field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// How far a partition is trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Inbox entries up to and with this sequence are gone.
    pub inbox_through: u64,
    /// Log records up to and with this sequence are gone.
    pub log_through: u64,
}

/// Why a partition was not trimmed.
#[derive(Debug, thiserror::Error)]
enum TrimError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the checkpoint cannot be read")]
    Checkpoint(#[from] CodecError),
}

impl From<StartError> for TrimError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Bus(error) => Self::Bus(error),
            StartError::Decode(error) => Self::Decode(error),
        }
    }
}

/// Trims all partitions of one bus; clones are the same.
#[derive(Clone)]
pub struct Trimmer {
    bus: Bus,
    repository: Arc<dyn Repository>,
    segments: Segments,
    options: TrimOptions,
    turn: Arc<Semaphore>,
    trimmed: Arc<Mutex<BTreeMap<PartitionId, Trimmed>>>,
}

impl std::fmt::Debug for Trimmer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trimmer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Trimmer {
    /// A trimmer that has not begun.
    #[must_use]
    pub fn new(
        bus: Bus,
        repository: Arc<dyn Repository>,
        segments: Segments,
        options: TrimOptions,
    ) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { bus, repository, segments, options, turn, trimmed: Arc::default() }
    }

    /// Trims from time to time until `shutdown`.
    pub fn start(&self, shutdown: &Shutdown) {
        let (trimmer, ending) = (self.clone(), shutdown.clone());
        let trim = async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(trimmer.options.interval) => {}
                    () = ending.begun() => return,
                }
                trimmer.round().await;
            }
        };
        shutdown.spawn(TaskKind::Maintenance, "trim", trim).detach();
    }

    /// Nothing is trimmed while the answer lives (a backup copies what is there).
    pub async fn hold(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }

    /// How far this process has trimmed each partition.
    #[must_use]
    pub fn trimmed(&self) -> BTreeMap<PartitionId, Trimmed> {
        self.trimmed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Trims every partition once. What fails is tried in the next round.
    pub async fn round(&self) {
        for partition in (0..self.bus.partitions).map(PartitionId) {
            let Some(_turn) = self.hold().await else { return };
            if let Err(error) = self.partition(partition).await {
                let error = crate::error::chain_text(&error);
                tracing::warn!(%partition, error, "a partition was not trimmed");
            }
        }
    }

    async fn partition(&self, partition: PartitionId) -> Result<(), TrimError> {
        let Some(checkpoint) = self.bus.states.checkpoint(partition).await? else { return Ok(()) };
        let floor = (self.options.floor)(&checkpoint)?;
        let generation = checkpoint.position.generation;
        // What another generation calls a sequence is not what this log calls it.
        let segment = self.segments.kept(partition);
        let segment = segment.filter(|segment| segment.footer.generation == generation);
        let model = self.repository.cursor(partition).await?;
        let model = model.filter(|cursor| cursor.generation == generation);
        let cursor = segment.as_ref().map(Segment::cursor);
        let kept_through = segment.map_or(0, |segment| segment.footer.last_seq);
        let read_through = model.map_or(0, |cursor| cursor.seq);
        let mut wanted = Trimmed {
            inbox_through: floor.inbox_through,
            log_through: floor.log_through.min(kept_through).min(read_through),
        };
        let done = self.trimmed().get(&partition).copied().unwrap_or_default();
        if wanted.log_through > done.log_through {
            // The bus keeps the last entry, which may be no record: the last one that is must stay as well.
            let last = decode::last_record(&*self.bus.log, partition).await?;
            let before_last = last.map_or(0, |(seq, _)| seq.saturating_sub(1));
            wanted.log_through = wanted.log_through.min(before_last).max(done.log_through);
        }
        // Segments of another installation have sequences too; those of this log end at a record of it.
        if wanted.log_through > done.log_through
            && let Some(cursor) = cursor
            && !decode::goes_on(&self.bus, partition, cursor).await?
        {
            wanted.log_through = done.log_through;
        }
        if wanted.inbox_through > done.inbox_through {
            let gone = self.bus.inbox.trim(partition, wanted.inbox_through).await?;
            ::metrics::counter!(metrics::TRIMMED_TOTAL, "what" => "inbox").increment(gone);
        }
        if wanted.log_through > done.log_through {
            let gone = self.bus.log.trim(partition, wanted.log_through).await?;
            ::metrics::counter!(metrics::TRIMMED_TOTAL, "what" => "log").increment(gone);
        }
        let mut trimmed = self.trimmed.lock().unwrap_or_else(PoisonError::into_inner);
        trimmed.insert(partition, wanted);
        Ok(())
    }
}
