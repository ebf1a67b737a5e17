//! Connections: several, so that bulk reads never stand in the way of commits.

use std::{path::Path, time::Duration};

use async_nats::{Client, ConnectOptions, Event, ServerAddr};

use super::{ANSWER_WITHIN, Auth, ConnectError, Options};

/// A half-open connection is noticed after two of these; the client's default is a minute.
const PING_EVERY: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Longest pause between two attempts to reconnect, jitter apart. With it well under the lease period (3 s): whoever is back
/// first must not call the others dead that are still on their way.
const RECONNECT_DELAY_MAX_MS: u64 = 500;
/// Where answers to the trimmer come, if it is somebody of its own.
const TRIMMER_INBOX: &str = "_INBOX_TRIMMER";

pub(super) struct Connections {
    /// Publishes of inputs.
    pub(super) ingress: Client,
    /// Publishes of records.
    pub(super) commit: Client,
    /// Consumers and reads of inboxes and logs.
    pub(super) reads: Client,
    /// States and signals.
    pub(super) rest: Client,
    /// Purges, with credentials of their own.
    pub(super) trimmer: Option<Client>,
}

impl Connections {
    pub(super) async fn open(options: &Options) -> Result<Self, ConnectError> {
        let trimmer = match &options.trimmer {
            None => None,
            Some(Auth::None) => Some(open(options, "trimmer").await?),
            Some(auth) => Some(open_as(options, auth, TRIMMER_INBOX, "trimmer").await?),
        };
        Ok(Self {
            ingress: open(options, "ingress").await?,
            commit: open(options, "commit").await?,
            reads: open(options, "reads").await?,
            rest: open(options, "rest").await?,
            trimmer,
        })
    }
}

/// A connection to any of the servers.
pub(super) async fn open(options: &Options, purpose: &'static str) -> Result<Client, ConnectError> {
    open_as(options, &options.auth, &options.inbox_prefix, purpose).await
}

async fn open_as(
    options: &Options,
    auth: &Auth,
    inbox_prefix: &str,
    purpose: &'static str,
) -> Result<Client, ConnectError> {
    let addresses: Result<Vec<_>, _> =
        options.servers.iter().map(|address| parse(address)).collect();
    let settings = settings(options, auth, purpose).await?.custom_inbox_prefix(inbox_prefix);
    let connected = settings.connect(addresses?).await;
    connected
        .map_err(|source| ConnectError::Connect { servers: options.servers.join(", "), source })
}

/// A connection to this very server, to look at it.
pub(super) async fn open_only(options: &Options, address: &str) -> Result<Client, ConnectError> {
    let settings = settings(options, &options.auth, "check").await?;
    let connected = settings.ignore_discovered_servers().connect(parse(address)?).await;
    connected.map_err(|source| ConnectError::Connect { servers: address.to_owned(), source })
}

fn parse(address: &str) -> Result<ServerAddr, ConnectError> {
    let wrong = |source| ConnectError::Address { address: address.to_owned(), source };
    address.parse::<ServerAddr>().map_err(wrong)
}

async fn settings(
    options: &Options,
    auth: &Auth,
    purpose: &'static str,
) -> Result<ConnectOptions, ConnectError> {
    let mut settings = ConnectOptions::new()
        .name(format!("{} {purpose}", options.client_name))
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_WITHIN)
        .request_timeout(Some(ANSWER_WITHIN))
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| async move { note(purpose, &event) });
    settings = match auth {
        Auth::None => settings,
        Auth::Token(token) => settings.token(token.clone()),
        Auth::User { name, password } => settings.user_and_password(name.clone(), password.clone()),
        Auth::NKey { seed_file } => settings.nkey(read_seed(seed_file).await?),
    };
    settings = settings.require_tls(options.tls.required);
    if let Some(path) = &options.tls.server_ca {
        settings = settings.add_root_certificates(path.clone());
    }
    if let Some(client) = &options.tls.client {
        settings = settings
            .add_client_certificate(client.certificate_file.clone(), client.key_file.clone());
    }
    Ok(settings)
}

async fn read_seed(file: &Path) -> Result<String, ConnectError> {
    let wrong = |source| ConnectError::Seed { file: file.to_owned(), source };
    let text = tokio::fs::read_to_string(file).await.map_err(|error| wrong(Some(error)))?;
    let seed = text.trim();
    let is_seed = seed.starts_with("SU") && !seed.contains(char::is_whitespace);
    if is_seed { Ok(seed.to_owned()) } else { Err(wrong(None)) }
}

/// Doubles from 50 ms and is jittered, so that a restarted server is not met by everyone at once.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    let delay_ms = (50_u64 << doublings).min(RECONNECT_DELAY_MAX_MS);
    Duration::from_millis(delay_ms + rand::random_range(0..=delay_ms / 2))
}

fn note(purpose: &'static str, event: &Event) {
    match event {
        Event::Connected | Event::Draining | Event::Closed => {
            tracing::info!(purpose, %event, "bus connection");
        }
        _ => tracing::warn!(purpose, %event, "bus connection"),
    }
}
