//! The raw cost of messages: a bus in this process doing append + read + log append of the same bytes.

use std::sync::Arc;

use bus::{Bus, LogAppendError, PartitionId, RECORD_BYTES_MAX, ReadLimit};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};

use super::{
    measure::{own_cpu_s, seconds},
    stored,
};

/// Mean bytes of the product's inbox and log per message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) input: usize,
    pub(crate) step: usize,
}

impl Sizes {
    /// Of what trimming has left.
    pub(crate) async fn of(bus: &Bus) -> Self {
        let (entries, records) = (stored::entries(bus).await, stored::records(bus).await);
        let inputs_of = |bytes: &Bytes| bus::InboxEntry::decode(bytes).unwrap().inputs.len();
        let steps_of = |bytes: &Bytes| match bus::Record::decode(bytes).unwrap().body {
            bus::RecordBody::Steps(body) => body.steps.len(),
            _ => 0,
        };
        let inputs: usize = entries.iter().map(inputs_of).sum();
        let steps: usize = records.iter().map(steps_of).sum();
        println!("sizes are of {inputs} inputs and {steps} steps that are not trimmed");
        assert!(inputs > 0 && steps > 0, "everything is trimmed");
        let bytes = |values: &[Bytes]| values.iter().map(Bytes::len).sum::<usize>();
        Self { input: bytes(&entries) / inputs, step: bytes(&records) / steps }
    }
}

/// How much is done, and how much of it together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) messages: u32,
    pub(crate) sizes: Sizes,
    /// Inputs of one inbox entry.
    pub(crate) entry: u32,
    /// Appends to inboxes under way at once; at least one of each partition.
    pub(crate) at_once: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub(crate) per_s: f64,
    /// CPU of this process.
    pub(crate) cpu_us: f64,
}

/// Appends, reads and decides nothing, on a bus that nobody else uses.
pub(crate) async fn run(bus: &Bus, work: Work) -> Raw {
    let clock = Clock::system();
    let (begun_us, cpu_s) = (clock.boot_us(), own_cpu_s());
    let partitions = u32::from(bus.partitions);
    let entries = work.messages / work.entry / partitions;
    let owners = (0..bus.partitions).map(|partition| {
        let own = own(bus.clone(), PartitionId(partition), work, entries);
        task::spawn(TaskKind::Call, "owner", own)
    });
    let writers = (0..work.at_once).map(|writer| {
        let write = write(bus.clone(), work, writer, entries);
        task::spawn(TaskKind::Call, "writer", write)
    });
    for task in writers.chain(owners).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let n = f64::from(entries * partitions * work.entry);
    let raw = Raw { per_s: n / seconds(&clock, begun_us), cpu_us: (own_cpu_s() - cpu_s) / n * 1e6 };
    println!("raw, {} an entry, {} appends at once: {:.0}/s", work.entry, work.at_once, raw.per_s);
    raw
}

/// Appends its share of a partition's entries, one after the other.
async fn write(bus: Bus, work: Work, writer: u32, entries: u32) {
    let partitions = u32::from(bus.partitions);
    let partition = PartitionId(u16::try_from(writer % partitions).unwrap());
    let value = Bytes::from(vec![7; work.sizes.input * usize::try_from(work.entry).unwrap()]);
    let mut n = writer / partitions;
    while n < entries {
        bus.inbox.append(partition, value.clone()).await.unwrap();
        n += work.at_once / partitions;
    }
}

/// Reads the inbox and appends one record per read, of a step's bytes for every input read.
async fn own(bus: Bus, partition: PartitionId, work: Work, entries: u32) {
    let steps = work.sizes.step * usize::try_from(work.entry).unwrap();
    let value: Arc<[u8]> = vec![7; steps].into();
    let (mut after, mut last, mut seen) = (0, 0, 0);
    while seen < entries {
        let values = (RECORD_BYTES_MAX / steps).clamp(1, 256);
        let limit = ReadLimit { values, ..ReadLimit::default() };
        let read = bus.inbox.read(partition, after, limit).await.unwrap();
        after = read.last().unwrap().0;
        seen += u32::try_from(read.len()).unwrap();
        let record = Bytes::from(value.repeat(read.len()));
        last = append(&bus, partition, last, record).await;
    }
}

/// What may not be stored is sent again (design.md 4.2); nobody else appends.
async fn append(bus: &Bus, partition: PartitionId, expected_last: u64, record: Bytes) -> u64 {
    loop {
        match bus.log.append(partition, expected_last, record.clone()).await {
            Ok(seq) => return seq,
            Err(LogAppendError::Unknown(_)) => {}
            Err(LogAppendError::Conflict) => {
                return bus.log.last(partition).await.unwrap().unwrap().0;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The one of the highest rate.
pub(crate) fn best(found: &[Raw]) -> Raw {
    let by_rate = |one: &&Raw, other: &&Raw| one.per_s.total_cmp(&other.per_s);
    *found.iter().max_by(by_rate).unwrap()
}
