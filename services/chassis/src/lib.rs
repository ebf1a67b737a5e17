//! What every process needs before it does anything of its own: time, tasks, sealing,
//! configuration, telemetry, health, listeners and an orderly end.
//!
//! Owns: the only calls to the operating system's clocks, the only wrapper around `tokio::spawn`,
//! the installation key, the product's configuration, the log and metric sinks.
//!
//! Must never know: what a conversation, a webhook, a partition or an agent's session is. It
//! depends on no other crate of this workspace.

pub mod clock;
pub mod config;
pub mod failpoint;
pub mod health;
pub mod listener;
pub mod seal;
pub mod shutdown;
pub mod task;
pub mod telemetry;
