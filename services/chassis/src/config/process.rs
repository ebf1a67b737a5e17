//! Sections about the process: listeners, calls out, logs, timings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// Certificate and key of a listener, in PEM files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, the server's own certificate first.
    pub cert_file: PathBuf,
    /// Its private key (PKCS #8, PKCS #1 or SEC 1).
    pub key_file: PathBuf,
    /// Certificates of authorities (PEM) whose clients may connect; others are turned away (mutual TLS). All three files are
    /// read again when they change.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
}

/// `[gateway]`: where Meta's webhooks arrive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Address and port. Loopback, unless `tls` or `insecure_listen` is set.
    pub listen: SocketAddr,
    /// Allows plain HTTP on an address others can reach, for a proxy in front that does TLS.
    pub insecure_listen: bool,
    /// TLS of this listener.
    pub tls: Option<Tls>,
    /// Largest accepted body; a larger one is answered 413.
    pub body_limit_bytes: u32,
    /// Time a client has to send its request's head.
    pub header_timeout_ms: u64,
    /// Time a client has to send the body.
    pub body_timeout_ms: u64,
    /// Connections at once; more wait in the operating system's queue.
    pub connections_max: u32,
    /// Time for what a POST holds to become durable; then it is answered 503 and Meta sends it
    /// again.
    pub append_timeout_ms: u64,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            insecure_listen: false,
            tls: None,
            body_limit_bytes: 4 * 1024 * 1024,
            header_timeout_ms: 5_000,
            body_timeout_ms: 10_000,
            connections_max: 1_024,
            append_timeout_ms: 10_000,
        }
    }
}

/// `[desk]`: where agents, supervisors and other programs connect by gRPC.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Desk {
    /// Address and port. Loopback, unless `tls` or `insecure_listen` is set.
    pub listen: SocketAddr,
    /// Allows plain gRPC on an address others can reach, for a proxy in front that does TLS.
    pub insecure_listen: bool,
    /// TLS of this listener.
    pub tls: Option<Tls>,
    /// How the commands of `tandem` connect where it has TLS.
    pub client: DeskClient,
    /// Connections at once.
    pub connections_max: u32,
    /// Interval of the heartbeat on an agent's stream; three missing ones end it.
    pub heartbeat_ms: u64,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            listen: loopback(8081),
            insecure_listen: false,
            tls: None,
            client: DeskClient::default(),
            connections_max: 4_096,
            heartbeat_ms: 5_000,
        }
    }
}

/// `[desk.client]`: what `tandem status`, the operator's other commands and `tandem agent --config` show and trust.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeskClient {
    /// Certificates of authorities (PEM) by which the desk's is checked. Not set: those in `desk.tls.cert_file`, which is
    /// enough where the desk's certificate signed itself or its file holds the whole chain; without `desk.tls`, what the
    /// system trusts.
    pub ca_file: Option<PathBuf>,
    /// A name that is in the desk's certificate, where the address it is reached by is not: commands take the address from
    /// the data directory, and that is an IP address.
    pub server_name: Option<String>,
    /// Certificate chain (PEM) to show, where `desk.tls.client_ca_file` asks for one.
    pub cert_file: Option<PathBuf>,
    /// Private key of that certificate.
    pub key_file: Option<PathBuf>,
}

/// `[admin]`: `/healthz`, `/readyz`, `/metrics`, in plain HTTP; and the operator's token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port. Loopback, unless `insecure_listen` is set.
    pub listen: SocketAddr,
    /// Allows an address others can reach, for probes and scrapers on a private network.
    pub insecure_listen: bool,
    /// Token of the operator for the gRPC service `Admin` on `desk.listen`, 16 characters or more. Not set: one is
    /// made at the first start, in the file `admin.token` of `data_dir`.
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: loopback(8082), insecure_listen: false, token: None }
    }
}

/// `[archive]`: immutable files of the log's records, and what may be thrown away once it is in them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// Writes segments. Without them nothing is trimmed from the log.
    pub segments: bool,
    /// Directory of the segments; `segments` in `data_dir` when not set. It grows for ever: the
    /// history is in it.
    pub segments_dir: Option<PathBuf>,
    /// A segment is closed at this size...
    pub segment_bytes: u64,
    /// ...or this long after its first record.
    pub segment_age_ms: u64,
    /// Removes from inbox and log what checkpoints, segments and read model need no more.
    pub trim: bool,
    /// Pause between two looks for what may be removed.
    pub trim_interval_ms: u64,
    /// Below this much free space in `data_dir` a warning is raised, well before webhooks are
    /// refused (`limits.min_free_disk_bytes`).
    pub warn_free_disk_bytes: u64,
    /// Keeps the read model in Postgres; in a SQLite file in `data_dir` when not set.
    pub postgres: Option<Postgres>,
    /// Stores every segment in a bucket as well, and trims from the log only what is there. Not set: `segments_dir` alone.
    pub s3: Option<S3>,
}

/// `[archive.s3]`: a bucket of an S3 server for the segments, which outlives the machine. The server must know conditional puts
/// (`If-None-Match: *`), as Amazon S3, MinIO, Ceph and R2 do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// The bucket. It exists already; the key may list it, read it and write to it, and need not be allowed to delete.
    pub bucket: String,
    /// Its region; any word where the server has none.
    pub region: String,
    /// Scheme and host of the server. Not set: Amazon's, of the region.
    pub endpoint: Option<String>,
    /// Allows a plain `http` endpoint on another machine: ids, times and sizes then travel readable; what people wrote is
    /// sealed.
    pub insecure_endpoint: bool,
    /// What all names in the bucket begin with: each installation has a prefix, or a bucket, of its own.
    pub prefix: String,
    /// Id of the access key. Not set: the credentials of the environment (`AWS_…` variables, the role of the machine or
    /// container).
    pub access_key_id: Option<Secret>,
    /// The secret key of `access_key_id`.
    pub secret_access_key: Option<Secret>,
}

/// `[archive.postgres]`: the read model in a Postgres database (15 or newer). While it is down, queries are refused and everything
/// else goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user:password@host:5432/database`, best as `file:/path` or `env:NAME`. The user makes and owns the
    /// tables; `?options=-csearch_path%3Dname` puts them into a schema.
    pub url: Secret,
    /// Connections at once, 2 to 200: one writes, the others read.
    pub pool_size: u32,
    /// Encryption of the connection.
    pub tls: PostgresTls,
    /// Certificates (PEM) by which the server's is checked, instead of those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Time for connecting, and for a query; what is projected in one transaction has five times as long.
    pub timeout_ms: u64,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: Secret::literal(""),
            pool_size: 8,
            tls: PostgresTls::UnlessLocal,
            ca_file: None,
            timeout_ms: 10_000,
        }
    }
}

/// How the connection to Postgres is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresTls {
    /// As `verify`, unless the server is on this machine.
    #[default]
    UnlessLocal,
    /// Encrypted, with the server's certificate and name checked.
    Verify,
    /// In plain text, for a private network that protects it.
    Off,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            segments: true,
            segments_dir: None,
            segment_bytes: 64 * 1024 * 1024,
            segment_age_ms: 900_000,
            trim: true,
            trim_interval_ms: 10_000,
            warn_free_disk_bytes: 1024 * 1024 * 1024,
            postgres: None,
            s3: None,
        }
    }
}

/// `[graph]`: Meta's Graph API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graph {
    /// Scheme and host, without version. `https`, or plain `http` to this machine (a simulator).
    pub base_url: String,
    /// Allows plain `http` to another machine: the access tokens then travel readable. For tests
    /// on a private network.
    pub insecure_base_url: bool,
    /// Version of the API, `v` and two numbers.
    pub version: String,
    /// Time for one call, connecting included; at most `limits.call_hard_limit_ms`.
    pub timeout_ms: u64,
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            insecure_base_url: false,
            version: "v26.0".to_owned(),
            timeout_ms: 10_000,
        }
    }
}

/// `[log]`: structured logs on standard error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// One JSON object per line, or text for people.
    pub format: LogFormat,
    /// Which events, as directives of `tracing-subscriber`'s `EnvFilter`: `info,runtime=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, filter: "info".to_owned() }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// `[limits]`: timings and reserves of the core. The defaults are those of the design; the sections
/// in parentheses say what each one protects.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// An outside call is over after this long, whatever happened (4.5).
    pub call_hard_limit_ms: u64,
    /// An outside call starts at most this long after the sending of the latest record that showed us, stored, to be its owner (4.5).
    pub start_by_ms: u64,
    /// Wait for a status of a send whose outcome is unknown, before its conversation is asked whether it heard of it and
    /// its lane's policy decides (4.5).
    pub reconcile_ms: u64,
    /// A customer writing to whoever answered on the phone is handed to the desk after this long
    /// (5).
    pub phone_answer_timeout_ms: u64,
    /// Silence on both sides after which the phone no longer holds the floor (5).
    pub phone_floor_timeout_ms: u64,
    /// A customer's reaction opens the customer service window. Meta does not say whether it does: while this is off, a
    /// window that only a reaction opened is not used (5).
    pub reaction_opens_window: bool,
    /// The same for a customer's edit. A deletion never opens it.
    pub edit_opens_window: bool,
    /// A fenced owner stays away at least this long before it takes a partition again (4.3).
    pub fenced_pause_ms: u64,
    /// Interval of a partition's checkpoints: bounds the replay after a crash (4.3).
    pub checkpoint_interval_ms: u64,
    /// An entity without input for this long is saved and dropped from memory (4.3).
    pub passivate_after_ms: u64,
    /// A query that names a position waits this long for the read model (4.6).
    pub read_wait_ms: u64,
    /// Below this much free space in `data_dir` new webhooks are answered 503 (4.4).
    pub min_free_disk_bytes: u64,
    /// Time for running work to end in a graceful stop.
    pub drain_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_hard_limit_ms: 10_000,
            start_by_ms: 2_000,
            reconcile_ms: 30_000,
            phone_answer_timeout_ms: 600_000,
            phone_floor_timeout_ms: 1_800_000,
            reaction_opens_window: false,
            edit_opens_window: false,
            fenced_pause_ms: 10_000,
            checkpoint_interval_ms: 5_000,
            passivate_after_ms: 300_000,
            read_wait_ms: 500,
            min_free_disk_bytes: 256 * 1024 * 1024,
            drain_ms: 10_000,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
