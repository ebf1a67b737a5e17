//! Keeping and throwing away: archive segments, trimming, and the watch over the disk.

use std::{path::PathBuf, sync::Arc, time::Duration};

use archive::{
    Floor, Repository, TrimOptions, Trimmer,
    segments::{Keeper, KeeperOptions, Lock, Segments, Shipper},
};
use bus::{Bus, Checkpoint, CodecError};
use chassis::{
    config::Config,
    health::Health,
    task::{Shutdown, TaskKind},
};
use runtime::shard::Retention;

use super::{Role, Setting};

/// Gauge: free bytes of the file system of the data directory.
const DISK_FREE_BYTES: &str = "tandem_disk_free_bytes";
/// Gauge: 1 while they are fewer than `archive.warn_free_disk_bytes`.
const DISK_LOW: &str = "tandem_disk_low";
/// Pause between two looks at the disk.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What was started. It is kept for as long as it runs.
#[derive(Debug)]
pub(super) struct Keeping {
    segments: Option<Segments>,
    pub(super) trimmer: Option<Trimmer>,
    /// Nobody else writes segments there.
    _lock: Option<Lock>,
}

impl Keeping {
    /// Runs until the setting's shutdown.
    pub(super) fn start(
        setting: &Setting<'_>,
        bus: &Bus,
        repository: Arc<dyn Repository>,
    ) -> anyhow::Result<Self> {
        let Setting { role, config, clock, shutdown, health } = setting;
        let archive = &config.archive;
        let dir = config.segments_dir();
        if !archive.segments {
            // What was written before is still read: the log may have been trimmed up to it.
            tracing::warn!("no segments are written: the log is not trimmed and grows");
            return Self::reading(config);
        }
        let lock = Lock::take(&dir)?;
        let segments = Segments::open(&dir)?;
        let options = KeeperOptions {
            segment_bytes: archive.segment_bytes,
            segment_age: Duration::from_millis(archive.segment_age_ms),
        };
        // In a cluster one process' read model and segments say nothing of another's: only the archive stores and trims.
        let is_archive = config.bus.nats.is_none() || *role == Role::Archive;
        if is_archive && let Some(bucket) = crate::bucket::open(config)? {
            Shipper::new(segments.clone(), bucket, bus.partitions).start(shutdown, health);
        }
        // After the shipper was made: segments go on where those of the bucket end.
        Keeper::new(bus.clone(), segments.clone(), options, clock.clone()).start(shutdown);
        let trimmer = (archive.trim && is_archive).then(|| {
            let interval = Duration::from_millis(archive.trim_interval_ms);
            let options = TrimOptions { interval, floor };
            let trimmer = Trimmer::new(bus.clone(), repository, segments.clone(), options);
            trimmer.start(shutdown);
            trimmer
        });
        Ok(Self { segments: Some(segments), trimmer, _lock: Some(lock) })
    }

    /// Reads the segments that another process writes.
    pub(super) fn reading(config: &Config) -> anyhow::Result<Self> {
        let dir = config.segments_dir();
        let segments = dir.exists().then(|| Segments::open(&dir)).transpose()?;
        Ok(Self { segments, trimmer: None, _lock: None })
    }

    pub(super) fn segments(&self) -> Option<Segments> {
        self.segments.clone()
    }
}

fn floor(checkpoint: &Checkpoint) -> Result<Floor, CodecError> {
    let Retention { inbox_through, log_through } = Retention::of(checkpoint)?;
    Ok(Floor { inbox_through, log_through })
}

/// Measures the free disk, and warns where there is little.
pub(super) fn watch_disk(config: &Config, shutdown: &Shutdown, health: &Health) {
    let (dir, low) = (config.data_dir.clone(), config.archive.warn_free_disk_bytes);
    let (health, ending) = (health.clone(), shutdown.clone());
    let watch = async move {
        loop {
            look(dir.clone(), low, &health).await;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = ending.begun() => return,
            }
        }
    };
    shutdown.spawn(TaskKind::Maintenance, "disk_watch", watch).detach();
}

async fn look(dir: PathBuf, low: u64, health: &Health) {
    let found = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&dir)).await;
    let Ok(Ok(found)) = found else { return };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    #[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 52 bits")]
    metrics::gauge!(DISK_FREE_BYTES).set(free as f64);
    metrics::gauge!(DISK_LOW).set(if free < low { 1.0 } else { 0.0 });
    let text = || format!("{} MiB of disk are left in data_dir: make room", free / (1024 * 1024));
    health.warn("disk", (free < low).then(text));
}
