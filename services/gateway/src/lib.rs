//! The HTTP edge where Meta's webhooks come in.
//!
//! Owns: the handshake, signatures, limits of the listener, the translation of webhook items into inputs, and
//! the promise of invariant 1: 200 only after everything in the POST is durable. Must never know: what an
//! entity decides, who owns a partition, what is in the read model.

pub mod directory;
mod fair;
pub mod handler;
mod intake;
pub mod metrics;
pub mod server;
mod translate;
mod turns;

pub use directory::{Directory, DirectoryError};
pub use handler::Handler;
pub use server::{Limits, Server};
