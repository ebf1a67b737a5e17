//! The orderly end: one signal for everyone, and a bounded wait for the tasks that finish their
//! work.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use super::{TaskHandle, TaskKind, report_error, start, watched};

static OF_PROCESS: OnceLock<Shutdown> = OnceLock::new();

/// Tells tasks to end, and waits for those it started. Clones are the same shutdown.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    token: CancellationToken,
    tracker: TaskTracker,
    /// First task whose failure began the shutdown.
    failed: OnceLock<&'static str>,
    /// Tracked tasks still running, by name, so that a stuck end names the culprit.
    running: Mutex<BTreeMap<&'static str, usize>>,
}

/// Tasks still running when the time to drain was over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("still running after {waited_ms} ms: {}", .running.join(", "))]
pub struct DrainError {
    /// Names of the tasks, each once.
    pub running: Vec<&'static str>,
    /// How long they were waited for.
    pub waited_ms: u64,
}

impl Shutdown {
    /// A shutdown that nobody has begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes this the shutdown that a failing [`super::spawn`]ed task of a vital kind begins. Only
    /// the first call of a process counts; false otherwise. For binaries; tests and simulations,
    /// which hold several nodes in one process, use [`Shutdown::spawn`].
    pub fn install_for_process(&self) -> bool {
        OF_PROCESS.set(self.clone()).is_ok()
    }

    pub(super) fn of_process() -> Option<Self> {
        OF_PROCESS.get().cloned()
    }

    /// Begins the shutdown; repeating it changes nothing.
    pub fn begin(&self) {
        self.0.token.cancel();
    }

    /// Begins the shutdown because the task `name` failed.
    pub(super) fn fail(&self, name: &'static str) {
        let _ = self.0.failed.set(name);
        self.begin();
    }

    /// The task whose failure began the shutdown, if one did: the process should end with an error.
    #[must_use]
    pub fn failed_task(&self) -> Option<&'static str> {
        self.0.failed.get().copied()
    }

    /// True once begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// Resolves once begun.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.0.token.cancelled()
    }

    /// The underlying token, for libraries that take one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.token.clone()
    }

    /// Starts a task that [`Shutdown::drain`] waits for. It must watch [`Shutdown::begun`] or end
    /// by itself. A failure of a vital kind begins this shutdown.
    pub fn spawn<F>(&self, kind: TaskKind, name: &'static str, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let running = Running::enter(self, name);
        let watched = watched(kind, name, Some(self.clone()), future);
        start(
            name,
            self.0.tracker.track_future(async move {
                let _running = running;
                watched.await
            }),
        )
    }

    /// As [`Shutdown::spawn`], for work whose error nobody awaits: it is logged and treated as a
    /// panic is.
    pub fn spawn_fallible<F, E>(
        &self,
        kind: TaskKind,
        name: &'static str,
        future: F,
    ) -> TaskHandle<()>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        self.spawn(kind, name, report_error(kind, name, Some(self.clone()), future))
    }

    /// Begins the shutdown and waits at most `deadline` until every tracked task has ended.
    ///
    /// # Errors
    /// The names of the tasks that did not end in time. They run on: the caller decides.
    pub async fn drain(&self, deadline: Duration) -> Result<(), DrainError> {
        self.begin();
        self.0.tracker.close();
        if tokio::time::timeout(deadline, self.0.tracker.wait()).await.is_ok() {
            return Ok(());
        }
        let waited_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        Err(DrainError { running: running.keys().copied().collect(), waited_ms })
    }
}

/// Holds a name in the list of running tasks.
struct Running {
    shutdown: Shutdown,
    name: &'static str,
}

impl Running {
    fn enter(shutdown: &Shutdown, name: &'static str) -> Self {
        let mut running = shutdown.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running.entry(name).or_default() += 1;
        drop(running);
        Self { shutdown: shutdown.clone(), name }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.shutdown.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get_mut(self.name) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                running.remove(self.name);
            }
        }
    }
}
