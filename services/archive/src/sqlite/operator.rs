//! What the operator asks across businesses: dead letters, and sends without a known outcome.

use bus::{PartitionId, Position};
use domain::{BusinessId, Hash16, RequestId};
use rusqlite::{Connection, Row, params};

use super::codes::{author, unsigned, unsigned32};
use crate::{
    ArchiveError, Outcome,
    codes::{int, kind},
    model::{LetterId, LetterRow, UnsettledSend},
};

/// Notes that a dead letter was decided once more. Of one that is not known there is nothing to note.
pub(super) fn replayed(
    db: &Connection,
    partition: PartitionId,
    letter: Position,
    now_ms: u64,
) -> Result<(), ArchiveError> {
    db.prepare_cached(
        "UPDATE dead_letters SET replayed_ms = max(replayed_ms, ?5)
         WHERE partition = ?1 AND generation = ?2 AND seq = ?3 AND step = ?4",
    )?
    .execute(params![
        partition.0,
        letter.generation,
        int(letter.seq),
        letter.index,
        int(now_ms.max(1))
    ])?;
    Ok(())
}

pub(super) fn dead_letters(
    db: &Connection,
    after: Option<LetterId>,
    limit: usize,
) -> Result<Vec<LetterRow>, ArchiveError> {
    let (partition, position) = match after {
        Some(LetterId { partition, position }) => (i64::from(partition.0), position),
        None => (-1, Position::default()),
    };
    db.prepare_cached(
        "SELECT * FROM dead_letters WHERE (partition, generation, seq, step) > (?1, ?2, ?3, ?4)
         ORDER BY partition, generation, seq, step LIMIT ?5",
    )?
    .query_and_then(
        params![
            partition,
            position.generation,
            int(position.seq),
            position.index,
            i64::try_from(limit).unwrap_or(i64::MAX)
        ],
        letter,
    )?
    .collect()
}

pub(super) fn dead_letter(
    db: &Connection,
    id: LetterId,
) -> Result<Option<LetterRow>, ArchiveError> {
    let LetterId { partition, position } = id;
    db.prepare_cached(
        "SELECT * FROM dead_letters
         WHERE partition = ?1 AND generation = ?2 AND seq = ?3 AND step = ?4",
    )?
    .query_and_then(
        params![partition.0, position.generation, int(position.seq), position.index],
        letter,
    )?
    .next()
    .transpose()
}

fn letter(row: &Row<'_>) -> Result<LetterRow, ArchiveError> {
    let input: Vec<u8> = row.get("input")?;
    let position = Position {
        generation: unsigned32(row, "generation")?,
        seq: unsigned(row, "seq")?,
        index: unsigned32(row, "step")?,
    };
    Ok(LetterRow {
        id: LetterId { partition: PartitionId(row.get("partition")?), position },
        business: BusinessId(row.get("business")?),
        error: row.get("error")?,
        at_ms: unsigned(row, "at_ms")?,
        replayed_ms: unsigned(row, "replayed_ms")?,
        input: bus::decode(&input).map_err(|error| ArchiveError::Row(error.to_string()))?,
    })
}

pub(super) fn unsettled_sends(
    db: &Connection,
    open_only: bool,
    limit: usize,
) -> Result<Vec<UnsettledSend>, ArchiveError> {
    let (open, unknown) = (Outcome::Open.code(), Outcome::Unknown.code());
    let other = if open_only { open } else { unknown };
    db.prepare_cached(
        "SELECT * FROM messages WHERE request_n IS NOT NULL AND message IS NULL
         AND outcome IN (?1, ?2) ORDER BY at_ms, row LIMIT ?3",
    )?
    .query_and_then(params![open, other, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let conversation: [u8; 16] = row.get("request_conversation")?;
        Ok(UnsettledSend {
            business: BusinessId(row.get("business")?),
            request: RequestId {
                conversation: Hash16(conversation),
                n: unsigned(row, "request_n")?,
            },
            author: author(row)?,
            kind: kind(&row.get::<_, String>("kind")?),
            at_ms: unsigned(row, "at_ms")?,
            unknown: row.get::<_, u8>("outcome")? == unknown,
        })
    })?
    .collect()
}
