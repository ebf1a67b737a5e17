//! Values of the domain out of a row.

use domain::{
    AgentId, Hash16, Sealed,
    conversation::{Author, Floor},
};
use rusqlite::Row;

use crate::{
    ArchiveError,
    codes::{author_of, floor_of},
};

/// The time or number of a column.
pub(super) fn unsigned(row: &Row<'_>, column: &str) -> Result<u64, ArchiveError> {
    let value: i64 = row.get(column)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

/// As [`unsigned`], 32 bits.
pub(super) fn unsigned32(row: &Row<'_>, column: &str) -> Result<u32, ArchiveError> {
    Ok(u32::try_from(unsigned(row, column)?).unwrap_or(u32::MAX))
}

/// The hash of a column.
pub(super) fn hash(row: &Row<'_>, column: &str) -> Result<Hash16, ArchiveError> {
    Ok(Hash16(row.get(column)?))
}

/// The hash of a column that may be empty.
pub(super) fn hash_opt(row: &Row<'_>, column: &str) -> Result<Option<Hash16>, ArchiveError> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(Hash16))
}

/// The agent of a column that may be empty.
pub(super) fn agent_opt(row: &Row<'_>, column: &str) -> Result<Option<AgentId>, ArchiveError> {
    Ok(row.get::<_, Option<String>>(column)?.map(AgentId))
}

/// The sealed value of `<column>` and `<column>_key`.
pub(super) fn sealed(row: &Row<'_>, column: &str) -> Result<Sealed, ArchiveError> {
    let key_id = row.get(format!("{column}_key").as_str())?;
    Ok(Sealed { key_id, bytes: row.get(column)? })
}

/// As [`sealed`], where the columns may be empty.
pub(super) fn sealed_opt(row: &Row<'_>, column: &str) -> Result<Option<Sealed>, ArchiveError> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    Ok(match bytes {
        Some(bytes) => Some(Sealed { key_id: row.get(format!("{column}_key").as_str())?, bytes }),
        None => None,
    })
}

pub(super) fn author(row: &Row<'_>) -> Result<Author, ArchiveError> {
    author_of(row.get("author")?, agent_opt(row, "author_agent")?, unsigned(row, "author_turn")?)
}

pub(super) fn floor(row: &Row<'_>) -> Result<Floor, ArchiveError> {
    floor_of(row.get("floor")?, agent_opt(row, "floor_agent")?, unsigned(row, "floor_turn")?)
}
