//! Tandem's commands as a library: what the binary runs, and the stage on which the demo and the process tests
//! play (product and simulator as real processes side by side).
//!
//! Owns: assembly of services into processes. Must never know: how any of them decides.

mod agent;
mod backup;
mod bucket;
mod check;
pub mod cli;
mod cluster;
mod demo;
mod desk_client;
mod embedded;
mod flow;
mod format;
#[cfg(test)]
mod frames;
mod keys;
mod operator;
mod process;
mod read_model;
mod rebuild;
mod restore;
pub mod stage;
mod view;
