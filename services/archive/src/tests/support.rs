//! Logs written by hand.

use std::{collections::BTreeMap, sync::Arc};

use super::tables::{Kind, Tables};
use crate::{Applied, Archive, Batch, Projector, Repository, chain::Follower, decode};
use bus::{
    Cause, Event, Header, Incarnation, Key, PartName, PartitionId, Record, RecordBody, RecordHead,
    Step, Steps,
};
use bytes::Bytes;
use chassis::{clock::Clock, seal::Sealer};
use domain::{
    BusinessId, EntityId, EntityKind, Hash16, ItemId, MessageId, RequestId, Sealed,
    content::{Content, ContentKind, Identity},
    conversation::{
        Author, ConversationEvent, Direction, MessageRecord, SendOutcome, SendRecord, StatusKind,
        Via,
    },
    number::Lane,
    persist,
};

pub(super) const SHOP: &str = "shop";

/// As the servers answer a request whose answer was asked for on a log's subject.
pub(super) const NO_RECORD: &[u8] = br#"{"type":"io.nats.jetstream.api.v1.stream_info_response"}"#;

pub(super) fn sealer() -> Sealer {
    Sealer::deterministic_from_key([7; 32])
}

pub(super) fn hash(n: u8) -> Hash16 {
    Hash16([n; 16])
}

pub(super) fn message(n: u8) -> MessageId {
    MessageId(hash(n))
}

pub(super) fn conversation(n: u8) -> EntityId {
    EntityId { kind: EntityKind::Conversation, hash: hash(n) }
}

pub(super) fn request(conversation: u8, n: u64) -> RequestId {
    RequestId { conversation: hash(conversation), n }
}

pub(super) fn item(conversation: u8, n: u32) -> ItemId {
    ItemId { conversation: hash(conversation), n }
}

pub(super) fn seal<T: serde::Serialize>(value: &T) -> Sealed {
    seal_of(SHOP, value)
}

pub(super) fn seal_of<T: serde::Serialize>(business: &str, value: &T) -> Sealed {
    let sealed = sealer().seal(business.as_bytes(), &persist::encode(value).unwrap());
    Sealed { key_id: sealed.key_id, bytes: sealed.bytes }
}

pub(super) fn wamid(n: u8) -> Sealed {
    seal(&Content { wamid: Some(format!("wamid.{n}")), ..Content::default() })
}

pub(super) fn content(n: u8, text: &str) -> Sealed {
    seal(&Content {
        wamid: Some(format!("wamid.{n}")),
        text: Some(text.to_owned()),
        ..Content::default()
    })
}

pub(super) fn identity(phone: Option<&str>, bsuid: Option<&str>) -> ConversationEvent {
    let number = EntityId { kind: EntityKind::Number, hash: hash(200) };
    let workspace = EntityId { kind: EntityKind::Workspace, hash: hash(201) };
    let who = Identity {
        phone: phone.map(str::to_owned),
        bsuid: bsuid.map(str::to_owned),
        ..Identity::default()
    };
    ConversationEvent::IdentitySeen { via: Via { number, workspace }, who: seal(&who), at_ms: 1 }
}

pub(super) fn inbound(n: u8, at_ms: u64, text: &str) -> ConversationEvent {
    ConversationEvent::MessageRecorded(MessageRecord {
        message: message(n),
        direction: Direction::In,
        author: Author::Customer,
        kind: ContentKind::Text,
        at_ms,
        content: content(n, text),
        target: None,
        episode: Some(1),
    })
}

pub(super) fn echo(n: u8, at_ms: u64, text: &str) -> ConversationEvent {
    ConversationEvent::MessageRecorded(MessageRecord {
        message: message(n),
        direction: Direction::Out,
        author: Author::Phone { automatic: false },
        kind: ContentKind::Text,
        at_ms,
        content: content(n, text),
        target: None,
        episode: None,
    })
}

pub(super) fn asked(request: RequestId, at_ms: u64, text: &str) -> ConversationEvent {
    let content = Content { text: Some(text.to_owned()), ..Content::default() };
    ConversationEvent::SendRequested(SendRecord {
        request,
        author: Author::Agent("ana".into()),
        lane: Lane::Agent,
        kind: ContentKind::Text,
        at_ms,
        content: seal(&content),
        not_after_ms: at_ms.saturating_add(60_000),
        episode: Some(1),
    })
}

pub(super) fn accepted(request: RequestId, n: u8, at_ms: u64) -> ConversationEvent {
    let outcome =
        SendOutcome::Accepted { message: message(n), wamid: wamid(n), at_ms, repeated: false };
    ConversationEvent::SendResolved { request, outcome, at_ms }
}

pub(super) fn ended(request: RequestId, outcome: SendOutcome) -> ConversationEvent {
    ConversationEvent::SendResolved { request, outcome, at_ms: 9 }
}

pub(super) fn status(
    n: u8,
    request: Option<RequestId>,
    status: StatusKind,
    at_ms: u64,
) -> ConversationEvent {
    let error = (status == StatusKind::Failed).then_some(131_026);
    ConversationEvent::StatusMerged {
        message: message(n),
        request,
        status,
        at_ms,
        error,
        content: wamid(n),
    }
}

pub(super) fn forwarding(to: u8) -> ConversationEvent {
    ConversationEvent::Forwarding { to: conversation(to), paired_at: (1, message(1)) }
}

pub(super) fn step(business: &str, who: u8, events: &[ConversationEvent]) -> Step {
    let events = events.iter().map(|event| Event {
        part: PartName::from("conversation"),
        body: persist::encode(event).unwrap().into(),
    });
    Step {
        header: Header {
            key: Key([0; 16]),
            business: bus::BusinessId(business.to_owned()),
            cause: Cause::Webhook,
            trace: None,
            received_ms: 1,
        },
        entity: bus::EntityId { kind: 1, hash: [who; 16] },
        place: None,
        now_ms: 1_000,
        events: events.collect(),
        messages: Vec::new(),
        wake_ms: None,
        dead_letter: None,
    }
}

/// Writes one partition's records, chained, with gaps in the sequences.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) partition: PartitionId,
    pub(super) head: RecordHead,
    pub(super) seq: u64,
    pub(super) records: Vec<(u64, Bytes)>,
}

impl Log {
    pub(super) fn new(partition: u16) -> Self {
        let incarnation = Incarnation([u8::try_from(partition).unwrap() + 1; 16]);
        let head = RecordHead { generation: 1, epoch: 1, incarnation, number: 0, previous_seq: 0 };
        let mut log = Self { partition: PartitionId(partition), head, seq: 3, records: Vec::new() };
        log.push(RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 });
        log
    }

    pub(super) fn push(&mut self, body: RecordBody) {
        let bytes = Record::new(self.head, body).encode().unwrap();
        self.records.push((self.seq, bytes));
        self.head.previous_seq = self.seq;
        self.head.number += 1;
        self.seq += 2;
    }

    /// One record with one step.
    pub(super) fn step(&mut self, who: u8, events: &[ConversationEvent]) {
        self.step_of(SHOP, who, events);
    }

    pub(super) fn step_of(&mut self, business: &str, who: u8, events: &[ConversationEvent]) {
        let steps = vec![step(business, who, events)];
        self.push(RecordBody::Steps(Steps { steps, ..Steps::default() }));
    }
}

/// A read model of its own.
pub(super) struct Model {
    pub(super) repository: Arc<dyn Repository>,
    pub(super) archive: Archive,
    tables: Tables,
}

impl Model {
    pub(super) async fn new(kind: Kind) -> Self {
        let tables = Tables::new(kind).await;
        let repository = tables.repository();
        let bus = bus::sim::SimBus::new(1, 4).node("n");
        let projector = Projector::new(bus, Arc::clone(&repository), Clock::system());
        Self { repository, archive: projector.archive(sealer()), tables }
    }

    pub(super) async fn empty(&self) {
        self.tables.empty().await;
    }

    pub(super) async fn dump(&self) -> BTreeMap<String, Vec<String>> {
        self.tables.dump().await
    }

    /// Applies records of a partition after those it has.
    pub(super) async fn apply(&self, partition: PartitionId, records: &[(u64, Bytes)]) -> Applied {
        let batch = self.batch(partition, records).await;
        self.repository.apply(batch).await.unwrap()
    }

    pub(super) async fn batch(&self, partition: PartitionId, records: &[(u64, Bytes)]) -> Batch {
        let cursor = self.repository.cursor(partition).await.unwrap();
        let mut follower = Follower::after(cursor);
        decode::batch(partition, &mut follower, records).unwrap().unwrap()
    }

    pub(super) async fn apply_log(&self, log: &Log) {
        assert_eq!(self.apply(log.partition, &log.records).await, Applied::Done);
    }

    pub(super) async fn thread(&self, who: u8) -> Vec<crate::model::MessageView> {
        let business = BusinessId::from(SHOP);
        let read = self.archive.messages(&business, hash(who), None, 100, None).await.unwrap();
        read.value.unwrap().0
    }

    pub(super) async fn texts(&self, who: u8) -> Vec<String> {
        let thread = self.thread(who).await;
        thread.into_iter().map(|view| view.content.text.unwrap_or_default()).collect()
    }
}

/// Every way to read two logs record by record: `true` takes the next record of the first.
pub(super) fn interleavings(first: usize, second: usize) -> Vec<Vec<bool>> {
    match (first, second) {
        (0, 0) => vec![Vec::new()],
        _ => {
            let mut all = Vec::new();
            for (take, first, second) in [(true, first, second), (false, first, second)] {
                let left = match take {
                    true => first.checked_sub(1).map(|first| (first, second)),
                    false => second.checked_sub(1).map(|second| (first, second)),
                };
                let Some((first, second)) = left else { continue };
                for mut rest in interleavings(first, second) {
                    rest.insert(0, take);
                    all.push(rest);
                }
            }
            all
        }
    }
}

/// Every order of `items`.
pub(super) fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let rest: Vec<T> =
            items.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, x)| x.clone()).collect();
        for mut order in permutations(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

/// Fails with the rows that differ, where two dumps are not equal.
pub(super) fn assert_same(
    left: &BTreeMap<String, Vec<String>>,
    right: &BTreeMap<String, Vec<String>>,
    what: &dyn std::fmt::Debug,
) {
    for (table, rows) in left {
        let others = &right[table];
        let missing: Vec<_> = rows.iter().filter(|row| !others.contains(row)).collect();
        let extra: Vec<_> = others.iter().filter(|row| !rows.contains(row)).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{what:?} {table}: {missing:#?} {extra:#?}"
        );
        assert_eq!(rows.len(), others.len(), "{what:?} {table}");
    }
}
