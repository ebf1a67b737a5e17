//! How values of the domain are persisted: MessagePack with named fields, wrapped with a version.
//!
//! The body of every input, event, command answer and saved part is `{v: 1, e: value}`. A field may be added with
//! a default; a new meaning is a new variant or a new version. A reader that meets an unknown version stops
//! its partition, it never skips (design.md 4.1).
//!
//! A new variant or version is written from a format level on, for builds before it cannot read it: whoever decides is told the
//! level of the installation (`runtime::host::DecideInput::format`): see [`number::ASKS_FROM_LEVEL`](crate::number::ASKS_FROM_LEVEL).
//!
//! The same form is what edges seal: the plaintext of a [`Sealed`](crate::Sealed) is `encode(&Content)` or
//! `encode(&Identity)`, its associated data the bytes of the business id. Signals are encoded so, too.

use std::{cell::RefCell, fmt};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The newest version this build knows: it reads this one and every one before it.
pub const VERSION: u16 = 1;

/// What a thread keeps of its buffer for encoding: the largest part of a state.
const SCRATCH_BYTES_KEPT: usize = 64 * 1024;

/// A persisted value that cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersistError {
    /// The value has no encoded form.
    Unwritable(String),
    /// The bytes are not a value of the expected type (damaged, or a variant this build does not know).
    Unreadable(String),
    /// Written by a newer build: upgrade this node.
    UnknownVersion {
        /// Found in the value.
        found: u16,
        /// Newest this build reads.
        known: u16,
    },
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(why) => write!(f, "the value cannot be encoded: {why}"),
            Self::Unreadable(why) => write!(f, "the stored value cannot be decoded: {why}"),
            Self::UnknownVersion { found, known } => write!(
                f,
                "stored version {found} is not among those up to {known} that this build knows: upgrade this node"
            ),
        }
    }
}

impl std::error::Error for PersistError {}

#[derive(Serialize)]
struct Written<'a, T> {
    v: u16,
    e: &'a T,
}

#[derive(Deserialize)]
struct Stored<T> {
    v: u16,
    e: T,
}

/// Reads the version of a value whose content may be unknown.
#[derive(Deserialize)]
struct VersionOnly {
    v: u16,
}

/// Encodes `value` in the current version.
///
/// # Errors
/// [`PersistError::Unwritable`]; no type of this crate has such values.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, PersistError> {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Written into a buffer that is large enough already, then copied out at its exact size: events are kept for a while.
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        rmp_serde::encode::write_named(scratch, &Written { v: VERSION, e: value })
            .map_err(|e| PersistError::Unwritable(e.to_string()))?;
        let bytes = scratch.as_slice().to_vec();
        scratch.shrink_to(SCRATCH_BYTES_KEPT);
        Ok(bytes)
    })
}

/// Decodes what [`encode`] wrote.
///
/// # Errors
/// [`PersistError::UnknownVersion`] when a newer build wrote it, else [`PersistError::Unreadable`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PersistError> {
    let stored: Result<Stored<T>, _> = rmp_serde::from_slice(bytes);
    match stored {
        Ok(Stored { v: 1..=VERSION, e }) => Ok(e),
        Ok(Stored { v, .. }) => Err(PersistError::UnknownVersion { found: v, known: VERSION }),
        // A newer version may well not decode as `T`; say which of the two it is.
        Err(error) => match rmp_serde::from_slice::<VersionOnly>(bytes) {
            Ok(VersionOnly { v }) if !(1..=VERSION).contains(&v) => {
                Err(PersistError::UnknownVersion { found: v, known: VERSION })
            }
            _ => Err(PersistError::Unreadable(error.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conversation::ConversationInput, number::NumberInput, workspace::DeskCommand};

    #[test]
    fn what_was_written_is_read() {
        let bytes = encode(&DeskCommand::SignIn { opened_ms: 7 }).unwrap();
        assert_eq!(decode::<DeskCommand>(&bytes), Ok(DeskCommand::SignIn { opened_ms: 7 }));
    }

    #[test]
    fn fields_are_named() {
        let bytes = encode(&DeskCommand::SignIn { opened_ms: 7 }).unwrap();
        let golden = b"\x82\xa1v\x01\xa1e\x81\xa6SignIn\x81\xa9opened_ms\x07";
        assert_eq!(bytes, golden);
    }

    #[test]
    fn a_newer_version_is_named_also_when_it_does_not_decode() {
        #[derive(Serialize)]
        struct Newer {
            v: u16,
            e: &'static str,
        }
        let bytes = rmp_serde::to_vec_named(&Newer { v: 2, e: "other shape" }).unwrap();
        let unknown = PersistError::UnknownVersion { found: 2, known: VERSION };
        assert_eq!(decode::<ConversationInput>(&bytes), Err(unknown.clone()));
        assert_eq!(decode::<String>(&bytes), Err(unknown));
    }

    #[test]
    fn garbage_is_unreadable() {
        let garbage = decode::<NumberInput>(b"\xff\x00garbage");
        assert!(matches!(garbage, Err(PersistError::Unreadable(_))), "{garbage:?}");
    }
}
