//! Encoding of every persisted value: MessagePack with named fields.

use std::cell::RefCell;

use serde::{Serialize, de::DeserializeOwned};

/// Version of every kind of value that has had one form only; records have had two.
pub const FORMAT_VERSION: u16 = 1;

/// What a thread keeps of its buffer for encoding: the largest value that is stored.
const SCRATCH_BYTES_KEPT: usize = super::input::VALUE_BYTES_MAX;

/// A persisted value that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value does not serialise.
    #[error("value cannot be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
    /// The bytes are not a value of this type.
    #[error("stored bytes cannot be decoded")]
    Decode(#[from] rmp_serde::decode::Error),
    /// Written by a newer build. The partition stops here; it is never skipped (design.md 4.1).
    #[error("format version {found} is newer than the {known} this build knows: upgrade this node")]
    UnknownVersion {
        /// Version found in the value.
        found: u16,
        /// Newest version this build reads.
        known: u16,
    },
    /// A compressed body contradicts itself.
    #[error("stored bytes are damaged: {0}")]
    Damaged(&'static str),
}

/// Encodes `value` with named fields.
///
/// # Errors
/// [`CodecError::Encode`] when the value has no MessagePack form.
pub fn encode<T: Serialize>(value: &T) -> Result<bytes::Bytes, CodecError> {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // A record grows to half a megabyte: in a buffer of its own it would be moved a dozen times on the way.
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        rmp_serde::encode::write_named(scratch, value)?;
        let bytes = bytes::Bytes::copy_from_slice(scratch);
        scratch.shrink_to(SCRATCH_BYTES_KEPT);
        Ok(bytes)
    })
}

/// Decodes a value written by [`encode`].
///
/// # Errors
/// [`CodecError::Decode`] when the bytes are not a `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    Ok(rmp_serde::from_slice(bytes)?)
}

/// Refuses a version this build does not know.
///
/// # Errors
/// [`CodecError::UnknownVersion`].
pub fn check_version(found: u16, known: u16) -> Result<(), CodecError> {
    if found == 0 || found > known {
        return Err(CodecError::UnknownVersion { found, known });
    }
    Ok(())
}
