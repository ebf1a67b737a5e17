//! How far an inbox is decided, told as a signal: whoever appends learns how long it takes. Best effort, like every signal.

use bytes::Bytes;

use crate::{PartitionId, Signal};

/// The topics of every partition, for [`crate::Signals::subscribe`].
pub const DECIDED_TOPICS: &str = "decided.>";

/// The signal of an owner that has durably decided a partition's inbox up to entry `seq`.
#[must_use]
pub fn decided_signal(partition: PartitionId, seq: u64) -> Signal {
    let body = Bytes::copy_from_slice(&seq.to_be_bytes());
    Signal { topic: format!("decided.{partition}"), body }
}

/// Partition and sequence of a signal made by [`decided_signal`].
#[must_use]
pub fn decided_up_to(signal: &Signal) -> Option<(PartitionId, u64)> {
    let partition = signal.topic.strip_prefix("decided.")?.parse().ok()?;
    let seq = signal.body.as_ref().try_into().ok()?;
    Some((PartitionId(partition), u64::from_be_bytes(seq)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_signal_and_others_are_not_taken_for_one() {
        let signal = decided_signal(PartitionId(7), 42);
        assert_eq!(decided_up_to(&signal), Some((PartitionId(7), 42)));
        for (topic, body) in
            [("decided.x", &[0; 8][..]), ("inbound.7", &[0; 8]), ("decided.7", &[0; 4])]
        {
            let other = Signal { topic: topic.to_owned(), body: Bytes::copy_from_slice(body) };
            assert_eq!(decided_up_to(&other), None, "{topic}");
        }
    }
}
