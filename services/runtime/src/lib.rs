//! Durable actors on a bus: nodes own partitions, partitions decide inputs in order, and nothing leaves
//! before the record that caused it is durable.
//!
//! Owns: ownership and fencing, sequencing, the gate, channels, calls, timers, checkpoints, passivation,
//! poison. Must never know: what an entity is about (see [`host`]), or which bus it runs on.
//!
//! Two layers: [`shard`] is a machine without I/O that decides everything about one partition; the
//! [`Node`] is the shell of supervised actors that drives it on a bus.

pub mod host;
pub mod metrics;
pub mod shard;
pub mod transfer;

mod call_return;
mod format_level;
mod node;
mod random;
mod settings;
mod shell;

pub use bus;
pub use call_return::CallReturn;
pub use chassis::failpoint;
pub use format_level::{begin_format_level, format_level, store_format_level};
pub use node::{
    Node, NodeError, NodeOptions, NodeView, NodeWatch, Owners, PartitionOwner, PartitionStatus,
    ProcessView, Readiness, Survey, drain_node, move_partition, raise_format_level, survey,
};
pub use random::Random;
pub use settings::{Breaks, Placement, Settings, ShardSettings};
pub use shell::takeover::TakeOverError;
