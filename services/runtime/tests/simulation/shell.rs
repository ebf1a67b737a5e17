//! The ractor shell on the simulated bus, in virtual time: several nodes, clients, and whatever goes wrong.

mod client;
mod cluster;
mod faults;
mod outside;
mod tap;
mod trimmer;

use std::time::Duration;

use bus::{
    InboxEntry, PartitionId,
    sim::{Harm, SimBus},
};
use chassis::{
    clock::Clock,
    task::{self, TaskHandle, TaskKind},
};
use tokio::{runtime::RngSeed, time::sleep};

use crate::{
    check::{Checker, Judge, Rule},
    mix::Mix,
    outcome::Outcome,
    toy::{self, Command},
};
use client::Client;
use cluster::Cluster;
use faults::Scheduler;

const START_MS: u64 = 1_800_000_000_000;
/// After the healing everything must be done within this time. The longest chain: a call's own time, the
/// time of an earlier owner's, cancellation, reconciliation, and all of that for a second attempt, at half speed. And each
/// input that ends its node does so four times, after each of which the node waits for two seconds: the lease that stands under
/// its name might be a namesake's.
const QUIET_WITHIN_MS: u64 = 1_200_000;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs one mix in a runtime of its own.
pub(crate) fn run(mix: &Mix) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&mix.seed.to_le_bytes()))
        .build()
        .unwrap();
    runtime.block_on(run_in(mix))
}

async fn run_in(mix: &Mix) -> Outcome {
    let clock = Clock::virtual_from(START_MS);
    let sim = SimBus::new(mix.seed, mix.partitions);
    runtime::store_format_level(&sim.node("operator"), mix.format).await.unwrap();
    sim.set_breaks(mix.bus_breaks);
    let start_by_ms = runtime::ShardSettings::default().start_by_ms;
    let time = clock.clone();
    let checker = Checker::new(mix.partitions, start_by_ms, mix.verbose);
    let judge = Judge::new(checker, move || time.boot_ms());
    let observer = judge.clone();
    sim.observe(move |applied| observer.with(|checker| checker.on_applied(applied)));
    judge.note(|| format!("{mix:?}"));

    let mut cluster = Cluster::new(sim.clone(), judge.clone(), mix, START_MS);
    let mut scheduler = Scheduler::new(mix, sim.clone(), judge.clone(), clock.clone());
    for index in 0..cluster.len() {
        cluster.start(index).await;
    }
    let mut clients: Vec<TaskHandle<bool>> = (0..mix.clients)
        .map(|number| {
            let bus = sim.node(&format!("client-{number}"));
            let client = Client::new(number, bus, judge.clone(), mix);
            task::spawn(TaskKind::Maintenance, "client", client.run())
        })
        .collect();
    let trimming = trimmer::run(sim.node("trimmer"), judge.clone());
    let _trimming = task::spawn_abort_on_drop(TaskKind::Maintenance, "trimmer", trimming);
    scheduler.run(&mut cluster).await;
    scheduler.heal(&mut cluster).await;
    let mut run = Run { sim, judge, clock };
    run.wait(&mut scheduler, &mut cluster, &mut clients).await;
    run.look_at_all().await;
    run.wait(&mut scheduler, &mut cluster, &mut []).await;
    cluster.judge_standing().await;
    run.stop(mix, &cluster).await;
    let Harm { stale_last_reads, late_landings } = run.sim.harm();
    run.judge.with(|checker| {
        checker.report.count_many("stale last reads", stale_last_reads);
        checker.report.count_many("late landings", late_landings);
        if checker.report.broken.is_empty() {
            checker.finish();
        }
        Outcome::of(mix.seed, &run.sim.digest(), &mut checker.report)
    })
}

struct Run {
    sim: SimBus,
    judge: Judge,
    clock: Clock,
}

impl Run {
    /// Waits, with a bound, until everything is done.
    async fn wait(
        &mut self,
        scheduler: &mut Scheduler,
        cluster: &mut Cluster,
        clients: &mut [TaskHandle<bool>],
    ) {
        let end_ms = self.clock.boot_ms() + QUIET_WITHIN_MS;
        loop {
            sleep(LOOK_EVERY).await;
            scheduler.keep_up(cluster).await;
            let sending = clients.iter().filter(|client| !client.is_finished()).count();
            let left = self.judge.with(|checker| checker.unfinished());
            if sending == 0 && left.is_empty() {
                break;
            }
            if self.clock.boot_ms() >= end_ms {
                return self.judge.with(|checker| {
                    let text = || format!("{sending} clients still send; {}", left.join("; "));
                    checker.report.broken(checker.now_ms, Rule::Liveness, text);
                });
            }
        }
        for client in clients {
            let sent = client.await;
            if sent != Ok(true) {
                self.judge.with(|checker| {
                    let text = || format!("a client gave up: {sent:?}");
                    checker.report.broken(checker.now_ms, Rule::Liveness, text);
                });
            }
        }
    }

    /// One more command to each account: deciding it shows the live state.
    async fn look_at_all(&mut self) {
        let bus = self.sim.node("last-look");
        let entities = self.judge.with(|checker| checker.entities());
        for (n, entity) in (0..).zip(entities) {
            let key = toy::key(0xFF, n);
            let input = toy::input(key, entity, &Command::Deposit(0), true);
            let entry = InboxEntry::new(vec![input]).encode().unwrap();
            let partition = entity.partition(bus.partitions);
            let seq = bus.inbox.append(partition, entry).await.unwrap();
            self.judge.with(|checker| checker.on_acked(partition, seq, &[key]));
        }
    }

    /// Stops all nodes in good order: every partition must end released.
    async fn stop(&mut self, mix: &Mix, cluster: &Cluster) {
        // What was told to stop during the faults gives up by itself in the end.
        while (0..cluster.len()).any(|index| cluster.is_stopping(index)) {
            sleep(LOOK_EVERY).await;
        }
        let stops: Vec<_> = (0..cluster.len()).map(|index| cluster.stop(index)).collect();
        let mut all = true;
        for stop in stops.into_iter().flatten() {
            all &= stop.await == Ok(true);
        }
        self.judge.with(|checker| {
            let released = |n| checker.is_released(PartitionId(n));
            let left: Vec<u16> = (0..mix.partitions).filter(|n| !released(*n)).collect();
            if !all || !left.is_empty() {
                let text = || format!("stopped in order: {all}; not released: {left:?}");
                checker.report.broken(checker.now_ms, Rule::Liveness, text);
            }
        });
    }
}
