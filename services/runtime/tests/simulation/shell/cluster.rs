//! The nodes of one run: started, killed, stopped, paused.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{
    EntityId, PartitionId,
    sim::{Link, SimBus},
};
use chassis::clock::Clock;
use chassis::task::{self, TaskKind};
use runtime::{
    Node, NodeOptions, PartitionStatus, Placement, Random, Settings, ShardSettings,
    host::DecideInput,
};
use tokio::{sync::watch, time::sleep};

use super::{
    outside::Outside,
    tap::{Life, Tap},
};
use crate::{
    check::{Decider, Judge, Rule, is_expected},
    mix::Mix,
    toy::decide::{Shared, ToyHost},
};

/// How long a node may take to stop in good order.
const STOP_WITHIN: Duration = Duration::from_secs(200);

/// A machine: its clock and link outlive the processes on it.
struct Machine {
    name: String,
    clock: Clock,
    paused: watch::Sender<bool>,
    process: Process,
    /// The last process is still ending in good order.
    stopping: Arc<AtomicBool>,
    starts: u64,
}

/// The node that runs on a machine now, if any.
type Process = Arc<Mutex<Option<(Arc<Life>, Arc<Node>)>>>;

pub(crate) struct Cluster {
    sim: SimBus,
    judge: Judge,
    mix: Mix,
    shared: Arc<Shared>,
    machines: Vec<Machine>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cluster")
    }
}

fn end(process: &Process) -> bool {
    let Some((life, node)) = process.lock().unwrap().take() else { return false };
    life.end();
    node.kill();
    true
}

/// Waits until nothing else is being asked of the node.
async fn alone(mut node: Arc<Node>) -> Node {
    loop {
        match Arc::try_unwrap(node) {
            Ok(node) => return node,
            Err(shared) => node = shared,
        }
        sleep(Duration::from_millis(10)).await;
    }
}

impl Cluster {
    pub(crate) fn new(sim: SimBus, judge: Judge, mix: &Mix, start_ms: u64) -> Self {
        let machine = |n: u8| Machine {
            name: format!("n{n}"),
            clock: Clock::virtual_from(start_ms),
            paused: watch::Sender::new(false),
            process: Arc::default(),
            stopping: Arc::default(),
            starts: 0,
        };
        let machines = (0..mix.nodes).map(machine).collect();
        let shared = Arc::new(Shared::new(mix.dedupe_broken));
        Self { sim, judge, mix: mix.clone(), shared, machines }
    }

    pub(crate) fn len(&self) -> usize {
        self.machines.len()
    }

    fn settings(&self) -> Settings {
        let sizes = self.mix.settings;
        let shard = ShardSettings {
            inputs_in_flight_max: sizes.inputs_in_flight_max,
            wakes_in_flight_max: sizes.wakes_in_flight_max,
            live_max: sizes.live_max,
            idle_ms: sizes.idle_ms,
            checkpoint_interval_ms: sizes.checkpoint_interval_ms,
            checkpoint_log_bytes: sizes.checkpoint_log_bytes,
            wake_backoff_ms_max: 4_000,
            breaks: self.mix.breaks,
            ..ShardSettings::default()
        };
        Settings {
            shard,
            placement: Placement::Rendezvous,
            renew_ms: 500,
            lease_ms: 3_000,
            settle_ms: 4_000,
            avoid_ms: 5_000,
            fenced_wait_ms: 2_000,
            retake_ms: 500,
            ..Settings::default()
        }
    }

    /// Starts the machine's process, if none runs.
    pub(crate) async fn start(&mut self, index: usize) {
        let settings = self.settings();
        let machine = &mut self.machines[index];
        if machine.process.lock().unwrap().is_some() || machine.stopping.load(Ordering::SeqCst) {
            return;
        }
        machine.starts += 1;
        let life = Life::new(&machine.name);
        let process = Arc::clone(&machine.process);
        let judge = self.judge.clone();
        let name = machine.name.clone();
        judge.note(|| format!("{name} starts"));
        let killer = {
            let judge = judge.clone();
            Arc::new(move || {
                judge.note(|| format!("{name} ends itself"));
                judge.count("nodes ended by an input");
                end(&process)
            })
        };
        let watch = {
            let (judge, name) = (judge.clone(), machine.name.clone());
            Arc::new(move |input: &DecideInput| {
                judge.with(|checker| checker.on_decide(&Decider::Node(&name), input));
            })
        };
        let seed = self.mix.seed ^ ((index as u64 + 1) << 32) ^ (machine.starts << 48);
        let options = NodeOptions {
            bus: Tap::on(self.sim.node(&machine.name), judge.clone(), Arc::clone(&life)),
            host: Arc::new(ToyHost { shared: Arc::clone(&self.shared), killer, watch }),
            executor: Arc::new(Outside {
                seed: self.mix.seed,
                judge,
                life: Arc::clone(&life),
                paused: machine.paused.subscribe(),
            }),
            clock: machine.clock.clone(),
            random: Random::seeded(seed),
            name: machine.name.clone(),
            settings,
        };
        let node = Node::start(options).await.unwrap();
        *machine.process.lock().unwrap() = Some((life, Arc::new(node)));
    }

    /// Asks the running node something, in the background.
    fn ask<F: Future<Output = ()> + Send + 'static>(
        &self,
        index: usize,
        ask: impl FnOnce(Arc<Node>) -> F,
    ) {
        let process = self.machines[index].process.lock().unwrap();
        if let Some((_, node)) = &*process {
            task::spawn(TaskKind::Maintenance, "ask", ask(Arc::clone(node))).detach();
        }
    }

    pub(crate) fn is_running(&self, index: usize) -> bool {
        let machine = &self.machines[index];
        machine.process.lock().unwrap().is_some() || self.is_stopping(index)
    }

    pub(crate) fn is_stopping(&self, index: usize) -> bool {
        self.machines[index].stopping.load(Ordering::SeqCst)
    }

    /// Ends a node at once.
    pub(crate) fn kill(&self, index: usize) {
        if end(&self.machines[index].process) {
            let name = &self.machines[index].name;
            self.judge.count("nodes killed");
            self.judge.note(|| format!("{name} is killed"));
        }
    }

    /// No node may think that it cannot serve a partition, or has met what must not happen.
    pub(crate) async fn judge_standing(&self) {
        for machine in &self.machines {
            let node = machine.process.lock().unwrap().as_ref().map(|(_, node)| Arc::clone(node));
            let Some(node) = node else { continue };
            let readiness = *node.readiness().borrow();
            let mut wrong: Vec<String> = Vec::new();
            if readiness.cannot_serve > 0 {
                wrong.push(format!("{readiness:?}"));
            }
            for (partition, status) in node.status().await.unwrap_or_default() {
                let PartitionStatus::Serving(status) = status else { continue };
                let bad = status.alarms.keys().filter(|alarm| !is_expected(**alarm));
                wrong.extend(bad.map(|alarm| format!("{partition}: {alarm:?}")));
            }
            if !wrong.is_empty() {
                self.judge.with(|checker| {
                    let text = || format!("{}: {wrong:?}", machine.name);
                    checker.report.broken(checker.now_ms, Rule::Alarm, text);
                });
            }
        }
    }

    /// Stops a node in good order, in the background.
    pub(crate) fn stop(&self, index: usize) -> Option<task::TaskHandle<bool>> {
        let machine = &self.machines[index];
        let (life, node) = machine.process.lock().unwrap().take()?;
        let (judge, name) = (self.judge.clone(), machine.name.clone());
        let stopping = Arc::clone(&machine.stopping);
        stopping.store(true, Ordering::SeqCst);
        judge.note(|| format!("{name} stops"));
        judge.count("nodes stopped");
        Some(task::spawn(TaskKind::Maintenance, "stop", async move {
            let stopped = alone(node).await.stop(STOP_WITHIN).await;
            life.end();
            stopping.store(false, Ordering::SeqCst);
            judge.note(|| format!("{name} has stopped: {stopped:?}"));
            stopped.is_ok()
        }))
    }

    /// Lets a node take a partition, whoever owns it.
    pub(crate) fn take(&self, index: usize, partition: PartitionId) {
        let (judge, name) = (self.judge.clone(), self.machines[index].name.clone());
        judge.note(|| format!("{name} takes {partition}"));
        judge.count("partitions taken by force");
        self.ask(index, move |node| async move {
            let taken = node.take(partition).await;
            judge.note(|| format!("{name} has taken {partition}: {taken:?}"));
        });
    }

    pub(crate) fn release(&self, index: usize, partition: PartitionId) {
        let name = &self.machines[index].name;
        self.judge.note(|| format!("{name} releases {partition}"));
        self.judge.count("partitions released");
        self.ask(index, move |node| async move { drop(node.release(partition).await) });
    }

    pub(crate) fn pause(&self, index: usize, paused: bool) {
        let machine = &self.machines[index];
        self.judge.note(|| format!("{} paused: {paused}", machine.name));
        if paused {
            self.judge.count("nodes paused");
        }
        self.sim.set_link(&machine.name, if paused { Link::Paused } else { Link::Up });
        machine.paused.send_replace(paused);
    }

    pub(crate) fn cut(&self, index: usize, cut: bool) {
        let machine = &self.machines[index];
        self.judge.note(|| format!("{} cut: {cut}", machine.name));
        if cut {
            self.judge.count("nodes cut off");
        }
        if !*machine.paused.borrow() {
            self.sim.set_link(&machine.name, if cut { Link::Cut } else { Link::Up });
        }
    }

    /// What it sends arrives, and nothing comes back.
    pub(crate) fn deafen(&self, index: usize, deaf: bool) {
        let machine = &self.machines[index];
        self.judge.note(|| format!("{} deaf: {deaf}", machine.name));
        if deaf {
            self.judge.count("nodes deaf");
        }
        if !*machine.paused.borrow() {
            self.sim.set_link(&machine.name, if deaf { Link::Deaf } else { Link::Up });
        }
    }

    pub(crate) fn skew(&self, index: usize, delta_ms: i64) {
        let machine = &self.machines[index];
        self.judge.note(|| format!("{}'s clock jumps by {delta_ms} ms", machine.name));
        self.judge.count("clock jumps");
        machine.clock.skew(delta_ms);
    }

    /// An account cannot be made by any node.
    pub(crate) fn spoil(&self, entity: EntityId) {
        self.judge.with(|checker| checker.on_spoiled(entity));
        self.shared.spoil(entity);
    }

    pub(crate) fn unspoil_all(&self) {
        self.shared.unspoil_all();
    }

    /// All machines sleep.
    pub(crate) fn nap(&self, ms: u64) {
        for machine in &self.machines {
            machine.clock.suspend(ms);
        }
    }
}
