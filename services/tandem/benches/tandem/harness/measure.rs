//! CPU times, memory and metrics of the product.

use std::time::Duration;

use chassis::clock::Clock;

/// User and system time of a process (proc(5), fields 14 and 15, at 100 ticks a second).
pub(crate) fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks: u32 =
        after_name.split(' ').skip(11).take(2).map(|n| n.parse::<u32>().unwrap()).sum();
    f64::from(ticks) / 100.0
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
