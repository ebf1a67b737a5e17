//! How values of the domain stand in columns.

use domain::{
    AgentId, Hash16, Sealed,
    content::ContentKind,
    conversation::{Author, Direction, Floor},
};
use rusqlite::Row;

use crate::ArchiveError;

/// A time or number for a column: SQLite's integers are signed.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

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

pub(super) fn direction_code(direction: Direction) -> u8 {
    match direction {
        Direction::In => 0,
        Direction::Out => 1,
    }
}

pub(super) fn direction(code: u8) -> Result<Direction, ArchiveError> {
    match code {
        0 => Ok(Direction::In),
        1 => Ok(Direction::Out),
        other => Err(ArchiveError::Row(format!("direction {other}"))),
    }
}

/// Code, agent and turn of an author.
pub(super) fn author_columns(author: &Author) -> (u8, Option<&str>, i64) {
    match author {
        Author::Customer => (0, None, 0),
        Author::Bot { turn } => (1, None, int(*turn)),
        Author::Agent(agent) => (2, Some(&agent.0), 0),
        Author::Api => (3, None, 0),
        Author::Phone { automatic: false } => (4, None, 0),
        Author::Phone { automatic: true } => (5, None, 0),
    }
}

pub(super) fn author(row: &Row<'_>) -> Result<Author, ArchiveError> {
    let agent = agent_opt(row, "author_agent")?;
    match (row.get::<_, u8>("author")?, agent) {
        (0, _) => Ok(Author::Customer),
        (1, _) => Ok(Author::Bot { turn: unsigned(row, "author_turn")? }),
        (2, Some(agent)) => Ok(Author::Agent(agent)),
        (3, _) => Ok(Author::Api),
        (4, _) => Ok(Author::Phone { automatic: false }),
        (5, _) => Ok(Author::Phone { automatic: true }),
        (other, _) => Err(ArchiveError::Row(format!("author {other}"))),
    }
}

/// Code, agent and turn of a floor.
pub(super) fn floor_columns(floor: &Floor) -> (u8, Option<&str>, i64) {
    match floor {
        Floor::Nobody => (0, None, 0),
        Floor::Bot { turn } => (1, None, int(*turn)),
        Floor::Desk { agent } => (2, Some(&agent.0), 0),
        Floor::Phone => (3, None, 0),
    }
}

pub(super) fn floor(row: &Row<'_>) -> Result<Floor, ArchiveError> {
    let agent = agent_opt(row, "floor_agent")?;
    match (row.get::<_, u8>("floor")?, agent) {
        (0, _) => Ok(Floor::Nobody),
        (1, _) => Ok(Floor::Bot { turn: unsigned(row, "floor_turn")? }),
        (2, Some(agent)) => Ok(Floor::Desk { agent }),
        (3, _) => Ok(Floor::Phone),
        (other, _) => Err(ArchiveError::Row(format!("floor {other}"))),
    }
}

/// Kinds without further data, and their names.
const KINDS: [(ContentKind, &str); 16] = [
    (ContentKind::Text, "text"),
    (ContentKind::Image, "image"),
    (ContentKind::Video, "video"),
    (ContentKind::Audio, "audio"),
    (ContentKind::Document, "document"),
    (ContentKind::Sticker, "sticker"),
    (ContentKind::Location, "location"),
    (ContentKind::Contacts, "contacts"),
    (ContentKind::Interactive, "interactive"),
    (ContentKind::Button, "button"),
    (ContentKind::Reaction, "reaction"),
    (ContentKind::Order, "order"),
    (ContentKind::System, "system"),
    (ContentKind::Edit, "edit"),
    (ContentKind::Revoke, "revoke"),
    (ContentKind::Template, "template"),
];

pub(super) fn kind_text(kind: &ContentKind) -> String {
    match kind {
        ContentKind::Unsupported { code } => format!("unsupported:{code}"),
        ContentKind::Other(name) => format!("other:{name}"),
        plain => KINDS
            .iter()
            .find(|(known, _)| known == plain)
            .map_or_else(|| format!("other:{plain:?}"), |(_, name)| (*name).to_owned()),
    }
}

pub(super) fn kind(text: &str) -> ContentKind {
    if let Some(name) = text.strip_prefix("other:") {
        return ContentKind::Other(name.to_owned());
    }
    if let Some(code) = text.strip_prefix("unsupported:").and_then(|code| code.parse().ok()) {
        return ContentKind::Unsupported { code };
    }
    let known = KINDS.iter().find(|(_, name)| *name == text);
    known.map_or_else(|| ContentKind::Other(text.to_owned()), |(kind, _)| kind.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        let further =
            [ContentKind::Unsupported { code: 131_051 }, ContentKind::Other("text".to_owned())];
        for known in KINDS.iter().map(|(kind, _)| kind.clone()).chain(further) {
            assert_eq!(kind(&kind_text(&known)), known);
        }
    }
}
