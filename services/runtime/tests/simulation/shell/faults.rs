//! What goes wrong while a run is faulty, and the healing of all of it.

use std::{collections::BTreeMap, time::Duration};

use bus::{
    PartitionId,
    sim::{Faults, Silence, SimBus},
};
use chassis::clock::Clock;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::time::sleep;

use super::cluster::Cluster;
use crate::{
    check::Judge,
    load::pick,
    mix::{Mix, Weights, rng},
    toy,
};

/// Wall clocks stay within these bounds of the truth; the toy's reconciliation outlasts their span.
const SKEW_MS: std::ops::RangeInclusive<i64> = -8_000..=2_000;

/// What ends a fault.
#[derive(Clone, Copy, Debug)]
enum Mend {
    Start(usize),
    Resume(usize),
    Connect(usize),
    Undeafen(usize),
    Requests,
    Unspoil,
    /// A stream has a leader again.
    Elected(Stream),
}

/// Each stream elects for itself.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Log,
    Inbox,
    States,
    Leases,
}

/// How long an election takes (reliability: 4 to 9 s).
const ELECTION_MS: std::ops::RangeInclusive<u64> = 4_000..=9_000;

pub(crate) struct Scheduler {
    mix: Mix,
    sim: SimBus,
    judge: Judge,
    clock: Clock,
    rng: ChaCha8Rng,
    /// For the leaders that answer reads: a stream of its own, as in [`Mix::everything`].
    leaders: ChaCha8Rng,
    due: BTreeMap<(u64, u64), Mend>,
    mends: u64,
    skews: BTreeMap<usize, i64>,
    spoiled: bool,
    silence: Silence,
}

impl Scheduler {
    pub(crate) fn new(mix: &Mix, sim: SimBus, judge: Judge, clock: Clock) -> Self {
        let (rng, leaders) = (rng(mix.seed, 2), rng(mix.seed, 15));
        let (due, skews) = (BTreeMap::new(), BTreeMap::new());
        let (mends, spoiled, silence) = (0, false, Silence::default());
        let mix = mix.clone();
        Self { mix, sim, judge, clock, rng, leaders, due, mends, skews, spoiled, silence }
    }

    fn later(&mut self, from_ms: u64, to_ms: u64, mend: Mend) {
        self.mends += 1;
        let at_ms = self.clock.boot_ms() + self.rng.random_range(from_ms..=to_ms);
        self.due.insert((at_ms, self.mends), mend);
    }

    /// Lets things go wrong for as long as the mix says.
    pub(crate) async fn run(&mut self, cluster: &mut Cluster) {
        let end_ms = self.clock.boot_ms() + self.mix.faulty_ms;
        let mut next_ms = self.clock.boot_ms();
        while self.clock.boot_ms() < end_ms {
            let due_ms = self.due.first_key_value().map_or(u64::MAX, |((at_ms, _), _)| *at_ms);
            let until_ms = due_ms.min(next_ms).saturating_sub(self.clock.boot_ms());
            sleep(Duration::from_millis(until_ms)).await;
            if due_ms <= self.clock.boot_ms() {
                if let Some((_, mend)) = self.due.pop_first() {
                    self.mend(cluster, mend).await;
                }
            } else if next_ms <= self.clock.boot_ms() {
                next_ms = self.clock.boot_ms() + self.rng.random_range(50..1_500);
                self.harm(cluster);
            }
            self.revive(cluster);
        }
    }

    /// A node that an input ended starts again.
    fn revive(&mut self, cluster: &Cluster) {
        for index in 0..cluster.len() {
            let awaited =
                self.due.values().any(|mend| matches!(mend, Mend::Start(due) if *due == index));
            if !cluster.is_running(index) && !awaited {
                self.later(100, 3_000, Mend::Start(index));
            }
        }
    }

    async fn mend(&mut self, cluster: &mut Cluster, mend: Mend) {
        match mend {
            Mend::Start(index) => cluster.start(index).await,
            Mend::Resume(index) => cluster.pause(index, false),
            Mend::Connect(index) => cluster.cut(index, false),
            Mend::Undeafen(index) => cluster.deafen(index, false),
            Mend::Requests => self.sim.set_faults(Faults::default()),
            Mend::Unspoil => cluster.unspoil_all(),
            Mend::Elected(stream) => self.silence(stream, false),
        }
    }

    fn harm(&mut self, cluster: &Cluster) {
        let index = self.rng.random_range(0..cluster.len());
        let partition = PartitionId(self.rng.random_range(0..self.mix.partitions));
        let Weights {
            kill,
            take,
            release,
            stop,
            pause,
            cut,
            requests,
            skew,
            nap,
            elect,
            spoil,
            quiet,
            deafen,
        } = self.mix.weights;
        let weights = [
            quiet, kill, take, release, stop, pause, cut, requests, skew, nap, elect, spoil, deafen,
        ];
        match pick(&mut self.rng, &weights) {
            0 => {}
            1 => cluster.kill(index),
            2 => cluster.take(index, partition),
            3 => cluster.release(index, partition),
            4 => drop(cluster.stop(index)),
            5 => {
                cluster.pause(index, true);
                let most_ms = if self.rng.random_ratio(1, 2) { 3_000 } else { 30_000 };
                self.later(100, most_ms, Mend::Resume(index));
            }
            6 => {
                cluster.cut(index, true);
                self.later(100, 10_000, Mend::Connect(index));
            }
            7 => {
                let faults = self.draw_faults();
                self.judge.note(|| format!("{faults:?}"));
                self.judge.count("request faults");
                self.sim.set_faults(faults);
                self.later(1_000, 12_000, Mend::Requests);
            }
            8 => {
                let skew = self.skews.entry(index).or_default();
                let to_ms = self.rng.random_range(SKEW_MS);
                cluster.skew(index, to_ms - *skew);
                *skew = to_ms;
            }
            9 => self.nap(cluster),
            10 => self.elect(),
            12 => {
                cluster.deafen(index, true);
                self.later(100, 10_000, Mend::Undeafen(index));
            }
            _ => {
                let n = self.rng.random_range(0..self.mix.accounts);
                cluster.spoil(toy::account(partition.0, n, self.mix.partitions));
                self.spoiled = true;
                self.later(100, 10_000, Mend::Unspoil);
            }
        }
    }

    fn nap(&mut self, cluster: &Cluster) {
        let ms = self.rng.random_range(100..20_000);
        self.judge.note(|| format!("everything sleeps for {ms} ms"));
        self.judge.count("naps");
        cluster.nap(ms);
        self.clock.suspend(ms);
    }

    /// One stream loses its leader, or all of them do, each for its own time.
    fn elect(&mut self) {
        let all = [Stream::Log, Stream::Inbox, Stream::States, Stream::Leases];
        let one = pick(&mut self.rng, &[1, 1, 1, 1, 1]);
        for (n, stream) in all.into_iter().enumerate() {
            if one == n || one == all.len() {
                self.judge.count("elections");
                self.silence(stream, true);
                self.later(*ELECTION_MS.start(), *ELECTION_MS.end(), Mend::Elected(stream));
            }
        }
    }

    fn silence(&mut self, stream: Stream, silent: bool) {
        self.judge.note(|| format!("{stream:?} silent: {silent}"));
        match stream {
            Stream::Log => self.silence.log = silent,
            Stream::Inbox => self.silence.inbox = silent,
            Stream::States => self.silence.states = silent,
            Stream::Leases => self.silence.leases = silent,
        }
        self.sim.set_silence(self.silence);
    }

    fn draw_faults(&mut self) -> Faults {
        let most = self.mix.request_faults;
        let mut draw = || {
            if self.rng.random_ratio(1, 2) { self.rng.random_range(0.0..=most) } else { 0.0 }
        };
        Faults {
            lost: draw(),
            unanswered: draw(),
            late: draw(),
            slow: draw() * 3.0,
            full: draw(),
            unavailable: draw(),
            signal_lost: draw(),
            stale: match self.leaders.random_ratio(1, 2) {
                true => self.leaders.random_range(0.0..=self.mix.stale_reads),
                false => 0.0,
            },
            ..Faults::default()
        }
    }

    /// Heals everything.
    pub(crate) async fn heal(&mut self, cluster: &mut Cluster) {
        self.judge.note(|| "everything is healed".to_owned());
        self.due.clear();
        self.sim.set_faults(Faults::default());
        self.silence = Silence::default();
        self.sim.set_silence(self.silence);
        cluster.unspoil_all();
        for index in 0..cluster.len() {
            cluster.pause(index, false);
            cluster.cut(index, false);
            // A node keeps an account quarantined for as long as it runs.
            if self.spoiled {
                cluster.kill(index);
            }
            cluster.start(index).await;
        }
    }

    /// Starts what an input ended after the healing.
    pub(crate) async fn keep_up(&mut self, cluster: &mut Cluster) {
        for index in 0..cluster.len() {
            cluster.start(index).await;
        }
    }
}
