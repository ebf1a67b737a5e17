//! What a run came to, and how it is repeated.

use std::collections::BTreeMap;

use crate::check::{Report, Rule};

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    /// Of all that was stored and all that left.
    pub(crate) digest: String,
    pub(crate) broken: Vec<(Rule, String)>,
    pub(crate) trace: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Outcome {
    pub(crate) fn of(seed: u64, stored: &str, report: &mut Report) -> Self {
        let digest = format!("{stored} {:016x}", report.digest());
        Self {
            seed,
            digest,
            broken: std::mem::take(&mut report.broken),
            trace: std::mem::take(&mut report.trace),
            counts: std::mem::take(&mut report.counts),
        }
    }

    pub(crate) fn print_trace(&self) {
        for line in &self.trace {
            println!("{line}");
        }
    }

    /// Ends the test when a rule is broken, saying how to repeat it.
    pub(crate) fn assert_sound(&self, test: &str) {
        let texts: Vec<&str> = self.broken.iter().map(|(_, text)| text.as_str()).collect();
        assert!(
            texts.is_empty(),
            "seed {seed} breaks what must hold:\n  {}\nrepeat it with its event log:\n  \
             TANDEM_SEED={seed} cargo test -p runtime --all-features --test simulation {test} -- --nocapture",
            texts.join("\n  "),
            seed = self.seed,
        );
    }
}

fn read(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// `TANDEM_SEED`: run exactly this seed and print its event log.
pub(crate) fn one_seed() -> Option<u64> {
    read("TANDEM_SEED")
}

/// The seeds to run, and whether to print event logs. `TANDEM_SEEDS`: so many instead of `default`.
pub(crate) fn seeds(default: u64) -> (Vec<u64>, bool) {
    match one_seed() {
        Some(seed) => (vec![seed], true),
        None => ((0..read("TANDEM_SEEDS").unwrap_or(default)).collect(), false),
    }
}
