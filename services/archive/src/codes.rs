//! How values of the domain stand in columns, whatever the database.

use domain::{
    AgentId, Millis,
    content::ContentKind,
    conversation::{Author, ConversationEvent, Direction, Floor},
};

use crate::ArchiveError;

/// The greatest time a column holds: the databases' integers are signed.
pub(crate) const MILLIS_MAX: Millis = i64::MAX.cast_unsigned();
/// More forwards in a row than any customer has; a longer chain is a loop.
pub(crate) const HOPS_MAX: usize = 16;

/// A time or number for a column; what is beyond the end of it stands at its end.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Latest message and end of the window that a step tells of, 0 where it tells of none.
pub(crate) fn raised(events: &[ConversationEvent]) -> (u64, u64) {
    use ConversationEvent as Event;
    events.iter().fold((0, 0), |(message_ms, window_ms), event| match event {
        Event::MessageRecorded(record) => (message_ms.max(record.at_ms), window_ms),
        Event::SendRequested(record) => (message_ms.max(record.at_ms), window_ms),
        Event::WindowMoved { until_ms } => (message_ms, window_ms.max(*until_ms)),
        _ => (message_ms, window_ms),
    })
}

pub(crate) fn direction_code(direction: Direction) -> u8 {
    match direction {
        Direction::In => 0,
        Direction::Out => 1,
    }
}

pub(crate) fn direction(code: u8) -> Result<Direction, ArchiveError> {
    match code {
        0 => Ok(Direction::In),
        1 => Ok(Direction::Out),
        other => Err(ArchiveError::Row(format!("direction {other}"))),
    }
}

/// The code of an echo from the phone, and of one that the app sent by itself.
pub(crate) const AUTHOR_PHONE: u8 = 4;
/// See [`AUTHOR_PHONE`].
pub(crate) const AUTHOR_AUTOMATIC: u8 = 5;

/// Code, agent and turn of an author.
pub(crate) fn author_columns(author: &Author) -> (u8, Option<&str>, i64) {
    match author {
        Author::Customer => (0, None, 0),
        Author::Bot { turn } => (1, None, int(*turn)),
        Author::Agent(agent) => (2, Some(&agent.0), 0),
        Author::Api => (3, None, 0),
        Author::Phone { automatic: false } => (AUTHOR_PHONE, None, 0),
        Author::Phone { automatic: true } => (AUTHOR_AUTOMATIC, None, 0),
    }
}

/// The author of these columns.
pub(crate) fn author_of(
    code: u8,
    agent: Option<AgentId>,
    turn: u64,
) -> Result<Author, ArchiveError> {
    match (code, agent) {
        (0, _) => Ok(Author::Customer),
        (1, _) => Ok(Author::Bot { turn }),
        (2, Some(agent)) => Ok(Author::Agent(agent)),
        (3, _) => Ok(Author::Api),
        (AUTHOR_PHONE, _) => Ok(Author::Phone { automatic: false }),
        (AUTHOR_AUTOMATIC, _) => Ok(Author::Phone { automatic: true }),
        (other, _) => Err(ArchiveError::Row(format!("author {other}"))),
    }
}

/// Code, agent and turn of a floor.
pub(crate) fn floor_columns(floor: &Floor) -> (u8, Option<&str>, i64) {
    match floor {
        Floor::Nobody => (0, None, 0),
        Floor::Bot { turn } => (1, None, int(*turn)),
        Floor::Desk { agent } => (2, Some(&agent.0), 0),
        Floor::Phone => (3, None, 0),
    }
}

/// The floor of these columns.
pub(crate) fn floor_of(code: u8, agent: Option<AgentId>, turn: u64) -> Result<Floor, ArchiveError> {
    match (code, agent) {
        (0, _) => Ok(Floor::Nobody),
        (1, _) => Ok(Floor::Bot { turn }),
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

pub(crate) fn kind_text(kind: &ContentKind) -> String {
    match kind {
        ContentKind::Unsupported { code } => format!("unsupported:{code}"),
        ContentKind::Other(name) => format!("other:{name}"),
        plain => KINDS
            .iter()
            .find(|(known, _)| known == plain)
            .map_or_else(|| format!("other:{plain:?}"), |(_, name)| (*name).to_owned()),
    }
}

pub(crate) fn kind(text: &str) -> ContentKind {
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
