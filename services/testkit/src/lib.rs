//! Development only: what tests of several crates share.
//!
//! Owns: the launcher of real NATS servers and clusters, of Postgres servers and of an S3 server, links that can be cut, certificates,
//! bounded waits, free ports, temporary directories, what processes use, and the generator of the
//! reference pages.
//!
//! Must never know: a product type. It depends on no other crate of this workspace, and nothing but
//! tests depends on it.

pub mod certificates;
mod file_system;
mod link;
pub mod nats;
mod net;
pub mod postgres;
pub mod powercut;
pub mod process;
pub mod reference;
pub mod s3;
mod wait;

pub use file_system::{bytes_below, repository_root, temp_dir};
pub use link::Link;
pub use net::free_port;
pub use wait::{TimedOut, wait_for, wait_until, wait_until_blocking};
