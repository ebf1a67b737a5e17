//! The bus, and the installation's key: embedded in the data directory, or NATS JetStream.

use std::sync::Arc;

use anyhow::Context as _;
use bus::{
    Bus, jetstream,
    sqlite::{Options, Store},
};
use chassis::{config::Config, seal::Sealer};
use runtime::transfer::{self, Standing};

use super::{Role, Setting};
use crate::cluster::MOVED_FILE;

/// Where everything durable goes.
pub(super) struct Storage {
    pub(super) bus: Bus,
    pub(super) sealer: Arc<Sealer>,
    /// Embedded storage; `None` on NATS.
    pub(super) store: Option<Store>,
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
        let bus = jetstream::connect(options).await.context("cannot use NATS JetStream")?;
        anyhow::ensure!(
            transfer::standing(&bus).await? != Standing::Arriving,
            "an import or a restore into this installation has not come to its end: wait for it, or, where it was cut \
             off, delete the streams, run `tandem cluster init`, and begin anew"
        );
        Ok(Self { bus, sealer, store: None })
    }

    async fn embedded(config: &Config) -> anyhow::Result<Self> {
        let options = Options {
            partitions: config.partitions,
            min_free_bytes: config.limits.min_free_disk_bytes,
            ..Options::default()
        };
        let moved = config.data_dir.join(MOVED_FILE);
        anyhow::ensure!(
            !moved.exists(),
            "what is in {} was imported into a cluster, and a number has one installation: run that one, or, where the \
             import was given up for good, remove {}",
            config.data_dir.display(),
            moved.display()
        );
        let sealer = Arc::new(crate::keys::open(&config.data_dir)?);
        let dir = config.data_dir.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&dir, options))
            .await
            .context("opening the store was aborted")??;
        Ok(Self { bus: store.bus(), sealer, store: Some(store) })
    }

    pub(super) async fn close(self) {
        let Some(store) = self.store else { return };
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::warn!("closing the store was aborted");
        }
    }
}
