//! The simulated bus, without faults, against the conformance suite.

use bus::{Bus, conformance::PARTITIONS, sim::SimBus};

async fn make() -> (Bus, SimBus) {
    let sim = SimBus::new(7, PARTITIONS);
    (sim.node("node-1"), sim)
}

bus::conformance_suite!(#[tokio::test(start_paused = true)], make);
