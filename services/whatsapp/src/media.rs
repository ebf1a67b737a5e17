//! Facts about media (fact sheet 7).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::json::Object;

/// Bytes of a SHA-256.
pub const SHA256_BYTES: usize = 32;

/// Reads a SHA-256 as Meta writes it: base64 in webhooks, hexadecimal in media answers and history
/// follow-ups. Compare bytes, not texts.
pub fn sha256_bytes(text: &str) -> Option<[u8; SHA256_BYTES]> {
    let text = text.trim();
    let mut digest = [0; SHA256_BYTES];
    if hex::decode_to_slice(text, &mut digest).is_ok() {
        return Some(digest);
    }
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|encoding| encoding.decode(text).ok()?.try_into().ok())
}

/// The answer of `GET /{media id}`: where a file is, for about 5 minutes, with the bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLocation {
    /// The media id.
    pub id: Option<String>,
    /// Where the bytes are.
    pub url: String,
    /// Its type, maybe with parameters.
    pub mime_type: Option<String>,
    /// Of its bytes.
    pub sha256: Option<[u8; SHA256_BYTES]>,
    /// Its size.
    pub file_size_bytes: Option<i64>,
}

impl MediaLocation {
    /// Reads the answer; `None` without an address.
    pub fn read(body: &[u8]) -> Option<Self> {
        let answer = Object::parse_text(std::str::from_utf8(body).ok()?).ok()?;
        Some(Self {
            id: answer.string("id"),
            url: answer.string("url")?,
            mime_type: answer.string("mime_type"),
            sha256: answer.string("sha256").as_deref().and_then(sha256_bytes),
            file_size_bytes: answer.int("file_size"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_the_same_bytes() {
        let base64 = sha256_bytes("173VRfCdinPCuZAzfIIR1wigTM2XSGJ2heT8ecwDgDk=");
        let hexadecimal =
            sha256_bytes("d7bdd545f09d8a73c2b990337c8211d708a04ccd9748627685e4fc79cc038039");
        assert!(base64.is_some());
        assert_eq!(base64, hexadecimal);
        assert_eq!(sha256_bytes("d7bd"), None);
        assert_eq!(sha256_bytes("not a digest"), None);
    }
}
