//! What only this process can do for its operator: how it stands, a backup, letting sends go.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use api::{
    convert::{self, ms},
    v1::{BackupResponse, PartitionState, PausedNumber, StatusResponse},
};
use archive::{Archive, Trimmer, segments::Segments};
use bus::{Bus, FormatLevel, PartitionId, sqlite::Store};
use chassis::{clock::Clock, config::Config, health::Health, seal::Sealer};
use desk::Operator;
use domain::{
    naming,
    number::{Part, PauseCause},
    persist,
};
use runtime::{NodeWatch, PartitionStatus, shard::ShardStatus};
use tokio::sync::Semaphore;
use tonic::Status;

use super::{Setting, Storage, engine::Engine, hold::Hold, reading::Reading};
use crate::backup::{self, Source, Written};

/// The operator's end of a running process (or of an opened directory, without a node).
pub(crate) struct LocalOperator {
    /// Embedded storage; `None` in a cluster, whose data is not in this process' directory.
    pub(crate) store: Option<Store>,
    pub(crate) bus: Bus,
    pub(crate) archive: Archive,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) health: Health,
    pub(crate) segments: Option<Segments>,
    pub(crate) trimmer: Option<Trimmer>,
    pub(crate) node: Option<NodeWatch>,
    pub(crate) hold: Hold,
    /// One backup at a time.
    pub(crate) turn: Arc<Semaphore>,
}

impl LocalOperator {
    /// Of a running process.
    pub(super) fn new(
        setting: &Setting<'_>,
        storage: &Storage,
        engine: Option<&Engine>,
        reading: &Reading,
        hold: Hold,
    ) -> Self {
        Self {
            store: storage.store.clone(),
            bus: storage.bus.clone(),
            archive: reading.archive.clone(),
            sealer: Arc::clone(&storage.sealer),
            clock: setting.clock.clone(),
            config: setting.config.clone(),
            health: setting.health.clone(),
            segments: reading.keeping.segments(),
            trimmer: reading.keeping.trimmer.clone(),
            node: engine.map(Engine::watch),
            hold,
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

fn refused(error: &anyhow::Error) -> Status {
    Status::failed_precondition(format!("{error:#}"))
}

#[tonic::async_trait]
impl Operator for LocalOperator {
    async fn status(&self) -> Result<StatusResponse, Status> {
        let statuses = match &self.node {
            Some(node) => node.status().await.map_err(|e| Status::unavailable(e.to_string()))?,
            None => Vec::new(),
        };
        let applied = self.archive.applied();
        let trimmed = self.trimmer.as_ref().map(Trimmer::trimmed).unwrap_or_default();
        let mut partitions = Vec::new();
        for (partition, status) in statuses {
            let mut state = match status {
                PartitionStatus::Taking => PartitionState::default(),
                PartitionStatus::Serving(status) => serving(&status),
            };
            let (generation, seq) =
                applied.get(usize::from(partition.0)).copied().unwrap_or_default();
            state.partition = partition.0.into();
            state.read_model = seq;
            state.read_model_lag = match generation.cmp(&state.generation) {
                std::cmp::Ordering::Equal => state.log_last.saturating_sub(seq),
                _ => state.log_last,
            };
            let segment = self.segments.as_ref().and_then(|segments| segments.last(partition));
            state.segment_through = segment.map_or(0, |segment| segment.footer.last_seq);
            let gone = trimmed.get(&partition).copied().unwrap_or_default();
            (state.log_trimmed, state.inbox_trimmed) = (gone.log_through, gone.inbox_through);
            state.inbox_last = self.bus.inbox.last(partition).await.unwrap_or_default();
            partitions.push(state);
        }
        Ok(StatusResponse {
            partitions,
            paused_numbers: self.paused_numbers().await,
            sends_held: self.hold.is_held(),
            not_ready: self.health.not_ready().into_iter().collect(),
            warnings: self.health.warnings().into_iter().collect(),
            segments: self.config.archive.segments,
        })
    }

    async fn backup(
        &self,
        directory: PathBuf,
        include_key: bool,
    ) -> Result<BackupResponse, Status> {
        let Ok(_turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            return Err(Status::aborted("another backup is being made: repeat when it is done"));
        };
        backup::prepare(&directory, &self.config.data_dir)
            .map_err(|error| Status::invalid_argument(format!("{error:#}")))?;
        let written = self.write(directory, include_key).await.map_err(|error| refused(&error))?;
        Ok(BackupResponse {
            bytes: written.bytes,
            segments: u32::try_from(written.segments).unwrap_or(u32::MAX),
            key_notice: written.key_notice.to_owned(),
        })
    }

    async fn format_levels(&self) -> Result<(FormatLevel, FormatLevel), Status> {
        let level = runtime::format_level(&self.bus).await;
        let level = level.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok((level, crate::format::known(&self.config)))
    }

    fn holds_sends(&self) -> bool {
        self.hold.is_held()
    }

    async fn release_sends(&self) -> Result<(), Status> {
        let released = self.hold.release().await;
        released
            .map_err(|error| Status::unavailable(format!("the hold cannot be ended: {error:#}")))
    }
}

impl LocalOperator {
    async fn write(&self, to: PathBuf, include_key: bool) -> anyhow::Result<Written> {
        let partitions = self.config.partitions;
        // Nothing is trimmed between the look at the segments and the copy of the log.
        let held = match &self.trimmer {
            Some(trimmer) => trimmer.hold().await,
            None => None,
        };
        let segments = backup::segments_now(self.segments.as_ref(), partitions);
        let store = self
            .store
            .clone()
            .context("the data of a cluster is in its NATS servers: use `tandem cluster backup`")?;
        let target = to.clone();
        tokio::task::spawn_blocking(move || backup::copy_database(&store, &target)).await??;
        drop(held);
        let data_dir = self.config.data_dir.clone();
        let (cut_ms, key_fingerprint) = (self.clock.wall_ms(), self.sealer.fingerprint());
        let rest = tokio::task::spawn_blocking(move || {
            let source = Source { key_dir: &data_dir, partitions, cut_ms, key_fingerprint };
            backup::complete(&source, &segments, &to, include_key)
        });
        rest.await?
    }

    /// As of the numbers' saved states, some seconds ago.
    async fn paused_numbers(&self) -> Vec<PausedNumber> {
        let hash = |purpose: &str, parts: &[&[u8]]| self.sealer.hash16(purpose, parts);
        let now_ms = self.clock.wall_ms();
        let mut paused = Vec::new();
        for business in &self.config.businesses {
            for number in &business.numbers {
                let id = naming::number_id(&hash, &number.phone_number_id);
                let entity = bus::EntityId { kind: id.kind.code(), hash: id.hash.0 };
                let partition: PartitionId = entity.partition(self.config.partitions);
                let parts = self.bus.states.load(partition, entity).await.unwrap_or_default();
                let found = parts.iter().find_map(|part| {
                    match persist::decode::<Part>(part.bytes.as_ref()?).ok()? {
                        Part::Number(core) => Some((core.paused_until_ms(), core.pause())),
                        Part::Request(_) => None,
                    }
                });
                // A cause stands until a call is accepted, also while one tries.
                let paused_now =
                    found.filter(|(until_ms, cause)| *until_ms > now_ms || cause.is_some());
                if let Some((until_ms, cause)) = paused_now {
                    paused.push(pause(&business.id, &number.phone_number_id, until_ms, cause));
                }
            }
        }
        paused
    }
}

fn pause(
    business: &str,
    phone_number_id: &str,
    until_ms: u64,
    cause: Option<PauseCause>,
) -> PausedNumber {
    let stopped = until_ms == u64::MAX;
    let reason = match cause {
        None if !stopped => "the Graph API refused the throughput: it goes on by itself",
        cause => convert::advice(cause),
    };
    PausedNumber {
        phone_number_id: phone_number_id.to_owned(),
        business_id: business.to_owned(),
        until_ms: if stopped { 0 } else { ms(until_ms) },
        reason: reason.to_owned(),
        cause: cause.map(|cause| cause.reason.name().to_owned()).unwrap_or_default(),
        error_code: cause.map_or(0, |cause| cause.code),
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn serving(status: &ShardStatus) -> PartitionState {
    let alarms: BTreeMap<String, u64> =
        status.alarms.iter().map(|(alarm, times)| (format!("{alarm:?}"), *times)).collect();
    PartitionState {
        serving: true,
        epoch: status.epoch,
        generation: status.position.generation,
        log_last: status.last_seq,
        checkpoint: status.checkpoint.map_or(0, |position| position.seq),
        inbox_decided: status.place.seq,
        live_entities: count(status.live),
        unconfirmed_messages: count(status.unconfirmed),
        dead_letters: status.dead_letters,
        alarms: alarms.into_iter().collect(),
        ..PartitionState::default()
    }
}
