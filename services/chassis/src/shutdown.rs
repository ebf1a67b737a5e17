//! The signals that end a process: the first asks, the second insists.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::task::{self, AbortOnDrop, Shutdown, TaskKind};

/// Exit status after a second signal: what a shell reports for a process ended by SIGTERM.
pub const EXIT_INSISTED: i32 = 143;

/// Listens for SIGTERM and SIGINT as long as the returned value lives. The first begins `shutdown`;
/// the second ends the process at once with [`EXIT_INSISTED`]: what is acknowledged is durable, so
/// an immediate end loses nothing, it only makes the next start replay.
///
/// # Errors
/// If the operating system refuses the handlers.
pub fn begin_on_signals(shutdown: &Shutdown) -> io::Result<AbortOnDrop<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    Ok(task::spawn_abort_on_drop(TaskKind::Core, "signals", async move {
        let first = next(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = first, "stopping; a second signal exits at once");
        shutdown.begin();
        let second = next(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = second, "exiting at once");
        std::process::exit(EXIT_INSISTED);
    }))
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use rustix::process::{Pid, Signal as Sig, kill_process};

    const CHILD: &str = "CHASSIS_TEST_CHILD";
    const BOUND: Duration = Duration::from_secs(60);

    /// Runs itself as a child process, because the second signal ends the process.
    #[test]
    fn the_first_signal_begins_and_the_second_exits() {
        if std::env::var_os(CHILD).is_some() {
            return child();
        }
        for (first, second) in [(Sig::TERM, Sig::TERM), (Sig::INT, Sig::TERM)] {
            let mut process = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("shutdown::tests::the_first_signal_begins_and_the_second_exits")
                .env(CHILD, "1")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let pid = Pid::from_raw(process.id().cast_signed()).unwrap();
            let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
            // Each wait is bounded by the child, which ends by itself.
            let mut wait_for = |word: &str| said.any(|line| line.unwrap().contains(word));
            assert!(wait_for("child listens"));
            kill_process(pid, first).unwrap();
            assert!(wait_for("child has begun"));
            kill_process(pid, second).unwrap();
            assert_eq!(process.wait().unwrap().code(), Some(EXIT_INSISTED));
        }
    }

    fn child() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let waited = runtime.block_on(async {
            let shutdown = Shutdown::new();
            let _signals = begin_on_signals(&shutdown).unwrap();
            println!("child listens");
            tokio::time::timeout(BOUND, shutdown.begun()).await.unwrap();
            println!("child has begun");
            tokio::time::timeout(BOUND, std::future::pending::<()>()).await
        });
        assert!(waited.is_ok(), "no second signal");
    }
}
