//! Findings: a verdict, a kind, how often, and a few examples to debug with. Kinds never hold personal data.

use std::collections::BTreeMap;

use serde::Serialize;

const EXAMPLES: usize = 5;

/// The four counts of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Lost,
    Duplicated,
    Violation,
    /// A second attempt of a send whose answer and status the simulator itself kept back: allowed.
    RepeatedUnknown,
}

/// All findings of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    found: BTreeMap<(Verdict, &'static str), Found>,
}

#[derive(Clone, Debug, Default)]
struct Found {
    count: u64,
    examples: Vec<String>,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FindingLine {
    verdict: Verdict,
    kind: &'static str,
    count: u64,
    examples: Vec<String>,
}

impl Findings {
    pub(crate) fn add(
        &mut self,
        verdict: Verdict,
        kind: &'static str,
        example: impl FnOnce() -> String,
    ) {
        let found = self.found.entry((verdict, kind)).or_default();
        found.count += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(example());
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (key, theirs) in &other.found {
            let ours = self.found.entry(*key).or_default();
            ours.count += theirs.count;
            let room = EXAMPLES.saturating_sub(ours.examples.len());
            ours.examples.extend(theirs.examples.iter().take(room).cloned());
        }
    }

    pub(crate) fn count(&self, verdict: Verdict) -> u64 {
        self.found.iter().filter(|((v, _), _)| *v == verdict).map(|(_, found)| found.count).sum()
    }

    pub(crate) fn lines(&self) -> Vec<FindingLine> {
        let line = |((verdict, kind), found): (&(Verdict, &'static str), &Found)| FindingLine {
            verdict: *verdict,
            kind,
            count: found.count,
            examples: found.examples.clone(),
        };
        self.found.iter().map(line).collect()
    }

    #[cfg(test)]
    pub(crate) fn kinds(&self) -> Vec<(Verdict, &'static str, u64)> {
        self.found.iter().map(|((verdict, kind), found)| (*verdict, *kind, found.count)).collect()
    }
}
