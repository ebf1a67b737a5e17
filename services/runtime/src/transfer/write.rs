//! Writing into the target. Every request is repeated while the bus is out of reach.

use std::{collections::BTreeMap, future::Future, time::Duration};

use bus::{
    AppendError, Bus, BusError, CodecError, FormatLevel, INBOX_ENTRY_BYTES_MAX, InboxEntry, Input,
    LogAppendError, PartPut, PartitionId, Record, RecordBody, RecordHead,
};
use bytes::Bytes;

use super::{Mover, TransferError};
use crate::shard::{Link, RESERVED_KINDS, first_checkpoint, input_bytes_max};

/// Attempts of one request, with a pause between two: longer than an election of the bus takes.
const ATTEMPTS_MAX: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);
/// Most parts and bytes that are written at once.
const PARTS_MAX: usize = 2_048;
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Room in an inbox entry for all that is not an input.
const ENTRY_OVERHEAD: usize = 64;

/// Asks until there is an answer.
pub(crate) async fn ask<T, F: Future<Output = Result<T, BusError>>>(
    mut request: impl FnMut() -> F,
) -> Result<T, BusError> {
    let mut attempts = 1;
    loop {
        match request().await {
            Err(BusError::Unavailable(what)) if attempts < ATTEMPTS_MAX => {
                tracing::debug!(what, "the move waits for the bus");
                attempts += 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Parts on their way, by partition of the target.
#[derive(Default)]
struct Batch {
    puts: BTreeMap<PartitionId, Vec<PartPut>>,
    parts: usize,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, partition: PartitionId, put: PartPut) {
        self.parts += 1;
        self.bytes += put.part.bytes.as_ref().map_or(0, Bytes::len);
        self.puts.entry(partition).or_default().push(put);
    }

    fn is_full(&self) -> bool {
        self.parts >= PARTS_MAX || self.bytes >= BYTES_MAX
    }

    async fn write(&mut self, target: &Bus) -> Result<(), BusError> {
        for (partition, puts) in std::mem::take(&mut self.puts) {
            ask(|| target.states.put(partition, puts.clone())).await?;
        }
        (self.parts, self.bytes) = (0, 0);
        Ok(())
    }
}

/// Copies the saved parts of all entities but the runtime's own; answers how many. Their positions are of lower generations
/// than whatever the target decides.
pub(super) async fn parts(source: &Bus, target: &Bus) -> Result<u64, TransferError> {
    let (mut count, mut batch) = (0, Batch::default());
    for partition in (0..source.partitions).map(PartitionId) {
        let mut from = None;
        loop {
            let page = ask(|| source.states.scan(partition, from.clone())).await?;
            for put in page.parts.into_iter().filter(|put| put.entity.kind < RESERVED_KINDS) {
                count += 1;
                batch.push(put.entity.partition(target.partitions), put);
                if batch.is_full() {
                    batch.write(target).await?;
                }
            }
            let Some(next) = page.next else { break };
            from = Some(next);
        }
    }
    batch.write(target).await?;
    Ok(count)
}

/// Writes parts of the partitions' own entities.
pub(super) async fn own_parts(
    target: &Bus,
    parts: BTreeMap<PartitionId, Vec<PartPut>>,
) -> Result<(), TransferError> {
    let mut batch = Batch::default();
    for (partition, puts) in parts {
        for put in puts {
            batch.push(partition, put);
            if batch.is_full() {
                batch.write(target).await?;
            }
        }
    }
    Ok(batch.write(target).await?)
}

/// Appends inputs, in entries as large as they may be.
pub(super) async fn inbox(
    target: &Bus,
    partition: PartitionId,
    inputs: &[Input],
) -> Result<(), TransferError> {
    for entry in entries(inputs)? {
        let mut attempts = 1;
        // One that was stored twice does no harm: deciding is idempotent per key, and per number of a channel.
        while let Err(error) = target.inbox.append(partition, entry.clone()).await {
            if !matches!(error, AppendError::Unknown(_)) || attempts >= ATTEMPTS_MAX {
                return Err(error.into());
            }
            attempts += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

fn entries(inputs: &[Input]) -> Result<Vec<Bytes>, CodecError> {
    let mut entries = Vec::new();
    let (mut inputs, mut room) = (inputs.iter().peekable(), 0);
    let mut entry: Vec<Input> = Vec::new();
    while let Some(input) = inputs.next() {
        let bytes =
            input_bytes_max(input) + input.reply_to.as_ref().map_or(0, |topic| topic.len() + 16);
        if bytes > room && !entry.is_empty() {
            entries.push(InboxEntry::new(std::mem::take(&mut entry)).encode()?);
        }
        if entry.is_empty() {
            room = INBOX_ENTRY_BYTES_MAX - ENTRY_OVERHEAD;
        }
        room = room.saturating_sub(bytes);
        entry.push(input.clone());
        if inputs.peek().is_none() {
            entries.push(InboxEntry::new(std::mem::take(&mut entry)).encode()?);
        }
    }
    Ok(entries)
}

/// Opens a log, and makes the checkpoint from which it is served.
pub(super) async fn log(
    target: &Bus,
    partition: PartitionId,
    head: RecordHead,
    mover: &Mover,
    format: FormatLevel,
    (arrived, last_now_ms): (u64, u64),
) -> Result<(), TransferError> {
    let body = RecordBody::Epoch { node: mover.node.clone(), now_ms: mover.now_ms };
    let record = Record::at(format, head, body).encode()?;
    let seq = open(target, partition, &head, record).await?;
    let checkpoint = first_checkpoint(Link { seq, head }, partition, arrived, last_now_ms)?;
    Ok(ask(|| target.states.put_checkpoint(partition, checkpoint.clone())).await?)
}

/// An unknown outcome is resolved by writing (design.md 4.2).
async fn open(
    target: &Bus,
    partition: PartitionId,
    head: &RecordHead,
    record: Bytes,
) -> Result<u64, TransferError> {
    let mut attempts = 1;
    loop {
        match target.log.append(partition, 0, record.clone()).await {
            Ok(seq) => return Ok(seq),
            Err(LogAppendError::Unknown(_)) if attempts < ATTEMPTS_MAX => {}
            Err(LogAppendError::Conflict) => {
                if let Some((seq, bytes)) = ask(|| target.log.last(partition)).await? {
                    return match Record::decode_head(&bytes)? == *head {
                        true => Ok(seq),
                        false => Err(TransferError::NotEmpty { partition, what: "records" }),
                    };
                }
                if attempts >= ATTEMPTS_MAX {
                    return Err(LogAppendError::Conflict.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        attempts += 1;
        tokio::time::sleep(PAUSE).await;
    }
}
