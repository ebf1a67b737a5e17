//! What a run has shown: rules broken, what happened how often, and the event log.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use runtime::shard::Alarm;

/// Most broken rules kept.
const BROKEN_MAX: usize = 20;

/// What must hold (design.md section 3, in terms of the toy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// What was acknowledged is stored.
    Acked,
    /// Every record continues the chain: one writer.
    Chain,
    /// Steps are decided in inbox order, none left out, none twice.
    Order,
    /// An input decides what the inbox holds.
    Input,
    /// Time of decisions never goes back.
    Time,
    /// A key is decided once.
    Once,
    /// The live state is the replay of the log.
    LiveState,
    /// A part that is saved is the replay of the log up to its position, and never goes back.
    SavedPart,
    /// What a checkpoint stands on is stored.
    Checkpoint,
    /// Nothing leaves before it is durable.
    Gate,
    /// Channel messages are numbered and taken without gap or repetition.
    Channel,
    /// A record states what it took of each channel.
    Taken,
    /// Money is neither made nor lost on the way.
    Money,
    /// A call starts once, in time, and is repeated by its lane's policy only.
    Call,
    /// Only what cannot be decided is dead-lettered.
    DeadLetter,
    /// After all faults are healed, everything is done in bounded time.
    Liveness,
    /// Nothing alarms that must not happen.
    Alarm,
    /// A node that was killed does nothing more.
    Dead,
}

/// Whether an alarm follows from what the simulation does to a sound runtime.
pub(crate) fn is_expected(alarm: Alarm) -> bool {
    matches!(
        alarm,
        Alarm::DeadLetter
            | Alarm::Trying
            | Alarm::WakeStuck
            | Alarm::Quarantined
            | Alarm::CheckpointBlocked
    )
}

/// The report of one run.
#[derive(Debug)]
pub(crate) struct Report {
    verbose: bool,
    pub(crate) broken: Vec<(Rule, String)>,
    pub(crate) trace: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    digest: DefaultHasher,
}

impl Report {
    pub(super) fn new(verbose: bool) -> Self {
        let (broken, trace, counts) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { verbose, broken, trace, counts, digest: DefaultHasher::new() }
    }

    pub(crate) fn note(&mut self, now_ms: u64, text: impl FnOnce() -> String) {
        if self.verbose {
            self.trace.push(format!("{now_ms:>9} {}", text()));
        }
    }

    pub(crate) fn broken(&mut self, now_ms: u64, rule: Rule, text: impl FnOnce() -> String) {
        if self.broken.len() >= BROKEN_MAX {
            return;
        }
        let text = format!("{now_ms} ms: {rule:?}: {}", text());
        if self.verbose {
            self.trace.push(format!("{now_ms:>9} BROKEN {text}"));
        }
        self.broken.push((rule, text));
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        self.count_many(what, 1);
    }

    pub(crate) fn count_many(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.counts.entry(what).or_default() += times;
        }
    }

    /// Makes something that leaves part of the run's digest.
    pub(super) fn mix(&mut self, now_ms: u64, what: &impl Hash) {
        now_ms.hash(&mut self.digest);
        what.hash(&mut self.digest);
    }

    /// Digest of everything that left.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }
}
