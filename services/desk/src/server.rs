//! The gRPC server: services, limits of HTTP/2, health and reflection.

use std::{sync::Arc, time::Duration};

use api::{
    FILE_DESCRIPTOR_SET,
    v1::{
        admin_server::AdminServer, agent_desk_server::AgentDeskServer,
        channel_server::ChannelServer, conversations_server::ConversationsServer,
        events_server::EventsServer, outbound_server::OutboundServer,
    },
};
use archive::{Archive, segments::Segments};
use bus::Bus;
use chassis::{
    clock::Clock,
    health::Component,
    listener::Acceptor,
    seal::Sealer,
    task::{Shutdown, TaskKind},
};
use tokio::net::TcpListener;
use tonic::{Status, transport::Server};

use crate::{
    AdminParts, BusinessContext, DeskContext, Options, TokenSource,
    admin::AdminService,
    ask::Asker,
    channel::ChannelService,
    command::Commands,
    conversations::ConversationsService,
    incoming,
    life::{Keeper, Life},
    outbound::OutboundService,
    session::DeskService,
    tail::EventsService,
    tokens::{Principal, Tokens},
};

/// Largest request: a text of 4,096 characters and its fields, many times over.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Streams and calls at once on one connection.
const STREAMS_MAX: u32 = 256;
/// Headers of one request, bytes.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// A connection that says nothing for so long is asked whether it lives, and closed without an answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the desk does not serve.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The bus refused the subscription to answers.
    #[error("the desk cannot subscribe to answers")]
    Bus(#[from] bus::BusError),
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The descriptors of the services are damaged.
    #[error("the reflection service cannot be built")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server failed.
    #[error("the gRPC server failed")]
    Server(#[from] tonic::transport::Error),
}

/// What a desk is made of.
#[derive(Debug)]
pub struct DeskParts {
    /// Where inputs go and logs are.
    pub bus: Bus,
    /// What is read.
    pub archive: Archive,
    /// Where records are that were trimmed from the log.
    pub segments: Option<Segments>,
    /// Seals what clients write.
    pub sealer: Sealer,
    /// Time.
    pub clock: Clock,
    /// The installation.
    pub context: DeskContext,
    /// Tokens.
    pub tokens: Vec<TokenSource>,
    /// Timings and bounds.
    pub options: Options,
    /// The operator's service.
    pub admin: Option<AdminParts>,
    /// Told whether the bus answers.
    pub touch: Component,
}

/// What the services share.
pub(crate) struct Shared {
    pub(crate) context: DeskContext,
    pub(crate) tokens: Tokens,
    pub(crate) commands: Commands,
    pub(crate) options: Options,
    pub(crate) shutdown: Shutdown,
    pub(crate) segments: Option<Segments>,
    pub(crate) admin: Option<AdminParts>,
    pub(crate) life: Arc<Life>,
}

impl Shared {
    /// The caller's business.
    pub(crate) fn business(&self, principal: &Principal) -> Result<&BusinessContext, Status> {
        let business = self.context.businesses.get(&principal.business);
        business
            .ok_or_else(|| Status::unauthenticated("the business of this token is not configured"))
    }

    /// Fresh random bytes.
    pub(crate) fn random(&self) -> Result<[u8; 16], Status> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| Status::unavailable("no randomness; repeat"))?;
        Ok(bytes)
    }
}

/// The gRPC edge.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("node", &self.0.context.node).finish_non_exhaustive()
    }
}

impl Desk {
    /// Reads the tokens and subscribes to answers; sessions and streams end with `shutdown`.
    ///
    /// # Errors
    /// When the bus refuses the subscription.
    pub async fn start(parts: DeskParts, shutdown: &Shutdown) -> Result<Self, DeskError> {
        let DeskParts { bus, archive, segments, sealer, clock, .. } = parts;
        let DeskParts { context, tokens, options, admin, touch, .. } = parts;
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(DeskError::Randomness)?;
        let asker = Asker::start(bus.clone(), &context.node, instance, options).await?;
        let life = Arc::new(Life::begin().map_err(DeskError::Randomness)?);
        let keeper = Keeper {
            life: Arc::clone(&life),
            bus: bus.clone(),
            node: context.node.clone(),
            clock: clock.clone(),
            renew: options.renew,
            lease: options.lease,
            touch,
        };
        let keeping = keeper.run(shutdown.clone());
        shutdown.spawn_fallible(TaskKind::Follower, "desk_lease", keeping).detach();
        let tokens = Tokens::load(tokens, sealer.clone());
        let commands = Commands { asker, archive, bus, sealer, clock };
        let shutdown = shutdown.clone();
        let shared = Shared { context, tokens, commands, options, shutdown, segments, admin, life };
        let shared = Arc::new(shared);
        let polling = poll_tokens(Arc::clone(&shared));
        shared.shutdown.spawn(TaskKind::Maintenance, "desk_tokens", polling).detach();
        Ok(Self(shared))
    }

    /// Serves a bound listener (see `chassis::listener` for the rule on exposure and for TLS) until shutdown
    /// begins and the streams have ended.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Acceptor>,
    ) -> Result<(), DeskError> {
        let shared = self.0;
        let (health, health_service) = tonic_health::server::health_reporter();
        let desk = AgentDeskServer::new(DeskService(Arc::clone(&shared)))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        let conversations = ConversationsServer::new(ConversationsService(Arc::clone(&shared)))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        let events = EventsServer::new(EventsService(Arc::clone(&shared)))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        let channel = ChannelServer::new(ChannelService::new(Arc::clone(&shared)))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        health.set_serving::<ChannelServer<ChannelService>>().await;
        let outbound = OutboundServer::new(OutboundService(Arc::clone(&shared)))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        health.set_serving::<OutboundServer<OutboundService>>().await;
        health.set_serving::<AgentDeskServer<DeskService>>().await;
        health.set_serving::<ConversationsServer<ConversationsService>>().await;
        health.set_serving::<EventsServer<EventsService>>().await;
        // The operator's commands are never taken in plain text from another machine.
        let private = tls.is_some()
            || listener.local_addr().is_ok_and(|at| at.ip().to_canonical().is_loopback());
        let admin = shared.admin.as_ref().filter(|_| private).map(|parts| {
            AdminServer::new(AdminService::new(Arc::clone(&shared), parts))
                .max_decoding_message_size(REQUEST_BYTES_MAX)
        });
        if admin.is_some() {
            health.set_serving::<AdminServer<AdminService>>().await;
        }
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let shutdown = shared.shutdown.clone();
        let incoming = incoming::accept(listener, tls, shared.options.connections_max, &shutdown);
        Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(health_service)
            .add_service(reflection)
            .add_service(desk)
            .add_service(conversations)
            .add_service(events)
            .add_service(channel)
            .add_optional_service(admin)
            .add_service(outbound)
            .serve_with_incoming_shutdown(incoming, async move { shutdown.begun().await })
            .await?;
        Ok(())
    }
}

async fn poll_tokens(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(shared.options.token_poll) => {}
            () = shared.shutdown.begun() => return,
        }
        let reading = Arc::clone(&shared);
        let read = tokio::task::spawn_blocking(move || reading.tokens.reload_if_changed());
        if read.await.is_err() {
            tracing::error!("reading the token files failed");
        }
    }
}
