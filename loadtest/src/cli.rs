//! The command line: `serve` (steered over HTTP), `run` (all in one) and `export` (configuration for the product).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::json;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::control::{self, Control, webhook_uri};
use crate::remote::{self, At, CustomerCommand, PhoneCommand, Storm};
use crate::report::report;
use crate::sabotage::Sabotage;
use crate::scenario::{Scenario, ScenarioError};
use crate::settle::settle;
use crate::sim::Sim;
use crate::webhook::post;
use crate::{agents, export, graph, output, task};

/// The simulated Meta world, its customers, phones and agents, and the judge.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print where the Graph and control endpoints listen, then obey the control endpoint.
    Serve(Serve),
    /// Run a scenario against a running product and write the verdict.
    Run(Run),
    /// Print what the product must be configured with.
    Export(Export),
    /// Play a customer of a running simulator by hand.
    Customer {
        #[command(subcommand)]
        command: CustomerCommand,
    },
    /// Play the business's phone of a running simulator by hand.
    Phone {
        #[command(subcommand)]
        command: PhoneCommand,
    },
    /// Multiply the traffic of a running simulator for a while.
    Storm(Storm),
    /// Customers of a running simulator stop writing.
    Pause(At),
    /// They go on.
    Resume(At),
}

#[derive(Debug, Args)]
struct Serve {
    #[arg(long)]
    scenario: PathBuf,
    #[arg(long, default_value = "127.0.0.1:0")]
    graph_listen: SocketAddr,
    #[arg(long, default_value = "127.0.0.1:0")]
    control_listen: SocketAddr,
    /// Misbehave, to prove that the judge sees it.
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// End after so long whatever happens.
    #[arg(long, default_value_t = 7_200)]
    max_seconds: u64,
}

#[derive(Debug, Args)]
struct Run {
    #[arg(long)]
    scenario: PathBuf,
    #[arg(long)]
    webhook_url: String,
    #[arg(long)]
    desk_url: String,
    #[arg(long, default_value = "127.0.0.1:8421")]
    graph_listen: SocketAddr,
    /// How long customers talk.
    #[arg(long)]
    seconds: u64,
    /// How long to wait for rest afterwards.
    #[arg(long, default_value_t = 60)]
    settle_seconds: u64,
    /// Where to write the report.
    #[arg(long)]
    json: Option<PathBuf>,
    #[arg(long)]
    sabotage: Option<Sabotage>,
}

#[derive(Debug, Args)]
struct Export {
    #[arg(long)]
    scenario: PathBuf,
    #[arg(long)]
    graph_url: String,
}

/// Why the program could not do what it was asked.
#[derive(Debug, Error)]
pub enum Error {
    /// The scenario cannot be used.
    #[error("{0}")]
    Scenario(String),
    /// A socket or file failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// An argument makes no sense.
    #[error("{0}")]
    Argument(String),
    /// The running simulator refused, or does not answer.
    #[error("{0}")]
    Control(String),
    /// Endpoints would be reachable from elsewhere.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
}

impl From<ScenarioError> for Error {
    fn from(error: ScenarioError) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Self::Scenario(format!("{error}{}", cause.unwrap_or_default()))
    }
}

/// Does what the command line says. Gives whether the verdict, if there is one, is clean.
///
/// # Errors
/// When the scenario, an address or a file cannot be used.
pub async fn run(cli: Cli) -> Result<bool, Error> {
    match cli.command {
        Command::Serve(arguments) => serve(&arguments).await,
        Command::Run(arguments) => run_once(&arguments).await,
        Command::Export(arguments) => {
            let scenario = Scenario::load(&arguments.scenario)?;
            output::line(&export::export(&scenario, &arguments.graph_url));
            Ok(true)
        }
        Command::Customer { command } => remote::customer(command).await.map(|()| true),
        Command::Phone { command } => remote::phone(command).await.map(|()| true),
        Command::Storm(arguments) => remote::storm(&arguments).await.map(|()| true),
        Command::Pause(at) => remote::talk(&at, false).await.map(|()| true),
        Command::Resume(at) => remote::talk(&at, true).await.map(|()| true),
    }
}

async fn serve(arguments: &Serve) -> Result<bool, Error> {
    let sim = Sim::new(Scenario::load(&arguments.scenario)?, arguments.sabotage);
    let graph_url = start(&sim, arguments.graph_listen).await?;
    let control = Control::new(Arc::clone(&sim));
    let (listener, address) = listen(arguments.control_listen).await?;
    task::spawn("control", control::serve(Arc::clone(&control), listener));
    output::line(
        &json!({"ready": true, "graph_url": graph_url, "control_url": format!("http://{address}")}),
    );
    tokio::select! {
        () = control.stop.notified() => {
            // The answer to /stop is still being written.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        () = tokio::time::sleep(Duration::from_secs(arguments.max_seconds)) => {}
    }
    Ok(true)
}

async fn run_once(arguments: &Run) -> Result<bool, Error> {
    let sim = Sim::new(Scenario::load(&arguments.scenario)?, arguments.sabotage);
    let webhook = webhook_uri(&arguments.webhook_url).map_err(Error::Argument)?;
    let graph_url = start(&sim, arguments.graph_listen).await?;
    output::line(&json!({"ready": true, "graph_url": graph_url}));
    sim.product(Some(webhook), Some(arguments.desk_url.clone()));
    sim.with(|state, now_us| state.talk(true, now_us));
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let judged = settle(&sim, Duration::from_secs(arguments.settle_seconds)).await;
    let report = report(&sim, Some(&judged));
    output::line(&report);
    if let Some(path) = &arguments.json {
        write(path, &serde_json::to_vec_pretty(&report).unwrap_or_default())?;
    }
    Ok(report.is_clean())
}

/// Starts everything but the customers; gives the Graph endpoint's address.
pub(crate) async fn start(sim: &Arc<Sim>, graph_listen: SocketAddr) -> Result<String, Error> {
    let (listener, address) = listen(graph_listen).await?;
    task::spawn("graph", graph::server::serve(Arc::clone(sim), listener));
    task::spawn("driver", Arc::clone(sim).drive());
    task::spawn("webhooks", post::post_all(Arc::clone(sim)));
    agents::start(sim);
    Ok(format!("http://{address}"))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback(address));
    }
    let io = |source| Error::Io { what: format!("cannot listen on {address}"), source };
    let listener = TcpListener::bind(address).await.map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    Ok((listener, address))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let io = |source| Error::Io { what: format!("cannot write {}", path.display()), source };
    std::fs::write(path, bytes).map_err(io)
}
