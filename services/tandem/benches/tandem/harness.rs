//! What every bench needs: the product with a configuration of a given shape, in one process or as a fleet; webhooks, a poster
//! that costs little, agents, a Graph API that answers at once; what was stored, and what storing it costs at least; CPU
//! times, and the report.

pub(crate) mod desk;
pub(crate) mod fleet;
pub(crate) mod graph;
pub(crate) mod measure;
pub(crate) mod poster;
pub(crate) mod programs;
pub(crate) mod raw;
pub(crate) mod report;
pub(crate) mod stored;
pub(crate) mod webhook;
pub(crate) mod world;

/// `n` at full scale, as `BENCH_SCALE` (percent) says; at least 1.
pub(crate) fn scaled(n: u32) -> u32 {
    let told = std::env::var("BENCH_SCALE").ok();
    let percent =
        told.map_or(100, |text| text.parse().expect("BENCH_SCALE is a number of percent"));
    (n / 100 * percent).max(1)
}
