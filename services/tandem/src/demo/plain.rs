//! Progress where nobody can watch: a line a second.

use std::time::Duration;

use chassis::clock::Clock;
use serde_json::Value;

use crate::{
    cli::say,
    stage::{Product, Stage},
    view::{LiveView, Sampler},
};

/// Tells how it goes for so long; answers the last state.
pub(super) async fn progress(
    seconds: u64,
    stage: &Stage,
    product: &Product,
    clock: &Clock,
) -> anyhow::Result<LiveView> {
    let sampler = Sampler::new(clock, &stage.simulator.control)?;
    let mut view = LiveView::default();
    let mut last = None;
    let begun_ms = clock.boot_ms();
    loop {
        let elapsed_ms = clock.boot_ms().saturating_sub(begun_ms);
        if elapsed_ms >= seconds * 1000 {
            return Ok(view);
        }
        tokio::time::sleep(Duration::from_millis((seconds * 1000 - elapsed_ms).min(1000))).await;
        let sample = sampler.take(Some(product.addresses.admin)).await?;
        view.elapsed_ms = clock.boot_ms().saturating_sub(begun_ms);
        view.product_runs(product.id());
        view.show(&sample, last.as_ref());
        let n = |key: &str| sample.report.get(key).and_then(Value::as_u64).unwrap_or(0);
        say(&format!(
            "{:>4} s  in {:>6}  acked {:>6}  bot {:>5}  offers {:>5}  accepted {:>5}  desk {:>5}  phone {:>4}  \
             sent {:>6}  delivered {:>6}",
            view.elapsed_ms / 1000,
            n("inbound"),
            n("acked"),
            n("bot_answered"),
            n("offers"),
            n("accepted"),
            n("desk_replies"),
            n("phone_echoes"),
            n("sends"),
            n("delivered"),
        ));
        last = Some(sample);
    }
}
