//! The Meta simulator and judge.
//!
//! Is: a separate process that plays Meta's Graph API and webhooks, the customers, the phones of coexistence numbers and the
//! agents, and then judges what the product did. It sees only what crosses the public edges.
//!
//! Owns: its own truth of every chat, its own reading of Meta's rules (validation, windows, rates, escaping), the verdicts.
//!
//! Must never know: any code of the product but the generated gRPC client of crate `api`; the product's counters and storage.
//!
//! One lock guards the simulated world (`sim`); tasks around it move bytes: the Graph endpoint (`graph`), workers that post
//! webhooks (`webhook`), agents (`agents`). The judge (`judge`) is fed events and can be tested without any of them.

mod agenda;
mod agents;
mod cli;
mod clock;
mod control;
mod export;
mod faults;
#[cfg(test)]
mod fixture;
mod graph;
mod hand;
mod http;
mod judge;
mod outbox;
mod output;
mod remote;
mod report;
mod rules;
mod sabotage;
mod scenario;
#[cfg(test)]
mod selftest;
mod settle;
mod sim;
mod stats;
mod table;
mod task;
mod wamid;
mod webhook;
mod world;

pub use cli::{Cli, Error, run};
