//! Everything of a POST into the inboxes of its partitions.

use std::collections::BTreeMap;

use bus::{AppendError, Bus, EntityId, INBOX_ENTRY_BYTES_MAX, InboxEntry, Input, PartitionId};
use bytes::Bytes;
use futures::{TryStreamExt as _, stream::FuturesUnordered};

/// What an input takes in an entry beside its body, at most (header, names of fields), bytes.
const INPUT_OVERHEAD: usize = 1024;

/// Appends all inputs: one entry per partition where they fit, in order within a partition, partitions side
/// by side. Answers when all are durable; on an error some may be, which the sender's repetition makes
/// harmless (deciding is idempotent per key).
pub(crate) async fn append_all(
    bus: &Bus,
    by_partition: BTreeMap<PartitionId, Vec<Input>>,
) -> Result<(), AppendError> {
    by_partition
        .into_iter()
        .map(|(partition, inputs)| append_partition(bus, partition, inputs))
        .collect::<FuturesUnordered<_>>()
        .try_collect()
        .await
}

async fn append_partition(
    bus: &Bus,
    partition: PartitionId,
    inputs: Vec<Input>,
) -> Result<(), AppendError> {
    for entry in entries(inputs) {
        let bytes = entry.encode().map_err(|error| AppendError::Unknown(error.to_string()))?;
        bus.inbox.append(partition, bytes).await?;
    }
    Ok(())
}

/// Cuts inputs into entries of at most [`INBOX_ENTRY_BYTES_MAX`].
fn entries(inputs: Vec<Input>) -> Vec<InboxEntry> {
    let mut entries = Vec::new();
    let mut current = Vec::new();
    let mut size = 0;
    for input in inputs {
        let bytes = input.body.len() + INPUT_OVERHEAD;
        if size + bytes > INBOX_ENTRY_BYTES_MAX && !current.is_empty() {
            entries.push(InboxEntry::new(std::mem::take(&mut current)));
            size = 0;
        }
        size += bytes;
        current.push(input);
    }
    if !current.is_empty() {
        entries.push(InboxEntry::new(current));
    }
    entries
}

/// Tells the doors of the numbers what came in: inbound counts against a number's rate (design.md 4.5).
pub(crate) async fn announce(bus: &Bus, inbound: &BTreeMap<EntityId, u32>) {
    for (number, count) in inbound {
        let topic = format!("inbound.{:032x}", u128::from_be_bytes(number.hash));
        let body = Bytes::copy_from_slice(&count.to_be_bytes());
        if let Err(error) = bus.signals.publish(&topic, body).await {
            tracing::debug!(%error, "an inbound count was not published");
        }
    }
}
