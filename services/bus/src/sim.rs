//! The simulated bus: one in-memory store shared by several nodes of one process, in virtual time,
//! with faults on demand.
//!
//! It owns the only copy of what was appended (its history is what a checker reads) and one seeded
//! source of randomness per node and one for the store, so that the same seed gives the same history.
//! It must run on a current-thread runtime with paused time, and uses no thread and no real clock.
//!
//! It is modelled on JetStream, not on SQLite: sequences are shared by all partitions of a stream and
//! have gaps; a request in flight outlives its caller; an unanswered save may be stored in part.

mod faults;
mod inspect;
mod link;
mod node;
mod store;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chassis::clock::Clock;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

pub use faults::{Breaks, Faults, Link, Silence};
pub use inspect::{Applied, Harm};

use crate::{
    Bus,
    local::{LocalLeases, LocalSignals},
};
use link::Wire;
use node::SimNode;
use store::Store;

/// One simulated installation; clones share it.
#[derive(Clone, Debug)]
pub struct SimBus {
    world: Arc<World>,
}

#[derive(Debug)]
struct World {
    seed: u64,
    partitions: u16,
    store: Mutex<Store>,
    leases: LocalLeases,
    /// The bus's own clock and, by node, when it renewed last.
    clock: Mutex<Option<Clock>>,
    renewed: Mutex<BTreeMap<String, u64>>,
    signals: LocalSignals,
}

impl World {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes when a node renewed, by the bus's own clock.
    fn date(&self, node: &str) {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clock) = &*clock {
            let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            renewed.insert(node.to_owned(), clock.wall_ms());
        }
    }

    fn dated(&self, node: &str) -> Option<u64> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied()
    }

    /// A node's wire, with independent random streams: what one node draws never disturbs another.
    fn wire(&self, name: &str) -> Wire {
        let new = || Wire::new(rng(self.seed, name), rng(self.seed, &format!("{name}: leaders")));
        self.store().wire(name, new)
    }
}

fn rng(seed: u64, purpose: &str) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

impl SimBus {
    /// An empty store with no faults.
    #[must_use]
    pub fn new(seed: u64, partitions: u16) -> Self {
        let store = Store::new(partitions, rng(seed, "store"));
        let world = World {
            seed,
            partitions,
            store: Mutex::new(store),
            leases: LocalLeases::default(),
            clock: Mutex::default(),
            renewed: Mutex::default(),
            signals: LocalSignals::default(),
        };
        Self { world: Arc::new(world) }
    }

    /// The bus as the node `name` reaches it. A restarted node asks again under its name; its random
    /// stream and its link go on.
    #[must_use]
    pub fn node(&self, name: &str) -> Bus {
        let wire = self.world.wire(name);
        let node = Arc::new(SimNode::new(Arc::clone(&self.world), wire));
        Bus {
            inbox: node.clone(),
            log: node.clone(),
            states: node.clone(),
            leases: node.clone(),
            signals: node,
            partitions: self.world.partitions,
        }
    }

    /// Gives the bus a clock of its own, by which it dates renewals from now on. Without one it dates none.
    pub fn set_clock(&self, clock: Clock) {
        *self.world.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }

    /// Changes the faults of every node from the next request on.
    pub fn set_faults(&self, faults: Faults) {
        self.world.store().faults = faults;
    }

    /// The faults now in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.world.store().faults.clone()
    }

    /// Lets streams fall silent, or speak again, for every node from the next request on.
    pub fn set_silence(&self, silence: Silence) {
        self.world.store().silence = silence;
    }

    /// Test only: breaks promises of the bus from the next request on.
    pub fn set_breaks(&self, breaks: Breaks) {
        self.world.store().breaks = breaks;
    }

    /// Cuts, half opens, pauses or restores the link of one node.
    pub fn set_link(&self, name: &str, link: Link) {
        self.world.wire(name).set_link(link);
    }
}
