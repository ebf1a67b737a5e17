//! `[bus]`: where everything durable is: in the data directory, or in NATS JetStream.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// `[bus]`: embedded storage in `data_dir`, or with `[bus.nats]` a cluster on NATS JetStream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bus {
    /// NATS JetStream, for any number of processes. Not set: SQLite in `data_dir`, for one.
    pub nats: Option<Nats>,
    /// How often a process renews its lease and looks who lives.
    pub renew_ms: u64,
    /// Another process counts as dead after its lease was not renewed for so long, while ours was (design.md 4.3).
    pub lease_ms: u64,
}

impl Default for Bus {
    fn default() -> Self {
        Self { nats: None, renew_ms: 500, lease_ms: 3_000 }
    }
}

/// `[bus.nats]`: the servers, and how to sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nats {
    /// Addresses: `nats://host:4222`, or `tls://host:4222`. Name all of a cluster.
    pub servers: Vec<String>,
    /// First token of every subject; tells installations on the same servers apart.
    pub prefix: String,
    /// Copies of every stream, 1, 3 or 5: counts when `tandem cluster init` creates them.
    pub replicas: u8,
    /// Streams that inboxes, logs and states are spread over, each, up to 32: counts when they are created. 0: the smaller
    /// of 8 and the number of partitions, or what it was created with.
    pub streams: u16,
    /// Allows what may lose acknowledged writes: fewer than 3 copies, servers that write to the disk later than they
    /// acknowledge or of which that is not known, and servers too old.
    pub allow_data_loss: bool,
    /// Addresses of the servers' monitoring, `http://host:8222`, all of them: there `tandem cluster init` and `check` read when
    /// each writes to the disk. Nothing else needs it.
    pub monitor: Vec<String>,
    /// Name of the user to sign in as.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// File with the seed of an nkey to sign in with, instead of a user.
    pub nkey_seed_file: Option<PathBuf>,
    /// User of the process that trims (role `archive`): the only one that the servers let purge.
    pub trimmer_user: Option<String>,
    /// Its password.
    pub trimmer_password: Option<Secret>,
    /// File with the seed of the nkey that trims, instead of a user.
    pub trimmer_nkey_seed_file: Option<PathBuf>,
    /// Refuse a server that does not encrypt. Also set by a server whose address begins with `tls://`.
    pub require_tls: bool,
    /// Allows servers on other machines in plain text, if the network in between protects it.
    pub insecure_servers: bool,
    /// Certificates (PEM) to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate chain (PEM) to show to the servers.
    pub cert_file: Option<PathBuf>,
    /// Private key of that certificate.
    pub key_file: Option<PathBuf>,
}

impl Nats {
    /// Most [`Nats::streams`]: `deploy/nats/users.conf` names each that may be trimmed.
    pub const STREAMS_MAX: u16 = 32;

    /// Whether a server that does not encrypt is refused.
    #[must_use]
    pub fn requires_tls(&self) -> bool {
        self.require_tls || self.servers.iter().any(|server| server.starts_with("tls://"))
    }
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            prefix: "tandem".to_owned(),
            replicas: 3,
            streams: 0,
            allow_data_loss: false,
            monitor: Vec::new(),
            user: None,
            password: None,
            nkey_seed_file: None,
            trimmer_user: None,
            trimmer_password: None,
            trimmer_nkey_seed_file: None,
            require_tls: false,
            insecure_servers: false,
            ca_file: None,
            cert_file: None,
            key_file: None,
        }
    }
}
