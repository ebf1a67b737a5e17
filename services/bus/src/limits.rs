//! Sizes and ranges that every adapter checks the same way.

use bytes::Bytes;

use crate::{
    AppendError, BusError, Checkpoint, INBOX_ENTRY_BYTES_MAX, LogAppendError, PartPut, PartitionId,
    RECORD_BYTES_MAX, VALUE_BYTES_MAX,
};

fn unknown_partition(partition: PartitionId, partitions: u16) -> Option<String> {
    (partition.0 >= partitions).then(|| format!("partition {partition} of {partitions}"))
}

/// Checks an inbox append before it is sent anywhere.
pub(crate) fn check_entry(
    partition: PartitionId,
    partitions: u16,
    entry: &Bytes,
) -> Result<(), AppendError> {
    if let Some(problem) = unknown_partition(partition, partitions) {
        return Err(AppendError::Unknown(problem));
    }
    if entry.len() > INBOX_ENTRY_BYTES_MAX {
        return Err(AppendError::TooLarge { bytes: entry.len(), max: INBOX_ENTRY_BYTES_MAX });
    }
    Ok(())
}

/// Checks a log append before it is sent anywhere.
pub(crate) fn check_record(
    partition: PartitionId,
    partitions: u16,
    record: &Bytes,
) -> Result<(), LogAppendError> {
    if let Some(problem) = unknown_partition(partition, partitions) {
        return Err(LogAppendError::Unknown(problem));
    }
    if record.len() > RECORD_BYTES_MAX {
        return Err(LogAppendError::TooLarge { bytes: record.len(), max: RECORD_BYTES_MAX });
    }
    Ok(())
}

/// Checks the partition of any other request.
pub(crate) fn check_partition(partition: PartitionId, partitions: u16) -> Result<(), BusError> {
    unknown_partition(partition, partitions)
        .map_or(Ok(()), |problem| Err(BusError::Unavailable(problem)))
}

fn check_value(what: &str, bytes: usize) -> Result<(), BusError> {
    if bytes > VALUE_BYTES_MAX {
        return Err(BusError::Unavailable(format!(
            "{what} of {bytes} bytes is larger than {VALUE_BYTES_MAX}"
        )));
    }
    Ok(())
}

/// Checks the sizes of a save.
pub(crate) fn check_puts(puts: &[PartPut]) -> Result<(), BusError> {
    puts.iter().try_for_each(|put| {
        check_value("a saved part", put.part.bytes.as_ref().map_or(0, Bytes::len))
    })
}

/// Checks the size of a checkpoint.
pub(crate) fn check_checkpoint(checkpoint: &Checkpoint) -> Result<(), BusError> {
    check_value("a checkpoint", checkpoint.bytes.len())
}
