//! Holding everything that would leave, from a restore until an operator has confirmed (design.md 4.7).

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chassis::health::Health;
use runtime::{
    bus::PartitionId,
    host::{CallRequest, CallResult, Door, Executor},
};
use tokio::sync::watch;

use crate::restore::HOLD_FILE;

/// Gauge: 1 while sends are held.
const SENDS_HELD: &str = "tandem_sends_held";
/// Pause between two looks whether a held call may still start.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const WARNING: &str = "this directory was restored and nothing is sent: look at `tandem sends list-unknown`, then run \
                       `tandem sends confirm`";

/// Whether sends are held: as long as the file of the restore is there.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    file: PathBuf,
    held: Arc<watch::Sender<bool>>,
    health: Health,
}

impl Hold {
    pub(crate) fn open(data_dir: &Path, health: &Health) -> Self {
        let file = data_dir.join(HOLD_FILE);
        let held = Arc::new(watch::Sender::new(file.exists()));
        let hold = Self { file, held, health: health.clone() };
        hold.tell();
        hold
    }

    pub(crate) fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Ends the hold: durably first, so that a crash now does not hold what was let go.
    pub(crate) fn release(&self) -> io::Result<()> {
        if self.is_held() {
            std::fs::remove_file(&self.file)?;
            if let Some(dir) = self.file.parent() {
                File::open(dir)?.sync_all()?;
            }
            self.held.send_replace(false);
            self.tell();
        }
        Ok(())
    }

    fn tell(&self) {
        let held = self.is_held();
        metrics::gauge!(SENDS_HELD).set(if held { 1.0 } else { 0.0 });
        self.health.warn("sends", held.then(|| WARNING.to_owned()));
    }

    /// Waits until nothing is held, or the call may not start any more.
    async fn pass(&self, door: &Door) -> Result<(), CallResult> {
        let mut held = self.held.subscribe();
        loop {
            if !*held.borrow_and_update() {
                return Ok(());
            }
            if let Err(too_late) = door.check() {
                return Err(CallResult::NotStarted(too_late.to_string()));
            }
            // The sender lives in `self`: the wait ends with a change or the pause.
            drop(tokio::time::timeout(LOOK_EVERY, held.changed()).await);
        }
    }
}

/// Carries calls out by another executor, once nothing is held.
pub(crate) struct HeldExecutor<E> {
    inner: E,
    hold: Hold,
}

impl<E> HeldExecutor<E> {
    pub(crate) fn new(inner: E, hold: Hold) -> Self {
        Self { inner, hold }
    }
}

#[async_trait]
impl<E: Executor> Executor for HeldExecutor<E> {
    fn taken(&self, partition: PartitionId) {
        self.inner.taken(partition);
    }

    async fn call(&self, request: CallRequest, door: Door) -> CallResult {
        match self.hold.pass(&door).await {
            Ok(()) => self.inner.call(request, door).await,
            Err(not_started) => not_started,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::Bytes;
    use runtime::{
        bus::{BusinessId, Key},
        host::TooLate,
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Counts(Arc<AtomicU64>);

    #[async_trait]
    impl Executor for Counts {
        async fn call(&self, _: CallRequest, _: Door) -> CallResult {
            self.0.fetch_add(1, Ordering::SeqCst);
            CallResult::Done(Bytes::new())
        }
    }

    fn call() -> CallRequest {
        CallRequest { call: Key([1; 16]), business: BusinessId::default(), body: Bytes::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_leaves_while_the_file_is_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(HOLD_FILE), "").unwrap();
        let health = Health::new();
        let hold = Hold::open(dir.path(), &health);
        assert!(hold.is_held() && health.warnings().contains_key("sends"));
        let counts = Counts::default();
        let executor = HeldExecutor::new(counts.clone(), hold.clone());
        let looks = AtomicU64::new(0);
        let closing = Door::new(move || match looks.fetch_add(1, Ordering::SeqCst) {
            0..5 => Ok(()),
            _ => Err(TooLate::StartBy),
        });
        let held = executor.call(call(), closing).await;
        assert!(matches!(held, CallResult::NotStarted(_)), "{held:?}");
        let waiting = executor.call(call(), Door::new(|| Ok(())));
        let (result, released) = tokio::join!(waiting, async {
            hold.release().map(|()| counts.0.load(Ordering::SeqCst))
        });
        assert_eq!(released.unwrap(), 0, "it left while it was held");
        assert!(matches!(result, CallResult::Done(_)) && !hold.is_held());
        assert!(health.warnings().is_empty() && !dir.path().join(HOLD_FILE).exists());
        assert!(!Hold::open(dir.path(), &health).is_held());
    }
}
