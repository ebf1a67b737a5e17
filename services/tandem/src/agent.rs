//! `tandem agent`: a desk in the terminal, over the same public gRPC as any other desk.
//!
//! `link` keeps the connection and repeats unanswered commands under their ids; `model` is what the agent knows, and says in lines
//! what changed; `command` reads what is typed; `screen` is the loop on a terminal, `lines` the one elsewhere, for scripts.

mod command;
mod history;
mod lines;
mod link;
mod model;
mod screen;
#[cfg(test)]
mod tests;
mod words;

use std::{
    io::{IsTerminal as _, stdin, stdout},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use chassis::{clock::Clock, config::Config};
use clap::Args;
use tonic::transport::ClientTlsConfig;

use self::link::Door;
use crate::desk_client::client_tls;

/// Arguments of the terminal desk.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentArgs {
    /// The product's gRPC address, as `http://127.0.0.1:8444`; from the configuration if it names a port.
    #[arg(long)]
    desk: Option<String>,
    /// The agent's id.
    #[arg(long)]
    agent: String,
    /// The agent's token.
    #[arg(long, env = "TANDEM_AGENT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The product's configuration, for address and token.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Certificate that the desk's TLS is checked against, PEM: its own or its authority's. Without it, what --config says, or
    /// what the system trusts.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Certificate chain to show, PEM, where the desk asks for one.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// A name in the desk's certificate, where the one in the address is not.
    #[arg(long)]
    server_name: Option<String>,
    /// Lines in and out on a terminal, too.
    #[arg(long)]
    plain: bool,
}

/// Runs the desk until `quit`, the end of the input, or another connection of the same agent.
pub(crate) fn run(args: &AgentArgs) -> anyhow::Result<ExitCode> {
    let door = door(args)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let full_screen = !args.plain && stdin().is_terminal() && stdout().is_terminal();
    let result = runtime.block_on(async {
        if full_screen {
            Box::pin(screen::run(door)).await
        } else {
            Box::pin(lines::run(door)).await
        }
    });
    // A thread that waits for the next line must not keep the process.
    runtime.shutdown_background();
    result
}

/// Unix time; the desk's deadlines are compared with it.
fn now_ms() -> i64 {
    i64::try_from(Clock::system().wall_ms()).unwrap_or(i64::MAX)
}

fn door(args: &AgentArgs) -> anyhow::Result<Door> {
    let config = match &args.config {
        Some(path) => Some(Config::load(Some(path.as_path()))?),
        None => None,
    };
    let token = match (&args.token, &config) {
        (Some(token), _) => token.clone(),
        (None, Some(config)) => token_of(config, &args.agent)?,
        (None, None) => {
            anyhow::bail!("say who you are: --token, or --config with the agent's token in it")
        }
    };
    let desk = match (&args.desk, &config) {
        (Some(desk), _) => desk.clone(),
        (None, Some(config)) if config.desk.listen.port() != 0 => {
            let scheme = if config.desk.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", config.desk.listen)
        }
        _ => anyhow::bail!(
            "say where the desk is: --desk http://host:port (the product prints it when ready)"
        ),
    };
    let desk = if desk.contains("://") { desk } else { format!("http://{desk}") };
    let tls = match desk.starts_with("https") {
        true => Some(tls(args, config.as_ref())?),
        false => None,
    };
    Ok(Door { desk, token, agent: args.agent.clone(), tls })
}

/// What the arguments say, and the configuration where they say nothing.
fn tls(args: &AgentArgs, config: Option<&Config>) -> anyhow::Result<ClientTlsConfig> {
    let mut client = config.map(|config| config.desk.client.clone()).unwrap_or_default();
    client.ca_file = args.ca.clone().or(client.ca_file);
    client.server_name = args.server_name.clone().or(client.server_name);
    if args.cert.is_some() {
        (client.cert_file, client.key_file) = (args.cert.clone(), args.key.clone());
    }
    client_tls(&client, config.and_then(|config| config.desk.tls.as_ref()))
}

fn token_of(config: &Config, agent: &str) -> anyhow::Result<String> {
    let mut agents = config.businesses.iter().flat_map(|business| &business.workspace.agents);
    let known = agents
        .find(|known| known.id == agent)
        .with_context(|| format!("the configuration has no agent {agent}"))?;
    let token = known.token.as_ref().with_context(|| format!("agent {agent} has no token"))?;
    Ok(token.expose().to_owned())
}
