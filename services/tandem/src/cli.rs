//! The command line.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    agent, check,
    cluster::{self, ClusterCommand},
    demo, flow,
    operator::{self, BackupArgs, DeadLettersCommand, Reach, SegmentsCommand, SendsCommand},
    process::{self, Role},
    rebuild, restore,
};

/// Contact-center router for WhatsApp coexistence.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs gateway, router, desk and archive in this process.
    Up(ConfigArgs),
    /// Takes webhooks: one of any number of processes of a cluster.
    Gateway(ConfigArgs),
    /// Serves partitions: conversations, workspaces, numbers and their sends.
    Router(ConfigArgs),
    /// Serves gRPC: agents, supervisors, programs.
    Desk(ConfigArgs),
    /// Checks or prints the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Checks and tries flows of the bot.
    Flow {
        #[command(subcommand)]
        command: flow::FlowCommand,
    },
    /// Keeps the read model and the segments of a cluster; or, with a command, works on those of a directory.
    #[command(args_conflicts_with_subcommands = true)]
    Archive {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        command: Option<ArchiveCommand>,
    },
    /// Copies the installation into a new directory, also while it runs.
    Backup(BackupArgs),
    /// Makes an installation of a backup, in an empty data directory.
    Restore {
        #[command(flatten)]
        args: restore::RestoreArgs,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// An installation on NATS JetStream.
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Inputs that could not be decided.
    DeadLetters {
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Sends whose outcome nobody knows.
    Sends {
        #[command(subcommand)]
        command: SendsCommand,
    },
    /// Archive segments.
    Segments {
        #[command(subcommand)]
        command: SegmentsCommand,
    },
    /// How the running process stands.
    Status(Reach),
    /// Whether the running process answers its operator.
    Ping(Reach),
    /// Shows the main job: the product on a fresh directory with the simulated Meta beside it.
    Demo(demo::DemoArgs),
    /// A desk in the terminal: the whole screen for people, lines in and out where there is no terminal.
    Agent(agent::AgentArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Loads the configuration and says everything that is wrong with it.
    Check(ConfigArgs),
    /// Prints the configuration in force as TOML, secrets left out.
    Print(ConfigArgs),
}

#[derive(Debug, Subcommand)]
enum ArchiveCommand {
    /// Builds the read model anew from the log; the process of this directory must be stopped.
    Rebuild(ConfigArgs),
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// TOML file; every key can also be set by environment (`TANDEM_GATEWAY__LISTEN=…`).
    #[arg(long, env = "TANDEM_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    chassis::listener::install_crypto_provider();
    let result = match Cli::parse().command {
        Command::Up(args) => process::run(Role::Up, args.config.as_deref()),
        Command::Gateway(args) => process::run(Role::Gateway, args.config.as_deref()),
        Command::Router(args) => process::run(Role::Router, args.config.as_deref()),
        Command::Desk(args) => process::run(Role::Desk, args.config.as_deref()),
        Command::Config { command } => match command {
            ConfigCommand::Check(args) => check::check(args.config.as_deref()),
            ConfigCommand::Print(args) => check::print(args.config.as_deref()),
        },
        Command::Archive { command: Some(ArchiveCommand::Rebuild(args)), .. } => {
            rebuild::run(args.config.as_deref())
        }
        Command::Archive { command: None, config } => {
            process::run(Role::Archive, config.config.as_deref())
        }
        Command::Flow { command } => flow::run(&command),
        Command::Cluster { command } => cluster::run(&command),
        Command::Backup(args) => operator::backup(&args),
        Command::Restore { args, config } => restore::run(&args, config.config.as_deref()),
        Command::DeadLetters { command } => operator::dead_letters(&command),
        Command::Sends { command } => operator::sends(&command),
        Command::Segments { command } => operator::segments(&command),
        Command::Status(reach) => operator::status(&reach),
        Command::Ping(reach) => operator::ping(&reach),
        Command::Demo(args) => demo::run(&args),
        Command::Agent(args) => agent::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            say_error(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the one place where a command's failure is told")]
fn say_error(error: &anyhow::Error) {
    eprintln!("tandem: {error:#}");
}

/// Prints a result of a command. Who closed the pipe (`| head`) has read enough.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}
