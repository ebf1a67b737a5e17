//! The installation's keys: sealing of personal content, and keyed hashes for ids.
//!
//! One secret of 32 bytes (`installation.key`) is the root; it is never used directly. BLAKE3 in
//! its `derive_key` mode (BLAKE3 specification, section 2.3) makes one subkey per purpose, so that
//! no two purposes ever share a key.
//!
//! * **Sealing** is XChaCha20-Poly1305: IETF `draft-irtf-cfrg-xchacha-03` over RFC 8439, 24-byte
//!   nonces, stored as nonce ‖ ciphertext ‖ tag. With 24 bytes a random nonce may be drawn for any
//!   number of messages under one key (the reason for not using the 12-byte nonces of RFC 8439, or
//!   AES-GCM of NIST SP 800-38D with its limit of 2^32 random nonces).
//! * **Hashing** is keyed BLAKE3: without the key nobody can test whether a given phone number
//!   belongs to an id seen in a file, a subject or a log line.
//!
//! The random nonce is hedged: it is derived from fresh randomness, the associated data and the
//! plaintext under a key of its own. Should the system's randomness ever fail or repeat, equal
//! nonces would still need equal content, which discloses equality and nothing else.
//!
//! A decision must seal without randomness, so that deciding again gives the same bytes:
//! [`Sealer::seal_derived`] takes the nonce from what the decision is, its associated data and the plaintext, under
//! a key of its own. An equal nonce needs all of them equal: misuse discloses equality and nothing else (the
//! synthetic nonces of RFC 8452, with BLAKE3 in place of POLYVAL).

use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

mod keyfile;
pub use keyfile::{FILE_NAME as KEY_FILE, KeyFileError};

/// Bytes of nonce in front of every sealed value.
const NONCE_BYTES: usize = 24;
/// Bytes of Poly1305 tag at the end of every sealed value.
const TAG_BYTES: usize = 16;
/// Id of the one sealing key of an installation. Keys per person will get ids of their own.
pub const INSTALLATION_KEY_ID: u32 = 1;

// These strings are part of the stored format: changing one makes everything sealed unreadable.
const SEAL_CONTEXT: &str = "tandem installation key v1: seal, key id 1";
const HASH_CONTEXT: &str = "tandem installation key v1: hash of identifiers";
const NONCE_CONTEXT: &str = "tandem installation key v1: hedge of nonces";
const DERIVED_CONTEXT: &str = "tandem installation key v1: nonces of decisions";
const FINGERPRINT_CONTEXT: &str = "tandem installation key v1: fingerprint";

/// Seals, opens and hashes with the keys of one installation. Clone it freely: clones are the same
/// keys.
#[derive(Clone)]
pub struct Sealer {
    keys: std::sync::Arc<Keys>,
    randomness: Randomness,
}

#[derive(Clone, Copy)]
enum Randomness {
    System,
    None,
}

struct Keys {
    cipher: XChaCha20Poly1305,
    hash: Zeroizing<[u8; 32]>,
    nonce: Zeroizing<[u8; 32]>,
    derived: Zeroizing<[u8; 32]>,
    fingerprint: [u8; 8],
}

/// What [`Sealer::seal`] returns and [`Sealer::open`] takes back.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBytes {
    /// Which key opens it; today always [`INSTALLATION_KEY_ID`].
    pub key_id: u32,
    /// Nonce (24 bytes) ‖ ciphertext ‖ tag (16 bytes).
    pub bytes: Vec<u8>,
}

/// Why a sealed value did not open. No variant carries any of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key was destroyed, or belongs to another installation or a later version.
    #[error("no key with id {0}: it was destroyed, or the value comes from another installation")]
    UnknownKey(u32),
    /// Shorter than nonce and tag together.
    #[error("a sealed value has at least 40 bytes, this one has {0}")]
    TooShort(usize),
    /// Content, tag or associated data differ from what was sealed, or another installation sealed
    /// it.
    #[error(
        "the sealed value was changed, moved from elsewhere, or sealed by another installation"
    )]
    NotAuthentic,
}

impl Sealer {
    /// Reads `installation.key` in `dir`, or on the first start creates it (and `dir`): 32 random
    /// bytes, mode 0600, on stable storage before this returns. Two processes starting at once get
    /// the same key.
    ///
    /// # Errors
    /// If the file cannot be read or created, has another size than 32 bytes, or may be read by
    /// anyone but its owner. An existing file is never replaced.
    pub fn open_dir(dir: &Path) -> Result<Self, KeyFileError> {
        Ok(Self::from_key(*keyfile::read_or_create(dir)?))
    }

    /// A sealer over a given root key.
    #[must_use]
    pub fn from_key(root: [u8; 32]) -> Self {
        let root = Zeroizing::new(root);
        let derive = |context| Zeroizing::new(blake3::derive_key(context, root.as_slice()));
        let print = derive(FINGERPRINT_CONTEXT);
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(print.first_chunk::<8>().unwrap_or(&[0; 8]));
        let keys = Keys {
            cipher: XChaCha20Poly1305::new(derive(SEAL_CONTEXT).as_slice().into()),
            hash: derive(HASH_CONTEXT),
            nonce: derive(NONCE_CONTEXT),
            derived: derive(DERIVED_CONTEXT),
            fingerprint,
        };
        Self { keys: std::sync::Arc::new(keys), randomness: Randomness::System }
    }

    /// As [`Sealer::from_key`], but without randomness: equal content under equal associated data
    /// seals to equal bytes. For simulations, where two runs of one seed must write the same bytes.
    #[must_use]
    pub fn deterministic_from_key(root: [u8; 32]) -> Self {
        Self { randomness: Randomness::None, ..Self::from_key(root) }
    }

    /// Names the root key without disclosing it. A store keeps it to notice, before it writes
    /// anything, that it was opened with another installation's key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        self.keys.fingerprint
    }

    /// Encrypts and authenticates `plain`, and binds it to `aad` (associated data: what it is and
    /// where it belongs), so that it opens nowhere else.
    #[must_use]
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> SealedBytes {
        self.seal_with(&self.nonce(aad, plain), aad, plain)
    }

    /// As [`Sealer::seal`], but a pure function: `context` names what is sealed (which decision, which of its
    /// values), and equal arguments give equal bytes.
    #[must_use]
    pub fn seal_derived(&self, aad: &[u8], context: &[&[u8]], plain: &[u8]) -> SealedBytes {
        let mut hasher = blake3::Hasher::new_keyed(&self.keys.derived);
        update_prefixed(&mut hasher, aad);
        hasher.update(&u64::try_from(context.len()).unwrap_or(u64::MAX).to_le_bytes());
        for part in context {
            update_prefixed(&mut hasher, part);
        }
        hasher.update(plain);
        let mut nonce = XNonce::default();
        hasher.finalize_xof().fill(&mut nonce);
        self.seal_with(&nonce, aad, plain)
    }

    fn seal_with(&self, nonce: &XNonce, aad: &[u8], plain: &[u8]) -> SealedBytes {
        #[expect(clippy::expect_used, reason = "fails only above 2^38 bytes of plaintext")]
        let sealed = self
            .keys
            .cipher
            .encrypt(nonce, Payload { msg: plain, aad })
            .expect("a plaintext in memory is below the cipher's limit");
        let mut bytes = Vec::with_capacity(NONCE_BYTES + sealed.len());
        bytes.extend_from_slice(nonce);
        bytes.extend_from_slice(&sealed);
        SealedBytes { key_id: INSTALLATION_KEY_ID, bytes }
    }

    /// Opens what [`Sealer::seal`] made under the same `aad`.
    ///
    /// # Errors
    /// See [`OpenError`]; on an error nothing of the content is disclosed.
    pub fn open(&self, aad: &[u8], key_id: u32, bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
        if key_id != INSTALLATION_KEY_ID {
            return Err(OpenError::UnknownKey(key_id));
        }
        let (nonce, sealed) = match bytes.split_at_checked(NONCE_BYTES) {
            Some((nonce, sealed)) if sealed.len() >= TAG_BYTES => (nonce, sealed),
            _ => return Err(OpenError::TooShort(bytes.len())),
        };
        self.keys
            .cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad })
            .map_err(|_| OpenError::NotAuthentic)
    }

    /// A 16-byte keyed hash of `parts` within `domain` (what the hash is for). Domain and parts are
    /// length-prefixed: `["ab", "c"]` and `["a", "bc"]` differ.
    #[must_use]
    pub fn hash16(&self, domain: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut out = [0; 16];
        self.hash(domain, parts).finalize_xof().fill(&mut out);
        out
    }

    /// As [`Sealer::hash16`], 64 bits: for dedupe memories, where a collision costs one look-up.
    #[must_use]
    pub fn hash8(&self, domain: &str, parts: &[&[u8]]) -> u64 {
        let mut out = [0; 8];
        self.hash(domain, parts).finalize_xof().fill(&mut out);
        u64::from_le_bytes(out)
    }

    fn hash(&self, domain: &str, parts: &[&[u8]]) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.keys.hash);
        update_prefixed(&mut hasher, domain.as_bytes());
        for part in parts {
            update_prefixed(&mut hasher, part);
        }
        hasher
    }

    fn nonce(&self, aad: &[u8], plain: &[u8]) -> XNonce {
        let mut fresh = [0u8; 32];
        if matches!(self.randomness, Randomness::System) && getrandom::fill(&mut fresh).is_err() {
            // The hedge above keeps this safe; it still must not pass unseen.
            tracing::error!("the system gave no randomness: sealing with content-derived nonces");
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.keys.nonce);
        hasher.update(&fresh);
        update_prefixed(&mut hasher, aad);
        hasher.update(plain);
        let mut nonce = XNonce::default();
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }
}

fn update_prefixed(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(part);
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(redacted)")
    }
}

impl std::fmt::Debug for SealedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedBytes(key {}, {} bytes)", self.key_id, self.bytes.len())
    }
}

#[cfg(test)]
mod tests;
