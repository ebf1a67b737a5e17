//! The read model: projected here, or followed where another process projects it; and the segments.

use std::{sync::Arc, time::Duration};

use archive::{Archive, Projector};
use chassis::seal::Sealer;

use super::{Role, Setting, Storage, keeping::Keeping};

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
        let Setting { role, config, clock, shutdown, health } = setting;
        anyhow::ensure!(
            *role == Role::Up || config.archive.postgres.is_some(),
            "`tandem {}` shares its read model with other processes: set [archive.postgres]",
            role.name()
        );
        let repository = crate::read_model::open(config, &storage.sealer, READ_MODEL_PACE)?;
        let wait = Duration::from_millis(config.limits.read_wait_ms);
        let sealer = Sealer::clone(&storage.sealer);
        if !role.archives() {
            let keeping = Keeping::reading(config)?;
            let archive = Archive::follow(&storage.bus, repository, sealer, shutdown);
            return Ok(Self { archive: archive.with_wait(wait), keeping });
        }
        let keeping = Keeping::start(setting, storage, Arc::clone(&repository))?;
        let mut projector = Projector::new(storage.bus.clone(), repository, clock.clone());
        if let Some(segments) = keeping.segments() {
            projector = projector.with_segments(segments);
        }
        projector.start(shutdown, health);
        Ok(Self { archive: projector.archive(sealer).with_wait(wait), keeping })
    }
}
