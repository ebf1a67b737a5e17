//! The shell: supervised actors that drive shard machines on a bus.
//!
//! Root → one shard actor per owned partition → its committer, its inbox reader, one actor per live
//! entity. Calls run in tasks of the node and outlive their shard. No actor has a registry name.

pub(crate) mod calls;
pub(crate) mod committer;
pub(crate) mod context;
pub(crate) mod entity_actor;
mod perform;
pub(crate) mod publisher;
pub(crate) mod reader;
pub(crate) mod shard_actor;
pub(crate) mod takeover;
