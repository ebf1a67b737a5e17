//! What listens: webhooks over HTTP, agents and programs over gRPC.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use chassis::{
    clock::Clock,
    config::Config,
    listener,
    seal::Sealer,
    task::{Shutdown, TaskKind},
};
use desk::{AdminParts, Desk, DeskContext, DeskParts, Options, TokenSource};
use gateway::{Directory, Handler, Limits, Server};

use super::{core::Core, operator::LocalOperator};

/// The running edges.
pub(super) struct Edges {
    pub(super) gateway: SocketAddr,
    pub(super) desk: SocketAddr,
}

impl Edges {
    pub(super) async fn start(
        config: &Config,
        core: &Core,
        operator: LocalOperator,
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let gateway = start_gateway(config, core, clock, shutdown).await?;
        let desk = start_desk(config, core, operator, clock, shutdown).await?;
        Ok(Self { gateway, desk })
    }
}

async fn start_gateway(
    config: &Config,
    core: &Core,
    clock: &Clock,
    shutdown: &Shutdown,
) -> anyhow::Result<SocketAddr> {
    let section = &config.gateway;
    let bound =
        listener::bind("gateway", section.listen, section.tls.is_some(), section.insecure_listen);
    let listener = bound.await?;
    let tls =
        section.tls.as_ref().map(|tls| listener::tls_acceptor(tls, listener::HTTP1)).transpose()?;
    let limits = Limits {
        body_bytes: usize::try_from(section.body_limit_bytes).unwrap_or(usize::MAX),
        header: Duration::from_millis(section.header_timeout_ms),
        body: Duration::from_millis(section.body_timeout_ms),
        connections: usize::try_from(section.connections_max).unwrap_or(usize::MAX),
    };
    let handler = Handler::new(
        Arc::new(Directory::new(config, &core.sealer)?),
        Arc::clone(&core.sealer),
        core.bus.clone(),
        clock.clone(),
        Duration::from_millis(section.append_timeout_ms),
    );
    let server = Server::new(listener, tls, limits, Arc::new(handler));
    let address = server.local_addr().context("the gateway's address is not known")?;
    shutdown.spawn(TaskKind::Listener, "gateway", server.run(shutdown.clone())).detach();
    Ok(address)
}

async fn start_desk(
    config: &Config,
    core: &Core,
    operator: LocalOperator,
    clock: &Clock,
    shutdown: &Shutdown,
) -> anyhow::Result<SocketAddr> {
    let section = &config.desk;
    let bound =
        listener::bind("desk", section.listen, section.tls.is_some(), section.insecure_listen);
    let listener = bound.await?;
    let tls =
        section.tls.as_ref().map(|tls| listener::tls_acceptor(tls, listener::HTTP2)).transpose()?;
    let address = listener.local_addr().context("the desk's address is not known")?;
    let parts = DeskParts {
        bus: core.bus.clone(),
        archive: core.archive.clone(),
        segments: core.keeping.segments(),
        sealer: Sealer::clone(&core.sealer),
        clock: clock.clone(),
        context: DeskContext::from_config(config, &core.sealer),
        tokens: TokenSource::from_config(config),
        options: Options::from_config(config),
        admin: Some(AdminParts {
            token: crate::operator::token(config)?,
            operator: Arc::new(operator),
        }),
    };
    let desk = Desk::start(parts, shutdown).await?;
    shutdown.spawn_fallible(TaskKind::Listener, "desk", desk.serve(listener, tls)).detach();
    Ok(address)
}
