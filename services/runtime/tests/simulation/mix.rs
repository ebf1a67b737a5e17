//! What one run is made of, drawn from its seed: size, load, faults. A mix may be aimed at one rule.

use bus::{FormatLevel, sim};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use runtime::Breaks;

/// How one run is set up.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub(crate) seed: u64,
    pub(crate) partitions: u16,
    pub(crate) accounts: u16,
    pub(crate) nodes: u8,
    pub(crate) clients: u8,
    /// Inbox entries per client.
    pub(crate) entries: u32,
    /// How long faults happen.
    pub(crate) faulty_ms: u64,
    pub(crate) weights: Weights,
    pub(crate) commands: Commands,
    /// Probabilities of request faults are drawn up to this.
    pub(crate) request_faults: f64,
    /// And that a former leader answers what the last record is, up to this.
    pub(crate) stale_reads: f64,
    pub(crate) settings: Sizes,
    /// Of the installation.
    pub(crate) format: FormatLevel,
    pub(crate) breaks: Breaks,
    pub(crate) bus_breaks: sim::Breaks,
    pub(crate) dedupe_broken: bool,
    pub(crate) verbose: bool,
}

/// How often each fault happens, relative to the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weights {
    pub(crate) kill: u32,
    pub(crate) take: u32,
    pub(crate) release: u32,
    pub(crate) stop: u32,
    pub(crate) pause: u32,
    pub(crate) cut: u32,
    /// Nodes that are heard and hear nothing.
    pub(crate) deafen: u32,
    pub(crate) requests: u32,
    pub(crate) skew: u32,
    pub(crate) nap: u32,
    /// Streams of the bus that elect a leader and answer nobody meanwhile.
    pub(crate) elect: u32,
    /// Accounts that cannot be made for a while.
    pub(crate) spoil: u32,
    pub(crate) quiet: u32,
}

/// How often each command is sent, relative to the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commands {
    pub(crate) deposit: u32,
    pub(crate) pay: u32,
    pub(crate) call: u32,
    pub(crate) alarm: u32,
    pub(crate) job: u32,
    pub(crate) poison: u32,
    pub(crate) kill: u32,
    pub(crate) large: u32,
    /// Of a hundred entries, this many are sent again.
    pub(crate) repeats: u32,
}

/// Settings of shards that matter to the sequencing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) inputs_in_flight_max: usize,
    pub(crate) wakes_in_flight_max: usize,
    pub(crate) live_max: usize,
    pub(crate) idle_ms: u64,
    pub(crate) checkpoint_interval_ms: u64,
    pub(crate) checkpoint_log_bytes: usize,
}

pub(crate) fn rng(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

impl Mix {
    /// Everything that may happen, in proportions that the seed draws.
    pub(crate) fn everything(seed: u64) -> Self {
        let mut rng = rng(seed, 1);
        let mut often =
            |most: u32| if rng.random_ratio(2, 3) { rng.random_range(1..=most) } else { 0 };
        let weights = Weights {
            kill: often(6),
            take: often(6),
            release: often(2),
            stop: often(2),
            pause: often(6),
            cut: often(4),
            deafen: 0,
            requests: often(10),
            skew: often(3),
            nap: often(1),
            elect: 0,
            spoil: often(2),
            quiet: 2,
        };
        let rng_large = often(20) == 20;
        let commands = Commands {
            deposit: 4,
            pay: 1 + often(6),
            call: often(4),
            alarm: often(3),
            job: often(2),
            poison: often(2),
            kill: u32::from(often(1) + often(1) == 2),
            large: if rng_large { 10 } else { often(1) },
            repeats: often(20),
        };
        // Of random streams of their own, so that what a seed drew before there were these stays what it was.
        let weights = Weights {
            elect: self::rng(seed, 11).random_range(0..=4),
            deafen: self::rng(seed, 14).random_range(0..=3),
            ..weights
        };
        let stale_reads = [0.0, 0.1, 0.5][self::rng(seed, 13).random_range(0..3)];
        let mut pick = |from: &[usize]| from[rng.random_range(0..from.len())];
        let settings = Sizes {
            inputs_in_flight_max: pick(&[1, 4, 64, 4_096]),
            wakes_in_flight_max: pick(&[1, 256]),
            live_max: pick(&[0, 1, 1_000]),
            idle_ms: pick(&[0, 200, 2_000]) as u64,
            checkpoint_interval_ms: pick(&[300, 2_000, 20_000]) as u64,
            checkpoint_log_bytes: pick(&[2_000, 50_000, 16_000_000]),
        };
        Self {
            seed,
            partitions: rng.random_range(1..=4),
            accounts: rng.random_range(1..=4),
            nodes: rng.random_range(1..=4),
            clients: rng.random_range(1..=4),
            entries: rng.random_range(10..=50),
            faulty_ms: rng.random_range(5_000..=40_000),
            weights,
            commands,
            request_faults: [0.02, 0.1, 0.3][rng.random_range(0..3)],
            stale_reads,
            settings,
            format: FormatLevel(self::rng(seed, 12).random_range(1..=FormatLevel::KNOWN.0)),
            breaks: Breaks::default(),
            bus_breaks: sim::Breaks::default(),
            dedupe_broken: false,
            verbose: false,
        }
    }

    /// No fault at all.
    pub(crate) fn calm(seed: u64) -> Self {
        let mut mix = Self::everything(seed);
        mix.weights = Weights { quiet: 1, ..Weights::default() };
        (mix.commands.poison, mix.commands.kill) = (0, 0);
        mix.stale_reads = 0.0;
        mix
    }
}
