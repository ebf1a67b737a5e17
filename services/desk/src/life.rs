//! The life of this process as a holder of agents' connections, and its lease (design.md 4.6).
//!
//! Every session names the life in which it was opened. While the lease cannot be renewed, others come to think that this
//! process is dead and tell the workspaces that its connections are gone; it then ends those connections itself and begins
//! a new life, so that clients connect again, here or elsewhere.

use std::{sync::Arc, time::Duration};

use bus::{Bus, NameIs, Namesake, NodeLease};
use chassis::{clock::Clock, health::Component, task::Shutdown};
use domain::{
    DeskId, DeskLease,
    desk::lease_name,
    persist::{self, PersistError},
};
use tokio::sync::watch;

/// The current life.
#[derive(Debug)]
pub(crate) struct Life(watch::Sender<DeskId>);

impl Life {
    /// A first life.
    pub(crate) fn begin() -> Result<Self, getrandom::Error> {
        Ok(Self(watch::Sender::new(drawn()?)))
    }

    /// Follows the life: whoever was there before it changed must go.
    pub(crate) fn follow(&self) -> watch::Receiver<DeskId> {
        self.0.subscribe()
    }

    fn end(&self) {
        // Without randomness the old connections stay; so does the warning.
        if let Ok(next) = drawn() {
            self.0.send_replace(next);
        }
    }
}

fn drawn() -> Result<DeskId, getrandom::Error> {
    getrandom::u64().map(DeskId)
}

/// Renews the lease of the desk on `node` until the process stops, and then gives it up.
pub(crate) struct Keeper {
    pub(crate) life: Arc<Life>,
    pub(crate) bus: Bus,
    pub(crate) node: String,
    pub(crate) clock: Clock,
    /// Between two renewals.
    pub(crate) renew: Duration,
    /// A life ends after this long without an acknowledged renewal.
    pub(crate) lease: Duration,
    /// Tells whether the bus answers.
    pub(crate) touch: Component,
}

/// Another desk process has the same `node`: each would tell the workspaces that the other's connections are gone.
#[derive(Debug, thiserror::Error)]
#[error("another desk runs on the node {0}: give each process a `node` of its own")]
pub(crate) struct NameTaken(String);

impl Keeper {
    /// # Errors
    /// When another process renews the same lease.
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), NameTaken> {
        let name = lease_name(&self.node);
        let mut renewed_us = self.clock.boot_us();
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let mut namesake = Namesake::watch(self.clock.boot_ms(), lease_ms);
        loop {
            if self.looks_for(&mut namesake, &name).await == NameIs::Taken {
                return Err(NameTaken(self.node));
            }
            let asked_us = self.clock.boot_us();
            let silent = Duration::from_micros(asked_us.saturating_sub(renewed_us));
            if silent >= self.lease {
                tracing::warn!(?silent, "the desk's lease was not renewed: connections end");
                self.touch.not_ready("the bus does not answer");
                self.life.end();
                renewed_us = asked_us;
            }
            match self.renew(&name).await {
                Ok(()) => {
                    self.touch.ready();
                    renewed_us = asked_us;
                }
                Err(why) => tracing::debug!(why, "the desk's lease was not renewed"),
            }
            tokio::select! {
                () = tokio::time::sleep(self.renew) => {}
                () = shutdown.begun() => break,
            }
        }
        if let Err(error) = self.bus.leases.release(&name).await {
            tracing::warn!(%error, "the desk's lease was not given up; it ends by itself");
        }
        Ok(())
    }

    /// Before we renew, while this process is young: what stands under our name.
    async fn looks_for(&self, namesake: &mut Namesake, name: &str) -> NameIs {
        let now_ms = self.clock.boot_ms();
        if !namesake.is_watching(now_ms) {
            return NameIs::Ours;
        }
        // What cannot be read now is read at the next renewal.
        let listed = tokio::time::timeout(self.lease, self.bus.leases.list()).await;
        let Ok(Ok(leases)) = listed else { return NameIs::Doubtful };
        let ours = *self.life.0.borrow();
        let not_ours = |lease: &&NodeLease| {
            !persist::decode::<DeskLease>(&lease.info).is_ok_and(|found| found.desk == ours)
        };
        let theirs = leases.get(name).filter(not_ours).map(|lease| lease.renewal);
        namesake.look(now_ms, theirs)
    }

    async fn renew(&self, name: &str) -> Result<(), String> {
        let info = self.info().map_err(|error| error.to_string())?;
        let renewed = tokio::time::timeout(self.lease, self.bus.leases.renew(name, info.into()));
        match renewed.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    }

    fn info(&self) -> Result<Vec<u8>, PersistError> {
        persist::encode(&DeskLease { desk: *self.life.0.borrow() })
    }
}
