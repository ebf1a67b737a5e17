//! What the routers' metrics say of their leases: printed at the end of a run, whatever it shows.

use std::collections::BTreeMap;

use super::fleet::Fleet;

const RENEWED: &str = "tandem_runtime_lease_seconds";
const BETWEEN: &str = "tandem_runtime_lease_gap_seconds";
const TAKEN: &str = "tandem_runtime_take_seconds";

/// Prints for each router, since its last start, how long renewals took, how far apart they were, and how long partitions took to
/// be taken.
pub(crate) async fn tell_leases(fleet: &Fleet, routers: &[&'static str]) {
    for router in routers {
        let text = fleet.metrics(router).await;
        let told = [(RENEWED, "renewed in"), (BETWEEN, "between renewals"), (TAKEN, "taken in")];
        let told = told.map(|(name, what)| format!("{what} {}", Histogram::of(&text, name)));
        println!("leases: {router}: {}", told.join("; "));
    }
}

/// Counts by upper bound in seconds, as Prometheus has them: each with all that are smaller.
struct Histogram(BTreeMap<u64, f64>);

impl Histogram {
    fn of(text: &str, name: &str) -> Self {
        let mut counts = BTreeMap::new();
        let bucket = format!("{name}_bucket{{");
        for line in text.lines().filter(|line| line.starts_with(&bucket)) {
            let (labels, count) = line.rsplit_once(' ').unwrap();
            let bound = labels.split_once("le=\"").unwrap().1.split('"').next().unwrap();
            // `+Inf` is beyond all.
            let us = bound.parse::<f64>().map_or(u64::MAX, |seconds| (seconds * 1e6) as u64);
            *counts.entry(us).or_default() += count.parse::<f64>().unwrap();
        }
        Self(counts)
    }

    /// The bucket that a share of the samples lies within.
    fn within(&self, share: f64) -> String {
        let all = self.0.values().last().copied().unwrap_or_default();
        match self.0.iter().find(|(_, count)| **count >= all * share && all > 0.0) {
            Some((&u64::MAX, _)) => "more than 60 s".to_owned(),
            Some((us, _)) => format!("≤ {} ms", *us as f64 / 1e3),
            None => "-".to_owned(),
        }
    }
}

impl std::fmt::Display for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.0.values().last().copied().unwrap_or_default();
        let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|share| self.within(share));
        write!(f, "p50 {p50}, p99 {p99}, longest {longest} of {all}")
    }
}
