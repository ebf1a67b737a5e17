//! The node on real buses: `sim` in virtual time, `sqlite` on disk.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod failure;
mod node;
mod toy;
mod world;
