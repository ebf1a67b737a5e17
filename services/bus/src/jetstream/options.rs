//! How to reach the servers, and why that fails.

use std::path::PathBuf;

use super::Report;
use crate::FormatLevel;

/// Streams that inboxes, logs and states are spread over (each) where nothing is said.
const STREAMS_DEFAULT: u16 = 8;

/// How to reach the servers and which installation to use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Servers, such as `nats://127.0.0.1:4222` or `tls://nats.example:4222`.
    pub servers: Vec<String>,
    /// First token of every subject and, in capitals, of every stream: letters, digits, `-`, `_`.
    pub prefix: String,
    /// Number of partitions; stored when the streams are created, and must be the same ever after.
    pub partitions: u16,
    /// Streams that inboxes, logs and states are spread over, each. 0: at creation the smaller of 8 and the
    /// number of partitions, afterwards whatever it was created with. Stored when the streams are created.
    pub streams: u16,
    /// Copies of every stream (1, 3 or 5); counts when the streams are created.
    pub replicas: usize,
    /// Takes servers and streams that can lose what was acknowledged: a single copy, lazy `fsync` or one that is not
    /// known, an old server. For tests and trials.
    pub allow_data_loss: bool,
    /// The servers' monitoring, such as `http://10.0.0.5:8222`: [`super::init`] and [`super::check`] read there when
    /// each writes to the disk.
    pub monitor: Vec<String>,
    /// Name of this client as the servers show it.
    pub client_name: String,
    /// How to sign in.
    pub auth: Auth,
    /// First token of the subjects on which answers come. Where the servers know roles each has its own: who may
    /// listen on another's reads what is meant for it.
    pub inbox_prefix: String,
    /// How to sign in for trimming, on a connection of its own (whose answers come on `_INBOX_TRIMMER`); without it
    /// nothing is trimmed from here.
    pub trimmer: Option<Auth>,
    /// How the connections are encrypted.
    pub tls: Tls,
    /// Newest format level that this process knows: its lease says so.
    pub format_known: FormatLevel,
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
            streams: 0,
            replicas: 3,
            allow_data_loss: false,
            monitor: Vec::new(),
            client_name: "tandem".to_owned(),
            auth: Auth::None,
            inbox_prefix: "_INBOX".to_owned(),
            trimmer: None,
            tls: Tls::default(),
            format_known: FormatLevel::KNOWN,
            recent_bytes: 2 * 1024 * 1024,
        }
    }
}

impl Options {
    /// Streams that an installation made with these options has of each table.
    pub(super) fn streams_at_creation(&self) -> u16 {
        let streams = if self.streams == 0 { STREAMS_DEFAULT } else { self.streams };
        streams.min(self.partitions).max(1)
    }
}

/// How connections are encrypted. A server that asks for TLS gets it in any case.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Refuse a server that does not encrypt.
    pub required: bool,
    /// Certificates (PEM) of the authority that signed the servers', in place of the system's.
    pub server_ca: Option<PathBuf>,
    /// Certificate and key to show to the servers.
    pub client: Option<ClientCertificate>,
}

/// A certificate to show to the servers.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate with its chain (PEM).
    pub certificate_file: PathBuf,
    /// Its private key (PEM).
    pub key_file: PathBuf,
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
    /// With an nkey: the seed signs what the server asks, and never leaves this process.
    NKey {
        /// File that holds the seed (`SU…`), and nothing else but blanks.
        seed_file: PathBuf,
    },
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token(redacted)"),
            Self::User { .. } => f.write_str("User(redacted)"),
            Self::NKey { seed_file } => write!(f, "NKey({})", seed_file.display()),
        }
    }
}

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The prefix cannot stand in a subject.
    #[error("{0:?} is no prefix: use letters, digits, - and _")]
    Prefix(String),
    /// A server's address is not understood.
    #[error("{address:?} is no server address: write nats://host:port or tls://host:port")]
    Address {
        /// As configured.
        address: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// A file with a key cannot be used.
    #[error(
        "the seed of an nkey cannot be read from {file}: it holds one line that begins with SU"
    )]
    Seed {
        /// The file.
        file: PathBuf,
        /// What the system said, where it said something.
        source: Option<std::io::Error>,
    },
    /// No server took the connection.
    #[error("no connection to {servers}")]
    Connect {
        /// The configured servers.
        servers: String,
        /// What the last one said.
        source: async_nats::ConnectError,
    },
    /// The system gave no thread for the leases.
    #[error("no thread for the leases: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
    /// The servers' monitoring cannot be asked.
    #[error("the monitoring of the servers cannot be asked: {why}")]
    Monitor {
        /// What is wrong.
        why: String,
    },
    /// A stream cannot be looked up or created.
    #[error("the stream {stream} cannot be opened: {why}")]
    Stream {
        /// Its name.
        stream: String,
        /// What the servers said.
        why: String,
    },
    /// The installation was never created on these servers, or not to the end.
    #[error(
        "the stream {stream} does not exist on these servers: run `tandem cluster init` once, or \
         check the servers and the prefix"
    )]
    NotCreated {
        /// The stream that is missing.
        stream: String,
    },
    /// What is configured is not what the installation was created with.
    #[error(
        "the installation was created with {stored} {what}, but {configured} are configured: set {stored}, \
         or reshard"
    )]
    Layout {
        /// Of what.
        what: &'static str,
        /// Number it was created with.
        stored: u16,
        /// Number configured now.
        configured: u16,
    },
    /// The servers or the streams could lose or hide what the bus promises to keep.
    #[error("these servers are refused:\n{0}")]
    Refused(Report),
}
