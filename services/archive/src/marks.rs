//! What reactions, edits and deletions make of the message they name. Folded when it is read, from all of them at
//! once, so that the order they came in does not matter, nor whether they came before their message.

use std::collections::BTreeMap;

use domain::{
    Millis,
    content::{Content, ContentKind, detail::Detail},
    conversation::Direction,
};

use crate::model::{MessageRow, ThreadCursor};

/// What later messages did to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// At most one per side: the last one that was not taken back.
    pub reactions: Vec<Reaction>,
    /// Edits in their order; the message says what the last one says.
    pub edits: Vec<Version>,
    /// When its author deleted it for everyone; 0 when not.
    pub revoked_ms: Millis,
}

/// A reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Whose.
    pub direction: Direction,
    /// The emoji.
    pub emoji: String,
    /// When.
    pub at_ms: Millis,
}

/// What a message said from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Text or caption; empty where the provider did not give it.
    pub text: String,
    /// Since when.
    pub at_ms: Millis,
}

impl Marks {
    /// What `marks`, each with its opened content and place in the thread, make of a message that went `direction`.
    #[must_use]
    pub(crate) fn fold(
        direction: Direction,
        mut marks: Vec<(ThreadCursor, MessageRow, Content)>,
    ) -> Self {
        marks.sort_by(|a, b| a.0.cmp(&b.0));
        let mut folded = Self::default();
        let mut reactions: BTreeMap<bool, Option<Reaction>> = BTreeMap::new();
        for (cursor, row, content) in marks {
            let at_ms = cursor.at_ms;
            // Who did not write a message can neither edit nor delete it.
            let is_authors = row.direction == direction;
            match (&row.kind, content.detail) {
                (ContentKind::Edit, Some(Detail::Edit { text: Some(text) })) if is_authors => {
                    folded.edits.push(Version { text, at_ms });
                }
                (ContentKind::Edit, _) if is_authors => {
                    folded.edits.push(Version { text: String::new(), at_ms });
                }
                (ContentKind::Revoke, _) if is_authors && folded.revoked_ms == 0 => {
                    folded.revoked_ms = at_ms.max(1);
                }
                (ContentKind::Reaction, detail) => {
                    let emoji = match detail {
                        Some(Detail::Reaction { emoji }) => emoji,
                        // One of ours: its text is the emoji.
                        _ => content.text,
                    };
                    let emoji = emoji.filter(|emoji| !emoji.is_empty());
                    let direction = row.direction;
                    let last = emoji.map(|emoji| Reaction { direction, emoji, at_ms });
                    reactions.insert(direction == Direction::Out, last);
                }
                _ => {}
            }
        }
        folded.reactions = reactions.into_values().flatten().collect();
        folded
    }
}
