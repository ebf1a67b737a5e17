//! Holding everything that would leave, from a restore or an import until an operator has confirmed (design.md 4.7).
//!
//! An embedded installation is held by a file in its directory. A cluster is held by its standing on the bus: every router
//! reads it before it begins and looks again from time to time. Only routers write states, so another process that is asked to
//! confirm asks them, by a signal, until the standing says that one of them has heard it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use bus::Bus;
use bytes::Bytes;
use chassis::{
    health::Health,
    task::{Shutdown, TaskKind},
};
use runtime::{
    bus::PartitionId,
    host::{CallRequest, CallResult, Door, Executor},
    transfer::{self, Standing},
};
use tokio::sync::watch;

use super::{Setting, Storage};
use crate::{
    cluster::{HEARD_WITHIN, until_heard},
    restore::HOLD_FILE,
};

/// Gauge: 1 while sends are held.
const SENDS_HELD: &str = "tandem_sends_held";
/// Pause between two looks whether a held call may still start.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const WARNING: &str = "this installation was restored or imported and nothing is sent: look at `tandem sends list-unknown`, \
                       then run `tandem sends confirm`";
/// Topic on which the routers of a cluster are asked to let go what is held.
const RELEASE_TOPIC: &str = "sends.release";
/// Pause between two looks at the standing of a cluster.
const STANDING_EVERY: Duration = Duration::from_secs(2);

/// What says whether sends are held.
#[derive(Clone, Debug)]
enum Place {
    /// As long as the file of the restore is there.
    File(PathBuf),
    /// The standing on the bus.
    Bus {
        bus: Bus,
        /// This process may write it.
        decides: bool,
    },
}

/// Whether sends are held.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    place: Place,
    held: Arc<watch::Sender<bool>>,
    health: Health,
}

impl Hold {
    /// Of the process's installation.
    pub(super) fn of(setting: &Setting<'_>, storage: &Storage) -> Self {
        let Setting { role, config, shutdown, health, .. } = setting;
        match &storage.store {
            Some(_) => Self::open(&config.data_dir, health),
            None => Self::on_bus(&storage.bus, storage.standing, role.decides(), health, shutdown),
        }
    }

    pub(crate) fn open(data_dir: &Path, health: &Health) -> Self {
        let file = data_dir.join(HOLD_FILE);
        let is_held = file.exists();
        Self::new(Place::File(file), is_held, health)
    }

    fn on_bus(
        bus: &Bus,
        standing: Standing,
        decides: bool,
        health: &Health,
        shutdown: &Shutdown,
    ) -> Self {
        let is_held = standing == Standing::Held;
        let hold = Self::new(Place::Bus { bus: bus.clone(), decides }, is_held, health);
        let (watching, bus, ending) = (hold.clone(), bus.clone(), shutdown.clone());
        let watch = async move {
            tokio::select! {
                () = watching.watch(&bus, decides) => {}
                () = ending.begun() => {}
            }
        };
        shutdown.spawn(TaskKind::Follower, "sends_hold", watch).detach();
        hold
    }

    fn new(place: Place, is_held: bool, health: &Health) -> Self {
        let held = Arc::new(watch::Sender::new(is_held));
        let hold = Self { place, held, health: health.clone() };
        hold.tell();
        hold
    }

    pub(crate) fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Ends the hold: durably first, so that a crash now does not hold what was let go.
    pub(crate) async fn release(&self) -> anyhow::Result<()> {
        if !self.is_held() {
            return Ok(());
        }
        match &self.place {
            Place::File(file) => {
                let file = file.clone();
                tokio::task::spawn_blocking(move || remove(&file)).await??;
            }
            Place::Bus { bus, decides: true } => transfer::release(bus).await?,
            Place::Bus { bus, decides: false } => ask_routers(bus).await?,
        }
        self.set(false);
        Ok(())
    }

    /// Follows the standing on the bus.
    async fn watch(&self, bus: &Bus, decides: bool) {
        loop {
            if let Ok(mut asked) = bus.signals.subscribe(RELEASE_TOPIC).await {
                loop {
                    match tokio::time::timeout(STANDING_EVERY, asked.next()).await {
                        Ok(None) => break,
                        Ok(Some(_)) if decides => {
                            if let Err(error) = transfer::release(bus).await {
                                tracing::warn!(%error, "what is held was not let go");
                            }
                        }
                        Ok(Some(_)) | Err(_) => {}
                    }
                    self.look(bus).await;
                }
            }
            tokio::time::sleep(STANDING_EVERY).await;
            self.look(bus).await;
        }
    }

    async fn look(&self, bus: &Bus) {
        match transfer::standing(bus).await {
            Ok(standing) => self.set(standing == Standing::Held),
            // As it was: what is held stays held.
            Err(error) => tracing::debug!(%error, "the standing of the installation is not known"),
        }
    }

    fn set(&self, is_held: bool) {
        let changed = |held: &mut bool| std::mem::replace(held, is_held) != is_held;
        if self.held.send_if_modified(changed) {
            self.tell();
        }
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

fn remove(file: &Path) -> io::Result<()> {
    std::fs::remove_file(file)?;
    match file.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

async fn ask_routers(bus: &Bus) -> anyhow::Result<()> {
    let ask = || async {
        if transfer::standing(bus).await? != Standing::Held {
            return Ok(Some(()));
        }
        bus.signals.publish(RELEASE_TOPIC, Bytes::new()).await?;
        Ok(None)
    };
    let heard = until_heard(HEARD_WITHIN, ask).await?;
    heard.context("no router answers, and only a router may end it: start one, and repeat")
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
            hold.release().await.map(|()| counts.0.load(Ordering::SeqCst))
        });
        assert_eq!(released.unwrap(), 0, "it left while it was held");
        assert!(matches!(result, CallResult::Done(_)) && !hold.is_held());
        assert!(health.warnings().is_empty() && !dir.path().join(HOLD_FILE).exists());
        assert!(!Hold::open(dir.path(), &health).is_held());
    }

    fn installation(partitions: u16) -> (tempfile::TempDir, Bus) {
        let dir = tempfile::tempdir().unwrap();
        let options = bus::sqlite::Options {
            partitions,
            min_free_bytes: 0,
            ..bus::sqlite::Options::default()
        };
        let bus = bus::sqlite::open(dir.path(), options).unwrap();
        (dir, bus)
    }

    /// The hold of a cluster is the same for all: a desk that confirms lets every router go, and a later one starts free.
    #[tokio::test]
    async fn what_a_move_holds_is_let_go_by_a_router_that_a_desk_asks() {
        let (_source_dir, source) = installation(1);
        let (_dir, target) = installation(2);
        let mover = transfer::Mover {
            node: "operator".to_owned(),
            now_ms: 1,
            random: runtime::Random::system(),
            news: Vec::new(),
        };
        transfer::transfer(&source, &target, &mover).await.unwrap();
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let standing = transfer::standing(&target).await.unwrap();
        let router = Hold::on_bus(&target, standing, true, &health, &shutdown);
        let desk = Hold::on_bus(&target, standing, false, &health, &shutdown);
        assert!(router.is_held() && desk.is_held());
        desk.release().await.unwrap();
        let mut held = router.held.subscribe();
        let let_go = held.wait_for(|held| !*held);
        tokio::time::timeout(Duration::from_secs(30), let_go).await.unwrap().unwrap();
        let standing = transfer::standing(&target).await.unwrap();
        assert!(!Hold::on_bus(&target, standing, true, &health, &shutdown).is_held());
        shutdown.begin();
    }
}
