//! The archive of a cluster: any number of processes, of which one works at a time.

use std::{sync::Arc, time::Duration};

use archive::{Duty, LeaseTimes, segments::SegmentError};
use chassis::task::{Shutdown, TaskKind};

use super::{
    Role, Setting, Storage,
    keeping::{Keeping, watch_disk},
    reading::{project, repository},
};

/// Name of the warning while the work cannot begin.
const WARNING: &str = "segments directory";

/// Takes turns with the installation's other archives until the process stops.
pub(super) fn start(setting: &Setting<'_>, storage: &Storage) -> anyhow::Result<()> {
    let Setting { config, clock, shutdown, health, .. } = setting;
    watch_disk(config, shutdown, health);
    let repository = repository(setting, storage)?;
    // What cannot be used is said now, not when it is our turn.
    drop(crate::bucket::open(config)?);
    let times = LeaseTimes {
        renew: Duration::from_millis(config.bus.renew_ms),
        lease: Duration::from_millis(config.bus.lease_ms),
    };
    let bus = storage.bus.clone();
    let duty = Duty::new(bus.clone(), config.node.clone(), clock.clone(), times, health);
    let (config, clock, health) = ((*config).clone(), clock.clone(), health.clone());
    let begin = move |ending: &Shutdown| -> anyhow::Result<Option<Keeping>> {
        let (clock, health) = (clock.clone(), health.clone());
        let (role, shutdown) = (Role::Archive, ending.clone());
        let setting = Setting { role, config: &config, clock, shutdown, health };
        let begun = project(&setting, &bus, Arc::clone(&repository));
        let in_use = match &begun {
            Err(error) => error.downcast_ref::<SegmentError>(),
            Ok(_) => None,
        };
        if let Some(error @ SegmentError::InUse { .. }) = in_use {
            // By the one before us, until its last write is done.
            setting.health.warn(WARNING, Some(error.to_string()));
            return Ok(None);
        }
        setting.health.warn(WARNING, None);
        begun.map(|(_, keeping)| Some(keeping))
    };
    let ending = shutdown.clone();
    let work = async move {
        // The whole chain of causes: it is logged as it is shown.
        duty.run(&ending, begin).await.map_err(|error| format!("{error:#}"))
    };
    shutdown.spawn_fallible(TaskKind::Follower, "archive", work).detach();
    Ok(())
}
