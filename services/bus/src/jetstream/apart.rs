//! A runtime of one thread for what must not wait behind the rest of a process: its leases. A process whose own work has filled
//! its threads and connections would otherwise neither be seen to live nor see who could take work off it.

use std::future::Future;

use chassis::task::{TaskKind, spawn_abort_on_drop};
use tokio::runtime::{Builder, Runtime};

use super::{options::ConnectError, publish::unavailable};
use crate::BusError;

pub(super) struct Apart {
    /// Some until it is dropped.
    runtime: Option<Runtime>,
}

impl Apart {
    pub(super) fn start() -> Result<Self, ConnectError> {
        let mut builder = Builder::new_multi_thread();
        let built = builder.worker_threads(1).thread_name("leases").enable_all().build();
        let runtime = built.map_err(|source| ConnectError::Thread { source })?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs `work` there; given up with the returned future.
    pub(super) async fn run<F>(&self, work: F) -> Result<F::Output, BusError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = {
            let _inside = self.runtime.as_ref().map(Runtime::enter);
            spawn_abort_on_drop(TaskKind::Call, "bus-leases", work)
        };
        task.await.map_err(unavailable)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its thread, which the thread of another runtime may not do.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
