//! Installations on NATS JetStream, and the operator's commands about them.

use std::process::ExitCode;

use anyhow::Context as _;
use bus::jetstream::{self, Auth, Options};
use chassis::{
    config::{Config, Nats},
    seal::Sealer,
};
use clap::Subcommand;

use crate::cli::{ConfigArgs, say};

/// Commands about an installation on NATS.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Creates the installation: its streams, and its key where there is none in `key_dir`.
    Init(ConfigArgs),
}

/// Carries one out.
pub(crate) fn run(command: &ClusterCommand) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    match command {
        ClusterCommand::Init(args) => {
            let config = Config::load(args.config.as_deref())?;
            runtime.block_on(init(&config))
        }
    }
}

async fn init(config: &Config) -> anyhow::Result<ExitCode> {
    let nats = nats(config)?;
    jetstream::connect(options(config, nats, "operator")?)
        .await
        .context("cannot use NATS JetStream")?;
    let key_dir = config.key_dir();
    Sealer::open_dir(key_dir)?;
    say(&format!(
        "the installation is ready; give every process the key in {} (key_dir)",
        key_dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The cluster that the configuration names.
fn nats(config: &Config) -> anyhow::Result<&Nats> {
    config.bus.nats.as_ref().context("the configuration names no cluster: set [bus.nats]")
}

/// How a process of this purpose reaches the installation's servers.
pub(crate) fn options(config: &Config, nats: &Nats, purpose: &str) -> anyhow::Result<Options> {
    let auth = match (&nats.user, &nats.password) {
        (Some(name), Some(password)) => {
            Auth::User { name: name.clone(), password: password.expose().to_owned() }
        }
        _ => Auth::None,
    };
    Ok(Options {
        servers: nats.servers.clone(),
        prefix: nats.prefix.clone(),
        partitions: config.partitions,
        replicas: usize::from(nats.replicas),
        client_name: format!("tandem {purpose} {}", config.node),
        auth,
        root_certificates: nats.ca_file.clone(),
        ..Options::default()
    })
}
