//! One process of the product as a child: everything, or one role of a cluster.

use std::{net::SocketAddr, path::Path, process::ExitStatus, time::Duration};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Command;

use super::child;

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    running: child::Running,
    /// Where it takes webhooks, if it does.
    pub gateway: Option<SocketAddr>,
    /// Where it serves gRPC, if it does.
    pub desk: Option<SocketAddr>,
    /// Health and metrics.
    pub admin: SocketAddr,
}

impl Process {
    /// Starts `program` in a role (`up`, `router`, …) on a configuration file and waits until it is ready; its log goes to
    /// `log`. `environment` is added to this process's own, of which no setting of ours is passed on.
    ///
    /// # Errors
    /// When it does not become ready within `bound`; its log says why.
    pub async fn start(
        program: &Path,
        role: &str,
        config: &Path,
        log: &Path,
        environment: &[(&str, &str)],
        bound: Duration,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg(role).arg("--config").arg(config);
        // The caller's own settings are not the product's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TANDEM_") {
                command.env_remove(name);
            }
        }
        command.envs(environment.iter().copied());
        let (running, ready) = child::start(command, log, bound).await?;
        let address = |key: &str| {
            let Some(text) = ready.get(key).and_then(Value::as_str) else { return Ok(None) };
            let parsed = text.parse::<SocketAddr>();
            parsed.map(Some).with_context(|| format!("{key} is no address: {text}"))
        };
        let admin = address("admin")?.context("the ready line has no admin")?;
        Ok(Self { running, gateway: address("gateway")?, desk: address("desk")?, admin })
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.id()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.running.kill().await
    }

    /// Asks it to end in good order (SIGTERM) and waits.
    ///
    /// # Errors
    /// When it does not end within `bound`.
    pub async fn stop(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.running.ended(bound).await
    }

    /// Waits until it has ended by itself (a failpoint).
    ///
    /// # Errors
    /// When it does not end within `bound`.
    pub async fn ended(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        self.running.ended(bound).await
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.running.has_ended()
    }

    /// Stops it as a scheduler or a laptop lid does (SIGSTOP).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.running.id().context("the process does not run")?;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).context("cannot send the signal")
    }
}
