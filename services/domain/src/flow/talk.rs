//! What a bot hears, says and decides, whatever kind of bot it is.

use serde::{Deserialize, Serialize};

use super::State;
use crate::{
    Millis, QueueId,
    content::{Content, ContentKind, MediaReference, Menu},
};

/// What the customer said, as a bot hears it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Text, caption or title of what was tapped.
    pub text: Option<String>,
    /// Id of the button or list row that was tapped.
    pub choice: Option<String>,
    /// Something that is no text: its kind. `None` for text and for a tapped choice.
    pub kind: Option<ContentKind>,
    /// Written before the bot's last words can have been read (an album, several lines): it may be an answer, but is
    /// never a wrong one.
    #[serde(default)]
    pub early: bool,
}

impl Heard {
    /// A typed text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }

    /// A tapped button or row.
    #[must_use]
    pub fn choice(id: &str) -> Self {
        Self { choice: Some(id.to_owned()), ..Self::default() }
    }
}

/// What is known beside the words. The same facts give the same answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Now, Unix ms.
    pub now_ms: Millis,
    /// The customer's profile name.
    pub name: Option<String>,
    /// The customer's phone: E.164 digits without `+`.
    pub phone: Option<String>,
}

/// What a bot answers in its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What it says, in order.
    pub replies: Vec<Reply>,
    /// What becomes of the conversation after that.
    pub outcome: Outcome,
}

/// One message of a bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Text, at most 4,096 characters.
    Text(String),
    /// Choices to tap.
    Menu(Menu),
    /// Media by reference.
    Media {
        /// Image, video, audio, document or sticker.
        kind: ContentKind,
        /// Where it is.
        media: MediaReference,
        /// Text under it, at most 1,024 characters.
        caption: Option<String>,
    },
}

impl Reply {
    /// The message as content to send.
    #[must_use]
    pub fn content(&self) -> (ContentKind, Content) {
        match self {
            Self::Text(text) => {
                (ContentKind::Text, Content { text: Some(text.clone()), ..Content::default() })
            }
            Self::Menu(menu) => {
                let content = Content {
                    text: Some(menu.body.clone()),
                    menu: Some(menu.clone()),
                    ..Content::default()
                };
                (ContentKind::Interactive, content)
            }
            Self::Media { kind, media, caption } => {
                let (text, media) = (caption.clone(), Some(media.clone()));
                (kind.clone(), Content { text, media, ..Content::default() })
            }
        }
    }
}

/// How a bot's turn ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The bot waits for the customer.
    Wait,
    /// People take over.
    HandOff(HandOff),
    /// The customer has what was wanted: nobody is needed. The episode is resolved.
    End,
}

/// Added to the queue's priority for a VIP: above every queue's own (0 to 99).
pub const VIP_PRIORITY: i32 = 100;

/// What people are told when they take over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOff {
    /// The queue; none: the number's.
    pub queue: Option<QueueId>,
    /// Why.
    pub why: Why,
    /// A short code of the bot for people and reports (`lost_card`); no personal data. May be empty.
    pub reason: String,
    /// What the bot has collected, in the order asked.
    pub fields: Vec<Field>,
    /// Added to the queue's priority.
    pub priority: i32,
    /// The customer is a VIP from now on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vip: bool,
}

/// Why a bot handed over. Also a label of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Why {
    /// The bot's own rules lead to people here.
    #[default]
    Rule,
    /// The customer asked for a person.
    Requested,
    /// The bot did not understand, repeatedly.
    NotUnderstood,
    /// The bot could not do its work (no answer in time, its words did not arrive, a fault of the flow).
    Failed,
}

impl Why {
    /// A short word for people and labels.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Requested => "requested",
            Self::NotUnderstood => "not_understood",
            Self::Failed => "failed",
        }
    }
}

impl HandOff {
    /// What a [`State`] would keep of the fields: an external bot's are bounded as a flow's. The first come first.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let mut kept = State::default();
        for field in &self.fields {
            kept.put(&field.name, &field.value);
        }
        self.fields = kept.fields;
        self
    }
}

/// One fact that a bot collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name in the flow.
    pub name: String,
    /// Its value as validated: dates as `2026-12-24`, phones and numbers as digits.
    pub value: String,
}
