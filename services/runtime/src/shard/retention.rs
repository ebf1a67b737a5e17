//! What of a partition's inbox and log nobody who starts from a checkpoint will read again (design.md 4.7).

use bus::{Checkpoint, CodecError};

use super::summary::Summary;

/// Up to and with these sequences a start from the checkpoint, or from any later one, needs nothing: a later one may name an
/// older unconfirmed message, of which its owner did not know that it had arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Of the inbox: the checkpoint's place, whose own entry may hold more inputs.
    pub inbox_through: u64,
    /// Of the log: the checkpoint's record and the one that holds the oldest unconfirmed message stay.
    pub log_through: u64,
}

impl Retention {
    /// What the stored checkpoint needs no more.
    ///
    /// # Errors
    /// When the checkpoint cannot be read by this build: then nothing may be trimmed.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, CodecError> {
        let summary = Summary::decode(&checkpoint.bytes)?;
        let needed = summary.oldest_unconfirmed_seq.unwrap_or(u64::MAX).min(summary.link.seq);
        Ok(Self {
            inbox_through: summary.place.seq.saturating_sub(1),
            log_through: needed.saturating_sub(1),
        })
    }
}
