//! Messages of a thread.

use deadpool_postgres::Transaction;
use domain::{BusinessId, Hash16, MessageId, Millis, RequestId, conversation::Pricing};
use tokio_postgres::{Row, types::ToSql};

use super::{
    codes::{
        author, code, get, hash16_opt, limit as rows_max, sealed, sealed_opt, text, unsigned,
        unsigned32,
    },
    load::status_times,
    read::resolve,
};
use crate::{
    ArchiveError, Outcome,
    codes::{direction, int, kind},
    delivery::DeliveryFacts,
    model::{MessageRow, ThreadRows},
    tables::COLUMNS,
};

pub(super) async fn thread(
    transaction: &Transaction<'_>,
    business: &BusinessId,
    id: Hash16,
    from_ms: Millis,
    limit: usize,
) -> Result<Option<ThreadRows>, ArchiveError> {
    let Some(root) = resolve(transaction, business, id).await? else { return Ok(None) };
    let (shop, limit) = (text(&business.0), limit.max(1));
    let some = " WHERE m.business = $1 AND m.thread = $2 AND m.at_ms >= $3 ORDER BY m.at_ms, m.ord LIMIT $4";
    let of: [&(dyn ToSql + Sync); 2] = [&shop, &root.as_slice()];
    let [shop, root] = of;
    let values = [shop, root, &int(from_ms), &rows_max(limit)];
    let mut found = rows(transaction, some, &values).await?;
    let last_ms = match found.last() {
        Some(last) if found.len() == limit => last.at_ms,
        _ => return Ok(Some(ThreadRows { rows: found, more: false })),
    };
    // The last millisecond may have been cut in two: read all of it.
    found.retain(|row| row.at_ms < last_ms);
    let last = int(last_ms);
    let same = " WHERE m.business = $1 AND m.thread = $2 AND m.at_ms = $3";
    found.extend(rows(transaction, same, &[shop, root, &last]).await?);
    let later =
        "SELECT EXISTS (SELECT 1 FROM messages WHERE business = $1 AND thread = $2 AND at_ms > $3)";
    let later = transaction.prepare_cached(later).await?;
    let more = transaction.query_one(&later, &[shop, root, &last]).await?.try_get(0)?;
    Ok(Some(ThreadRows { rows: found, more }))
}

pub(super) async fn message(
    transaction: &Transaction<'_>,
    business: &BusinessId,
    conversation: Hash16,
    message: MessageId,
) -> Result<Option<MessageRow>, ArchiveError> {
    let Some(root) = resolve(transaction, business, conversation).await? else { return Ok(None) };
    let one = " WHERE m.business = $1 AND m.message = $2 AND m.thread = $3";
    let values: [&(dyn ToSql + Sync); 3] =
        [&text(&business.0), &message.0.0.as_slice(), &root.as_slice()];
    Ok(rows(transaction, one, &values).await?.pop())
}

/// The sends that were the first command of a client, the newest first.
pub(super) async fn submitted(
    transaction: &Transaction<'_>,
    business: &BusinessId,
    client: Hash16,
    limit: usize,
) -> Result<Vec<MessageRow>, ArchiveError> {
    let newest = " WHERE m.business = $1 AND m.client = $2 AND m.client IS NOT NULL
         ORDER BY m.at_ms DESC, m.ord DESC LIMIT $3";
    let values: [&(dyn ToSql + Sync); 3] =
        [&text(&business.0), &client.0.as_slice(), &rows_max(limit)];
    rows(transaction, newest, &values).await
}

pub(super) async fn marks(
    transaction: &Transaction<'_>,
    business: &BusinessId,
    conversation: Hash16,
    targets: &[MessageId],
) -> Result<Vec<MessageRow>, ArchiveError> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let Some(root) = resolve(transaction, business, conversation).await? else {
        return Ok(Vec::new());
    };
    let of_some =
        " WHERE m.business = $1 AND m.target = ANY($2) AND m.thread = $3 AND m.target IS NOT NULL
         AND m.kind IN ('reaction', 'edit', 'revoke')";
    let targets: Vec<&[u8]> = targets.iter().map(|target| target.0.0.as_slice()).collect();
    let values: [&(dyn ToSql + Sync); 3] = [&text(&business.0), &targets, &root.as_slice()];
    rows(transaction, of_some, &values).await
}

async fn rows(
    transaction: &Transaction<'_>,
    condition: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<MessageRow>, ArchiveError> {
    let statement = transaction.prepare_cached(&format!("{COLUMNS}{condition}")).await?;
    let found = transaction.query(&statement, values).await?;
    found.iter().map(message_row).collect()
}

fn message_row(row: &Row) -> Result<MessageRow, ArchiveError> {
    let request = match hash16_opt(row, "request_conversation")? {
        Some(conversation) => Some(RequestId { conversation, n: unsigned(row, "request_n")? }),
        None => None,
    };
    let (mut times, failed_code) = match hash16_opt(row, "reported")? {
        Some(_) => (status_times(row)?, unsigned32(row, "error_code")?),
        None => Default::default(),
    };
    if times.accepted_ms == 0 {
        times.accepted_ms = unsigned(row, "answered_ms")?;
    }
    let refused_code = unsigned32(row, "refused_code")?;
    let outcome = code(row, "outcome")?;
    let outcome = Outcome::from_code(outcome)
        .ok_or_else(|| ArchiveError::Row(format!("outcome {outcome}")))?;
    Ok(MessageRow {
        message: hash16_opt(row, "message")?.map(MessageId),
        request,
        direction: direction(code(row, "direction")?)?,
        author: author(row)?,
        kind: kind(get(row, "kind")?),
        at_ms: unsigned(row, "at_ms")?,
        content: sealed(row, "content")?,
        wamid: sealed_opt(row, "wamid")?,
        target: hash16_opt(row, "target")?.map(MessageId),
        episode: unsigned32(row, "episode")?,
        delivery: DeliveryFacts { requested: request.is_some(), outcome, times },
        error_code: if failed_code == 0 { refused_code } else { failed_code },
        told: get(row, "told")?,
        repeated: get(row, "repeated")?,
        pricing: match hash16_opt(row, "priced")? {
            Some(_) => Some(pricing(row)?),
            None => None,
        },
    })
}

fn pricing(row: &Row) -> Result<Pricing, ArchiveError> {
    Ok(Pricing {
        model: get(row, "price_model")?,
        kind: get(row, "price_type")?,
        category: get(row, "price_category")?,
        billable: get(row, "price_billable")?,
        subtype: get(row, "price_subtype")?,
    })
}
