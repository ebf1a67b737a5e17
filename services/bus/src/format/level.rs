//! The format level: what writers write, one number for a whole installation (docs/decisions/0016-format-level.md).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A format level. Whoever knows a level reads everything that is written at it and below; it is written at the level of the
/// installation, which an operator raises once every process knows the next one. A level that was released never changes.
///
/// | level | what is written otherwise than before |
/// |---|---|
/// | 1 | the beginning |
/// | 2 | the body of a record may be compressed |
/// | 3 | a Number asks a Conversation for what it heard of a send before it sends again |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FormatLevel(pub u16);

impl FormatLevel {
    /// Of an installation that says nothing of its level, and of a build that says nothing of what it knows.
    pub const FIRST: Self = Self(1);
    /// The newest level that this build knows.
    pub const KNOWN: Self = Self(3);
}

impl Default for FormatLevel {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for FormatLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
