//! Values of the domain in and out of Postgres's columns.

use std::borrow::Cow;

use domain::{
    AgentId, Hash16, Sealed,
    conversation::{Author, Floor},
};
use tokio_postgres::Row;

use super::work::Hash;
use crate::{
    ArchiveError,
    codes::{author_of, floor_of},
};

/// A text for a column. Postgres stores no NUL, and whoever names a kind of message or a category may write one.
pub(super) fn text(value: &str) -> Cow<'_, str> {
    if value.contains('\0') {
        Cow::Owned(value.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(value)
    }
}

/// How many rows a query may answer.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The value of a column.
pub(super) fn get<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r Row,
    column: &str,
) -> Result<T, ArchiveError> {
    row.try_get(column).map_err(|error| ArchiveError::Row(error.to_string()))
}

/// The time or number of a column.
pub(super) fn unsigned(row: &Row, column: &str) -> Result<u64, ArchiveError> {
    Ok(u64::try_from(get::<i64>(row, column)?).unwrap_or(0))
}

/// As [`unsigned`], 32 bits.
pub(super) fn unsigned32(row: &Row, column: &str) -> Result<u32, ArchiveError> {
    Ok(u32::try_from(unsigned(row, column)?).unwrap_or(u32::MAX))
}

/// The code of a column.
pub(super) fn code(row: &Row, column: &str) -> Result<u8, ArchiveError> {
    let code: i16 = get(row, column)?;
    u8::try_from(code).map_err(|_| ArchiveError::Row(format!("{column} {code}")))
}

/// The id of a column.
pub(super) fn hash(row: &Row, column: &str) -> Result<Hash, ArchiveError> {
    hash_opt(row, column)?.ok_or_else(|| ArchiveError::Row(format!("no {column}")))
}

/// The id of a column that may be empty.
pub(super) fn hash_opt(row: &Row, column: &str) -> Result<Option<Hash>, ArchiveError> {
    let bytes: Option<&[u8]> = get(row, column)?;
    let id = bytes.map(|bytes| {
        Hash::try_from(bytes)
            .map_err(|_| ArchiveError::Row(format!("{column} of {} bytes", bytes.len())))
    });
    id.transpose()
}

/// As [`hash_opt`], as the domain has it.
pub(super) fn hash16_opt(row: &Row, column: &str) -> Result<Option<Hash16>, ArchiveError> {
    Ok(hash_opt(row, column)?.map(Hash16))
}

/// The agent of a column that may be empty.
pub(super) fn agent_opt(row: &Row, column: &str) -> Result<Option<AgentId>, ArchiveError> {
    Ok(get::<Option<String>>(row, column)?.map(AgentId))
}

/// The sealed value of `<column>` and `<column>_key`, where they are not empty.
pub(super) fn sealed_opt(row: &Row, column: &str) -> Result<Option<Sealed>, ArchiveError> {
    let bytes: Option<Vec<u8>> = get(row, column)?;
    Ok(match bytes {
        Some(bytes) => Some(Sealed { key_id: unsigned32(row, &format!("{column}_key"))?, bytes }),
        None => None,
    })
}

/// As [`sealed_opt`], where they cannot be empty.
pub(super) fn sealed(row: &Row, column: &str) -> Result<Sealed, ArchiveError> {
    sealed_opt(row, column)?.ok_or_else(|| ArchiveError::Row(format!("no {column}")))
}

pub(super) fn author(row: &Row) -> Result<Author, ArchiveError> {
    author_of(code(row, "author")?, agent_opt(row, "author_agent")?, unsigned(row, "author_turn")?)
}

pub(super) fn floor(row: &Row) -> Result<Floor, ArchiveError> {
    floor_of(code(row, "floor")?, agent_opt(row, "floor_agent")?, unsigned(row, "floor_turn")?)
}
