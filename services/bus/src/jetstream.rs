//! The bus of a cluster: NATS JetStream.
//!
//! Owns four streams (names and subjects in `names.rs`) and says nothing of how the servers are run. An
//! inbox or a log is one subject of a stream; its sequences are the stream's, hence shared by all
//! partitions. The log is fenced by `Nats-Expected-Last-Subject-Sequence`; a saved part is the last
//! message of its subject, replaced under the same condition.
//!
//! What the bus promises is answered by stream leaders: publishes, and reads of a subject's last or
//! next message (`STREAM.MSG.GET`; direct get, which any replica may answer late, is off). Consumers only carry
//! entries to readers: they lie in memory, have no acknowledgements, count what they deliver, and
//! are rebuilt when a number is missing or neither a message nor a heartbeat comes. Every request has
//! its own deadline; an unanswered publish is `Unknown`. Publishes of inputs, of records, reads, and the rest
//! travel on connections of their own.

mod connection;
mod cursor;
mod follower;
mod leases;
mod names;
mod publish;
mod reads;
mod signals;
mod states;
mod streams;
mod writes;

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::Bus;
use connection::Connections;
use names::Names;
use reads::Reads;

/// Longest a request may go without its answer. Longer than an election of a stream's leader
/// sometimes takes (4 to 9 s), on purpose: waiting longer would only delay the caller's own repeat.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How to reach the servers and which installation to use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Servers, such as `nats://127.0.0.1:4222` or `tls://nats.example:4222`.
    pub servers: Vec<String>,
    /// First token of every subject and, in capitals, of every stream: letters, digits, `-`, `_`.
    pub prefix: String,
    /// Number of partitions; stored when the streams are created, and must be the same ever after.
    pub partitions: u16,
    /// Copies of every stream (1, 3 or 5); counts when the streams are created.
    pub replicas: usize,
    /// Name of this client as the servers show it.
    pub client_name: String,
    /// How to sign in.
    pub auth: Auth,
    /// Certificates (PEM) to trust besides the system's.
    pub root_certificates: Option<PathBuf>,
    /// Bytes of recent entries kept in memory per partition that is read here, for the inbox and
    /// for the log each.
    pub recent_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            prefix: "tandem".to_owned(),
            partitions: 64,
            replicas: 1,
            client_name: "tandem".to_owned(),
            auth: Auth::None,
            root_certificates: None,
            recent_bytes: 2 * 1024 * 1024,
        }
    }
}

/// How to sign in to the servers.
#[derive(Clone, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// With a token.
    Token(String),
    /// With a name and a password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(redacted)",
            Self::User { .. } => "User(redacted)",
        })
    }
}

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The prefix cannot stand in a subject.
    #[error("{0:?} is no prefix: use letters, digits, - and _")]
    Prefix(String),
    /// A server's address is not understood.
    #[error("{address:?} is no server address")]
    Address {
        /// As configured.
        address: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// No server took the connection.
    #[error("no connection to {servers}")]
    Connect {
        /// The configured servers.
        servers: String,
        /// What the last one said.
        source: async_nats::ConnectError,
    },
    /// The servers take smaller messages than the bus stores.
    #[error(
        "the servers take messages of {found} bytes, the bus needs {needed}: raise max_payload"
    )]
    MaxPayload {
        /// Bytes the servers take.
        found: usize,
        /// Bytes the bus needs.
        needed: usize,
    },
    /// A stream cannot be looked up or created.
    #[error("the stream {stream} cannot be opened: {why}")]
    Stream {
        /// Its name.
        stream: String,
        /// What the servers said.
        why: String,
    },
    /// A stream was created with a setting that could lose what the bus promises to keep.
    #[error(
        "the stream {stream} has {setting}, which Tandem does not use: it is not Tandem's, or was changed"
    )]
    Foreign {
        /// Its name.
        stream: String,
        /// The setting.
        setting: String,
    },
    /// The configured number of partitions is not the one it was created with.
    #[error(
        "the stream {stream} was created with {stored} partitions, but {configured} are configured: set {stored}, \
         or reshard"
    )]
    Partitions {
        /// Its name.
        stream: String,
        /// Number it was created with.
        stored: String,
        /// Number configured now.
        configured: u16,
    },
}

/// Connects to the servers, creates the streams that are missing, and checks those that are there.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(options: Options) -> Result<Bus, ConnectError> {
    let names = Arc::new(Names::new(&options.prefix)?);
    let connections = Connections::open(&options).await?;
    streams::open_all(&connections.rest, &names, &options).await?;
    let partitions = options.partitions;
    let reads = Arc::new(Reads::new(
        connections.reads.clone(),
        Arc::clone(&names),
        partitions,
        options.recent_bytes,
    ));
    let rest = connections.rest;
    Ok(Bus {
        inbox: Arc::new(writes::JetInbox {
            ingress: connections.ingress,
            reads: Arc::clone(&reads),
        }),
        log: Arc::new(writes::JetLog { commit: connections.commit, reads }),
        states: Arc::new(states::JetStates {
            client: rest.clone(),
            names: Arc::clone(&names),
            partitions,
        }),
        leases: Arc::new(leases::JetLeases { client: rest.clone(), names: Arc::clone(&names) }),
        signals: Arc::new(signals::JetSignals { client: rest, names }),
        partitions,
    })
}
