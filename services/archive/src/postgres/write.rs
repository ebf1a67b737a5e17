//! Writes the rows that events changed: one statement a table, whatever the number of rows.

use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::{
    codes::text,
    work::{Conversation, Key, Message, Work},
};
use crate::{ArchiveError, codes::int};

type Values<'a> = [&'a (dyn ToSql + Sync)];

/// One column of some rows.
macro_rules! column {
    ($rows:expr, $row:pat => $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

/// Stores everything that differs.
pub(super) async fn write(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    // First what lies outside of the rows at hand: those have moved already.
    for (business, from, to) in &work.moves {
        let business = work.names.name(*business);
        let values: &Values<'_> = &[&business, &from.as_slice(), &to.as_slice()];
        for sql in [
            "UPDATE conversations SET root = $3 WHERE business = $1 AND root = $2",
            "UPDATE messages SET thread = $3 WHERE business = $1 AND thread = $2",
        ] {
            run(transaction, sql, values).await?;
        }
    }
    conversations(transaction, work).await?;
    messages(transaction, work).await?;
    statuses(transaction, work).await?;
    prices(transaction, work).await?;
    contacts(transaction, work).await?;
    windows(transaction, work).await?;
    episodes(transaction, work).await?;
    notes(transaction, work).await?;
    assignments(transaction, work).await?;
    letters(transaction, work).await
}

async fn run(
    transaction: &Transaction<'_>,
    sql: &str,
    values: &Values<'_>,
) -> Result<(), ArchiveError> {
    let statement = transaction.prepare_cached(sql).await?;
    transaction.execute(&statement, values).await?;
    Ok(())
}

async fn conversations(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    let rows: Vec<(&Key, &Conversation)> =
        work.conversations.iter().filter(|(_, row)| row.dirty).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let hash = |hash: &'_ Option<[u8; 16]>| hash.map(|hash| hash.to_vec());
    let values: &Values<'_> = &[
        &column!(rows, (key, _) => work.names.name(key.0)),
        &column!(rows, (key, _) => key.1.as_slice()),
        &column!(rows, (_, row) => row.root.as_slice()),
        &column!(rows, (_, row) => hash(&row.joined_to)),
        &column!(rows, (_, row) => hash(&row.forwarded_to)),
        &column!(rows, (_, row) => hash(&row.number)),
        &column!(rows, (_, row) => row.floor),
        &column!(rows, (_, row) => row.floor_agent.as_deref()),
        &column!(rows, (_, row) => row.floor_turn),
        &column!(rows, (_, row) => row.window_until_ms),
        &column!(rows, (_, row) => hash(&row.item_conversation)),
        &column!(rows, (_, row) => row.item_n),
        &column!(rows, (_, row) => row.assigned_agent.as_deref()),
        &column!(rows, (_, row) => row.waiting_queue.as_deref()),
        &column!(rows, (_, row) => row.waiting_since_ms),
        &column!(rows, (_, row) => row.last_message_ms),
        &column!(rows, (_, row) => row.free_entry_until_ms),
        &column!(rows, (_, row) => row.marketing),
        &column!(rows, (_, row) => row.marketing_ms),
        &column!(rows, (_, row) => row.vip),
        &column!(rows, (_, row) => row.snoozed_until_ms),
        &column!(rows, (_, row) => row.place.map(|place| place.partition)),
        &column!(rows, (_, row) => row.place.map(|place| place.generation)),
        &column!(rows, (_, row) => row.place.map(|place| place.seq)),
        &column!(rows, (_, row) => row.place.map(|place| place.step)),
    ];
    run(transaction, CONVERSATIONS, values).await
}

const CONVERSATIONS: &str = "
INSERT INTO conversations (business, id, root, joined_to, forwarded_to, number, floor, floor_agent, floor_turn,
    window_until_ms, item_conversation, item_n, assigned_agent, waiting_queue, waiting_since_ms, last_message_ms,
    free_entry_until_ms, marketing, marketing_ms, vip, snoozed_until_ms, partition, generation, seq, step)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[],
    $7::smallint[], $8::text[], $9::bigint[], $10::bigint[], $11::bytea[], $12::bigint[], $13::text[],
    $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::smallint[], $19::bigint[], $20::boolean[],
    $21::bigint[], $22::integer[], $23::bigint[], $24::bigint[], $25::bigint[])
ON CONFLICT (business, id) DO UPDATE SET root = excluded.root, joined_to = excluded.joined_to,
    forwarded_to = excluded.forwarded_to, number = excluded.number, floor = excluded.floor,
    floor_agent = excluded.floor_agent, floor_turn = excluded.floor_turn,
    window_until_ms = excluded.window_until_ms, item_conversation = excluded.item_conversation,
    item_n = excluded.item_n, assigned_agent = excluded.assigned_agent,
    waiting_queue = excluded.waiting_queue, waiting_since_ms = excluded.waiting_since_ms,
    last_message_ms = excluded.last_message_ms, free_entry_until_ms = excluded.free_entry_until_ms,
    marketing = excluded.marketing, marketing_ms = excluded.marketing_ms, vip = excluded.vip,
    snoozed_until_ms = excluded.snoozed_until_ms, partition = excluded.partition,
    generation = excluded.generation, seq = excluded.seq, step = excluded.step";

async fn messages(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    let rows = work.messages.rows();
    let gone: Vec<i64> = rows.iter().filter(|row| row.deleted).filter_map(|row| row.ord).collect();
    if !gone.is_empty() {
        run(transaction, "DELETE FROM messages WHERE ord = ANY($1)", &[&gone]).await?;
    }
    let changed = |row: &&Message| row.dirty && !row.deleted;
    let known: Vec<&Message> =
        rows.iter().filter(changed).filter(|row| row.ord.is_some()).collect();
    // A send that is another message now lets its former one go first, which another send may be.
    let former =
        |row: &&&Message| row.stored_message.is_some() && row.stored_message != row.message;
    let unlinked: Vec<i64> = known.iter().filter(former).filter_map(|row| row.ord).collect();
    if !unlinked.is_empty() {
        let unlink = "UPDATE messages SET message = NULL WHERE ord = ANY($1)";
        run(transaction, unlink, &[&unlinked]).await?;
    }
    if !known.is_empty() {
        let ords: Vec<i64> = known.iter().filter_map(|row| row.ord).collect();
        with_columns(transaction, UPDATE_MESSAGES, work, &known, &ords).await?;
    }
    let fresh: Vec<&Message> =
        rows.iter().filter(changed).filter(|row| row.ord.is_none()).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let places: Vec<i64> = (0..).take(fresh.len()).collect();
    with_columns(transaction, INSERT_MESSAGES, work, &fresh, &places).await
}

async fn with_columns(
    transaction: &Transaction<'_>,
    sql: &str,
    work: &Work,
    rows: &[&Message],
    ords: &Vec<i64>,
) -> Result<(), ArchiveError> {
    let hash = |hash: &'_ Option<[u8; 16]>| hash.map(|hash| hash.to_vec());
    let values: &Values<'_> = &[
        ords,
        &column!(rows, row => work.names.name(row.business)),
        &column!(rows, row => row.conversation.as_slice()),
        &column!(rows, row => row.thread.as_slice()),
        &column!(rows, row => hash(&row.message)),
        &column!(rows, row => row.request.map(|request| request.0.to_vec())),
        &column!(rows, row => row.request.map(|request| request.1)),
        &column!(rows, row => row.direction),
        &column!(rows, row => row.author),
        &column!(rows, row => row.author_agent.as_deref()),
        &column!(rows, row => row.author_turn),
        &column!(rows, row => row.kind.as_str()),
        &column!(rows, row => row.at_ms),
        &column!(rows, row => row.recorded),
        &column!(rows, row => row.content.as_ref().map(|sealed| i64::from(sealed.key_id))),
        &column!(rows, row => row.content.as_ref().map(|sealed| sealed.bytes.as_slice())),
        &column!(rows, row => row.wamid.as_ref().map(|sealed| i64::from(sealed.key_id))),
        &column!(rows, row => row.wamid.as_ref().map(|sealed| sealed.bytes.as_slice())),
        &column!(rows, row => hash(&row.target)),
        &column!(rows, row => row.episode),
        &column!(rows, row => row.outcome),
        &column!(rows, row => row.accepted_ms),
        &column!(rows, row => row.error_code),
        &column!(rows, row => row.told.as_str()),
        &column!(rows, row => row.repeated),
        &column!(rows, row => hash(&row.client)),
    ];
    run(transaction, sql, values).await
}

macro_rules! message_rows {
    () => {
        " FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[],
    $8::smallint[], $9::smallint[], $10::text[], $11::bigint[], $12::text[], $13::bigint[], $14::boolean[],
    $15::bigint[], $16::bytea[], $17::bigint[], $18::bytea[], $19::bytea[], $20::bigint[], $21::smallint[],
    $22::bigint[], $23::bigint[], $24::text[], $25::boolean[], $26::bytea[])
    AS u (ord, business, conversation, thread, message, request_conversation, request_n, direction, author,
    author_agent, author_turn, kind, at_ms, recorded, content_key, content, wamid_key, wamid, target, episode,
    outcome, accepted_ms, error_code, told, repeated, client) "
    };
}

const INSERT_MESSAGES: &str = concat!(
    "INSERT INTO messages (business, conversation, thread, message, request_conversation, request_n, direction,
    author, author_agent, author_turn, kind, at_ms, recorded, content_key, content, wamid_key, wamid, target,
    episode, outcome, accepted_ms, error_code, told, repeated, client)
    SELECT u.business, u.conversation, u.thread, u.message, u.request_conversation, u.request_n, u.direction,
    u.author, u.author_agent, u.author_turn, u.kind, u.at_ms, u.recorded, u.content_key, u.content,
    u.wamid_key, u.wamid, u.target, u.episode, u.outcome, u.accepted_ms, u.error_code, u.told, u.repeated,
    u.client",
    message_rows!(),
    "ORDER BY u.ord"
);

/// What a row is of (business and request) never changes.
const UPDATE_MESSAGES: &str = concat!(
    "UPDATE messages m SET conversation = u.conversation, thread = u.thread, message = u.message,
    direction = u.direction, author = u.author, author_agent = u.author_agent, author_turn = u.author_turn,
    kind = u.kind, at_ms = u.at_ms, recorded = u.recorded,
    content_key = coalesce(u.content_key, m.content_key), content = coalesce(u.content, m.content),
    wamid_key = coalesce(u.wamid_key, m.wamid_key), wamid = coalesce(u.wamid, m.wamid),
    target = u.target, episode = u.episode, outcome = u.outcome, accepted_ms = u.accepted_ms,
    error_code = u.error_code, told = u.told, repeated = u.repeated, client = u.client",
    message_rows!(),
    "WHERE m.ord = u.ord"
);

async fn statuses(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    let rows: Vec<_> = work.statuses.iter().filter(|(_, row)| row.dirty).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let values: &Values<'_> = &[
        &column!(rows, (key, _) => work.names.name(key.0)),
        &column!(rows, (key, _) => key.1.as_slice()),
        &column!(rows, (_, row) => int(row.times.accepted_ms)),
        &column!(rows, (_, row) => int(row.times.sent_ms)),
        &column!(rows, (_, row) => int(row.times.delivered_ms)),
        &column!(rows, (_, row) => int(row.times.read_ms)),
        &column!(rows, (_, row) => int(row.times.played_ms)),
        &column!(rows, (_, row) => int(row.times.failed_ms)),
        &column!(rows, (_, row) => int(row.times.deleted_ms)),
        &column!(rows, (_, row) => i64::from(row.error_code)),
    ];
    let sql = "INSERT INTO statuses (business, message, accepted_ms, sent_ms, delivered_ms, read_ms, played_ms,
            failed_ms, deleted_ms, error_code)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
        ON CONFLICT (business, message) DO UPDATE SET accepted_ms = excluded.accepted_ms,
            sent_ms = excluded.sent_ms, delivered_ms = excluded.delivered_ms, read_ms = excluded.read_ms,
            played_ms = excluded.played_ms, failed_ms = excluded.failed_ms, deleted_ms = excluded.deleted_ms,
            error_code = excluded.error_code";
    run(transaction, sql, values).await
}

async fn prices(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    let rows: Vec<_> = work.prices.iter().filter(|(_, row)| row.dirty).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let word = |word: &'_ Option<String>| word.as_deref().map(|word| text(word).into_owned());
    let values: &Values<'_> = &[
        &column!(rows, (key, _) => work.names.name(key.0)),
        &column!(rows, (key, _) => key.1.as_slice()),
        &column!(rows, (_, row) => row.conversation.as_slice()),
        &column!(rows, (_, row) => word(&row.pricing.model)),
        &column!(rows, (_, row) => word(&row.pricing.kind)),
        &column!(rows, (_, row) => word(&row.pricing.category)),
        &column!(rows, (_, row) => row.pricing.billable),
        &column!(rows, (_, row) => word(&row.pricing.subtype)),
    ];
    let sql = "INSERT INTO billing_facts (business, message, conversation, model, type, category, billable, subtype)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[],
            $7::boolean[], $8::text[])
        ON CONFLICT (business, message) DO UPDATE SET conversation = excluded.conversation,
            model = excluded.model, type = excluded.type, category = excluded.category,
            billable = excluded.billable, subtype = excluded.subtype";
    run(transaction, sql, values).await
}

async fn contacts(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    if work.contacts.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = work.contacts.iter().collect();
    let values: &Values<'_> = &[
        &column!(rows, (key, _) => work.names.name(key.0)),
        &column!(rows, (key, _) => key.1.as_slice()),
        &column!(rows, (_, who) => i64::from(who.key_id)),
        &column!(rows, (_, who) => who.bytes.as_slice()),
    ];
    let sql = "INSERT INTO contacts (business, conversation, who_key, who)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[])
        ON CONFLICT (business, conversation) DO UPDATE SET who_key = excluded.who_key, who = excluded.who";
    run(transaction, sql, values).await
}

async fn windows(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    if work.windows.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = work.windows.iter().collect();
    let values: &Values<'_> = &[
        &column!(rows, ((key, _), _) => work.names.name(key.0)),
        &column!(rows, ((key, _), _) => key.1.as_slice()),
        &column!(rows, ((_, category), _) => category.as_str()),
        &column!(rows, (_, until_ms) => **until_ms),
    ];
    let sql = "INSERT INTO billing_windows (business, conversation, category, until_ms)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[])
        ON CONFLICT (business, conversation, category)
        DO UPDATE SET until_ms = greatest(billing_windows.until_ms, excluded.until_ms)";
    run(transaction, sql, values).await
}

async fn episodes(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    if work.episodes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = work.episodes.iter().collect();
    let values: &Values<'_> = &[
        &column!(rows, ((key, _), _) => work.names.name(key.0)),
        &column!(rows, ((key, _), _) => key.1.as_slice()),
        &column!(rows, ((_, n), _) => *n),
        &column!(rows, (_, row) => row.opened_ms),
        &column!(rows, (_, row) => row.resolved.as_ref().map(|(at_ms, _)| *at_ms)),
        &column!(rows, (_, row) => row.resolved.as_ref().and_then(|(_, by)| by.as_deref())),
    ];
    // Without a beginning the episode began at an address that joined this one.
    let sql = "MERGE INTO episodes e USING unnest($1::text[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::text[]) AS u (business, conversation, n, opened_ms, resolved_ms, resolved_by)
        ON e.business = u.business AND e.conversation = u.conversation AND e.n = u.n
        WHEN MATCHED THEN UPDATE SET opened_ms = coalesce(u.opened_ms, e.opened_ms),
            resolved_ms = coalesce(u.resolved_ms, e.resolved_ms),
            resolved_by = CASE WHEN u.resolved_ms IS NULL THEN e.resolved_by ELSE u.resolved_by END
        WHEN NOT MATCHED THEN INSERT (business, conversation, n, opened_ms, resolved_ms, resolved_by)
            VALUES (u.business, u.conversation, u.n, coalesce(u.opened_ms, 0), coalesce(u.resolved_ms, 0),
                u.resolved_by)";
    run(transaction, sql, values).await
}

async fn notes(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    if work.notes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = work.notes.iter().collect();
    let values: &Values<'_> = &[
        &column!(rows, ((key, _), _) => work.names.name(key.0)),
        &column!(rows, ((key, _), _) => key.1.as_slice()),
        &column!(rows, ((_, n), _) => *n),
        &column!(rows, (_, note) => note.agent.as_deref()),
        &column!(rows, (_, note) => i64::from(note.content.key_id)),
        &column!(rows, (_, note) => note.content.bytes.as_slice()),
        &column!(rows, (_, note) => note.at_ms),
    ];
    let sql = "INSERT INTO notes (business, conversation, n, agent, content_key, content, at_ms)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::text[], $5::bigint[], $6::bytea[],
            $7::bigint[])
        ON CONFLICT DO NOTHING";
    run(transaction, sql, values).await
}

async fn assignments(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    let numbered = work.assignments.iter().flat_map(|(key, list)| {
        (1_i64..).zip(list).map(move |(n, assignment)| (key, n, assignment))
    });
    let rows: Vec<_> = numbered.filter(|(_, _, assignment)| assignment.dirty).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let values: &Values<'_> = &[
        &column!(rows, (key, _, _) => work.names.name(key.0.0)),
        &column!(rows, (key, _, _) => key.0.1.as_slice()),
        &column!(rows, (key, _, _) => key.1.as_slice()),
        &column!(rows, (key, _, _) => key.2),
        &column!(rows, (_, n, _) => *n),
        &column!(rows, (_, _, row) => row.agent.as_str()),
        &column!(rows, (_, _, row) => row.assigned_ms),
        &column!(rows, (_, _, row) => row.ended_ms),
    ];
    let sql = "INSERT INTO assignments (business, conversation, item_conversation, item_n, n, agent, assigned_ms,
            ended_ms)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[],
            $7::bigint[], $8::bigint[])
        ON CONFLICT (business, conversation, item_conversation, item_n, n)
        DO UPDATE SET ended_ms = excluded.ended_ms";
    run(transaction, sql, values).await
}

/// Dead letters are rare: each is a statement of its own.
async fn letters(transaction: &Transaction<'_>, work: &Work) -> Result<(), ArchiveError> {
    for letter in &work.letters {
        let (business, position) = (work.names.name(letter.business), letter.position);
        let (generation, step) = (i64::from(position.generation), i64::from(position.index));
        let values: &Values<'_> = &[
            &business,
            &letter.partition,
            &generation,
            &int(position.seq),
            &step,
            &letter.entity_kind,
            &letter.entity,
            &letter.error,
            &letter.at_ms,
            &letter.input,
        ];
        let sql = "INSERT INTO dead_letters (business, partition, generation, seq, step, entity_kind, entity,
                error, at_ms, input, replayed_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)";
        run(transaction, sql, values).await?;
    }
    for (partition, position, at_ms) in &work.replays {
        let (generation, step) = (i64::from(position.generation), i64::from(position.index));
        let values: &Values<'_> = &[partition, &generation, &int(position.seq), &step, at_ms];
        // Of one that is not known there is nothing to note.
        let sql = "UPDATE dead_letters SET replayed_ms = greatest(replayed_ms, $5)
            WHERE partition = $1 AND generation = $2 AND seq = $3 AND step = $4";
        run(transaction, sql, values).await?;
    }
    Ok(())
}
