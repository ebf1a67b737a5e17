//! What every actor and task of one node shares.

use std::{future::Future, sync::Arc, time::Duration};

use bus::Bus;
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Random, Settings,
    host::{Executor, Host},
    shard::Now,
};

/// One node's surroundings.
pub(crate) struct Context {
    pub(crate) bus: Bus,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) name: String,
    pub(crate) settings: Settings,
    /// Cancelled when the node dies at once: every task ends at its next await.
    pub(crate) dead: CancellationToken,
    tasks: TaskTracker,
}

impl Context {
    pub(crate) fn new(options: crate::NodeOptions) -> Arc<Self> {
        let crate::NodeOptions { bus, host, executor, clock, random, name, settings } = options;
        let (dead, tasks) = (CancellationToken::new(), TaskTracker::new());
        Arc::new(Self { bus, host, executor, clock, random, name, settings, dead, tasks })
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall_ms: self.clock.wall_ms(), boot_ms: self.clock.boot_ms() }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Starts a task that ends when the node dies.
    pub(crate) fn spawn(
        &self,
        kind: TaskKind,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let dead = self.dead.clone();
        let mortal = async move {
            tokio::select! {
                biased;
                () = dead.cancelled() => {}
                () = future => {}
            }
        };
        task::spawn(kind, name, self.tasks.track_future(mortal)).detach();
    }

    /// Waits until no task is left.
    pub(crate) async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits before a bus request is repeated.
    pub(crate) async fn pause(&self, attempts: u32) {
        sleep_ms(self.random.jitter_ms(self.settings.shard.retry_ms(attempts.max(1)))).await;
    }
}

/// Sleeps; at once when there is nothing to wait for.
pub(crate) async fn sleep_ms(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
