//! `tandem demo --by-hand`: product and simulator, and people in other terminals.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::STOP;
use crate::{
    cli::say,
    stage::{Product, Stage},
};

/// Prints what to type elsewhere, and waits for Ctrl-C, or so many seconds.
pub(super) async fn play(
    stage: &Stage,
    mut product: Product,
    seconds: Option<u64>,
) -> anyhow::Result<ExitCode> {
    let control = &stage.simulator.control;
    // Where the product is; nobody starts to talk.
    control.product(&product.addresses).await?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    instructions(stage, &product);
    let bound = seconds.map_or(Duration::MAX, Duration::from_secs);
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
        () = tokio::time::sleep(bound) => {}
    }
    say("stopping");
    let status = product.stop(STOP).await?;
    anyhow::ensure!(status.success(), "the product ended with {status}");
    Ok(ExitCode::SUCCESS)
}

fn instructions(stage: &Stage, product: &Product) {
    let (tandem, loadtest) = (&stage.programs().tandem, &stage.programs().loadtest);
    let (tandem, loadtest) = (tandem.display(), loadtest.display());
    let (control, config) = (stage.simulator.control.url(), stage.config_file());
    let desk = product.addresses.desk;
    say(&format!(
        "
Everything runs; nobody says a word. In other terminals:

  an agent at the desk (? shows its keys)
    {tandem} agent --desk http://{desk} --config {} --agent shop-agent-001

  a customer, who sees what comes back
    {loadtest} customer chat --control {control} --from 15551000000
  or one message at a time
    {loadtest} customer say --control {control} --from 15551000000 \"sales\"

  the shop's phone
    {loadtest} phone say --control {control} --to 15551000000 \"I am on it myself\"

Ctrl-C here ends it.",
        config.display()
    ));
}
