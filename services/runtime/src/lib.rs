//! Durable actors on a bus: nodes own partitions, partitions decide inputs in order, and nothing leaves
//! before the record that caused it is durable.
//!
//! Owns: ownership and fencing, sequencing, the gate, channels, calls, timers, checkpoints, passivation,
//! poison. Must never know: what an entity is about (see [`host`]), or which bus it runs on.

pub mod host;

pub use bus;
