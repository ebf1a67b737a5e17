//! Signals and leases inside one process: what the embedded bus and the simulated one share.

mod leases;
mod signals;

pub(crate) use leases::LocalLeases;
pub(crate) use signals::{LocalSignals, check_topic};
