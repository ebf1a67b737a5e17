//! `loadtest`: the simulated Meta world and judge. Exit status 0 only with a clean verdict.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

fn main() -> anyhow::Result<ExitCode> {
    let cli = loadtest::Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let clean = runtime.block_on(loadtest::run(cli))?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
