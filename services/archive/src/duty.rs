//! One archive of an installation works at a time; the others stand by (design.md 4.7: trimming is one role's).
//!
//! Each has a lease, which says with which renewal its life began: the bus numbers the renewals of all of them, so there is one
//! order. Whoever is first in it works. An archive that could not renew for a lease period stops, and comes again as the last;
//! by the others' clocks it is dead later than that. Should two overlap all the same, for as long as a write that was under way,
//! nothing is lost: the read model takes a batch only where it stands, a bucket takes a segment once, and only what is in both
//! is trimmed.

mod order;

use std::{collections::BTreeMap, time::Duration};

use bus::{Bus, NameIs, Namesake, NodeLease};
use chassis::{
    clock::Clock,
    health::{Component, Health},
    task::Shutdown,
};
use domain::persist::{self, PersistError};
use tokio::time::timeout;

use self::order::{ArchiveLease, Order, lease_name, node_of};
use crate::metrics;

/// Name of the warning while it stands by.
const WARNING: &str = "archive";
/// Why it does not work while the bus is away.
const SILENT: &str = "its lease was not renewed: the bus does not answer, or does not let it";

/// Why an archive cannot go on taking turns.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    /// Another process renews the same lease.
    #[error("another archive runs on the node {0}: give each process a `node` of its own")]
    NameTaken(String),
    /// A part of its work failed for good.
    #[error("the task {0} failed; the log says why")]
    Failed(&'static str),
    /// What the lease says has no encoded form.
    #[error("the archive's lease cannot be written: {0}")]
    Lease(#[from] PersistError),
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Random(#[from] getrandom::Error),
}

/// How leases are kept.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimes {
    /// Between two renewals.
    pub renew: Duration,
    /// Who did not renew for so long is dead: at least three times as long.
    pub lease: Duration,
}

/// The turns of one archive.
#[derive(Debug)]
pub struct Duty {
    bus: Bus,
    node: String,
    clock: Clock,
    times: LeaseTimes,
    health: Health,
    component: Component,
}

/// Since when we are there.
#[derive(Debug)]
struct Life {
    /// Tells it from another one of the same name.
    id: u64,
    /// Number of its first renewal; `None` before that.
    first: Option<u64>,
    renewed_us: u64,
    /// By the last look, nobody is before us.
    is_first: bool,
}

/// Whose turn it is.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Ours,
    /// This one is before us.
    Of(String),
    /// We are not there, or do not know yet who is.
    Unknown(&'static str),
}

/// The work while it is our turn, and what it holds.
type Term<W> = Option<(Shutdown, W)>;

impl Duty {
    /// The turns of the archive on `node`, which has not begun. `health` has a component that is ready once it is known whose
    /// turn it is, and a warning while that is another's.
    #[must_use]
    pub fn new(bus: Bus, node: String, clock: Clock, times: LeaseTimes, health: &Health) -> Self {
        let component = health.component(WARNING);
        Self { bus, node, clock, times, health: health.clone(), component }
    }

    /// Lets `begin` start the work whenever it is our turn, under a shutdown that begins when it no longer is. What it answers is
    /// kept until all the work's tasks have ended; `None`: it cannot begin yet and is asked again. Ends with `shutdown`.
    ///
    /// # Errors
    /// What `begin` failed with; [`DutyError`] when another process has our name, or a task of the work failed.
    pub async fn run<W, E: From<DutyError>>(
        self,
        shutdown: &Shutdown,
        mut begin: impl FnMut(&Shutdown) -> Result<Option<W>, E>,
    ) -> Result<(), E> {
        let (mut life, mut term) = (self.begin_life().map_err(E::from)?, None);
        let done = tokio::select! {
            done = self.take_turns(&mut begin, &mut life, &mut term) => done,
            () = shutdown.begun() => Ok(()),
        };
        end(&mut term).await;
        if life.first.is_some()
            && let Err(error) = self.bus.leases.release(&lease_name(&self.node)).await
        {
            tracing::warn!(%error, "the archive's lease was not given up; it ends by itself");
        }
        done
    }

    async fn take_turns<W, E: From<DutyError>>(
        &self,
        begin: &mut impl FnMut(&Shutdown) -> Result<Option<W>, E>,
        life: &mut Life,
        term: &mut Term<W>,
    ) -> Result<(), E> {
        let lease_ms = millis(self.times.lease);
        let mut namesake = Namesake::watch(self.clock.boot_ms(), lease_ms);
        let mut order = Order::new(lease_ms);
        loop {
            let is_young = life.first.is_none();
            let turn = self.look(life, &mut order, &mut namesake).await?;
            if turn != Turn::Ours {
                end(term).await;
            }
            self.tell(&turn);
            if turn == Turn::Ours && term.is_none() {
                let ending = Shutdown::new();
                *term = begin(&ending)?.map(|held| (ending, held));
            }
            // A life that has just begun asks at once who is before it.
            let pause =
                if is_young && life.first.is_some() { Duration::ZERO } else { self.times.renew };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                failed = failed(term) => return Err(DutyError::Failed(failed).into()),
            }
        }
    }

    /// Looks at the leases, and renews ours.
    async fn look(
        &self,
        life: &mut Life,
        order: &mut Order,
        namesake: &mut Namesake,
    ) -> Result<Turn, DutyError> {
        // As after a pause of the process.
        if self.is_over(life)? {
            return Ok(Turn::Unknown(SILENT));
        }
        let asked_ms = self.clock.boot_ms();
        // It must not cost us the lease.
        let listed = timeout(self.times.lease / 3, self.bus.leases.list()).await;
        let may_renew = match listed {
            Ok(Ok(leases)) => {
                order.observe(asked_ms, self.clock.boot_ms(), &leases);
                let is_ours = self.is_named_ours(life, namesake, &leases)?;
                let is_first = |first| order.before(first).is_none();
                life.is_first = is_ours && life.first.is_some_and(is_first);
                is_ours
            }
            failed => {
                tracing::debug!(?failed, "the leases of archives cannot be read");
                order.failed();
                life.first.is_some()
            }
        };
        if may_renew {
            self.renew(life).await?;
        }
        if self.is_over(life)? {
            return Ok(Turn::Unknown(SILENT));
        }
        Ok(match life.first.and_then(|first| order.before(first)) {
            _ if life.is_first => Turn::Ours,
            Some(other) => Turn::Of(node_of(other).to_owned()),
            None => Turn::Unknown("starting"),
        })
    }

    /// While this process is young another one may live by its name. Until that is known its lease is not touched: it is what
    /// others go by.
    fn is_named_ours(
        &self,
        life: &mut Life,
        namesake: &mut Namesake,
        leases: &BTreeMap<String, NodeLease>,
    ) -> Result<bool, DutyError> {
        let now_ms = self.clock.boot_ms();
        if !namesake.is_watching(now_ms) {
            return Ok(true);
        }
        let found = leases.get(&lease_name(&self.node));
        let theirs = found.filter(|lease| !ArchiveLease::is_of(lease, life.id));
        match namesake.look(now_ms, theirs.map(|lease| lease.renewal)) {
            NameIs::Ours => Ok(true),
            NameIs::Doubtful => Ok(false),
            NameIs::Taken => {
                life.first = None;
                Err(DutyError::NameTaken(self.node.clone()))
            }
        }
    }

    async fn renew(&self, life: &mut Life) -> Result<(), DutyError> {
        let info =
            persist::encode(&ArchiveLease { life: life.id, first: life.first.unwrap_or(0) })?;
        let (name, asked_us) = (lease_name(&self.node), self.clock.boot_us());
        match timeout(self.left(life), self.bus.leases.renew(&name, info.into())).await {
            Ok(Ok(number)) => {
                life.first.get_or_insert(number);
                life.renewed_us = asked_us;
            }
            Ok(Err(error)) => tracing::debug!(%error, "the archive's lease was not renewed"),
            Err(_) => tracing::debug!("the archive's lease was not renewed in time"),
        }
        Ok(())
    }

    fn begin_life(&self) -> Result<Life, DutyError> {
        let (id, renewed_us) = (getrandom::u64()?, self.clock.boot_us());
        Ok(Life { id, first: None, renewed_us, is_first: false })
    }

    /// Whether our lease has run out. Another life begins then.
    fn is_over(&self, life: &mut Life) -> Result<bool, DutyError> {
        let is_over = self.left(life).is_zero();
        if is_over {
            *life = self.begin_life()?;
        }
        Ok(is_over)
    }

    /// What is left of our lease by our own clock.
    fn left(&self, life: &Life) -> Duration {
        let silent_us = self.clock.boot_us().saturating_sub(life.renewed_us);
        self.times.lease.saturating_sub(Duration::from_micros(silent_us))
    }

    fn tell(&self, turn: &Turn) {
        ::metrics::gauge!(metrics::ON_DUTY).set(if *turn == Turn::Ours { 1.0 } else { 0.0 });
        match turn {
            Turn::Ours => {
                self.component.ready();
                self.health.warn(WARNING, None);
            }
            Turn::Of(other) => {
                self.component.ready();
                self.health.warn(WARNING, Some(format!("stands by: {other} works")));
            }
            Turn::Unknown(why) => {
                self.component.not_ready(*why);
                self.health.warn(WARNING, None);
            }
        }
    }
}

/// Ends the work and waits for the last of its tasks.
async fn end<W>(term: &mut Term<W>) {
    let Some((ending, _)) = term else { return };
    // As long as it takes: nothing may be written any more by when the work begins again, here or elsewhere.
    if let Err(error) = ending.drain(Duration::MAX).await {
        tracing::warn!(%error, "the archive's work did not end");
    }
    *term = None;
}

/// Waits until a task of the work has failed for good.
async fn failed<W>(term: &Term<W>) -> &'static str {
    let Some((ending, _)) = term else { return std::future::pending().await };
    ending.begun().await;
    ending.failed_task().unwrap_or("archive")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
