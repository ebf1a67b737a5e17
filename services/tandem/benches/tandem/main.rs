//! The figures of docs/benchmarks.md: each a named bench (`cargo bench -p tandem -- w1 w2`), all of them by `make bench`.
//!
//! The product runs as a process of its own on embedded storage, or as a fleet of processes on real servers; the generator
//! runs on the same machine and its CPU is listed apart. Nothing is asserted about time: the table printed at the end says what each figure includes and whether its
//! target was met. `BENCH_SCALE` (percent, default 100) makes every bench shorter or longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::needless_update,
    missing_docs,
    reason = "a benchmark fails by panicking and prints what it measured"
)]

mod accounts;
mod cluster;
mod decide;
mod entities;
mod harness;
mod latency;
mod pressure;
mod size;
mod w1;
mod w2;

use std::{future::Future, pin::Pin};

use harness::report::Report;

type Bench = fn(&Report) -> Pin<Box<dyn Future<Output = ()> + '_>>;

const BENCHES: &[(&str, Bench)] = &[
    ("w1", |report| Box::pin(w1::run(report))),
    ("w2", |report| Box::pin(w2::w2(report))),
    ("w3", |report| Box::pin(w2::w3(report))),
    ("latency", |report| Box::pin(latency::latency(report))),
    ("flood", |report| Box::pin(latency::flood(report))),
    ("decide", |report| Box::pin(decide::run(report))),
    ("memory", |report| Box::pin(size::memory(report))),
    ("growth", |report| Box::pin(size::growth(report))),
    ("start", |report| Box::pin(size::start(report))),
    ("pressure", |report| Box::pin(pressure::run(report))),
    ("cluster", |report| Box::pin(cluster::cluster(report))),
    ("routers", |report| Box::pin(cluster::routers(report))),
    ("accounts", |report| Box::pin(accounts::run(report))),
    ("entities", |report| Box::pin(entities::run(report))),
];

fn main() {
    chassis::listener::install_crypto_provider();
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let unknown = wanted.iter().find(|name| !BENCHES.iter().any(|(known, _)| known == name));
    if let Some(unknown) = unknown {
        let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        println!("no bench is called {unknown}; there are {}", known.join(", "));
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = Report::new();
    for (name, bench) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("# {name}");
            runtime.block_on(bench(&report));
        }
    }
    report.print();
}
