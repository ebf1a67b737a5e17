//! The persisted form of a bucket, and everything about it that needs no server. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{CodecError, EntityId, PartName, PartPut, Position, SavedPart, decode, encode};

/// Buckets of a partition before any split. Fixed: an entity's root bucket follows from it.
pub(super) const ROOTS: u16 = 4096;
/// A bucket that grows beyond this is split, if it holds more than one part.
pub(super) const BUCKET_BYTES_TARGET: usize = 64 * 1024;
/// Buckets that a split makes of one.
pub(super) const FAN_OUT: u8 = 8;
/// Longest path of splits: hashes have no more digits than this.
const DEPTH_MAX: usize = 24;
/// Version of this form. It is its own: records and entries do not change with it.
const BUCKET_VERSION: u16 = 1;

/// A bucket as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bucket {
    version: u16,
    pub(super) content: Content,
}

/// What is in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    /// Parts, ordered by entity and name.
    Parts(Vec<Entry>),
    /// Nothing any more: its parts are in the buckets below, for good.
    Split(By),
}

/// What decides in which bucket below a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum By {
    /// Its entity: all parts of one stay together.
    Entity,
    /// Its name: the bucket held one entity only.
    Part,
}

/// One saved part. `bytes` is `None` where the entity dropped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) entity: EntityId,
    pub(super) name: PartName,
    pub(super) position: Position,
    pub(super) bytes: Option<Bytes>,
}

impl From<PartPut> for Entry {
    fn from(put: PartPut) -> Self {
        let SavedPart { name, position, bytes } = put.part;
        Self { entity: put.entity, name, position, bytes }
    }
}

impl From<Entry> for PartPut {
    fn from(entry: Entry) -> Self {
        Self { entity: entry.entity, part: entry.into() }
    }
}

impl From<Entry> for SavedPart {
    fn from(entry: Entry) -> Self {
        Self { name: entry.name, position: entry.position, bytes: entry.bytes }
    }
}

impl Bucket {
    pub(super) fn new(content: Content) -> Self {
        Self { version: BUCKET_VERSION, content }
    }

    pub(super) fn encode(&self) -> Result<Bytes, CodecError> {
        encode(self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let bucket: Self = decode(bytes)?;
        if bucket.version == 0 || bucket.version > BUCKET_VERSION {
            let (found, known) = (bucket.version, BUCKET_VERSION);
            return Err(CodecError::UnknownVersion { found, known });
        }
        Ok(bucket)
    }
}

fn entity_hash(entity: EntityId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[entity.kind]).update(&entity.hash);
    *hasher.finalize().as_bytes()
}

/// The bucket that is an entity's before any split.
pub(super) fn root_of(entity: EntityId) -> u16 {
    let [high, low, ..] = entity_hash(entity);
    u16::from_be_bytes([high, low]) % ROOTS
}

/// Which bucket below one at `depth` (a root's is 0) holds a part.
pub(super) fn digit(by: By, depth: usize, entity: EntityId, name: &PartName) -> u8 {
    let hash = match by {
        By::Entity => entity_hash(entity),
        By::Part => *blake3::hash(name.0.as_bytes()).as_bytes(),
    };
    // The first two bytes chose the root.
    hash.get(depth + 2).copied().unwrap_or_default() % FAN_OUT
}

/// Entries by the bucket below that holds them.
pub(super) fn spread(entries: Vec<Entry>, by: By, depth: usize) -> BTreeMap<u8, Vec<Entry>> {
    let mut below: BTreeMap<u8, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        below.entry(digit(by, depth, entry.entity, &entry.name)).or_default().push(entry);
    }
    below
}

/// Of two saves of a part the one of the higher position; `None` where nothing new came. Parts are never removed, so
/// that joining is safe in any order and as often as anyone likes.
pub(super) fn merge(stored: &[Entry], new: &[Entry]) -> Option<Vec<Entry>> {
    let key = |entry: &Entry| (entry.entity, entry.name.clone());
    let mut merged: BTreeMap<_, &Entry> = stored.iter().map(|entry| (key(entry), entry)).collect();
    let mut changed = false;
    for entry in new {
        let known = merged.get(&key(entry));
        if known.is_none_or(|known| known.position < entry.position) {
            merged.insert(key(entry), entry);
            changed = true;
        }
    }
    changed.then(|| merged.into_values().cloned().collect())
}

/// How a bucket of `bytes` bytes at `depth` is split; `None` where it stays one.
pub(super) fn split(entries: &[Entry], bytes: usize, depth: usize) -> Option<By> {
    if bytes <= BUCKET_BYTES_TARGET || entries.len() < 2 || depth >= DEPTH_MAX {
        return None;
    }
    let entities: BTreeSet<_> = entries.iter().map(|entry| entry.entity).collect();
    Some(if entities.len() > 1 { By::Entity } else { By::Part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(entity: u8, name: &str, seq: u64, bytes: Option<&'static [u8]>) -> Entry {
        Entry {
            entity: EntityId { kind: 1, hash: [entity; 16] },
            name: PartName::from(name),
            position: Position { generation: 1, seq, index: 2 },
            bytes: bytes.map(Bytes::from_static),
        }
    }

    /// What version 1 wrote is read for ever: a change that makes this fail is a new version beside it.
    #[test]
    fn golden_buckets() {
        let parts =
            Content::Parts(vec![entry(7, "agent/ana", 40, Some(b"saved")), entry(8, "", 41, None)]);
        let golden = [
            (Content::Split(By::Entity), include_str!("../../../tests/golden/bucket_split.v1.hex")),
            (parts, include_str!("../../../tests/golden/bucket_parts.v1.hex")),
        ];
        for (content, stored) in golden {
            let bucket = Bucket::new(content);
            assert_eq!(hex::encode(bucket.encode().unwrap()), stored.trim());
            assert_eq!(Bucket::decode(&hex::decode(stored.trim()).unwrap()).unwrap(), bucket);
        }
    }

    #[test]
    fn a_newer_form_is_not_read() {
        let mut bucket = Bucket::new(Content::Split(By::Part));
        bucket.version = 2;
        let said = Bucket::decode(&bucket.encode().unwrap()).unwrap_err().to_string();
        assert!(said.contains("version 2"), "{said}");
    }

    /// Where an entity lies is as persistent as the form: a moved root would lose it.
    #[test]
    fn golden_places() {
        let places: Vec<_> = (0..4)
            .map(|n| {
                let entity = EntityId { kind: n, hash: [n; 16] };
                let name = PartName(format!("part {n}"));
                (
                    root_of(entity),
                    digit(By::Entity, 0, entity, &name),
                    digit(By::Part, 1, entity, &name),
                )
            })
            .collect();
        assert_eq!(places, [(1455, 4, 2), (3770, 3, 3), (2441, 4, 0), (1111, 3, 3)]);
    }

    #[test]
    fn the_higher_position_stays_whatever_the_order() {
        let old = [entry(1, "a", 5, Some(b"five")), entry(1, "b", 5, None)];
        let new = [entry(1, "a", 4, Some(b"four")), entry(1, "b", 6, Some(b"six"))];
        let merged = merge(&old, &new).unwrap();
        assert_eq!(merged, [old[0].clone(), new[1].clone()]);
        assert_eq!(merge(&new, &old).unwrap(), merged);
        assert_eq!(merge(&merged, &old), None);
        assert_eq!(merge(&merged, &new), None);
    }

    #[test]
    fn entities_are_kept_together_until_one_alone_is_too_large() {
        let two = [entry(1, "a", 1, None), entry(2, "a", 1, None)];
        let one = [entry(1, "a", 1, None), entry(1, "b", 1, None)];
        let large = BUCKET_BYTES_TARGET + 1;
        assert_eq!(split(&two, large, 0), Some(By::Entity));
        assert_eq!(split(&one, large, 0), Some(By::Part));
        assert_eq!(split(&one[..1], large, 0), None);
        assert_eq!(split(&two, BUCKET_BYTES_TARGET, 0), None);
        assert_eq!(split(&two, large, DEPTH_MAX), None);
    }

    #[test]
    fn a_split_loses_no_part() {
        let parts: Vec<_> = (0..200).map(|n| entry(n, "main", 1, None)).collect();
        for by in [By::Entity, By::Part] {
            let below = spread(parts.clone(), by, 0);
            assert_eq!(below.values().map(Vec::len).sum::<usize>(), parts.len());
            assert!(below.keys().all(|digit| *digit < FAN_OUT));
        }
    }
}
