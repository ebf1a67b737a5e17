//! The simulator as a child process.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;

use super::{Control, child};

/// The running simulator.
#[derive(Debug)]
pub struct Simulator {
    running: child::Running,
    /// Where its Graph API is.
    pub graph_url: String,
    /// Steers it.
    pub control: Control,
}

impl Simulator {
    pub(super) async fn start(
        program: &Path,
        scenario: &Path,
        dir: &Path,
        args: &[&str],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("serve").arg("--scenario").arg(scenario).args(args);
        let (running, ready) =
            child::start(command, &dir.join("simulator.log"), Duration::from_secs(30)).await?;
        let text = |key: &str| {
            let value = ready.get(key).and_then(Value::as_str).map(str::to_owned);
            value.with_context(|| format!("the simulator's ready line has no {key}"))
        };
        let (graph_url, control_url) = (text("graph_url")?, text("control_url")?);
        Ok(Self { running, graph_url, control: Control::new(control_url)? })
    }

    /// Ends it: the world falls silent, also its agents.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.running.kill().await
    }
}

/// What the product must be configured with.
pub(super) async fn export(
    program: &Path,
    scenario: &Path,
    graph_url: &str,
) -> anyhow::Result<Value> {
    let output = Command::new(program)
        .args(["export", "--graph-url", graph_url, "--scenario"])
        .arg(scenario)
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot run the simulator's export")?;
    anyhow::ensure!(
        output.status.success(),
        "the simulator's export failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the simulator's export is no JSON")
}
