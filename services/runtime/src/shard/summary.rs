//! What a checkpoint says besides the saved parts.

use bus::{CodecError, FORMAT_VERSION, PartitionId, Place, check_version, decode, encode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Link, Shard, suspect::Ends};

/// The shard at the checkpoint's position.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Summary {
    version: u16,
    /// The record at the position.
    pub(super) link: Link,
    /// Last inbox place decided.
    pub(super) place: Place,
    /// Last channel number taken per source.
    pub(super) taken: Vec<(PartitionId, u64)>,
    pub(super) channels: Vec<ChannelSummary>,
    /// Record that holds the oldest unconfirmed message: the log is read from there.
    pub(super) oldest_unconfirmed_seq: Option<u64>,
    pub(super) last_now_ms: u64,
    pub(super) ends: Ends,
    /// Dead letters so far.
    pub(super) dead_letters: u64,
}

/// A channel out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChannelSummary {
    pub(super) target: PartitionId,
    pub(super) confirmed: u64,
    /// Last number in the log up to the position.
    pub(super) durable: u64,
}

impl Summary {
    pub(super) fn of(shard: &Shard) -> Self {
        let channel = |(target, channel): (&PartitionId, &super::Channel)| ChannelSummary {
            target: *target,
            confirmed: channel.confirmed(),
            durable: channel.durable_through(),
        };
        Self {
            version: FORMAT_VERSION,
            link: shard.commit.last,
            place: shard.place,
            taken: shard.taken.iter().map(|(source, number)| (*source, *number)).collect(),
            channels: shard.channels.iter().map(channel).collect(),
            oldest_unconfirmed_seq: shard.channels.values().filter_map(|c| c.oldest_seq()).min(),
            last_now_ms: shard.clock.last_ms(),
            ends: shard.suspicion.ends(),
            dead_letters: shard.counts.dead_letters(),
        }
    }

    /// Of a partition that begins at `link` with nothing decided yet. `arrived`: messages on its channel to itself that are in
    /// its inbox already.
    pub(super) fn beginning(
        link: Link,
        partition: PartitionId,
        arrived: u64,
        last_now_ms: u64,
    ) -> Self {
        let own = ChannelSummary { target: partition, confirmed: arrived, durable: arrived };
        Self {
            version: FORMAT_VERSION,
            link,
            place: Place::default(),
            taken: Vec::new(),
            channels: (arrived > 0).then_some(own).into_iter().collect(),
            oldest_unconfirmed_seq: None,
            last_now_ms,
            ends: Ends::default(),
            dead_letters: 0,
        }
    }

    pub(super) fn encode(&self) -> Result<Bytes, CodecError> {
        encode(self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let summary: Self = decode(bytes)?;
        check_version(summary.version, FORMAT_VERSION)?;
        Ok(summary)
    }
}
