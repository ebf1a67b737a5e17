//! The bus, and the installation's key: embedded in the data directory, or NATS JetStream.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bus::{
    Bus, BusError,
    jetstream::{self, ConnectError},
    sqlite::Store,
};
use chassis::{config::Config, seal::Sealer};
use runtime::transfer::{self, Standing};

use super::{Role, Setting};
use crate::cluster::MOVED_FILE;

/// Longest a process waits at its start for servers that are not there yet, or elect a leader (4 to 9 s).
const BUS_WITHIN_MS: u64 = 30_000;
/// Pause between two attempts.
const BUS_PAUSE: Duration = Duration::from_millis(500);

/// Where everything durable goes.
pub(super) struct Storage {
    pub(super) bus: Bus,
    pub(super) sealer: Arc<Sealer>,
    /// Embedded storage; `None` on NATS.
    pub(super) store: Option<Store>,
    /// How a cluster's installation stood when it was opened.
    pub(super) standing: Standing,
}

impl Storage {
    pub(super) async fn open(setting: &Setting<'_>) -> anyhow::Result<Self> {
        let config = setting.config;
        let Some(nats) = &config.bus.nats else {
            anyhow::ensure!(
                setting.role == Role::Up,
                "`tandem {}` is one process of a cluster: set [bus.nats], or run everything in one process with `tandem up`",
                setting.role.name()
            );
            return Self::embedded(config).await;
        };
        let sealer = Arc::new(crate::keys::of_cluster(config)?);
        let options = crate::cluster::options(config, nats, setting.role.name());
        let (bus, standing) = connect(setting, &options).await?;
        anyhow::ensure!(
            standing != Standing::Arriving,
            "an import or a restore into this installation has not come to its end: wait for it, or, where it was cut \
             off, delete the streams, run `tandem cluster init`, and begin anew"
        );
        Ok(Self { bus, sealer, store: None, standing })
    }

    async fn embedded(config: &Config) -> anyhow::Result<Self> {
        let moved = config.data_dir.join(MOVED_FILE);
        anyhow::ensure!(
            !moved.exists(),
            "what is in {} was imported into a cluster, and a number has one installation: run that one, or, where the \
             import was given up for good, remove {}",
            config.data_dir.display(),
            moved.display()
        );
        let sealer = Arc::new(crate::keys::open(&config.data_dir)?);
        let (dir, options) = (config.data_dir.clone(), crate::embedded::options(config));
        let store = tokio::task::spawn_blocking(move || Store::open(&dir, options))
            .await
            .context("opening the store was aborted")??;
        Ok(Self { bus: store.bus(), sealer, store: Some(store), standing: Standing::Free })
    }

    pub(super) async fn close(self) {
        let Some(store) = self.store else { return };
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::warn!("closing the store was aborted");
        }
    }
}

/// The bus, as soon as its servers answer, and how the installation on it stands.
async fn connect(
    setting: &Setting<'_>,
    options: &jetstream::Options,
) -> anyhow::Result<(Bus, Standing)> {
    let until_ms = setting.clock.boot_ms() + BUS_WITHIN_MS;
    let mut told = false;
    loop {
        let (error, passes) = match try_connect(options).await {
            Ok(connected) => return Ok(connected),
            Err(failed) => failed,
        };
        let error = error.context("cannot use NATS JetStream");
        if !passes || setting.clock.boot_ms() >= until_ms || setting.shutdown.has_begun() {
            return Err(error);
        }
        if !std::mem::replace(&mut told, true) {
            let error = format!("{error:#}");
            tracing::warn!(error, "asked again for {} s", BUS_WITHIN_MS / 1_000);
        }
        tokio::select! {
            () = tokio::time::sleep(BUS_PAUSE) => {}
            () = setting.shutdown.begun() => {}
        }
    }
}

/// One attempt. With an error, whether the same attempt may succeed a moment later.
async fn try_connect(
    options: &jetstream::Options,
) -> Result<(Bus, Standing), (anyhow::Error, bool)> {
    let bus = jetstream::connect(options.clone()).await.map_err(|error| {
        let passes = matches!(error, ConnectError::Connect { .. } | ConnectError::Stream { .. });
        (error.into(), passes)
    })?;
    match transfer::standing(&bus).await {
        Ok(standing) => Ok((bus, standing)),
        Err(error) => {
            let passes = matches!(error, BusError::Unavailable(_));
            Err((error.into(), passes))
        }
    }
}
