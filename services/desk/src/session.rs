//! The `AgentDesk` service: one stream per connected agent (design.md 4.6).
//!
//! A session signs the agent in at its workspace, forwards the workspace's numbered changes and the news of the
//! conversations the agent has, and turns the client's requests into inputs. A missed change is noticed by its
//! number and answered with a new snapshot; a slow client is cut off, a silent one counts as gone; both can
//! connect again and miss nothing, because everything that counts is in the entities.

mod open;
mod outbox;
mod relay;
mod run;
mod watch;
mod worker;

use std::sync::Arc;

use api::v1::{DeskRequest, agent_desk_server::AgentDesk};
use chassis::task::TaskKind;
use domain::{DeskId, SessionId};
use tokio::sync::watch::Receiver;
use tonic::{Request, Response, Status, Streaming};

use crate::{command::SessionKey, fault::Fault, metrics, server::Shared, tokens::Principal};
use outbox::{EventStream, Outbox};

/// The service.
#[derive(Clone)]
pub(crate) struct DeskService(pub(crate) Arc<Shared>);

/// Why a session ended.
#[derive(Clone, Debug)]
enum End {
    /// The client closed the stream or its connection.
    Left,
    /// A newer connection of the agent took over.
    Replaced,
    /// The client said nothing for too long.
    Silent,
    /// The client does not read its events.
    Slow,
    /// The token is no longer valid.
    Revoked,
    /// This process is stopping, its bus closed, or its lease could not be renewed.
    Stopping,
    /// The client broke the protocol.
    Refused(Status),
    /// The session could not be opened.
    NotOpened(Status),
}

impl End {
    fn label(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Replaced => "replaced",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Revoked => "revoked",
            Self::Stopping => "stopping",
            Self::Refused(_) => "refused",
            Self::NotOpened(_) => "not_opened",
        }
    }

    /// What the client is told; `None` ends the stream without an error.
    fn status(self) -> Option<Status> {
        match self {
            Self::Left | Self::Replaced => None,
            Self::Silent => Some(Status::deadline_exceeded(
                "no request came in time: send a heartbeat every 10 s; connect again",
            )),
            Self::Slow => Some(Status::resource_exhausted(
                "events were not read in time: read faster; connect again for a snapshot",
            )),
            Self::Revoked => Some(Status::unauthenticated("the token is no longer valid")),
            Self::Stopping => Some(Status::unavailable("the server is stopping; connect again")),
            Self::Refused(status) | Self::NotOpened(status) => Some(status),
        }
    }
}

/// One agent's session.
struct Session {
    shared: Arc<Shared>,
    principal: Arc<Principal>,
    key: SessionKey,
    /// The desk's life, as it was when the session was made.
    life: Receiver<DeskId>,
}

impl Session {
    /// Serves the stream to its end and signs the agent out.
    async fn serve(self, mut requests: Streaming<DeskRequest>, outbox: Outbox) {
        let _open = metrics::Open::new(metrics::SESSIONS);
        let end = match self.open(&mut requests, &outbox).await {
            Ok(opened) => self.run(opened, requests, &outbox).await,
            Err(end) => end,
        };
        ::metrics::counter!(metrics::SESSIONS_ENDED_TOTAL, "reason" => end.label()).increment(1);
        tracing::debug!(reason = end.label(), "a session ended");
        outbox.end(end.status());
        self.sign_out().await;
    }
}

#[tonic::async_trait]
impl AgentDesk for DeskService {
    type SessionStream = EventStream;

    async fn session(
        &self,
        request: Request<Streaming<DeskRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let principal = self.0.tokens.check(request.metadata())?;
        let business = self.0.business(&principal)?;
        let forbidden = Fault::Forbidden("a session is an agent's: use the token of an agent");
        let agent = principal.agent.clone().ok_or(forbidden)?;
        let mut life = self.0.life.follow();
        let desk = *life.borrow_and_update();
        let [a, b, c, d, e, f, g, h, ..] = self.0.random()?;
        let id = SessionId::of(desk, u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let key = SessionKey {
            business: principal.business.clone(),
            agent,
            workspace: business.workspace,
            id,
        };
        let (outbox, events) = outbox::channel(self.0.options.queue_max);
        let session = Session { shared: Arc::clone(&self.0), principal, key, life };
        let serve = session.serve(request.into_inner(), outbox);
        self.0.shutdown.spawn(TaskKind::Connection, "desk_session", serve).detach();
        Ok(Response::new(events))
    }
}
