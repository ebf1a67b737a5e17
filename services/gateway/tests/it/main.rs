//! The webhook edge over real HTTP: a real server, a real client, the embedded or the simulated bus behind it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod complaints;
mod edges;
mod fixture;
mod payloads;
mod tls;
mod variants;
