//! The operator's service on a directory that no process holds: the same service, in this process, for one command.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use archive::{Projector, segments::Segments};
use bus::sqlite::Store;
use chassis::{
    clock::Clock,
    config::Config,
    health::Health,
    seal::Sealer,
    task::{Shutdown, TaskKind},
};
use desk::{AdminParts, Desk, DeskContext, DeskParts};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    embedded,
    process::{hold::Hold, operator::LocalOperator},
};

/// An opened directory.
pub(super) struct Directory {
    /// Where the service is.
    pub(super) address: SocketAddr,
    /// Its token, known to this process only.
    pub(super) token: String,
    store: Store,
    shutdown: Shutdown,
}

impl Directory {
    /// Opens the data directory (refused while a process has it) and brings the read model up to date.
    pub(super) async fn open(config: Config) -> anyhow::Result<Self> {
        let dir = &config.data_dir;
        let store = embedded::open_stopped(&config).context("no process answers")?;
        let sealer = Arc::new(crate::keys::open(dir)?);
        let (bus, clock) = (store.bus(), Clock::system());
        let repository = crate::read_model::open(&config, &sealer, Duration::ZERO)?;
        let segments = Segments::open(&config.segments_dir())?;
        let projector =
            Projector::new(bus.clone(), repository, clock.clone()).with_segments(segments.clone());
        projector.catch_up_all().await?;
        let archive = projector.archive(Sealer::clone(&sealer));
        let health = Health::new();
        let mut random = [0; 24];
        crate::backup::randomize(&mut random)?;
        let token = crate::backup::hex(&random);
        let touch = health.component("desk");
        let operator = LocalOperator {
            store: Some(store.clone()),
            bus: bus.clone(),
            archive: archive.clone(),
            sealer: Arc::clone(&sealer),
            clock: clock.clone(),
            hold: Hold::open(dir, &health),
            config: config.clone(),
            health,
            segments: Some(segments.clone()),
            trimmer: None,
            node: None,
            turn: Arc::new(Semaphore::new(1)),
        };
        let shutdown = Shutdown::new();
        let parts = DeskParts {
            bus,
            archive,
            segments: Some(segments),
            context: DeskContext::from_config(&config, &sealer),
            sealer: Sealer::clone(&sealer),
            clock,
            // Nobody but this command.
            tokens: Vec::new(),
            options: desk::Options::from_config(&config),
            admin: Some(AdminParts { token: token.clone(), operator: Arc::new(operator) }),
            touch,
        };
        let desk = Desk::start(parts, &shutdown).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
        let address = listener.local_addr().context("the listener has no address")?;
        let serve = desk.serve(listener, None);
        shutdown.spawn_fallible(TaskKind::Listener, "operator", serve).detach();
        Ok(Self { address, token, store, shutdown })
    }

    /// Stores what was asked for and lets the directory go.
    pub(super) async fn close(self) {
        self.shutdown.begin();
        let store = self.store;
        // A failure to close leaves everything durable all the same.
        drop(tokio::task::spawn_blocking(move || store.close()).await);
    }
}
