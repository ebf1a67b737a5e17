//! Installations on NATS JetStream, and the operator's commands about them.

mod ask;
mod backup;
mod format;
mod import;
mod placement;
mod stored;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use bus::jetstream::{self, Auth, ClientCertificate, Level, Options, Tls};
use chassis::{
    config::{Config, Nats, Secret},
    seal::Sealer,
};
use clap::{Subcommand, ValueEnum};

use crate::{
    cli::{ConfigArgs, say},
    format::known,
};
pub(crate) use ask::{HEARD_WITHIN, until_heard};
pub(crate) use import::MOVED_FILE;

/// Commands about an installation on NATS.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Creates the installation: its streams, and its key where there is none in `key_dir`.
    Init(ConfigArgs),
    /// Says what is right and wrong about servers and streams; fails where Tandem would refuse them.
    Check(ConfigArgs),
    /// Which routers live and how many partitions they serve; fails while a partition is not served.
    Status(ConfigArgs),
    /// Every partition: its router and epoch, inputs that the router has read and not decided, inbox entries that are not decided
    /// and how long the oldest waits, and from which sequences on log and inbox are kept.
    Partitions(ConfigArgs),
    /// Moves a partition to a router, for as long as that one lives or until it is moved again.
    Move {
        /// Number of the partition.
        partition: u16,
        /// Name of the router (`node` in its configuration).
        to: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Lets a router hand over all its partitions, one at a time, and take none any more.
    Drain {
        /// Name of the router (`node` in its configuration).
        node: String,
        /// Lets it take partitions again.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Shows the installation's format level and what each router, desk and archive knows; `raise` raises it, once every process
    /// runs the new program. There is no way back from that but a backup. Also for the directory of a stopped `tandem up`.
    Format {
        /// Raises the level; without it nothing is changed.
        action: Option<FormatAction>,
        /// The level to raise it to; the newest that this program knows where none is given.
        #[arg(requires = "action")]
        level: Option<u16>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Moves what `tandem up` kept in a data directory into this new, empty cluster. The process of the directory must be
    /// stopped, and the cluster must have its key. Nothing is sent until `tandem sends confirm`.
    Import {
        /// Data directory (`data_dir`) of the embedded installation.
        data_dir: PathBuf,
        /// Its archive segments, where they are not in the directory itself.
        #[arg(long)]
        segments: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Copies the cluster into a new directory, with the archive's segments. No router may serve meanwhile; gateways may.
    Backup {
        /// New directory.
        #[arg(long)]
        to: PathBuf,
        /// Copies the installation's key too.
        #[arg(long)]
        include_key: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Makes this new, empty cluster of a backup, of a cluster or of an embedded installation. Nothing is sent until `tandem
    /// sends confirm`.
    Restore {
        /// Directory of the backup.
        #[arg(long)]
        from: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// What to do about the format level.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormatAction {
    /// Raises it.
    Raise,
}

impl ClusterCommand {
    fn config(&self) -> &ConfigArgs {
        match self {
            Self::Init(config)
            | Self::Check(config)
            | Self::Status(config)
            | Self::Partitions(config)
            | Self::Move { config, .. }
            | Self::Drain { config, .. }
            | Self::Format { config, .. }
            | Self::Import { config, .. }
            | Self::Backup { config, .. }
            | Self::Restore { config, .. } => config,
        }
    }
}

/// Carries one out.
pub(crate) fn run(command: &ClusterCommand) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let config = Config::load(command.config().config.as_deref())?;
    runtime.block_on(async {
        match command {
            ClusterCommand::Init(_) => init(&config).await,
            ClusterCommand::Check(_) => check(&config).await,
            ClusterCommand::Status(_) => placement::status(&config).await,
            ClusterCommand::Partitions(_) => placement::partitions(&config).await,
            ClusterCommand::Move { partition, to, .. } => {
                placement::move_to(&config, *partition, to).await
            }
            ClusterCommand::Drain { node, undo, .. } => {
                placement::drain(&config, node, *undo).await
            }
            ClusterCommand::Format { action: None, .. } => format::show(&config).await,
            ClusterCommand::Format { action: Some(FormatAction::Raise), level, .. } => {
                format::raise(&config, *level).await
            }
            ClusterCommand::Import { data_dir, segments, .. } => {
                import::import(&config, data_dir, segments.as_deref()).await
            }
            ClusterCommand::Backup { to, include_key, .. } => {
                backup::backup(&config, to, *include_key).await
            }
            ClusterCommand::Restore { from, .. } => import::restore(&config, from).await,
        }
    })
}

async fn init(config: &Config) -> anyhow::Result<ExitCode> {
    // Before the streams: an installation without a key could not be used.
    Sealer::open_dir(config.key_dir())?;
    let report = jetstream::init(options(config, nats(config)?, "operator")).await?;
    say(&report.check.to_string());
    let (created, existing) = (report.created.len(), report.existing.len());
    say(&format!("{created} streams were created, {existing} were there already"));
    say(&format!("give every process the key in {} (key_dir)", config.key_dir().display()));
    Ok(ExitCode::SUCCESS)
}

async fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let report = jetstream::check(options(config, nats(config)?, "operator")).await?;
    say(&report.to_string());
    Ok(match report.worst() {
        Level::Refused => ExitCode::FAILURE,
        Level::Ok | Level::Warning => ExitCode::SUCCESS,
    })
}

/// The cluster that the configuration names.
fn nats(config: &Config) -> anyhow::Result<&Nats> {
    config.bus.nats.as_ref().context("the configuration names no cluster: set [bus.nats]")
}

/// How a process of this purpose, by the name of the role whose key it signs in with (`up`: the router's), reaches the
/// installation's servers.
pub(crate) fn options(config: &Config, nats: &Nats, purpose: &str) -> Options {
    let client = nats
        .cert_file
        .clone()
        .zip(nats.key_file.clone())
        .map(|(certificate_file, key_file)| ClientCertificate { certificate_file, key_file });
    let auth = sign_in(&nats.user, &nats.password, &nats.nkey_seed_file).unwrap_or_default();
    let trimmer = sign_in(&nats.trimmer_user, &nats.trimmer_password, &nats.trimmer_nkey_seed_file);
    // Where nobody signs in, there is nobody else to sign in as either.
    let anyone = matches!(auth, Auth::None).then_some(Auth::None);
    Options {
        servers: nats.servers.clone(),
        prefix: nats.prefix.clone(),
        partitions: config.partitions,
        streams: nats.streams,
        replicas: usize::from(nats.replicas),
        allow_data_loss: nats.allow_data_loss,
        monitor: nats.monitor.clone(),
        client_name: format!("tandem {purpose} {}", config.node),
        inbox_prefix: inbox_prefix(&auth, purpose),
        auth,
        trimmer: trimmer.or(anyone),
        tls: Tls { required: nats.requires_tls(), server_ca: nats.ca_file.clone(), client },
        format_known: known(config),
        ..Options::default()
    }
}

/// Where answers come: each role hears its own alone (`deploy/nats/users.conf`).
fn inbox_prefix(auth: &Auth, purpose: &str) -> String {
    match (auth, purpose) {
        (Auth::None, _) => "_INBOX".to_owned(),
        (_, "up") => "_INBOX_ROUTER".to_owned(),
        (_, role) => format!("_INBOX_{}", role.to_ascii_uppercase()),
    }
}

/// As a user, or with an nkey.
fn sign_in(
    name: &Option<String>,
    password: &Option<Secret>,
    seed_file: &Option<PathBuf>,
) -> Option<Auth> {
    if let (Some(name), Some(password)) = (name, password) {
        return Some(Auth::User { name: name.clone(), password: password.expose().to_owned() });
    }
    seed_file.clone().map(|seed_file| Auth::NKey { seed_file })
}
