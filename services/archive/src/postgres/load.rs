//! Reads the rows that batches will touch: a fixed number of queries, whatever the number of events.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use domain::conversation::{CommandAnswer, ConversationEvent as Event, Pricing, SendOutcome};
use futures::future::try_join_all;
use tokio_postgres::{Row, types::ToSql};

use super::{
    codes::{get, hash, hash_opt, unsigned, unsigned32},
    project::business,
    work::{
        Assignment, Conversation, ItemKey, Key, Message, Names, Place, Price, RequestKey, Status,
        Work,
    },
};
use crate::{ArchiveError, codes::int, delivery::StatusTimes, repository::Batch};

/// What the events of some batches name.
#[derive(Debug, Default)]
struct Wanted {
    conversations: BTreeSet<Key>,
    messages: BTreeSet<Key>,
    requests: BTreeSet<RequestKey>,
    statuses: BTreeSet<Key>,
    prices: BTreeSet<Key>,
    items: BTreeSet<ItemKey>,
}

/// The rows, as they are stored.
pub(super) async fn load(
    transaction: &Transaction<'_>,
    batches: &[&Batch],
) -> Result<Work, ArchiveError> {
    let mut work = Work::default();
    let wanted = wanted(&mut work, batches);
    let mut answers = ask(transaction, &work.names, &wanted).await?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    for row in next() {
        conversation(&mut work, &row)?;
    }
    for row in next().into_iter().chain(next()) {
        message(&mut work, &row)?;
    }
    for row in next() {
        status(&mut work, &row)?;
    }
    for row in next() {
        price(&mut work, &row)?;
    }
    for row in next() {
        assignment(&mut work, &row)?;
    }
    Ok(work)
}

/// All queries are sent before the first is answered.
async fn ask(
    transaction: &Transaction<'_>,
    names: &Names,
    wanted: &Wanted,
) -> Result<Vec<Vec<Row>>, ArchiveError> {
    let queries = [
        Query::of_keys(CONVERSATIONS, names, &wanted.conversations),
        Query::of_keys(MESSAGES_BY_ID, names, &wanted.messages),
        Query::of_requests(MESSAGES_BY_REQUEST, names, &wanted.requests),
        Query::of_keys(STATUSES, names, &wanted.statuses),
        Query::of_keys(PRICES, names, &wanted.prices),
        Query::of_items(ASSIGNMENTS, names, &wanted.items),
    ];
    try_join_all(queries.iter().map(|query| query.run(transaction))).await
}

fn wanted(work: &mut Work, batches: &[&Batch]) -> Wanted {
    let mut wanted = Wanted::default();
    for step in batches.iter().flat_map(|batch| &batch.steps) {
        let shop = business(work, &step.business);
        if step.events.is_empty() {
            continue;
        }
        let at = (shop, step.entity.hash);
        wanted.conversations.insert(at);
        step.events.iter().for_each(|event| wanted.add(at, event));
    }
    wanted
}

impl Wanted {
    fn add(&mut self, at: Key, event: &Event) {
        let shop = at.0;
        let of = |request: domain::RequestId| (shop, request.conversation.0, int(request.n));
        match event {
            Event::MessageRecorded(record) => {
                self.messages.insert((shop, record.message.0.0));
            }
            Event::EchoAutomatic { message } => {
                self.messages.insert((shop, message.0.0));
            }
            Event::StatusMerged { message, request, .. } => {
                self.messages.insert((shop, message.0.0));
                self.statuses.insert((shop, message.0.0));
                self.requests.extend(request.map(of));
            }
            Event::SendRequested(record) => {
                self.requests.insert(of(record.request));
            }
            Event::SendResolved { request, outcome, .. } => {
                self.requests.insert(of(*request));
                if let SendOutcome::Accepted { message, .. } = outcome {
                    self.messages.insert((shop, message.0.0));
                    self.statuses.insert((shop, message.0.0));
                }
            }
            Event::CommandAnswered { answer: CommandAnswer::Sent { request }, .. } => {
                self.requests.insert(of(*request));
            }
            Event::Forwarding { to, .. } => {
                self.conversations.insert((shop, to.hash.0));
            }
            Event::BillingRecorded { message, .. } => {
                self.prices.insert((shop, message.0.0));
            }
            Event::ItemWanted { item, .. }
            | Event::ItemAssigned { item, .. }
            | Event::ItemEnded { item, .. } => {
                self.items.insert((at, item.conversation.0, i64::from(item.n)));
            }
            _ => {}
        }
    }
}

/// Those named, and all they became part of.
const CONVERSATIONS: &str = "
WITH RECURSIVE chain (business, id) AS (
    SELECT k.business, k.id FROM unnest($1::text[], $2::bytea[]) AS k (business, id)
    UNION
    SELECT chain.business, c.joined_to FROM chain
    JOIN conversations c ON c.business = chain.business AND c.id = chain.id
    WHERE c.joined_to IS NOT NULL
)
SELECT c.* FROM chain JOIN conversations c ON c.business = chain.business AND c.id = chain.id";

/// Without content: it is only ever replaced.
macro_rules! message_columns {
    () => {
        "SELECT m.ord, m.business, m.conversation, m.thread, m.message, m.request_conversation, m.request_n,
    m.direction, m.author, m.author_agent, m.author_turn, m.kind, m.at_ms, m.recorded, m.target, m.episode,
    m.outcome, m.accepted_ms, m.error_code, m.told, m.repeated, m.client "
    };
}

const MESSAGES_BY_ID: &str = concat!(
    message_columns!(),
    "FROM unnest($1::text[], $2::bytea[]) AS k (business, message)
    JOIN messages m ON m.business = k.business AND m.message = k.message AND m.message IS NOT NULL"
);
const MESSAGES_BY_REQUEST: &str = concat!(
    message_columns!(),
    "FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS k (business, conversation, n)
    JOIN messages m ON m.business = k.business AND m.request_conversation = k.conversation
    AND m.request_n = k.n AND m.request_n IS NOT NULL"
);
const STATUSES: &str = "SELECT s.* FROM unnest($1::text[], $2::bytea[]) AS k (business, message)
    JOIN statuses s ON s.business = k.business AND s.message = k.message";
const PRICES: &str = "SELECT b.* FROM unnest($1::text[], $2::bytea[]) AS k (business, message)
    JOIN billing_facts b ON b.business = k.business AND b.message = k.message";
const ASSIGNMENTS: &str = "
    SELECT a.* FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[]) AS k (business, item, n, conversation)
    JOIN assignments a ON a.business = k.business AND a.conversation = k.conversation
    AND a.item_conversation = k.item AND a.item_n = k.n
    ORDER BY a.n";

/// One query by a list of keys, column by column.
struct Query<'a> {
    sql: &'static str,
    business: Vec<&'a str>,
    ids: Vec<&'a [u8]>,
    numbers: Vec<i64>,
    seconds: Vec<&'a [u8]>,
}

impl<'a> Query<'a> {
    fn of_keys(sql: &'static str, names: &'a Names, keys: &'a BTreeSet<Key>) -> Self {
        Self {
            sql,
            business: keys.iter().map(|key| names.name(key.0)).collect(),
            ids: keys.iter().map(|key| key.1.as_slice()).collect(),
            numbers: Vec::new(),
            seconds: Vec::new(),
        }
    }

    fn of_requests(sql: &'static str, names: &'a Names, keys: &'a BTreeSet<RequestKey>) -> Self {
        Self {
            sql,
            business: keys.iter().map(|key| names.name(key.0)).collect(),
            ids: keys.iter().map(|key| key.1.as_slice()).collect(),
            numbers: keys.iter().map(|key| key.2).collect(),
            seconds: Vec::new(),
        }
    }

    fn of_items(sql: &'static str, names: &'a Names, keys: &'a BTreeSet<ItemKey>) -> Self {
        Self {
            sql,
            business: keys.iter().map(|key| names.name(key.0.0)).collect(),
            ids: keys.iter().map(|key| key.1.as_slice()).collect(),
            numbers: keys.iter().map(|key| key.2).collect(),
            seconds: keys.iter().map(|key| key.0.1.as_slice()).collect(),
        }
    }

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Vec<Row>, ArchiveError> {
        if self.ids.is_empty() {
            return Ok(Vec::new());
        }
        let all: [&(dyn ToSql + Sync); 4] =
            [&self.business, &self.ids, &self.numbers, &self.seconds];
        let used =
            2 + usize::from(!self.numbers.is_empty()) + usize::from(!self.seconds.is_empty());
        let statement = transaction.prepare_cached(self.sql).await?;
        Ok(transaction.query(&statement, all.get(..used).unwrap_or(&all)).await?)
    }
}

fn conversation(work: &mut Work, row: &Row) -> Result<(), ArchiveError> {
    let key = (work.names.number(get(row, "business")?), hash(row, "id")?);
    let place = match get::<Option<i32>>(row, "partition")? {
        Some(partition) => Some(Place {
            partition,
            generation: get(row, "generation")?,
            seq: get(row, "seq")?,
            step: get(row, "step")?,
        }),
        None => None,
    };
    let stored = Conversation {
        root: hash(row, "root")?,
        joined_to: hash_opt(row, "joined_to")?,
        forwarded_to: hash_opt(row, "forwarded_to")?,
        number: hash_opt(row, "number")?,
        floor: get(row, "floor")?,
        floor_agent: get(row, "floor_agent")?,
        floor_turn: get(row, "floor_turn")?,
        window_until_ms: get(row, "window_until_ms")?,
        item_conversation: hash_opt(row, "item_conversation")?,
        item_n: get(row, "item_n")?,
        assigned_agent: get(row, "assigned_agent")?,
        waiting_queue: get(row, "waiting_queue")?,
        waiting_since_ms: get(row, "waiting_since_ms")?,
        last_message_ms: get(row, "last_message_ms")?,
        free_entry_until_ms: get(row, "free_entry_until_ms")?,
        marketing: get(row, "marketing")?,
        marketing_ms: get(row, "marketing_ms")?,
        vip: get(row, "vip")?,
        snoozed_until_ms: get(row, "snoozed_until_ms")?,
        place,
        dirty: false,
    };
    work.conversations.insert(key, stored);
    Ok(())
}

fn message(work: &mut Work, row: &Row) -> Result<(), ArchiveError> {
    let message = hash_opt(row, "message")?;
    let request = match hash_opt(row, "request_conversation")? {
        Some(conversation) => Some((conversation, get(row, "request_n")?)),
        None => None,
    };
    let stored = Message {
        ord: Some(get(row, "ord")?),
        business: work.names.number(get(row, "business")?),
        conversation: hash(row, "conversation")?,
        thread: hash(row, "thread")?,
        message,
        stored_message: message,
        request,
        direction: get(row, "direction")?,
        author: get(row, "author")?,
        author_agent: get(row, "author_agent")?,
        author_turn: get(row, "author_turn")?,
        kind: get(row, "kind")?,
        at_ms: get(row, "at_ms")?,
        recorded: get(row, "recorded")?,
        content: None,
        wamid: None,
        target: hash_opt(row, "target")?,
        episode: get(row, "episode")?,
        outcome: get(row, "outcome")?,
        accepted_ms: get(row, "accepted_ms")?,
        error_code: get(row, "error_code")?,
        told: get(row, "told")?,
        repeated: get(row, "repeated")?,
        client: hash_opt(row, "client")?,
        dirty: false,
        deleted: false,
    };
    work.messages.add(stored);
    Ok(())
}

/// The times of a row that has the columns of `statuses`.
pub(super) fn status_times(row: &Row) -> Result<StatusTimes, ArchiveError> {
    Ok(StatusTimes {
        accepted_ms: unsigned(row, "accepted_ms")?,
        sent_ms: unsigned(row, "sent_ms")?,
        delivered_ms: unsigned(row, "delivered_ms")?,
        read_ms: unsigned(row, "read_ms")?,
        played_ms: unsigned(row, "played_ms")?,
        failed_ms: unsigned(row, "failed_ms")?,
        deleted_ms: unsigned(row, "deleted_ms")?,
    })
}

fn status(work: &mut Work, row: &Row) -> Result<(), ArchiveError> {
    let key = (work.names.number(get(row, "business")?), hash(row, "message")?);
    let (times, error_code) = (status_times(row)?, unsigned32(row, "error_code")?);
    work.statuses.insert(key, Status { times, error_code, dirty: false });
    Ok(())
}

fn price(work: &mut Work, row: &Row) -> Result<(), ArchiveError> {
    let key = (work.names.number(get(row, "business")?), hash(row, "message")?);
    let pricing = Pricing {
        model: get(row, "model")?,
        kind: get(row, "type")?,
        category: get(row, "category")?,
        billable: get(row, "billable")?,
        subtype: get(row, "subtype")?,
    };
    let price = Price { conversation: hash(row, "conversation")?, pricing, dirty: false };
    work.prices.insert(key, price);
    Ok(())
}

fn assignment(work: &mut Work, row: &Row) -> Result<(), ArchiveError> {
    let at = (work.names.number(get(row, "business")?), hash(row, "conversation")?);
    let key = (at, hash(row, "item_conversation")?, get(row, "item_n")?);
    let assignment = Assignment {
        agent: get(row, "agent")?,
        assigned_ms: get(row, "assigned_ms")?,
        ended_ms: get(row, "ended_ms")?,
        dirty: false,
    };
    work.assignments.entry(key).or_default().push(assignment);
    Ok(())
}
