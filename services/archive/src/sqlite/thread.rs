//! Messages of a thread.

use domain::{BusinessId, Hash16, MessageId, Millis, RequestId};
use rusqlite::{Connection, Params, Row, params};

use super::{
    billing::pricing_of,
    codes::{author, hash_opt, sealed, sealed_opt, unsigned, unsigned32},
    forward::resolve,
    messages::status_times,
};
use crate::{
    ArchiveError,
    codes::{direction, int, kind},
    delivery::{DeliveryFacts, Outcome},
    model::{MessageRow, ThreadRows},
    tables::COLUMNS,
};

pub(super) fn thread(
    db: &Connection,
    business: &BusinessId,
    id: Hash16,
    from_ms: Millis,
    limit: usize,
) -> Result<Option<ThreadRows>, ArchiveError> {
    let Some(root) = resolve(db, business, id)? else { return Ok(None) };
    let limit = limit.max(1);
    let some = format!(
        "{COLUMNS} WHERE m.business = ?1 AND m.thread = ?2 AND m.at_ms >= ?3 ORDER BY m.at_ms, m.row LIMIT ?4"
    );
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = rows(db, &some, params![business.0, root.0, int(from_ms), count])?;
    let last_ms = match rows.last() {
        Some(last) if rows.len() == limit => last.at_ms,
        _ => return Ok(Some(ThreadRows { rows, more: false })),
    };
    // The last millisecond may have been cut in two: read all of it.
    rows.retain(|row| row.at_ms < last_ms);
    let same = format!("{COLUMNS} WHERE m.business = ?1 AND m.thread = ?2 AND m.at_ms = ?3");
    rows.extend(self::rows(db, &same, params![business.0, root.0, int(last_ms)])?);
    let more = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE business = ?1 AND thread = ?2 AND at_ms > ?3)",
        )?
        .query_row(params![business.0, root.0, int(last_ms)], |row| row.get(0))?;
    Ok(Some(ThreadRows { rows, more }))
}

pub(super) fn message(
    db: &Connection,
    business: &BusinessId,
    conversation: Hash16,
    message: MessageId,
) -> Result<Option<MessageRow>, ArchiveError> {
    let Some(root) = resolve(db, business, conversation)? else { return Ok(None) };
    let one = format!("{COLUMNS} WHERE m.business = ?1 AND m.message = ?2 AND m.thread = ?3");
    Ok(rows(db, &one, params![business.0, message.0.0, root.0])?.pop())
}

/// The sends that were the first command of a client, the newest first.
pub(super) fn submitted(
    db: &Connection,
    business: &BusinessId,
    client: Hash16,
    limit: usize,
) -> Result<Vec<MessageRow>, ArchiveError> {
    let newest = format!(
        "{COLUMNS} WHERE m.business = ?1 AND m.client = ?2 AND m.client IS NOT NULL
         ORDER BY m.at_ms DESC, m.row DESC LIMIT ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    rows(db, &newest, params![business.0, client.0, limit])
}

pub(super) fn marks(
    db: &Connection,
    business: &BusinessId,
    conversation: Hash16,
    targets: &[MessageId],
) -> Result<Vec<MessageRow>, ArchiveError> {
    let Some(root) = resolve(db, business, conversation)? else { return Ok(Vec::new()) };
    let of_one = format!(
        "{COLUMNS} WHERE m.business = ?1 AND m.target = ?2 AND m.thread = ?3 AND m.target IS NOT NULL
         AND m.kind IN ('reaction', 'edit', 'revoke')"
    );
    let mut all = Vec::new();
    for target in targets {
        all.extend(rows(db, &of_one, params![business.0, target.0.0, root.0])?);
    }
    Ok(all)
}

fn rows(db: &Connection, sql: &str, values: impl Params) -> Result<Vec<MessageRow>, ArchiveError> {
    db.prepare_cached(sql)?.query_and_then(values, message_row)?.collect()
}

fn message_row(row: &Row<'_>) -> Result<MessageRow, ArchiveError> {
    let request_conversation = hash_opt(row, "request_conversation")?;
    let request = match request_conversation {
        Some(conversation) => Some(RequestId { conversation, n: unsigned(row, "request_n")? }),
        None => None,
    };
    let reported = hash_opt(row, "reported")?.is_some();
    let refused_code = unsigned32(row, "refused_code")?;
    let (mut times, failed_code) = match reported {
        true => (status_times(row)?, unsigned32(row, "error_code")?),
        false => Default::default(),
    };
    let answered_ms = unsigned(row, "answered_ms")?;
    if times.accepted_ms == 0 {
        times.accepted_ms = answered_ms;
    }
    let outcome: u8 = row.get("outcome")?;
    let outcome = Outcome::from_code(outcome)
        .ok_or_else(|| ArchiveError::Row(format!("outcome {outcome}")))?;
    Ok(MessageRow {
        message: hash_opt(row, "message")?.map(MessageId),
        request,
        direction: direction(row.get("direction")?)?,
        author: author(row)?,
        kind: kind(&row.get::<_, String>("kind")?),
        at_ms: unsigned(row, "at_ms")?,
        content: sealed(row, "content")?,
        wamid: sealed_opt(row, "wamid")?,
        target: hash_opt(row, "target")?.map(MessageId),
        episode: unsigned32(row, "episode")?,
        delivery: DeliveryFacts { requested: request.is_some(), outcome, times },
        error_code: if failed_code == 0 { refused_code } else { failed_code },
        told: row.get("told")?,
        repeated: row.get("repeated")?,
        pricing: match hash_opt(row, "priced")? {
            Some(_) => Some(pricing_of(row)?),
            None => None,
        },
    })
}
