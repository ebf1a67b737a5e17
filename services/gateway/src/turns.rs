//! POSTs wait for their turn, and are told when it comes.
//!
//! What is decided is learned from the signals `decided.<partition>` that owners publish: best effort, so an input of which
//! nothing is heard for a second counts as decided.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bus::{Bus, BusinessId, PartitionId};
use chassis::{
    clock::Clock,
    task::{AbortOnDrop, TaskKind, spawn_abort_on_drop},
};
use tokio::sync::oneshot;

use crate::{
    fair::{Arrival, Fair},
    metrics,
};

/// An input is held against its business for no longer than this after its append.
const UNHEARD_US: u64 = 1_000_000;
/// How often it is looked for inputs of which nothing was heard.
const SWEEP_EVERY: Duration = Duration::from_millis(250);
/// Pause before a subscription that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The lines are full, and this business has the longest.
#[derive(Debug)]
pub(crate) struct Refused;

/// Inputs of one business in one entry.
#[derive(Debug)]
struct UnderWay {
    seq: u64,
    business: BusinessId,
    inputs: usize,
    /// When they went on, and when they were appended.
    begun_us: u64,
    appended_us: u64,
}

#[derive(Debug)]
struct State {
    fair: Fair<oneshot::Sender<Turn>>,
    /// By partition: what is not decided, in the order of sequences.
    under_way: BTreeMap<PartitionId, VecDeque<UnderWay>>,
    /// Last sequence decided, by partition.
    decided: BTreeMap<PartitionId, u64>,
}

impl State {
    /// Everything up to `seq` is decided.
    fn decided(&mut self, partition: PartitionId, seq: u64, now_us: u64) {
        let last = self.decided.entry(partition).or_default();
        *last = seq.max(*last);
        let Some(line) = self.under_way.get_mut(&partition) else { return };
        while let Some(first) = line.pop_front_if(|first| first.seq <= seq) {
            self.fair.leave(&first.business, first.inputs);
            self.fair.decided(now_us, now_us.saturating_sub(first.begun_us));
        }
    }

    /// Nothing was heard of the oldest for too long.
    fn sweep(&mut self, now_us: u64) {
        for line in self.under_way.values_mut() {
            let unheard = |first: &mut UnderWay| first.appended_us + UNHEARD_US <= now_us;
            while let Some(first) = line.pop_front_if(unheard) {
                self.fair.leave(&first.business, first.inputs);
                self.fair.unheard();
            }
        }
    }
}

/// What turns, the listener and the sweeper share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    clock: Clock,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever may go on.
    fn call(self: &Arc<Self>, state: &mut State) {
        while let Some((business, inputs, waiter)) = state.fair.next() {
            let begun_us = self.clock.boot_us();
            let turn = Turn { shared: Arc::clone(self), business, inputs, begun_us };
            if let Err(mut turn) = waiter.send(turn) {
                // It gave up while it waited. Dropping a turn takes the lock that is held here.
                state.fair.leave(&turn.business, turn.inputs);
                turn.inputs = 0;
            }
        }
        metrics::turns(state.fair.waiting(), state.fair.limit());
    }
}

/// Where POSTs wait for their turn.
#[derive(Debug)]
pub(crate) struct Turns {
    shared: Arc<Shared>,
    _listener: AbortOnDrop<()>,
    _sweeper: AbortOnDrop<()>,
}

impl Turns {
    /// Starts listening. Lines hold `waiting_max` POSTs in all. Must be called within a tokio runtime.
    pub(crate) fn start(bus: &Bus, clock: &Clock, waiting_max: usize) -> Self {
        let state = State {
            fair: Fair::new(waiting_max),
            under_way: BTreeMap::new(),
            decided: BTreeMap::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), clock: clock.clone() });
        let listen = listen(bus.clone(), Arc::clone(&shared));
        let sweep = sweep(Arc::clone(&shared));
        Self {
            shared,
            _listener: spawn_abort_on_drop(TaskKind::Follower, "gateway decided", listen),
            _sweeper: spawn_abort_on_drop(TaskKind::Maintenance, "gateway turns", sweep),
        }
    }

    /// Waits until a POST of `inputs` inputs may go on. Giving up the wait gives up the place in the line.
    ///
    /// # Errors
    /// When the lines are full.
    pub(crate) async fn take(&self, business: &BusinessId, inputs: usize) -> Result<Turn, Refused> {
        let (called, turn) = oneshot::channel();
        let begun_us = self.shared.clock.boot_us();
        let arrival = self.shared.state().fair.arrive(begun_us, business, inputs, called);
        match arrival {
            Arrival::GoesOn => {
                let (shared, business) = (Arc::clone(&self.shared), business.clone());
                Ok(Turn { shared, business, inputs, begun_us })
            }
            Arrival::Waits => {
                metrics::held();
                turn.await.map_err(|_| Refused)
            }
            Arrival::Refused => Err(Refused),
        }
    }
}

/// A POST whose turn it is. What it did not append when this is dropped is not under way.
#[derive(Debug)]
pub(crate) struct Turn {
    shared: Arc<Shared>,
    business: BusinessId,
    inputs: usize,
    begun_us: u64,
}

impl Turn {
    /// `inputs` of the POST are stored in this entry.
    pub(crate) fn stored(&mut self, partition: PartitionId, seq: u64, inputs: usize) {
        let inputs = inputs.min(self.inputs);
        self.inputs -= inputs;
        let appended_us = self.shared.clock.boot_us();
        let mut state = self.shared.state();
        if state.decided.get(&partition).is_some_and(|decided| *decided >= seq) {
            state.fair.leave(&self.business, inputs);
            state.fair.decided(appended_us, appended_us.saturating_sub(self.begun_us));
            return self.shared.call(&mut state);
        }
        let business = self.business.clone();
        let line = state.under_way.entry(partition).or_default();
        // POSTs that share an entry hear of it in any order.
        let at = line.partition_point(|other| other.seq <= seq);
        let begun_us = self.begun_us;
        line.insert(at, UnderWay { seq, business, inputs, begun_us, appended_us });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.inputs > 0 {
            let mut state = self.shared.state();
            state.fair.leave(&self.business, self.inputs);
            self.shared.call(&mut state);
        }
    }
}

async fn listen(bus: Bus, shared: Arc<Shared>) {
    loop {
        match bus.signals.subscribe(bus::DECIDED_TOPICS).await {
            Ok(mut signals) => {
                while let Some(signal) = signals.next().await {
                    // What was lost is made good by the next one of its partition, or by the sweep.
                    let Ok(signal) = signal else { continue };
                    let Some((partition, seq)) = bus::decided_up_to(&signal) else { continue };
                    let mut state = shared.state();
                    state.decided(partition, seq, shared.clock.boot_us());
                    shared.call(&mut state);
                }
            }
            Err(error) => tracing::warn!(%error, "what is decided is not heard"),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let mut state = shared.state();
        state.sweep(shared.clock.boot_us());
        shared.call(&mut state);
    }
}
