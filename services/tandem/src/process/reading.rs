//! The read model: projected here, or followed where another process projects it; and the segments.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use archive::{Archive, Projector, Repository};
use bus::Bus;
use chassis::seal::Sealer;

use super::{
    Role, Setting, Storage,
    keeping::{Keeping, watch_disk},
};

/// What the read model may be behind under load, so that many decisions share a transaction: a twentieth of what a
/// query waits for it.
const READ_MODEL_PACE: Duration = Duration::from_millis(25);

/// What is read.
pub(super) struct Reading {
    pub(super) archive: Archive,
    pub(super) keeping: Keeping,
}

impl Reading {
    pub(super) async fn start(setting: &Setting<'_>, storage: &Storage) -> anyhow::Result<Self> {
        let Setting { role, config, shutdown, health, .. } = setting;
        let repository = repository(setting, storage)?;
        let wait = Duration::from_millis(config.limits.read_wait_ms);
        let sealer = Sealer::clone(&storage.sealer);
        if *role != Role::Up {
            let keeping = Keeping::reading(config)?;
            let archive = Archive::follow(&storage.bus, repository, sealer, shutdown);
            return Ok(Self { archive: archive.with_wait(wait), keeping });
        }
        watch_disk(config, shutdown, health);
        let (projector, keeping) = project(setting, &storage.bus, repository)?;
        Ok(Self { archive: projector.archive(sealer).with_wait(wait), keeping })
    }
}

/// The read model that the configuration names.
pub(super) fn repository(
    setting: &Setting<'_>,
    storage: &Storage,
) -> anyhow::Result<Arc<dyn Repository>> {
    let Setting { role, config, .. } = setting;
    ensure!(
        *role == Role::Up || config.archive.postgres.is_some(),
        "`tandem {}` shares its read model with other processes: set [archive.postgres]",
        role.name()
    );
    crate::read_model::open(config, &storage.sealer, READ_MODEL_PACE)
}

/// Starts writing segments and projecting everything, until the setting's shutdown.
pub(super) fn project(
    setting: &Setting<'_>,
    bus: &Bus,
    repository: Arc<dyn Repository>,
) -> anyhow::Result<(Projector, Keeping)> {
    let Setting { clock, shutdown, health, .. } = setting;
    let keeping = Keeping::start(setting, bus, Arc::clone(&repository))?;
    let mut projector = Projector::new(bus.clone(), repository, clock.clone());
    if let Some(segments) = keeping.segments() {
        projector = projector.with_segments(segments);
    }
    projector.start(shutdown, health);
    Ok((projector, keeping))
}
