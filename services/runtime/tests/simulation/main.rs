//! The seeded simulation of the runtime (design.md section 7), and the proof that its checker bites.
//!
//! One seed is one history. `shell` runs nodes on the simulated bus in virtual time and lets everything go
//! wrong that the seed says; `check` replays what was stored by rules of its own and judges whatever leaves.
//! `TANDEM_SEEDS=n` sets the number of seeds, `TANDEM_SEED=n` runs one and prints its event log.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![expect(clippy::print_stdout, reason = "event logs and summaries are what a test prints")]

mod bites;
mod check;
mod load;
mod machine;
mod mix;
mod outcome;
mod shell;
mod toy;

use std::{collections::BTreeMap, sync::Once};

use mix::Mix;
use outcome::{Outcome, seeds};

/// Panics that the toy was told to have are not printed.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or_default();
            if !text.starts_with("toy: ") {
                hook(info);
            }
        }));
    });
}

/// What a layer must have seen at least once in its default number of seeds: a simulation in which nothing
/// happens shows nothing.
const SEEN_BY_SHELL: &[&str] = &[
    "accounts spoiled",
    "calls done",
    "calls started",
    "calls too late",
    "calls unknown",
    "channel appends not answered",
    "channel messages",
    "checkpoints",
    "client appends not answered",
    "clock jumps",
    "dead letters",
    "elections",
    "entries repeated",
    "inbox full",
    "inputs given up",
    "late landings",
    "log appends not answered",
    "log conflicts",
    "naps",
    "nodes cut off",
    "nodes deaf",
    "nodes ended by an input",
    "nodes killed",
    "nodes paused",
    "nodes stopped",
    "partitions released",
    "partitions taken by force",
    "records compressed",
    "records of several steps",
    "releases",
    "replies",
    "request faults",
    "saves not answered",
    "signals",
    "stale last reads",
    "tryings",
];

const SEEN_BY_MACHINE: &[&str] = &[
    "accounts spoiled",
    "calls done",
    "calls unknown",
    "channel messages",
    "checkpoints",
    "clock jumps",
    "dead letters",
    "inputs given up",
    "late landings",
    "nodes killed",
    "owners paused",
    "partitions taken by force",
    "records compressed",
    "records of several steps",
    "releases",
    "replies",
    "signals",
    "stale last reads",
    "tryings",
];

fn run_all(
    test: &str,
    default: u64,
    must_see: &[&'static str],
    mut run: impl FnMut(u64, bool) -> Outcome,
) {
    quiet_panics();
    let (seeds, verbose) = seeds(default);
    let is_full = seeds.len() as u64 >= default;
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in seeds {
        let outcome = run(seed, verbose);
        outcome.print_trace();
        for (what, count) in &outcome.counts {
            *counts.entry(what).or_default() += count;
        }
        outcome.assert_sound(test);
    }
    for (what, count) in &counts {
        println!("{count:>9} {what}");
    }
    let unseen: Vec<_> = must_see.iter().filter(|what| !counts.contains_key(**what)).collect();
    assert!(!is_full || unseen.is_empty(), "never seen: {unseen:?}");
}

#[test]
fn shell_without_faults() {
    run_all("shell_without_faults", 20, &[], |seed, verbose| {
        shell::run(&Mix { verbose, ..Mix::calm(seed) })
    });
}

#[test]
fn shell_survives() {
    run_all("shell_survives", 200, SEEN_BY_SHELL, |seed, verbose| {
        shell::run(&Mix { verbose, ..Mix::everything(seed) })
    });
}

#[test]
fn machine_survives() {
    run_all("machine_survives", 200, SEEN_BY_MACHINE, |seed, verbose| {
        machine::run(&Mix { verbose, ..Mix::everything(seed) })
    });
}

#[test]
fn same_seed_same_history() {
    quiet_panics();
    for seed in 0..20 {
        let mix = Mix::everything(seed);
        for run in [shell::run, machine::run] {
            let (first, second) = (run(&mix), run(&mix));
            assert_eq!(first.digest, second.digest, "seed {seed} has two histories");
            assert_eq!(first.counts, second.counts, "seed {seed} has two histories");
        }
    }
}
