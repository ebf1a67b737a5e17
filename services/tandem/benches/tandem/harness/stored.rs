//! What a product has stored.

use std::path::Path;

use bus::{Bus, EntityId, PartPut, PartitionId, ReadLimit, RecordBody, SavedPart, sqlite::Options};
use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::programs::PARTITIONS;

/// The embedded bus in a directory that nobody holds.
pub(crate) fn open(dir: &Path) -> Bus {
    bus::sqlite::open(dir, Options { partitions: PARTITIONS, ..Options::default() }).unwrap()
}

fn partitions(bus: &Bus) -> impl Iterator<Item = PartitionId> + use<> {
    (0..bus.partitions).map(PartitionId)
}

/// Entries of all inboxes that are not trimmed.
pub(crate) async fn entries(bus: &Bus) -> Vec<Bytes> {
    let mut found = Vec::new();
    for partition in partitions(bus) {
        let end = bus.inbox.last(partition).await.unwrap();
        let mut after = 0;
        while after < end {
            // What is trimmed is passed over.
            for (seq, bytes) in
                bus.inbox.read(partition, after, ReadLimit::default()).await.unwrap()
            {
                after = seq;
                found.push(bytes);
            }
        }
    }
    found
}

/// Inputs of all inboxes that are not trimmed.
pub(crate) async fn inputs(bus: &Bus) -> Vec<bus::Input> {
    let entries = entries(bus).await;
    entries.iter().flat_map(|bytes| bus::InboxEntry::decode(bytes).unwrap().inputs).collect()
}

/// Records of all logs that are not trimmed.
pub(crate) async fn records(bus: &Bus) -> Vec<Bytes> {
    let mut found = Vec::new();
    for partition in partitions(bus) {
        let end = bus.log.last(partition).await.unwrap().map_or(0, |(seq, _)| seq);
        let mut after = 0;
        while after < end {
            for (seq, bytes) in bus.log.read(partition, after, ReadLimit::default()).await.unwrap()
            {
                after = seq;
                found.push(bytes);
            }
        }
    }
    found
}

/// Some conversations that the logs tell of.
pub(crate) async fn conversations(bus: &Bus) -> Vec<EntityId> {
    let mut found = std::collections::BTreeSet::new();
    for bytes in records(bus).await {
        if let RecordBody::Steps(body) = bus::Record::decode(&bytes).unwrap().body {
            let entities = body.steps.iter().map(|step| step.entity);
            found.extend(entities.filter(|entity| entity.kind == 1));
        }
    }
    found.into_iter().take(4_000).collect()
}

/// The saved part of a real conversation; a clean stop saves them all.
pub(crate) async fn conversation(bus: &Bus) -> SavedPart {
    let real = conversations(bus).await[0];
    let parts = bus.states.load(real.partition(bus.partitions), real).await.unwrap();
    parts.into_iter().next().expect("a conversation is saved at a clean stop")
}

/// Saves copies of a conversation under other names, `together` of a partition in one call, `at_once` calls at once.
pub(crate) async fn fill(bus: &Bus, part: SavedPart, copies: u32, together: u32, at_once: usize) {
    let partitions = u32::from(bus.partitions);
    let batches = (0..copies / together).map(|batch| {
        let (bus, part) = (bus.clone(), part.clone());
        let partition = PartitionId(u16::try_from(batch % partitions).unwrap());
        async move {
            let puts = (0..together).map(|n| {
                let n = u64::from(batch) * u64::from(together) + u64::from(n);
                PartPut { entity: copy(n, partition), part: part.clone() }
            });
            bus.states.put(partition, puts.collect()).await.unwrap();
        }
    });
    stream::iter(batches).buffer_unordered(at_once).collect::<Vec<()>>().await;
}

/// The name of copy `n`, in a partition; scattered as hashes are. The low byte decides the partition.
pub(crate) fn copy(n: u64, partition: PartitionId) -> EntityId {
    let high = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&(high & !0xFF | u64::from(partition.0)).to_le_bytes());
    hash[8..].copy_from_slice(&n.to_le_bytes());
    EntityId { kind: 1, hash }
}
