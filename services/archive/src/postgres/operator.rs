//! What the operator asks across businesses: dead letters, and sends without a known outcome.

use bus::{PartitionId, Position};
use deadpool_postgres::Transaction;
use domain::{BusinessId, Hash16, RequestId};
use tokio_postgres::Row;

use super::codes::{author, code, get, hash, limit as rows, unsigned, unsigned32};
use crate::{
    ArchiveError, Outcome,
    codes::{int, kind},
    model::{LetterId, LetterRow, UnsettledSend},
};

pub(super) async fn dead_letters(
    transaction: &Transaction<'_>,
    after: Option<LetterId>,
    limit: usize,
) -> Result<Vec<LetterRow>, ArchiveError> {
    let (partition, position) = match after {
        Some(LetterId { partition, position }) => (i32::from(partition.0), position),
        None => (-1, Position::default()),
    };
    let (generation, step) = (i64::from(position.generation), i64::from(position.index));
    let sql =
        "SELECT * FROM dead_letters WHERE (partition, generation, seq, step) > ($1, $2, $3, $4)
         ORDER BY partition, generation, seq, step LIMIT $5";
    let statement = transaction.prepare_cached(sql).await?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&partition, &generation, &int(position.seq), &step, &rows(limit)];
    let found = transaction.query(&statement, values).await?;
    found.iter().map(letter).collect()
}

pub(super) async fn dead_letter(
    transaction: &Transaction<'_>,
    id: LetterId,
) -> Result<Option<LetterRow>, ArchiveError> {
    let LetterId { partition, position } = id;
    let (generation, step) = (i64::from(position.generation), i64::from(position.index));
    let sql = "SELECT * FROM dead_letters
         WHERE partition = $1 AND generation = $2 AND seq = $3 AND step = $4";
    let statement = transaction.prepare_cached(sql).await?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&i32::from(partition.0), &generation, &int(position.seq), &step];
    let found = transaction.query(&statement, values).await?;
    found.first().map(letter).transpose()
}

fn letter(row: &Row) -> Result<LetterRow, ArchiveError> {
    let position = Position {
        generation: unsigned32(row, "generation")?,
        seq: unsigned(row, "seq")?,
        index: unsigned32(row, "step")?,
    };
    let partition: i32 = get(row, "partition")?;
    let partition = u16::try_from(partition)
        .map_err(|_| ArchiveError::Row(format!("partition {partition}")))?;
    Ok(LetterRow {
        id: LetterId { partition: PartitionId(partition), position },
        business: BusinessId(get(row, "business")?),
        error: get(row, "error")?,
        at_ms: unsigned(row, "at_ms")?,
        replayed_ms: unsigned(row, "replayed_ms")?,
        input: bus::decode(get(row, "input")?)
            .map_err(|error| ArchiveError::Row(error.to_string()))?,
    })
}

pub(super) async fn unsettled_sends(
    transaction: &Transaction<'_>,
    open_only: bool,
    limit: usize,
) -> Result<Vec<UnsettledSend>, ArchiveError> {
    let unknown = Outcome::Unknown.code();
    // The index is on these two codes, so they stand in the text.
    let sql = "SELECT * FROM messages WHERE request_n IS NOT NULL AND message IS NULL
         AND outcome IN (0, 2) AND (outcome = 0 OR NOT $1) ORDER BY at_ms, ord LIMIT $2";
    let statement = transaction.prepare_cached(sql).await?;
    let found = transaction.query(&statement, &[&open_only, &rows(limit)]).await?;
    let sends = found.iter().map(|row| {
        Ok(UnsettledSend {
            business: BusinessId(get(row, "business")?),
            request: RequestId {
                conversation: Hash16(hash(row, "request_conversation")?),
                n: unsigned(row, "request_n")?,
            },
            author: author(row)?,
            kind: kind(get(row, "kind")?),
            at_ms: unsigned(row, "at_ms")?,
            unknown: code(row, "outcome")? == unknown,
        })
    });
    sends.collect()
}
