//! Throws away what the stored checkpoints need no more, at any moment, as the product does once it is in a segment.

use std::time::Duration;

use bus::{Bus, PartitionId};
use runtime::shard::Retention;
use tokio::time::sleep;

use crate::check::Judge;

/// Much more often than the product: whoever still needs something must meet the gap.
const EVERY: Duration = Duration::from_millis(200);

pub(super) async fn run(bus: Bus, judge: Judge) {
    loop {
        for partition in (0..bus.partitions).map(PartitionId) {
            sleep(EVERY).await;
            let Ok(Some(checkpoint)) = bus.states.checkpoint(partition).await else { continue };
            let keep = Retention::of(&checkpoint).unwrap();
            if bus.inbox.trim(partition, keep.inbox_through).await.is_ok_and(|gone| gone > 0) {
                judge.count("inboxes trimmed");
            }
            if bus.log.trim(partition, keep.log_through).await.is_ok_and(|gone| gone > 0) {
                judge.count("logs trimmed");
            }
        }
    }
}
