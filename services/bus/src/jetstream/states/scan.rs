//! Every bucket of a partition, in the order they were last written.

use async_nats::jetstream::{Context, message::StreamMessage};
use bytes::Bytes;

use super::{
    super::{names::Names, publish::next_of},
    bucket::{Bucket, Content},
};
use crate::{BusError, PartPut, PartitionId, ScanMark, ScanPage};

/// Buckets of one page, each a read of its own.
const BUCKETS: usize = 64;

/// The buckets from `from` on: a sequence of the stream. A split that was given up left copies below a bucket that is still
/// whole; they are of the same or a lower position.
pub(super) async fn page(
    context: &Context,
    names: &Names,
    partition: PartitionId,
    from: Option<ScanMark>,
) -> Result<ScanPage, BusError> {
    let (stream, subjects) = (names.states_stream(partition), names.states_of(partition));
    let checkpoint = names.checkpoint(partition);
    let mut from = from.map_or(Ok(1), |mark| seq_of(&mark))?;
    let mut page = ScanPage::default();
    for _ in 0..BUCKETS {
        let Some(message) = next_of(context, &stream, &subjects, from).await? else {
            return Ok(page);
        };
        from = message.sequence + 1;
        if message.subject.as_str() != checkpoint {
            page.parts.extend(parts_of(&message)?);
        }
    }
    page.next = Some(ScanMark(Bytes::copy_from_slice(&from.to_be_bytes())));
    Ok(page)
}

fn seq_of(mark: &ScanMark) -> Result<u64, BusError> {
    let bytes = mark.0.as_ref().try_into();
    bytes.map(u64::from_be_bytes).map_err(|_| BusError::Corrupt("a mark of another bus".to_owned()))
}

fn parts_of(message: &StreamMessage) -> Result<Vec<PartPut>, BusError> {
    let bucket = Bucket::decode(&message.payload).map_err(|error| {
        BusError::Corrupt(format!("bucket at sequence {}: {error}", message.sequence))
    })?;
    Ok(match bucket.content {
        Content::Parts(entries) => entries.into_iter().map(PartPut::from).collect(),
        Content::Split(_) => Vec::new(),
    })
}
