//! The node on real buses: `sim` in virtual time, `sqlite` on disk.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod node;
mod toy;
mod world;
