//! The shard machine and the toy entities driven directly, without actors or a runtime: one loop picks, by
//! the seed, which of all outstanding things happens next, and ends owners between any two of them.

mod entity;
mod flight;
mod harm;
mod perform;
mod requests;
mod store;
mod take;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bus::{PartitionId, ReadLimit};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use runtime::{
    CallReturn, ShardSettings,
    host::CallId,
    shard::{Action, Life, Notice, Now, Shard, StopReason},
};

use crate::{
    check::{Checker, Rule},
    load::{Entry, Load},
    mix::{Mix, rng},
    outcome::Outcome,
    toy::{
        self, Command,
        decide::{Shared, ToyHost},
    },
};
use entity::Living;
use flight::{Flight, What};
use store::Store;

const START_MS: u64 = 1_800_000_000_000;
/// After the healing everything must be done within this time.
const QUIET_WITHIN_MS: u64 = 400_000;
/// And within so many steps, so that a run that goes in circles ends.
const STEPS_MAX: u64 = 2_000_000;

/// One owner of a partition, from the begin of its take-over to its end.
struct Owner {
    partition: PartitionId,
    node: usize,
    machine: Option<Box<Shard>>,
    lives: BTreeMap<Life, Living>,
    /// What entities have said and the machine has not heard.
    said: BTreeMap<Life, VecDeque<Notice>>,
    calls: BTreeMap<CallId, CallKept>,
    /// It stands still until then.
    frozen_until_ms: u64,
    parked_read: Option<(u64, ReadLimit)>,
    /// No call may start any more.
    door_closed: bool,
    releasing: bool,
}

/// What an owner keeps of a call until its result is durably decided.
#[derive(Default)]
struct CallKept {
    cancelled: bool,
    returned: Option<CallReturn>,
}

/// A machine's clocks.
#[derive(Clone, Copy, Default)]
struct Clocks {
    skew_ms: i64,
}

struct World {
    mix: Mix,
    rng: ChaCha8Rng,
    /// For the leaders that answer reads: a stream of its own, as in [`Mix::everything`].
    leaders: ChaCha8Rng,
    /// Owners whom a former leader has just answered.
    former: BTreeSet<u64>,
    now_ms: u64,
    store: Store,
    owners: BTreeMap<u64, Owner>,
    next_owner: u64,
    flights: Vec<Flight>,
    nodes: Vec<Clocks>,
    host: ToyHost,
    killed: Arc<AtomicBool>,
    loads: Vec<Load>,
    entries_left: u32,
    /// Entries whose append was not answered.
    unanswered: Vec<Entry>,
    faulty: bool,
    /// Some account could not be made for a while.
    spoiled: bool,
}

/// Runs one mix.
pub(crate) fn run(mix: &Mix) -> Outcome {
    let mut world = World::new(mix);
    world.fault_phase();
    world.faulty = false;
    if world.until_quiet() {
        world.look_at_all();
        if world.until_quiet() {
            world.release_all();
        }
    }
    let checker = &mut world.store.checker;
    if checker.report.broken.is_empty() {
        checker.finish();
    }
    let stored = checker.stored_digest();
    Outcome::of(mix.seed, &stored, &mut checker.report)
}

impl World {
    fn new(mix: &Mix) -> Self {
        let killed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&killed);
        let killer = Arc::new(move || {
            flag.store(true, Ordering::SeqCst);
            true
        });
        let shared = Arc::new(Shared::new(mix.dedupe_broken));
        let start_by_ms = ShardSettings::default().start_by_ms;
        let checker = Checker::new(mix.partitions, start_by_ms, mix.verbose);
        Self {
            mix: mix.clone(),
            rng: rng(mix.seed, 3),
            leaders: rng(mix.seed, 15),
            former: BTreeSet::new(),
            now_ms: 0,
            store: Store::new(checker),
            owners: BTreeMap::new(),
            next_owner: 0,
            flights: Vec::new(),
            nodes: vec![Clocks::default(); usize::from(mix.nodes)],
            host: ToyHost { shared, killer, watch: Arc::new(|_| {}) },
            spoiled: false,
            killed,
            loads: (0..mix.clients).map(|number| Load::new(number, mix)).collect(),
            entries_left: u32::from(mix.clients) * mix.entries,
            unanswered: Vec::new(),
            faulty: true,
        }
    }

    fn settings(&self) -> ShardSettings {
        let sizes = self.mix.settings;
        ShardSettings {
            inputs_in_flight_max: sizes.inputs_in_flight_max,
            wakes_in_flight_max: sizes.wakes_in_flight_max,
            live_max: sizes.live_max,
            idle_ms: sizes.idle_ms,
            checkpoint_interval_ms: sizes.checkpoint_interval_ms,
            checkpoint_log_bytes: sizes.checkpoint_log_bytes,
            wake_backoff_ms_max: 4_000,
            breaks: self.mix.breaks,
            ..ShardSettings::default()
        }
    }

    fn clocks(&self, node: usize) -> Now {
        let wall_ms = (START_MS + self.now_ms).saturating_add_signed(self.nodes[node].skew_ms);
        // Each machine counts from an origin of its own.
        Now { wall_ms, boot_ms: self.now_ms + 1_000_000 * (node as u64 + 1) }
    }

    fn checker(&mut self) -> &mut Checker {
        self.store.checker.now_ms = self.now_ms;
        &mut self.store.checker
    }

    fn fault_phase(&mut self) {
        while self.entries_left > 0 || self.now_ms < self.mix.faulty_ms {
            if self.entries_left > 0 && self.rng.random_ratio(1, 12) {
                self.client_sends();
            }
            if self.rng.random_ratio(1, 150) {
                self.harm();
            }
            self.step();
        }
    }

    fn until_quiet(&mut self) -> bool {
        let end_ms = self.now_ms + QUIET_WITHIN_MS;
        self.host.shared.unspoil_all();
        if std::mem::take(&mut self.spoiled) {
            // An owner keeps an account quarantined for as long as it lives.
            (0..self.nodes.len()).for_each(|node| self.crash_node(node));
        }
        for entry in std::mem::take(&mut self.unanswered) {
            self.client_appends(entry);
        }
        for steps in 0..STEPS_MAX {
            if steps % 64 == 0 && self.store.checker.unfinished().is_empty() {
                return true;
            }
            if self.now_ms >= end_ms {
                break;
            }
            self.step();
        }
        let left = self.store.checker.unfinished();
        let now_ms = self.now_ms;
        let report = &mut self.checker().report;
        report.broken(now_ms, Rule::Liveness, || left.join("; "));
        false
    }

    fn look_at_all(&mut self) {
        for (n, entity) in (0..).zip(self.store.checker.entities()) {
            let key = toy::key(0xFF, n);
            let input = toy::input(key, entity, &Command::Deposit(0), true);
            let bytes = bus::InboxEntry::new(vec![input]).encode().unwrap();
            let partition = entity.partition(self.mix.partitions);
            self.client_appends(Entry { partition, bytes, keys: vec![key] });
        }
    }

    /// Lets all partitions go in good order.
    fn release_all(&mut self) {
        for owner in self.owners.values_mut() {
            owner.releasing = true;
        }
        for id in self.owners.keys().copied().collect::<Vec<_>>() {
            self.fly(id, 0, What::Answer(Notice::Release));
        }
        for _ in 0..STEPS_MAX {
            if self.owners.is_empty() {
                break;
            }
            self.step();
        }
        let partitions = (0..self.mix.partitions).map(PartitionId);
        let left: Vec<_> = partitions.filter(|p| !self.store.checker.is_released(*p)).collect();
        if !left.is_empty() {
            let now_ms = self.now_ms;
            let report = &mut self.checker().report;
            report.broken(now_ms, Rule::Liveness, || format!("not released: {left:?}"));
        }
    }

    fn client_sends(&mut self) {
        self.entries_left -= 1;
        let client = self.rng.random_range(0..self.loads.len());
        let (entry, again) = self.loads[client].next();
        self.client_appends(entry);
        if let Some(again) = again {
            self.client_appends(again);
        }
        if self.rng.random_ratio(1, 4)
            && let Some(entry) = self.unanswered.pop()
        {
            self.client_appends(entry);
        }
    }

    fn client_appends(&mut self, entry: Entry) {
        let fault = self.faulty && self.chance();
        if fault && self.rng.random_ratio(1, 2) {
            return self.unanswered.push(entry);
        }
        let seq = self.append_inbox(entry.partition, entry.bytes.clone());
        match fault {
            true => self.unanswered.push(entry),
            false => self.checker().on_acked(entry.partition, seq, &entry.keys),
        }
    }

    /// Whether a request fault happens now.
    fn chance(&mut self) -> bool {
        self.faulty && self.rng.random_bool(self.mix.request_faults / 2.0)
    }

    fn append_inbox(&mut self, partition: PartitionId, entry: bytes::Bytes) -> u64 {
        self.checker();
        let seq = self.store.append_inbox(partition, entry);
        let waiting = self.owners.iter_mut().filter(|(_, owner)| owner.partition == partition);
        let woken: Vec<_> = waiting
            .filter_map(|(id, owner)| owner.parked_read.take().map(|read| (*id, read)))
            .collect();
        for (id, (after, limit)) in woken {
            self.fly(id, 0, What::Read { after, limit });
        }
        seq
    }

    /// Tells an owner's machine, and does what it asks for.
    fn notice(&mut self, id: u64, notice: Notice) {
        let Some(owner) = self.owners.get(&id) else { return };
        let now = self.clocks(owner.node);
        let mut actions = Vec::new();
        if let Some(machine) = self.owners.get_mut(&id).and_then(|owner| owner.machine.as_mut()) {
            machine.step(now, notice, &mut actions);
        }
        self.perform_all(id, actions);
    }

    fn perform_all(&mut self, id: u64, actions: Vec<Action>) {
        for action in actions {
            if !self.owners.contains_key(&id) {
                return;
            }
            self.perform(id, action);
        }
    }

    /// An owner is over; its process lives on and hands results of calls to whoever comes next.
    fn owner_ends(&mut self, id: u64, reason: &StopReason) {
        let now_ms = self.now_ms;
        let Some(owner) = self.owners.remove(&id) else { return };
        let partition = owner.partition;
        self.checker().report.note(now_ms, || format!("owner {id} of {partition}: {reason}"));
        for kept in owner.calls.into_values() {
            if let Some(returned) = kept.returned {
                self.forward(partition, returned);
            }
        }
        match reason {
            StopReason::Fenced | StopReason::Released => {}
            reason => {
                let text = reason.to_string();
                self.checker().report.broken(now_ms, Rule::Alarm, || text);
            }
        }
    }

    fn forward(&mut self, partition: PartitionId, returned: CallReturn) {
        let input = returned.into_input(START_MS + self.now_ms).unwrap();
        let entry = bus::InboxEntry::new(vec![input]).encode().unwrap();
        let delay_ms = self.rng.random_range(0..50);
        self.fly(u64::MAX, delay_ms, What::Landing(flight::Landing::Inbox(partition, entry)));
    }
}
