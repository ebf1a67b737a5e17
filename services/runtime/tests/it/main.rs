//! The node on real buses: `sim` in virtual time, `sqlite` on disk, a NATS server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod cluster;
mod failure;
mod format;
mod name;
mod nats;
mod node;
mod separated;
mod toy;
mod world;
