//! `tandem demo`: the main job on a fresh directory, watched live on a terminal or told line by line, with a verdict at the end;
//! or played by hand.

mod by_hand;
mod plain;
mod summary;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use chassis::clock::Clock;
use clap::Args;

use crate::{
    cli::say,
    stage::{Product, Programs, Stage},
    view::{self, LiveView},
};

/// The scenarios of the demo; the simulator's own files, so that both sides mean the same.
const SCENARIO: &str = include_str!("../../../loadtest/scenarios/demo.toml");
const HAND_SCENARIO: &str = include_str!("../../../loadtest/scenarios/hand.toml");
/// How long customers talk where nobody watches.
const PLAIN_SECONDS: u64 = 20;
/// How long the world may take to come to rest.
const SETTLE: Duration = Duration::from_secs(90);
/// How long the product may take to end.
const STOP: Duration = Duration::from_secs(30);
/// Size of the picture, in cells.
const PICTURE: (u16, u16) = (100, 30);

/// Arguments of the demo.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long customers talk. Without it: on a terminal until you press q, else 20 seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Progress lines instead of the live view, also on a terminal.
    #[arg(long)]
    plain: bool,
    /// Nobody writes or answers by itself: prints the commands by which you play every side.
    #[arg(long, conflicts_with_all = ["plain", "json", "picture"])]
    by_hand: bool,
    /// Write the simulator's report here.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the last state of the live view here, as SVG.
    #[arg(long)]
    picture: Option<PathBuf>,
    /// Another scenario file than the built-in one.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Keep the directory with data, configuration and logs.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo; the exit status is not zero when a verdict is not zero.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let dir = std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id()));
    let result = runtime.block_on(play(args, &dir));
    match &result {
        Ok(_) if !args.keep => std::fs::remove_dir_all(&dir).unwrap_or_default(),
        _ => say(&format!("data, configuration and logs are in {}", dir.display())),
    }
    // A thread that waits for a key must not keep the process.
    runtime.shutdown_background();
    result
}

async fn play(args: &DemoArgs, dir: &Path) -> anyhow::Result<ExitCode> {
    let scenario = match &args.scenario {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the scenario {}", path.display()))?,
        None if args.by_hand => HAND_SCENARIO.to_owned(),
        None => SCENARIO.to_owned(),
    };
    say("starting the simulated Meta and the product on a fresh directory");
    let stage = Stage::open(Programs::beside_this()?, dir, &scenario).await?;
    let product = stage.start_product(&[]).await?;
    let at = product.addresses;
    say(&format!("webhooks on {}, gRPC on {}, metrics on {}", at.gateway, at.desk, at.admin));
    if args.by_hand {
        return by_hand::play(&stage, product, args.seconds).await;
    }
    let control = &stage.simulator.control;
    control.start(&at).await?;
    let (mut product, view) = watch(args, &stage, product).await?;
    if let Some(path) = &args.picture {
        let picture = view::picture(&view, PICTURE.0, PICTURE.1);
        std::fs::write(path, picture)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    say("customers stop; waiting until everything has come to rest");
    let report = control.settle(SETTLE).await?;
    let status = product.stop(STOP).await?;
    anyhow::ensure!(status.success(), "the product ended with {status}");
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report).context("the report has no JSON form")?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(summary::summary(&report))
}

/// While customers talk: the live view where somebody can watch it, progress lines elsewhere.
async fn watch(
    args: &DemoArgs,
    stage: &Stage,
    product: Product,
) -> anyhow::Result<(Product, LiveView)> {
    let clock = Clock::system();
    let watched = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if watched && !args.plain {
        let log = stage.product_log();
        let ended = Box::pin(view::live(stage, product, &clock, args.seconds, log)).await?;
        return Ok((ended.product, ended.view));
    }
    let seconds = args.seconds.unwrap_or(PLAIN_SECONDS);
    let view = plain::progress(seconds, stage, &product, &clock).await?;
    Ok((product, view))
}
