//! CPU times, memory and metrics of the product.

use std::{collections::BTreeMap, time::Duration};

use chassis::clock::Clock;

/// Seconds of CPU, by what used them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu(BTreeMap<&'static str, f64>);

impl Cpu {
    /// Customers, agents and the Graph API: this process.
    pub(crate) const GENERATOR: &str = "generator";

    pub(crate) fn add(&mut self, component: &'static str, seconds: f64) {
        *self.0.entry(component).or_default() += seconds;
    }

    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let used = |(component, seconds): (&&'static str, &f64)| {
            (*component, seconds - before.of(component))
        };
        Self(self.0.iter().map(used).collect())
    }

    pub(crate) fn of(&self, component: &str) -> f64 {
        self.0.get(component).copied().unwrap_or_default()
    }

    pub(crate) fn generator_s(&self) -> f64 {
        self.of(Self::GENERATOR)
    }

    /// Everything but the generator: in a fleet the servers of NATS and Postgres, too.
    pub(crate) fn product_s(&self) -> f64 {
        self.0.values().sum::<f64>() - self.generator_s()
    }

    /// Microseconds of each component per message.
    pub(crate) fn each(&self, messages: f64) -> String {
        let each = |(component, seconds): (&&'static str, &f64)| {
            format!("{component} {:.0}", seconds / messages * 1e6)
        };
        self.0.iter().map(each).collect::<Vec<_>>().join(", ")
    }
}

/// User and system time of a running process.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    testkit::process::cpu(pid).unwrap().as_secs_f64()
}

/// This process's own.
pub(crate) fn own_cpu_s() -> f64 {
    cpu_s(std::process::id())
}

/// Sum of a metric over its labels.
pub(crate) fn sum(text: &str, name: &str) -> f64 {
    lines(text, name).map(|(_, value)| value).sum()
}

/// Values of a metric with their labels.
pub(crate) fn lines<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        let (labels, value) = rest.rsplit_once(' ')?;
        Some((labels, value.parse().ok()?))
    })
}

pub(crate) fn seconds(clock: &Clock, since_us: u64) -> f64 {
    Duration::from_micros(clock.boot_us() - since_us).as_secs_f64()
}

/// Milliseconds of microseconds.
#[expect(clippy::cast_precision_loss, reason = "a time in a report")]
pub(crate) fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// The bucket of the read model's lag that 99 % of the batches between two looks are in.
pub(crate) fn lag_p99_ms(before: &str, after: &str) -> f64 {
    const NAME: &str = "tandem_archive_lag_seconds_bucket";
    let buckets = |text: &str| -> Vec<(f64, f64)> {
        let bound = |labels: &str| {
            let told = labels.split_once("le=\"")?.1.split('"').next()?;
            told.parse::<f64>().ok()
        };
        lines(text, NAME).filter_map(|(labels, count)| Some((bound(labels)?, count))).collect()
    };
    let before = buckets(before);
    let known = |bound: f64| before.iter().find(|(b, _)| *b == bound).map_or(0.0, |(_, n)| *n);
    let during: Vec<(f64, f64)> =
        buckets(after).into_iter().map(|(bound, n)| (bound, n - known(bound))).collect();
    let all = during.iter().map(|(_, n)| *n).fold(0.0, f64::max);
    let found = during.iter().find(|(_, n)| *n >= all * 0.99);
    found.map_or(f64::NAN, |(bound, _)| bound * 1_000.0)
}
