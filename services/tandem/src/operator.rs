//! The operator's commands: carried out by the running process over gRPC, or on the directory where nobody holds it.

mod connect;
mod dead_letters;
mod offline;
mod sends;
mod status;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use api::v1::{BackupRequest, PingRequest};
use archive::segments::verify;
use clap::{Args, Subcommand};

use crate::cli::say;
pub(crate) use connect::{ADDRESS_FILE, Connection, Reach, token};

/// `tandem dead-letters`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Lists the inputs that could not be decided.
    List(Reach),
    /// Shows one.
    Show {
        /// Its id, as `list` says it.
        id: String,
        /// Also shows what customers and agents wrote.
        #[arg(long)]
        personal_content: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Lets one be decided once more.
    Replay {
        /// Its id, as `list` says it.
        id: String,
        /// Although it was replayed before.
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        reach: Reach,
    },
}

/// `tandem sends`.
#[derive(Debug, Subcommand)]
pub(crate) enum SendsCommand {
    /// Lists sends whose outcome nobody knows.
    ListUnknown(Reach),
    /// After a restore: lets the process send again.
    Confirm {
        /// Sends what waits, where the process from which the backup was made has certainly sent nothing since.
        /// Without it, what waits ends as unknown.
        #[arg(long)]
        send_waiting: bool,
        #[command(flatten)]
        reach: Reach,
    },
}

/// `tandem segments`.
#[derive(Debug, Subcommand)]
pub(crate) enum SegmentsCommand {
    /// Checks that the archive segments are complete, linked, and as they were written.
    Verify {
        /// Directory of the segments.
        dir: PathBuf,
    },
}

/// `tandem backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// New directory, on the machine of the process.
    #[arg(long)]
    to: PathBuf,
    /// Copies the installation's key too.
    #[arg(long)]
    include_key: bool,
    #[command(flatten)]
    reach: Reach,
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")
}

/// Runs a command of `tandem dead-letters`.
pub(crate) fn dead_letters(command: &DeadLettersCommand) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(dead_letters::run(command))
}

/// Runs a command of `tandem sends`.
pub(crate) fn sends(command: &SendsCommand) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(sends::run(command))
}

/// Runs `tandem status`.
pub(crate) fn status(reach: &Reach) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(status::run(reach))
}

/// Runs `tandem ping`.
pub(crate) fn ping(reach: &Reach) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let mut connection = reach.running().await?;
        let pong = connection.call(PingRequest {}, async |admin, ping| admin.ping(ping).await);
        let pong = pong.await?;
        say(&format!("{} lives, version {}", pong.node, pong.version));
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `tandem backup`.
pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let to = std::path::absolute(&args.to).context("cannot tell where that is")?;
        let directory = to.to_str().context("the directory's name is not UTF-8")?.to_owned();
        let mut connection = args.reach.running_or_directory().await?;
        let request = BackupRequest { directory, include_key: args.include_key };
        let done =
            connection.call(request, async |admin, request| admin.backup(request).await).await?;
        say(&format!(
            "wrote {} bytes, {} segments, to {}",
            done.bytes,
            done.segments,
            to.display()
        ));
        say(&done.key_notice);
        connection.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `tandem segments verify`.
pub(crate) fn segments(command: &SegmentsCommand) -> anyhow::Result<ExitCode> {
    let SegmentsCommand::Verify { dir } = command;
    anyhow::ensure!(dir.is_dir(), "there is no directory {}", dir.display());
    let report = verify(dir)?;
    for (_, name, hash) in &report.heads {
        say(&format!("{name} {hash}"));
    }
    let summary = format!(
        "{} segments of {} partitions with {} records",
        report.segments, report.partitions, report.records
    );
    if report.problems.is_empty() {
        say(&format!("{summary}: complete and linked"));
        return Ok(ExitCode::SUCCESS);
    }
    report.problems.iter().for_each(|problem| say(problem));
    say(&format!("{summary}: {} problems", report.problems.len()));
    Ok(ExitCode::FAILURE)
}
