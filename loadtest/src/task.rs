//! The spawn wrapper: every task has a name, and a panic in one is counted and reported.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use tokio::task::JoinHandle;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Starts `work` under `name`. A judge that lost a task must not give a clean verdict, so panics are counted.
#[expect(clippy::disallowed_methods, reason = "the one spawn of a process without chassis")]
pub(crate) fn spawn<F>(name: &'static str, work: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        if AssertUnwindSafe(work).catch_unwind().await.is_err() {
            PANICS.fetch_add(1, Ordering::Relaxed);
            crate::output::complain(&format!("task {name} panicked"));
        }
    })
}

/// How many tasks of this process panicked.
pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}
