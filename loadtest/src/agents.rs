//! The agents and programs: gRPC clients of the product's desk, and the readers of its threads. All that is known of the public API is here.

mod brain;
mod client;
mod directory;
mod program;
mod reader;

use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataValue};

use crate::sim::Sim;
use crate::task;

pub(crate) use reader::{ReadError, probe_isolation, read_threads, read_waiting};

/// Starts every agent and program; they connect once the desk's address is known.
pub(crate) fn start(sim: &Arc<Sim>) {
    if sim.scenario.traffic.bulk_per_s > 0.0 {
        for (business, _) in sim.world.businesses.iter() {
            task::spawn("program", program::live(Arc::clone(sim), business));
        }
    }
    if sim.scenario.desk.absent {
        return;
    }
    for (agent, _) in sim.world.agents.iter() {
        task::spawn("agent", client::live(Arc::clone(sim), agent));
    }
}

/// Metadata for `authorization`. Tokens of a scenario are hexadecimal, so they always are valid metadata.
fn bearer(token: &str) -> Option<MetadataValue<Ascii>> {
    format!("Bearer {token}").parse().ok()
}
