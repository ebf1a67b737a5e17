//! Connections: several, so that bulk reads never stand in the way of commits.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};

use super::{ANSWER_WITHIN, Auth, ConnectError, Options};
use crate::VALUE_BYTES_MAX;

/// A half-open connection is noticed after two of these; the client's default is a minute.
const PING_EVERY: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Longest pause between two attempts to reconnect, jitter apart.
const RECONNECT_DELAY_MAX_MS: u64 = 2_000;
/// Room for headers, the envelope of a saved part, and the protocol.
const OVERHEAD_BYTES: usize = 8 * 1024;

pub(super) struct Connections {
    /// Publishes of inputs.
    pub(super) ingress: Client,
    /// Publishes of records.
    pub(super) commit: Client,
    /// Consumers and reads of inboxes and logs.
    pub(super) reads: Client,
    /// States, leases, signals.
    pub(super) rest: Client,
}

impl Connections {
    pub(super) async fn open(options: &Options) -> Result<Self, ConnectError> {
        let connections = Self {
            ingress: open_one(options, "ingress").await?,
            commit: open_one(options, "commit").await?,
            reads: open_one(options, "reads").await?,
            rest: open_one(options, "rest").await?,
        };
        let found = connections.commit.server_info().max_payload;
        let needed = VALUE_BYTES_MAX + OVERHEAD_BYTES;
        if found < needed {
            return Err(ConnectError::MaxPayload { found, needed });
        }
        Ok(connections)
    }
}

async fn open_one(options: &Options, purpose: &'static str) -> Result<Client, ConnectError> {
    let servers = options
        .servers
        .iter()
        .map(|address| {
            let wrong = |source| ConnectError::Address { address: address.clone(), source };
            address.parse::<ServerAddr>().map_err(wrong)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut settings = ConnectOptions::new()
        .name(format!("{} {purpose}", options.client_name))
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_WITHIN)
        .request_timeout(Some(ANSWER_WITHIN))
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| async move { note(purpose, &event) });
    settings = match &options.auth {
        Auth::None => settings,
        Auth::Token(token) => settings.token(token.clone()),
        Auth::User { name, password } => settings.user_and_password(name.clone(), password.clone()),
    };
    if let Some(path) = &options.root_certificates {
        settings = settings.add_root_certificates(path.clone());
    }
    let connected = settings.connect(servers).await;
    connected
        .map_err(|source| ConnectError::Connect { servers: options.servers.join(", "), source })
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
