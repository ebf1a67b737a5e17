//! What every actor and task of one node shares.

use std::{future::Future, sync::Arc, time::Duration};

use bus::Bus;
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

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
    /// Cancelled when the node is told to end, in order or at once.
    pub(crate) ending: CancellationToken,
    /// Calls: they outlive their shard, and an orderly end waits for them.
    calls: TaskTracker,
    /// Every task and actor that holds the bus.
    all: TaskTracker,
}

impl Context {
    pub(crate) fn new(options: crate::NodeOptions) -> Arc<Self> {
        let crate::NodeOptions { bus, host, executor, clock, random, name, settings } = options;
        let (dead, ending) = (CancellationToken::new(), CancellationToken::new());
        let (calls, all) = (TaskTracker::new(), TaskTracker::new());
        Arc::new(Self {
            bus,
            host,
            executor,
            clock,
            random,
            name,
            settings,
            dead,
            ending,
            calls,
            all,
        })
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
        let mortal = self.mortal_task(future);
        let future = self.all.track_future(mortal);
        task::spawn(kind, name, future).detach();
    }

    /// As [`Context::spawn`], for a call: an orderly end of the node waits for it.
    pub(crate) fn spawn_call(&self, future: impl Future<Output = ()> + Send + 'static) {
        let future = self.calls.track_future(future);
        self.spawn(TaskKind::Call, "outside-call", future);
    }

    /// Runs `future` unless and until the node dies; `None`: it died.
    pub(crate) async fn mortal<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.dead.cancelled() => None,
            output = future => Some(output),
        }
    }

    fn mortal_task<F: Future<Output = ()> + Send + 'static>(
        &self,
        future: F,
    ) -> impl Future<Output = ()> + Send + use<F> {
        let dead = self.dead.clone();
        async move {
            tokio::select! {
                biased;
                () = dead.cancelled() => {}
                () = future => {}
            }
        }
    }

    /// To be held by an actor for as long as it holds the bus.
    pub(crate) fn alive(&self) -> TaskTrackerToken {
        self.all.token()
    }

    /// Waits until no task or actor is left that holds the bus.
    pub(crate) async fn gone(&self) {
        self.all.close();
        self.all.wait().await;
    }

    /// Waits until no call is left.
    pub(crate) async fn calls_ended(&self) {
        self.calls.close();
        self.calls.wait().await;
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
