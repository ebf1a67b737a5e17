use proptest::{collection::vec, prelude::*};
use serde::Serialize;

use super::*;
use crate::{BusinessId, Cause, Key};

const LEVELS: [FormatLevel; 2] = [FormatLevel::FIRST, FormatLevel::KNOWN];

fn head() -> RecordHead {
    RecordHead {
        generation: 1,
        epoch: 9,
        incarnation: Incarnation([7; 16]),
        number: 5,
        previous_seq: 41,
    }
}

fn step(body: Vec<u8>) -> Step {
    Step {
        header: Header {
            key: Key([3; 16]),
            business: BusinessId("shop".to_owned()),
            cause: Cause::Webhook,
            trace: None,
            received_ms: 1_795_176_000_123,
        },
        entity: EntityId { kind: 1, hash: [6; 16] },
        place: Some(Place { seq: 33, index: 1 }),
        now_ms: 1_795_176_000_456,
        events: vec![Event { part: PartName::from("main"), body: body.into() }],
        messages: Vec::new(),
        wake_ms: None,
        dead_letter: None,
    }
}

fn steps(bodies: Vec<Vec<u8>>) -> RecordBody {
    let steps = bodies.into_iter().map(step).collect();
    RecordBody::Steps(Steps { steps, place: Place { seq: 33, index: 1 }, taken: Vec::new() })
}

/// A compressed record as anybody might have written it.
#[derive(Serialize)]
struct Forged<'a> {
    version: u16,
    head: RecordHead,
    #[serde(with = "serde_bytes")]
    packed: &'a [u8],
    bytes: u64,
}

fn forged(version: u16, packed: &[u8], bytes: u64) -> Result<Record, CodecError> {
    Record::decode(&codec::encode(&Forged { version, head: head(), packed, bytes }).unwrap())
}

proptest! {
    #[test]
    fn a_record_of_any_size_is_read_at_both_levels(
        bodies in vec(vec(any::<u8>(), 0..400), 0..40),
        repeats in vec(any::<u8>(), 0..8),
    ) {
        let alike = vec![repeats; bodies.len()];
        for body in [steps(bodies), steps(alike), RecordBody::Released] {
            for level in LEVELS {
                let record = Record::at(level, head(), body.clone());
                let encoded = record.encode_sized().unwrap();
                prop_assert!(encoded.bytes.len() <= encoded.plain_bytes);
                let (read, plain_bytes) = Record::decode_sized(&encoded.bytes).unwrap();
                prop_assert_eq!(&read, &record);
                prop_assert!(plain_bytes.abs_diff(encoded.plain_bytes) < 32);
                prop_assert_eq!(Record::decode_head(&encoded.bytes).unwrap(), head());
            }
        }
    }

    #[test]
    fn whatever_is_stored_is_read_or_refused(
        bodies in vec(vec(any::<u8>(), 0..100), 20..30),
        strikes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let record = Record::at(FormatLevel::KNOWN, head(), steps(bodies));
        let mut bytes = record.encode().unwrap().to_vec();
        for (at, value) in strikes {
            *at.get_mut(&mut bytes) = value;
        }
        // Without a panic, and without more memory than a record may take.
        drop(Record::decode(&bytes));
        drop(Record::decode(at_most(&bytes, bytes.len() / 2)));
    }
}

fn at_most(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(..count).unwrap_or(bytes)
}

#[test]
fn level_1_is_written_as_ever_and_level_2_says_so_and_is_smaller() {
    let body = steps(vec![b"the same words".to_vec(); 30]);
    let first = Record::new(head(), body.clone());
    assert_eq!(first.encode().unwrap(), codec::encode(&first).unwrap());
    let second = Record::at(FormatLevel::KNOWN, head(), body);
    let encoded = second.encode_sized().unwrap();
    assert_eq!(encoded.plain_bytes, first.encode().unwrap().len());
    assert!(encoded.bytes.len() * 3 < encoded.plain_bytes, "{}", encoded.bytes.len());
    let small = Record::at(FormatLevel::KNOWN, head(), RecordBody::Released);
    assert_eq!(small.version, 2);
    assert_eq!(small.encode().unwrap(), codec::encode(&small).unwrap());
}

#[test]
fn the_size_limit_is_of_the_plain_record() {
    let body = steps(vec![vec![0; 1024]; RECORD_BYTES_MAX / 1024]);
    let encoded = Record::at(FormatLevel::KNOWN, head(), body).encode_sized().unwrap();
    assert!(encoded.plain_bytes > RECORD_BYTES_MAX && encoded.bytes.len() == encoded.plain_bytes);
}

#[test]
fn a_compressed_body_is_what_it_says_or_refused() {
    let body = codec::encode(&steps(vec![vec![0; 1024]; 4])).unwrap();
    let packed = lz4_flex::block::compress(&body);
    let size = u64::try_from(body.len()).unwrap();
    assert!(forged(2, &packed, size).is_ok());
    // A bomb: more than any record may hold, in whatever it is packed.
    let bomb = lz4_flex::block::compress(&vec![0; 4 * RECORD_BYTES_MAX]);
    let bombs = [(&packed[..], u64::MAX), (&bomb, size), (&bomb, 4 * 512 * 1024)];
    let wrong = [(&packed[..], size - 1), (&packed, size + 1), (b"no block", size), (b"", 0)];
    for (packed, bytes) in bombs.into_iter().chain(wrong) {
        let refused = forged(2, packed, bytes);
        assert!(refused.is_err(), "{bytes}: {refused:?}");
    }
    let early = forged(1, &packed, size);
    assert!(matches!(early, Err(CodecError::Damaged(_))), "{early:?}");
}

#[test]
fn a_newer_record_is_named_also_when_it_does_not_decode() {
    #[derive(Serialize)]
    struct Newer {
        version: u16,
        head: RecordHead,
        body: &'static str,
    }
    let bytes = codec::encode(&Newer { version: 3, head: head(), body: "other shape" }).unwrap();
    let newer = Record::decode(&bytes);
    assert!(matches!(newer, Err(CodecError::UnknownVersion { found: 3, known: 2 })), "{newer:?}");
}
