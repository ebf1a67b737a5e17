//! The only way to start a task.
//!
//! Every task has a [`TaskKind`], which says what its failure means, and a name. A panic is caught,
//! logged once, counted, and handed to whoever awaits the task; no task ends unseen. Works in any
//! tokio runtime, also the current-thread one with paused time.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::task::{AbortHandle, JoinHandle};

mod panic;
mod shutdown;

pub use panic::install_panic_hook;
pub use shutdown::{DrainError, Shutdown};

/// Counter, label `kind`: panics caught in tasks.
pub const PANICS_TOTAL: &str = "tandem_chassis_task_panics_total";

/// What a task is, and hence what its failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    /// Part of the core without which the process is worthless: node, shard, committer, store
    /// thread.
    Core,
    /// Accepts connections on a listener.
    Listener,
    /// Serves one connection or stream.
    Connection,
    /// Performs one outside call; its owner learns of the failure by the missing or failed result.
    Call,
    /// Follows something for as long as the process lives: a projection, a tail, a lease.
    Follower,
    /// Periodic or one-off work that can be done later: checkpoints, trimming, metrics.
    Maintenance,
}

/// What the wrapper does when a task panics, or ends with an error ([`spawn_fallible`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Log, count, and begin the shutdown of the process ([`Shutdown::install_for_process`]): going
    /// on without the task would hide a loss; a restart recovers from what is durable.
    StopProcess,
    /// Log and count; whoever holds the [`TaskHandle`] decides the rest.
    Report,
}

impl TaskKind {
    /// The policy of this kind.
    #[must_use]
    pub const fn on_failure(self) -> OnFailure {
        match self {
            Self::Core | Self::Listener | Self::Follower => OnFailure::StopProcess,
            Self::Connection | Self::Call | Self::Maintenance => OnFailure::Report,
        }
    }

    /// The value of the metric label `kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Listener => "listener",
            Self::Connection => "connection",
            Self::Call => "call",
            Self::Follower => "follower",
            Self::Maintenance => "maintenance",
        }
    }
}

/// Why an awaited task has no value. Already logged when you see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The task panicked.
    #[error("the task {0} panicked")]
    Panicked(&'static str),
    /// The task was aborted, or its runtime ended.
    #[error("the task {0} was aborted")]
    Aborted(&'static str),
}

/// A running task. Dropping it lets the task run on; see [`TaskHandle::abort_on_drop`].
#[derive(Debug)]
#[must_use = "await it, keep it, or say `.detach()`"]
pub struct TaskHandle<T> {
    name: &'static str,
    inner: JoinHandle<Result<T, TaskError>>,
}

impl<T> TaskHandle<T> {
    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Stops the task at its next await.
    pub fn abort(&self) {
        self.inner.abort();
    }

    /// True once the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// Lets the task run on with nobody waiting for it. Its panic is still logged and counted.
    pub fn detach(self) {}

    /// Ties the task's life to the returned value.
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop { guard: AbortGuard(self.inner.abort_handle()), handle: self }
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.inner).poll(cx).map(|joined| match joined {
            Ok(output) => output,
            Err(e) if e.is_cancelled() => Err(TaskError::Aborted(name)),
            Err(_) => Err(TaskError::Panicked(name)),
        })
    }
}

/// A running task that is aborted when this value is dropped.
#[derive(Debug)]
#[must_use = "dropping it aborts the task"]
pub struct AbortOnDrop<T> {
    handle: TaskHandle<T>,
    guard: AbortGuard,
}

impl<T> AbortOnDrop<T> {
    /// Stops the task at its next await.
    pub fn abort(&self) {
        self.guard.0.abort();
    }

    /// True once the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}

#[derive(Debug)]
struct AbortGuard(AbortHandle);

impl Drop for AbortGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts `future` as a task of the current runtime. `name` names the code, never a person, number
/// or conversation.
pub fn spawn<F>(kind: TaskKind, name: &'static str, future: F) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    start(name, watched(kind, name, None, future))
}

/// As [`spawn`], aborted when the returned value is dropped.
pub fn spawn_abort_on_drop<F>(
    kind: TaskKind,
    name: &'static str,
    future: F,
) -> AbortOnDrop<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn(kind, name, future).abort_on_drop()
}

/// As [`spawn`], for work whose error nobody awaits: an `Err` is logged once and treated by the
/// kind's [`OnFailure`], as a panic is.
pub fn spawn_fallible<F, E>(kind: TaskKind, name: &'static str, future: F) -> TaskHandle<()>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    spawn(kind, name, report_error(kind, name, None, future))
}

#[expect(clippy::disallowed_methods, reason = "this is the wrapper everything else must use")]
fn start<T, F>(name: &'static str, future: F) -> TaskHandle<T>
where
    F: Future<Output = Result<T, TaskError>> + Send + 'static,
    T: Send + 'static,
{
    TaskHandle { name, inner: tokio::spawn(future) }
}

async fn report_error<F, E>(kind: TaskKind, name: &'static str, owner: Option<Shutdown>, future: F)
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    if let Err(error) = future.await {
        tracing::error!(kind = kind.as_str(), task = name, %error, "task failed");
        apply_policy(kind, name, owner.as_ref());
    }
}

/// Runs `future` and turns its panic into an error, once, here.
async fn watched<F: Future>(
    kind: TaskKind,
    name: &'static str,
    owner: Option<Shutdown>,
    future: F,
) -> Result<F::Output, TaskError> {
    let mut future = pin!(future);
    let polled = std::future::poll_fn(|cx| {
        let _here = panic::Watched::enter();
        // After a panic the future is never polled again, so no broken state is seen.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(panic::describe(payload.as_ref()))),
        }
    });
    polled.await.map_err(|what| {
        metrics::counter!(PANICS_TOTAL, "kind" => kind.as_str()).increment(1);
        tracing::error!(kind = kind.as_str(), task = name, panic = %what, "task panicked");
        apply_policy(kind, name, owner.as_ref());
        TaskError::Panicked(name)
    })
}

fn apply_policy(kind: TaskKind, name: &'static str, owner: Option<&Shutdown>) {
    match kind.on_failure() {
        OnFailure::Report => {}
        OnFailure::StopProcess => {
            let shutdown = owner.cloned().or_else(Shutdown::of_process);
            if let Some(shutdown) = shutdown {
                shutdown.fail(name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
