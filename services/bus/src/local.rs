//! Signals and leases inside one process: what the embedded bus and the simulated one share.

mod leases;
mod signals;

pub(crate) use leases::LocalLeases;
pub(crate) use signals::{LocalSignalStream, LocalSignals, SIGNALS_BEHIND_MAX, check_topic};
