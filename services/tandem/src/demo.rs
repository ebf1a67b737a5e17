//! `tandem demo`: the main job on a fresh directory, with progress and a verdict.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use chassis::clock::Clock;
use clap::Args;
use serde_json::Value;

use crate::{
    cli::say,
    stage::{Programs, Stage},
};

/// The scenario of the demo; the simulator's own file, so that both sides mean the same.
const SCENARIO: &str = include_str!("../../../loadtest/scenarios/demo.toml");
/// How long the world may take to come to rest.
const SETTLE: Duration = Duration::from_secs(90);

/// Arguments of the demo.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long customers talk.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Write the simulator's report here.
    #[arg(long)]
    json: Option<PathBuf>,
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
    result
}

async fn play(args: &DemoArgs, dir: &std::path::Path) -> anyhow::Result<ExitCode> {
    let scenario = match &args.scenario {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the scenario {}", path.display()))?,
        None => SCENARIO.to_owned(),
    };
    say("starting the simulated Meta and the product on a fresh directory");
    let stage = Stage::open(Programs::beside_this()?, dir, &scenario).await?;
    let mut product = stage.start_product(&[]).await?;
    let at = product.addresses;
    say(&format!("webhooks on {}, gRPC on {}, metrics on {}", at.gateway, at.desk, at.admin));
    let control = &stage.simulator.control;
    control.start(&at).await?;
    progress(args.seconds, control).await?;
    say("customers stop; waiting until everything has come to rest");
    let report = control.settle(SETTLE).await?;
    let status = product.stop(Duration::from_secs(30)).await?;
    anyhow::ensure!(status.success(), "the product ended with {status}");
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report).context("the report has no JSON form")?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(summary(&report))
}

async fn progress(seconds: u64, control: &crate::stage::Control) -> anyhow::Result<()> {
    let clock = Clock::system();
    let begun_ms = clock.boot_ms();
    loop {
        let elapsed_ms = clock.boot_ms().saturating_sub(begun_ms);
        if elapsed_ms >= seconds * 1000 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis((seconds * 1000 - elapsed_ms).min(1000))).await;
        let report = control.report().await?;
        let n = |key: &str| report.get(key).and_then(Value::as_u64).unwrap_or(0);
        say(&format!(
            "{:>4} s  in {:>6}  acked {:>6}  bot {:>5}  offers {:>5}  accepted {:>5}  desk {:>5}  phone {:>4}  \
             sent {:>6}  delivered {:>6}",
            clock.boot_ms().saturating_sub(begun_ms) / 1000,
            n("inbound"),
            n("acked"),
            n("bot_answered"),
            n("offers"),
            n("accepted"),
            n("desk_replies"),
            n("phone_echoes"),
            n("sends"),
            n("delivered"),
        ));
    }
}

/// Prints what happened; the verdicts make the exit status.
fn summary(report: &Value) -> ExitCode {
    let shown = |key: &str| match report.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(value) => value.to_string(),
    };
    say("");
    for (title, keys) in [
        ("customers", &["inbound", "acked", "decided"][..]),
        ("answers", &["bot_answered", "desk_replies", "phone_echoes", "sends", "delivered"]),
        ("routing", &["offers", "accepted"]),
        ("latency", &["webhook_ms_p50", "webhook_ms_p99", "offer_ms_p50", "offer_ms_p99"]),
        ("verdict", &["violations", "lost", "duplicated", "repeated_unknown"]),
    ] {
        let facts: Vec<String> = keys.iter().map(|key| format!("{key} {}", shown(key))).collect();
        say(&format!("{title:>10}  {}", facts.join("  ")));
    }
    let judged = report.get("judged").and_then(Value::as_bool) == Some(true);
    let clean = judged
        && ["violations", "lost", "duplicated"]
            .iter()
            .all(|key| report.get(key).and_then(Value::as_u64) == Some(0));
    if clean {
        say("nothing was lost, doubled or against the rules");
        return ExitCode::SUCCESS;
    }
    if let Some(findings) = report.get("findings").filter(|_| judged) {
        say(&format!("findings: {findings:#}"));
    }
    say(if judged { "the judge found faults" } else { "the world did not come to rest in time" });
    ExitCode::FAILURE
}
