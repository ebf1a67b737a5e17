//! A child process that says in one JSON line on its standard output that it is ready.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

/// A running child; killed when dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// Kept open: a child that writes to a closed pipe would die of it.
    _stdout: BufReader<ChildStdout>,
}

/// Starts `command` with its errors appended to `log`, and waits for its ready line.
pub(super) async fn start(
    mut command: Command,
    log: &Path,
    bound: Duration,
) -> anyhow::Result<(Running, Value)> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let errors = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let stdout = child.stdout.take().context("the child has no standard output")?;
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    match tokio::time::timeout(bound, stdout.read_line(&mut line)).await {
        Ok(Ok(n)) if n > 0 => {}
        Ok(_) => bail!("{name} ended before it was ready; see {}", log.display()),
        Err(_) => bail!("{name} was not ready within {bound:?}; see {}", log.display()),
    }
    let ready: Value = serde_json::from_str(&line)
        .with_context(|| format!("{name} said something else than its ready line: {line}"))?;
    Ok((Running { child, _stdout: stdout }, ready))
}

impl Running {
    /// Its process id, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it at once, as the operating system does (SIGKILL), and waits until it is gone.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the child")
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        tokio::time::timeout(bound, self.child.wait())
            .await
            .context("the process did not end in time")?
            .context("cannot wait for the process")
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}
