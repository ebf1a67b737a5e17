//! A record whose body is compressed (level 2). Its head stays as it is: who follows the chain looks at heads only.
//!
//! LZ4, because the writer waits for it before every append: what is left to win lies in names and ids that repeat, and
//! personal content is sealed, which nothing compresses.

use bytes::Bytes;
use lz4_flex::block;
use serde::Serialize;

use super::{
    CodecError, RECORD_BYTES_MAX, RecordBody, RecordHead,
    codec::{decode, encode},
};

/// Records from this size on are compressed. Smaller ones hold a step or none, and win nothing that a disk's page shows.
pub(super) const PACK_FROM_BYTES: usize = 1024;
/// The key before the body, as MessagePack writes it.
const BODY_KEY: &[u8] = b"\xa4body";

/// What comes before a record's body.
#[derive(Serialize)]
struct Front<'a> {
    version: u16,
    head: &'a RecordHead,
}

#[derive(Serialize)]
struct Packed<'a> {
    version: u16,
    head: &'a RecordHead,
    /// The body's encoded form, as an LZ4 block.
    #[serde(with = "serde_bytes")]
    packed: &'a [u8],
    /// Size of that form.
    bytes: usize,
}

/// The same record with its body compressed, or `None` where that is not smaller. `plain`: its encoded form.
pub(super) fn pack(
    version: u16,
    head: &RecordHead,
    plain: &[u8],
) -> Result<Option<Bytes>, CodecError> {
    // A record's map has its fields in order, so what precedes the body has the length of a map without it, and its key.
    let front = encode(&Front { version, head })?.len() + BODY_KEY.len();
    let parts = plain.split_at_checked(front).filter(|(front, _)| front.ends_with(BODY_KEY));
    let Some((_, body)) = parts else {
        return Err(CodecError::Damaged("a record is not encoded in its fields' order"));
    };
    let packed =
        encode(&Packed { version, head, packed: &block::compress(body), bytes: body.len() })?;
    Ok((packed.len() < plain.len()).then_some(packed))
}

/// Reads a compressed body of `bytes`, which must be what it says: whatever is stored cannot make a reader take more memory than a
/// plain record does.
pub(super) fn unpack(packed: &[u8], bytes: usize) -> Result<RecordBody, CodecError> {
    if bytes > RECORD_BYTES_MAX {
        return Err(CodecError::Damaged("a compressed body is larger than any record"));
    }
    let mut body = vec![0; bytes];
    match block::decompress_into(packed, &mut body) {
        Ok(found) if found == bytes => decode(&body),
        Ok(_) => Err(CodecError::Damaged("a compressed body is smaller than it says")),
        Err(_) => Err(CodecError::Damaged("a compressed body cannot be read")),
    }
}
