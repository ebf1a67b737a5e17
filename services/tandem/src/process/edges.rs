//! What listens: webhooks over HTTP, agents and programs over gRPC.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use chassis::{
    listener::{self, Acceptor},
    seal::Sealer,
    task::TaskKind,
};
use desk::{AdminParts, Desk, DeskContext, DeskParts, Options, TokenSource};
use gateway::{Directory, Handler, Limits, Server};

use super::{
    Setting, Storage, engine::Engine, hold::Hold, operator::LocalOperator, reading::Reading,
};

/// Where the process listens, beside its health and metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edges {
    pub(super) gateway: Option<SocketAddr>,
    pub(super) desk: Option<SocketAddr>,
}

impl Edges {
    pub(super) async fn start(
        setting: &Setting<'_>,
        storage: &Storage,
        engine: Option<&Engine>,
        reading: Option<&Reading>,
    ) -> anyhow::Result<Self> {
        let gateway = match setting.role.takes_webhooks() {
            true => Some(start_gateway(setting, storage).await?),
            false => None,
        };
        let desk = match reading.filter(|_| setting.role.serves_desks()) {
            Some(reading) => Some(start_desk(setting, storage, engine, reading).await?),
            None => None,
        };
        Ok(Self { gateway, desk })
    }
}

async fn start_gateway(setting: &Setting<'_>, storage: &Storage) -> anyhow::Result<SocketAddr> {
    let Setting { config, clock, shutdown, .. } = setting;
    let section = &config.gateway;
    let bound =
        listener::bind("gateway", section.listen, section.tls.is_some(), section.insecure_listen);
    let listener = bound.await?;
    let tls = section.tls.as_ref().map(|tls| Acceptor::open(tls, listener::HTTP1)).transpose()?;
    let limits = Limits {
        body_bytes: usize::try_from(section.body_limit_bytes).unwrap_or(usize::MAX),
        header: Duration::from_millis(section.header_timeout_ms),
        body: Duration::from_millis(section.body_timeout_ms),
        connections: usize::try_from(section.connections_max).unwrap_or(usize::MAX),
    };
    let handler = Handler::new(
        Arc::new(Directory::new(config, &storage.sealer)?),
        Arc::clone(&storage.sealer),
        storage.bus.clone(),
        clock.clone(),
        Duration::from_millis(section.append_timeout_ms),
        // The other half stays free for businesses that keep to their share.
        limits.connections / 2,
    );
    let server = Server::new(listener, tls, limits, Arc::new(handler));
    let address = server.local_addr().context("the gateway's address is not known")?;
    shutdown.spawn(TaskKind::Listener, "gateway", server.run(shutdown.clone())).detach();
    Ok(address)
}

async fn start_desk(
    setting: &Setting<'_>,
    storage: &Storage,
    engine: Option<&Engine>,
    reading: &Reading,
) -> anyhow::Result<SocketAddr> {
    let Setting { config, clock, shutdown, .. } = setting;
    let hold = match engine {
        Some(engine) => engine.hold.clone(),
        None => Hold::of(setting, storage),
    };
    let operator = LocalOperator::new(setting, storage, engine, reading, hold);
    let section = &config.desk;
    let bound =
        listener::bind("desk", section.listen, section.tls.is_some(), section.insecure_listen);
    let listener = bound.await?;
    let tls = section.tls.as_ref().map(|tls| Acceptor::open(tls, listener::HTTP2)).transpose()?;
    let address = listener.local_addr().context("the desk's address is not known")?;
    let parts = DeskParts {
        bus: storage.bus.clone(),
        archive: reading.archive.clone(),
        segments: reading.keeping.segments(),
        sealer: Sealer::clone(&storage.sealer),
        clock: clock.clone(),
        context: DeskContext::from_config(config, &storage.sealer),
        tokens: TokenSource::from_config(config),
        options: Options::from_config(config),
        admin: Some(AdminParts {
            token: crate::operator::token(config)?,
            operator: Arc::new(operator),
        }),
        touch: setting.health.component("desk"),
    };
    let desk = Desk::start(parts, shutdown).await?;
    shutdown.spawn_fallible(TaskKind::Listener, "desk", desk.serve(listener, tls)).detach();
    Ok(address)
}
