//! The `Admin` service: for the operator of the installation, who sees all businesses.
//!
//! What only the process that assembled everything can do (how its partitions stand, a backup, holding sends) it does by the
//! [`Operator`] it was given. Every call is written into the log with what it was about.

mod letters;
mod sends;

use std::{path::PathBuf, sync::Arc};

use api::v1::{
    BackupRequest, BackupResponse, ConfirmSendsRequest, ConfirmSendsResponse, GetDeadLetterRequest,
    GetDeadLetterResponse, GetVersionRequest, GetVersionResponse, ListDeadLettersRequest,
    ListDeadLettersResponse, ListUnknownSendsRequest, ListUnknownSendsResponse, PingRequest,
    PingResponse, ReplayDeadLetterRequest, ReplayDeadLetterResponse, StatusRequest, StatusResponse,
    admin_server::Admin,
};
use bus::FormatLevel;
use subtle::ConstantTimeEq as _;
use tonic::{Request, Response, Status};

use crate::{metrics, server::Shared, tokens::bearer};

/// Most rows of one answer, and how many where none are asked for.
const PAGE_MAX: u32 = 1_000;
const PAGE: u32 = 100;

/// What the process that hosts the desk does for its operator.
#[tonic::async_trait]
pub trait Operator: Send + Sync + 'static {
    /// How the process stands.
    async fn status(&self) -> Result<StatusResponse, Status>;
    /// Copies the installation into a new directory.
    async fn backup(&self, directory: PathBuf, include_key: bool)
    -> Result<BackupResponse, Status>;
    /// The installation's format level, and the newest that this process knows.
    async fn format_levels(&self) -> Result<(FormatLevel, FormatLevel), Status>;
    /// Whether sends are held since a restore.
    fn holds_sends(&self) -> bool;
    /// Lets sends leave again, durably.
    async fn release_sends(&self) -> Result<(), Status>;
}

/// What the service is made of.
#[derive(Clone)]
pub struct AdminParts {
    /// The operator's token.
    pub token: String,
    /// Carries out what is beyond the desk.
    pub operator: Arc<dyn Operator>,
}

impl std::fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminParts")
    }
}

/// The service.
#[derive(Clone)]
pub(crate) struct AdminService {
    shared: Arc<Shared>,
    operator: Arc<dyn Operator>,
    token_hash: [u8; 16],
}

impl AdminService {
    pub(crate) fn new(shared: Arc<Shared>, parts: &AdminParts) -> Self {
        let token_hash = shared.tokens.hash(&parts.token);
        Self { shared, operator: Arc::clone(&parts.operator), token_hash }
    }

    /// Lets only the operator in, and writes down what is asked.
    fn check<T>(&self, request: &Request<T>, call: &str, about: &str) -> Result<(), Status> {
        let given = bearer(request.metadata()).map(|token| self.shared.tokens.hash(token));
        if given.is_some_and(|hash| bool::from(hash.ct_eq(&self.token_hash))) {
            tracing::info!(target: "audit", role = "admin", call, about, "operator's command");
            return Ok(());
        }
        ::metrics::counter!(metrics::UNAUTHENTICATED_TOTAL).increment(1);
        tracing::warn!(target: "audit", call, "a command without the admin token was refused");
        Err(Status::unauthenticated(
            "send metadata `authorization: Bearer <token>` with the admin token (setting admin.token, or the file \
             admin.token in the data directory)",
        ))
    }
}

fn page_size(wanted: u32) -> usize {
    let wanted = if wanted == 0 { PAGE } else { wanted.min(PAGE_MAX) };
    usize::try_from(wanted).unwrap_or(usize::MAX)
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        self.check(&request, "ping", "")?;
        Ok(Response::new(PingResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.shared.context.node.clone(),
        }))
    }

    async fn get_version(
        &self,
        request: Request<GetVersionRequest>,
    ) -> Result<Response<GetVersionResponse>, Status> {
        self.check(&request, "get version", "")?;
        let (level, known) = self.operator.format_levels().await?;
        Ok(Response::new(GetVersionResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: option_env!("TANDEM_GIT_COMMIT").unwrap_or_default().to_owned(),
            format_level: level.0.into(),
            format_known: known.0.into(),
        }))
    }

    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        self.check(&request, "status", "")?;
        self.operator.status().await.map(Response::new)
    }

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<BackupResponse>, Status> {
        self.check(&request, "backup", &request.get_ref().directory)?;
        let BackupRequest { directory, include_key } = request.into_inner();
        self.operator.backup(PathBuf::from(directory), include_key).await.map(Response::new)
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        self.check(&request, "list dead letters", "")?;
        letters::list(&self.shared, &request.into_inner()).await.map(Response::new)
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        let about = request.get_ref();
        let personal = if about.personal_content { " with personal content" } else { "" };
        let about = format!("{}{personal}", about.dead_letter_id);
        self.check(&request, "show dead letter", &about)?;
        letters::get(&self.shared, &request.into_inner()).await.map(Response::new)
    }

    async fn replay_dead_letter(
        &self,
        request: Request<ReplayDeadLetterRequest>,
    ) -> Result<Response<ReplayDeadLetterResponse>, Status> {
        self.check(&request, "replay dead letter", &request.get_ref().dead_letter_id)?;
        letters::replay(&self.shared, &request.into_inner()).await.map(Response::new)
    }

    async fn list_unknown_sends(
        &self,
        request: Request<ListUnknownSendsRequest>,
    ) -> Result<Response<ListUnknownSendsResponse>, Status> {
        self.check(&request, "list unknown sends", "")?;
        let held = self.operator.holds_sends();
        sends::list(&self.shared, &request.into_inner(), held).await.map(Response::new)
    }

    async fn confirm_sends(
        &self,
        request: Request<ConfirmSendsRequest>,
    ) -> Result<Response<ConfirmSendsResponse>, Status> {
        let send_waiting = request.get_ref().send_waiting;
        let about = if send_waiting { "send what waits" } else { "end what waits as unknown" };
        self.check(&request, "confirm sends", about)?;
        if !self.operator.holds_sends() {
            return Err(Status::failed_precondition("nothing is held: there was no restore"));
        }
        let ended_unknown = if send_waiting { 0 } else { sends::give_up(&self.shared).await? };
        self.operator.release_sends().await?;
        Ok(Response::new(ConfirmSendsResponse { ended_unknown }))
    }
}
