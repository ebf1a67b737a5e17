//! Opening a session: the first request, the subscription, the sign-in; and its end.

use api::{
    convert,
    v1::{DeskRequest, Presence, SignIn, desk_request::Request},
};
use bus::SignalStream;
use domain::{
    CommandId,
    workspace::{DeskCommand, WorkspaceAnswer},
};
use tonic::{Status, Streaming};

use super::{End, Session, outbox::Outbox, worker::tell_key};
use crate::{command::decode_workspace, fault::Fault};

/// Numbers of what a session tells, beside its worker's (which count from 1).
const SIGN_IN: u64 = u64::MAX;
const SIGN_OUT: u64 = u64::MAX - 1;
const PRESENCE: u64 = u64::MAX - 2;

/// An open session: the workspace's signals for it.
pub(super) struct Opened {
    pub(super) signals: Box<dyn SignalStream>,
}

impl Session {
    /// Reads the first request and signs the agent in.
    pub(super) async fn open(
        &self,
        requests: &mut Streaming<DeskRequest>,
        outbox: &Outbox,
    ) -> Result<Opened, End> {
        tokio::select! {
            opened = self.open_unwatched(requests) => opened,
            () = outbox.closed() => Err(End::Left),
            () = self.shared.shutdown.begun() => Err(End::Stopping),
        }
    }

    async fn open_unwatched(&self, requests: &mut Streaming<DeskRequest>) -> Result<Opened, End> {
        let first = tokio::time::timeout(self.shared.options.sign_in_max, requests.message());
        let first = match first.await {
            Ok(Ok(Some(request))) => request.request,
            Ok(Ok(None)) => return Err(End::Left),
            Ok(Err(status)) => return Err(End::Refused(status)),
            Err(_) => return Err(End::Silent),
        };
        let Some(Request::SignIn(sign_in)) = first else {
            return Err(End::Refused(Status::invalid_argument(
                "the first request must be sign_in",
            )));
        };
        // Before the sign-in, so that the snapshot it causes is not missed.
        let topic = format!("session.{}", self.key.id.0);
        let signals = self.shared.commands.bus.signals.subscribe(&topic).await;
        let signals = signals.map_err(|_| not_opened("the bus cannot be reached"))?;
        self.sign_in().await?;
        self.declare(sign_in).await?;
        Ok(Opened { signals })
    }

    async fn sign_in(&self) -> Result<(), End> {
        let opened_ms = self.shared.commands.clock.wall_ms();
        let answer = self.ask(DeskCommand::SignIn { opened_ms }, SIGN_IN).await?;
        match answer {
            WorkspaceAnswer::StaleSession => Err(End::NotOpened(Status::aborted(
                "a newer connection of this agent is open; use that one",
            ))),
            WorkspaceAnswer::Unknown(_) => {
                Err(not_opened("the workspace does not know this agent yet"))
            }
            WorkspaceAnswer::Done
            | WorkspaceAnswer::OfferEnded(_)
            | WorkspaceAnswer::TooOld
            | WorkspaceAnswer::Waiting { .. }
            | WorkspaceAnswer::Agents { .. } => Ok(()),
        }
    }

    /// The presence to begin with.
    async fn declare(&self, sign_in: SignIn) -> Result<(), End> {
        let wire = Presence::try_from(sign_in.presence).unwrap_or(Presence::Unspecified);
        let Some(presence) = convert::presence_from_wire(wire) else { return Ok(()) };
        // A client of its own: the numbers of the agent's own commands are not touched.
        let id = CommandId { client: self.key.id.0, n: 1 };
        self.ask(DeskCommand::SetPresence { id, presence }, PRESENCE).await.map(|_| ())
    }

    async fn ask(&self, command: DeskCommand, n: u64) -> Result<WorkspaceAnswer, End> {
        let key = tell_key(&self.shared, &self.key, n);
        let answer = async {
            let pending = self.shared.commands.desk(&self.key, command, key).await?;
            decode_workspace(&pending.answer().await?)
        };
        answer.await.map_err(|fault: Fault| {
            tracing::warn!(why = fault.label(), "an agent could not sign in");
            not_opened("the workspace did not answer")
        })
    }

    /// Tells the workspace that the connection is gone. Harmless where another one took over.
    pub(super) async fn sign_out(&self) {
        let key = tell_key(&self.shared, &self.key, SIGN_OUT);
        let told = self.shared.commands.tell_desk(&self.key, DeskCommand::SignOut, key).await;
        if let Err(fault) = told {
            // Its offers end by their deadlines; the agent's next connection replaces this one.
            tracing::warn!(why = fault.label(), "an agent could not be signed out");
        }
    }
}

fn not_opened(what: &str) -> End {
    End::NotOpened(Status::unavailable(format!("{what}: connect again with backoff")))
}
