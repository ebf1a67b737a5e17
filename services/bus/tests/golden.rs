//! Golden files keep old logs readable: what a version wrote is read for ever, and is written so still at its level.
//!
//! A change that makes this fail is a new format version with its own files beside these, never a new file in their
//! place. `TANDEM_GOLDEN_WRITE=1` writes files that do not exist yet.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use bus::{
    BusinessId, Cause, ChannelMessage, DeadLetter, EntityId, Event, FormatLevel, Header,
    InboxEntry, Incarnation, Input, Key, PartName, PartitionId, Place, Position, Record,
    RecordBody, RecordHead, Reply, Step, Steps, TraceContext,
};
use bytes::Bytes;

/// Bytes of the golden file `name`; where it may be written and is not there, `bytes`.
fn stored(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.hex"));
    if !path.exists() && std::env::var_os("TANDEM_GOLDEN_WRITE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, hex::encode(bytes)).unwrap();
    }
    hex::decode(std::fs::read_to_string(&path).unwrap().trim()).unwrap()
}

/// Checks `bytes` against the golden file of version 1, and gives the file's bytes.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    unchanged(&format!("{name}.v1"), bytes)
}

fn unchanged(name: &str, bytes: &[u8]) -> Vec<u8> {
    let stored = stored(name, bytes);
    assert_eq!(hex::encode(bytes), hex::encode(&stored), "{name} is written differently now");
    stored
}

fn header(cause: Cause) -> Header {
    Header {
        key: Key([3; 16]),
        business: BusinessId("shop".to_owned()),
        cause,
        trace: Some(TraceContext { trace: [4; 16], span: [5; 8], flags: 1 }),
        received_ms: 1_795_176_000_123,
    }
}

fn input(cause: Cause) -> Input {
    Input {
        header: header(cause),
        target: EntityId { kind: 1, hash: [6; 16] },
        body: Bytes::from_static(b"sealed elsewhere"),
        reply_to: Some("reply.node-1.7".to_owned()),
    }
}

fn head(number: u64) -> RecordHead {
    RecordHead {
        generation: 1,
        epoch: 9,
        incarnation: Incarnation([7; 16]),
        number,
        previous_seq: 41,
    }
}

fn step() -> Step {
    let source = PartitionId(2);
    let position = Some(Position { generation: 1, seq: 40, index: 3 });
    let cause = Cause::Channel { source, generation: 1, number: 12, position };
    Step {
        header: header(cause),
        entity: EntityId { kind: 2, hash: [8; 16] },
        place: Some(Place { seq: 33, index: 1 }),
        now_ms: 1_795_176_000_456,
        events: vec![Event {
            part: PartName::from("agent/ana"),
            body: Bytes::from_static(b"event"),
        }],
        messages: vec![ChannelMessage {
            target: PartitionId(3),
            number: 5,
            input: input(Cause::Timer),
        }],
        wake_ms: Some(1_795_176_030_000),
        dead_letter: Some(DeadLetter {
            error: "cannot be read".to_owned(),
            input: input(Cause::CallResult),
        }),
    }
}

#[test]
fn inbox_entries() {
    let entry = InboxEntry::new(vec![input(Cause::Webhook), input(Cause::Command)]);
    let stored = golden("inbox_entry", &entry.encode().unwrap());
    assert_eq!(InboxEntry::decode(&stored).unwrap(), entry);
}

#[test]
fn a_replayed_input() {
    let letter = Position { generation: 2, seq: 40, index: 3 };
    let entry = InboxEntry::new(vec![input(Cause::Replay { letter })]);
    let stored = golden("inbox_entry_replay", &entry.encode().unwrap());
    assert_eq!(InboxEntry::decode(&stored).unwrap(), entry);
}

#[test]
fn records_of_every_kind() {
    let bodies = [
        (
            "record_epoch",
            RecordBody::Epoch { node: "node-1".to_owned(), now_ms: 1_795_176_000_000 },
        ),
        ("record_trying", RecordBody::Trying { place: Place { seq: 33, index: 0 } }),
        ("record_released", RecordBody::Released),
        ("record_steps", steps(1)),
    ];
    for (number, (name, body)) in (0..).zip(bodies) {
        let record = Record::new(head(number), body);
        let stored = golden(name, &record.encode().unwrap());
        assert_eq!(Record::decode(&stored).unwrap(), record);
    }
}

fn steps(count: usize) -> RecordBody {
    let (place, taken) = (Place { seq: 33, index: 1 }, vec![(PartitionId(2), 12)]);
    RecordBody::Steps(Steps { steps: vec![step(); count], place, taken })
}

#[test]
fn records_at_level_2() {
    let level = FormatLevel(2);
    for (name, body) in
        [("record_released.v2", RecordBody::Released), ("record_steps.v2", steps(1))]
    {
        let record = Record::at(level, head(9), body);
        let stored = unchanged(name, &record.encode().unwrap());
        assert_eq!(Record::decode(&stored).unwrap(), record);
    }
    // Another version of the compressor may find other matches: what is read must stay the same, not what is written.
    let record = Record::at(level, head(9), steps(3));
    let written = record.encode().unwrap();
    assert!(written.len() < Record::new(head(9), steps(3)).encode().unwrap().len());
    assert_eq!(Record::decode(&stored("record_packed.v2", &written)).unwrap(), record);
}

#[test]
fn replies() {
    let position = Some(Position { generation: 1, seq: 42, index: 0 });
    let reply = Reply::new(Key([3; 16]), Ok(Bytes::from_static(b"answer")), position);
    let stored = golden("reply", &reply.encode().unwrap());
    assert_eq!(Reply::decode(&stored).unwrap(), reply);
}
