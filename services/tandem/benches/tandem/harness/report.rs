//! The table of figures, ready for docs/benchmarks.md.

use std::{cell::RefCell, fmt::Write as _};

/// Where a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Nothing was promised.
    None,
    AtLeast(f64),
    AtMost(f64),
}

struct Row {
    bench: &'static str,
    figure: String,
    value: f64,
    unit: &'static str,
    target: Target,
    includes: String,
}

/// Collects rows.
pub(crate) struct Report {
    rows: RefCell<Vec<Row>>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { rows: RefCell::default() }
    }

    pub(crate) fn row(
        &self,
        bench: &'static str,
        figure: impl Into<String>,
        (value, unit): (f64, &'static str),
        target: Target,
        includes: impl Into<String>,
    ) {
        let row =
            Row { bench, figure: figure.into(), value, unit, target, includes: includes.into() };
        println!("{}: {}: {} {}", row.bench, row.figure, number(row.value), row.unit);
        self.rows.borrow_mut().push(row);
    }

    pub(crate) fn print(&self) {
        println!("\nmachine: {}; commit: {}\n", machine(), commit());
        println!("| bench | figure | value | target | met | what it includes |");
        println!("|---|---|---|---|---|---|");
        for row in self.rows.borrow().iter() {
            let (target, met) = match row.target {
                Target::None => (String::new(), ""),
                Target::AtLeast(least) => (format!("≥ {}", number(least)), yes(row.value >= least)),
                Target::AtMost(most) => (format!("≤ {}", number(most)), yes(row.value <= most)),
            };
            println!(
                "| {} | {} | {} {} | {target} | {met} | {} |",
                row.bench,
                row.figure,
                number(row.value),
                row.unit,
                row.includes
            );
        }
    }
}

fn yes(met: bool) -> &'static str {
    if met { "yes" } else { "**no**" }
}

/// Three digits that matter, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        let _ = write!(text, "{digit}");
    }
    text
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{cpus} cores, {}, load {load} at the end", model.map_or("?", |(_, m)| m.trim()))
}

fn commit() -> String {
    let asked = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    asked.map_or_else(|_| "?".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().into())
}
