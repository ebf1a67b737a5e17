//! Every SQL statement of the bus, and how values stand in rows.

use bytes::Bytes;
use rusqlite::{
    Connection, OptionalExtension, Row,
    types::{Type, ValueRef},
};

use crate::{
    Checkpoint, EntityId, PartName, PartPut, PartitionId, Position, ReadLimit, SavedPart, ScanMark,
    ScanPage,
};

/// Bits of a row id that hold the sequence; the 16 above hold the partition. Entries of one
/// partition are thus neighbours, and an append goes to the end of its range.
const SEQ_BITS: u32 = 47;
const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;
/// Bytes of an entity's key: its kind and its hash.
const ENTITY_BYTES: usize = 17;
/// Parts of one page of a scan; at 64 KiB each they are 16 MiB, and usually far less.
const SCAN_PARTS: usize = 256;

/// One of the two tables of sequenced entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Inbox,
    Log,
}

impl Table {
    const fn insert(self) -> &'static str {
        match self {
            Self::Inbox => "INSERT INTO inbox (id, body) VALUES (?1, ?2)",
            Self::Log => "INSERT INTO log (id, body) VALUES (?1, ?2)",
        }
    }

    const fn select_after(self) -> &'static str {
        match self {
            Self::Inbox => {
                "SELECT id, body FROM inbox WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"
            }
            Self::Log => "SELECT id, body FROM log WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        }
    }

    const fn delete_through(self) -> &'static str {
        match self {
            Self::Inbox => {
                "DELETE FROM inbox WHERE id IN
                 (SELECT id FROM inbox WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3)"
            }
            Self::Log => {
                "DELETE FROM log WHERE id IN
                 (SELECT id FROM log WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3)"
            }
        }
    }

    /// Entries removed at once: their pages are a few milliseconds of the writer.
    pub(super) const fn slice(self) -> u64 {
        match self {
            Self::Inbox => 256,
            Self::Log => 64,
        }
    }

    const fn select_last(self) -> &'static str {
        match self {
            Self::Inbox => "SELECT max(id) FROM inbox WHERE id > ?1 AND id <= ?2",
            Self::Log => "SELECT max(id) FROM log WHERE id > ?1 AND id <= ?2",
        }
    }
}

fn row_id(partition: PartitionId, seq: u64) -> i64 {
    (i64::from(partition.0) << SEQ_BITS) | i64::try_from(seq.min(SEQ_MAX)).unwrap_or(i64::MAX)
}

fn seq_of(id: i64) -> u64 {
    id.unsigned_abs() & SEQ_MAX
}

/// SQLite's integers are signed; no sequence comes near their limit.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn blob(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Bytes>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => Ok(Some(Bytes::copy_from_slice(bytes))),
        other => Err(rusqlite::Error::InvalidColumnType(
            column,
            format!("column {column}"),
            other.data_type(),
        )),
    }
}

fn some_blob(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    blob(row, column)?.ok_or_else(|| {
        rusqlite::Error::InvalidColumnType(column, format!("column {column}"), Type::Null)
    })
}

fn position(row: &Row<'_>, from: usize) -> rusqlite::Result<Position> {
    Ok(Position {
        generation: row.get(from)?,
        seq: unsigned(row, from + 1)?,
        index: row.get(from + 2)?,
    })
}

fn entity_key(entity: EntityId) -> [u8; ENTITY_BYTES] {
    let mut key = [0; ENTITY_BYTES];
    key.iter_mut().zip([entity.kind].iter().chain(&entity.hash)).for_each(|(to, from)| *to = *from);
    key
}

fn entity_of(row: &Row<'_>, column: usize) -> rusqlite::Result<EntityId> {
    let key = some_blob(row, column)?;
    let entity = key
        .split_first()
        .and_then(|(kind, hash)| Some(EntityId { kind: *kind, hash: hash.try_into().ok()? }));
    let what = || format!("the entity in column {column}");
    entity.ok_or_else(|| rusqlite::Error::InvalidColumnType(column, what(), Type::Blob))
}

pub(super) fn insert(
    connection: &Connection,
    table: Table,
    partition: PartitionId,
    seq: u64,
    body: &[u8],
) -> rusqlite::Result<()> {
    connection.prepare_cached(table.insert())?.execute((row_id(partition, seq), body))?;
    Ok(())
}

/// Sequence of the last entry (0: none).
pub(super) fn last_seq(
    connection: &Connection,
    table: Table,
    partition: PartitionId,
) -> rusqlite::Result<u64> {
    let range = (row_id(partition, 0), row_id(partition, SEQ_MAX));
    let last: Option<i64> =
        connection.prepare_cached(table.select_last())?.query_row(range, |row| row.get(0))?;
    Ok(last.map_or(0, seq_of))
}

pub(super) fn entries_after(
    connection: &Connection,
    table: Table,
    partition: PartitionId,
    after: u64,
    limit: ReadLimit,
) -> rusqlite::Result<Vec<(u64, Bytes)>> {
    let values = i64::try_from(limit.values.max(1)).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(table.select_after())?;
    let range = (row_id(partition, after), row_id(partition, SEQ_MAX), values);
    let mut rows = statement.query(range)?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let body = some_blob(row, 1)?;
        bytes += body.len();
        if bytes > limit.bytes && !found.is_empty() {
            break;
        }
        found.push((seq_of(row.get(0)?), body));
    }
    Ok(found)
}

/// Removes a slice of the entries up to and with `through`.
pub(super) fn delete_through(
    connection: &Connection,
    table: Table,
    partition: PartitionId,
    through: u64,
) -> rusqlite::Result<u64> {
    let range = (row_id(partition, 0), row_id(partition, through), integer(table.slice()));
    let removed = connection.prepare_cached(table.delete_through())?.execute(range)?;
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}

pub(super) fn put_part(
    connection: &Connection,
    partition: PartitionId,
    put: &PartPut,
) -> rusqlite::Result<()> {
    let position = put.part.position;
    connection
        .prepare_cached(
            "INSERT INTO part (partition, entity, name, generation, seq, step, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (partition, entity, name) DO UPDATE SET generation = excluded.generation,
                 seq = excluded.seq, step = excluded.step, body = excluded.body
             WHERE (generation, seq, step) < (excluded.generation, excluded.seq, excluded.step)",
        )?
        .execute((
            partition.0,
            entity_key(put.entity),
            &put.part.name.0,
            position.generation,
            integer(position.seq),
            position.index,
            put.part.bytes.as_deref(),
        ))?;
    Ok(())
}

pub(super) fn parts_of(
    connection: &Connection,
    partition: PartitionId,
    entity: EntityId,
) -> rusqlite::Result<Vec<SavedPart>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, generation, seq, step, body FROM part
         WHERE partition = ?1 AND entity = ?2 ORDER BY name",
    )?;
    let parts = statement.query_map((partition.0, entity_key(entity)), |row| {
        Ok(SavedPart {
            name: PartName(row.get(0)?),
            position: position(row, 1)?,
            bytes: blob(row, 4)?,
        })
    })?;
    parts.collect()
}

/// The parts that follow the one whose key and name are `after`; none: the first ones.
pub(super) fn scan(
    connection: &Connection,
    partition: PartitionId,
    after: &[u8],
) -> rusqlite::Result<ScanPage> {
    let (entity, name) = after.split_at_checked(ENTITY_BYTES).unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    let limit = i64::try_from(SCAN_PARTS).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT entity, name, generation, seq, step, body FROM part
         WHERE partition = ?1 AND (entity, name) > (?2, ?3) ORDER BY entity, name LIMIT ?4",
    )?;
    let found = statement.query_map((partition.0, entity, name.as_ref(), limit), |row| {
        let part = SavedPart {
            name: PartName(row.get(1)?),
            position: position(row, 2)?,
            bytes: blob(row, 5)?,
        };
        Ok(PartPut { entity: entity_of(row, 0)?, part })
    })?;
    let parts: Vec<PartPut> = found.collect::<rusqlite::Result<_>>()?;
    let mark = |last: &PartPut| {
        let key = entity_key(last.entity);
        ScanMark(key.iter().chain(last.part.name.0.as_bytes()).copied().collect())
    };
    let next = parts.last().filter(|_| parts.len() == SCAN_PARTS).map(mark);
    Ok(ScanPage { parts, next })
}

pub(super) fn put_checkpoint(
    connection: &Connection,
    partition: PartitionId,
    checkpoint: &Checkpoint,
) -> rusqlite::Result<()> {
    let position = checkpoint.position;
    connection
        .prepare_cached(
            "INSERT INTO checkpoint (partition, generation, seq, step, body)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (partition) DO UPDATE SET generation = excluded.generation,
                 seq = excluded.seq, step = excluded.step, body = excluded.body
             WHERE (generation, seq, step) < (excluded.generation, excluded.seq, excluded.step)",
        )?
        .execute((
            partition.0,
            position.generation,
            integer(position.seq),
            position.index,
            &checkpoint.bytes[..],
        ))?;
    Ok(())
}

pub(super) fn checkpoint(
    connection: &Connection,
    partition: PartitionId,
) -> rusqlite::Result<Option<Checkpoint>> {
    connection
        .prepare_cached("SELECT generation, seq, step, body FROM checkpoint WHERE partition = ?1")?
        .query_row([partition.0], |row| {
            Ok(Checkpoint { position: position(row, 0)?, bytes: some_blob(row, 3)? })
        })
        .optional()
}
