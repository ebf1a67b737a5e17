//! What is inside [`Sealed`](crate::Sealed) values, and the kinds that stay readable outside.
//!
//! Edges encode these with the persisted codec (MessagePack, named fields) and seal them.

use serde::{Deserialize, Serialize};

pub mod detail;
mod outgoing;

use detail::{Detail, Referral};
pub use outgoing::{
    Action, Address, Button, ButtonParameter, ButtonValue, ContactCard, Email, Flow, Header,
    HeaderFile, HeaderParameter, Interactive, Organisation, Outgoing, Parameter, ParameterValue,
    PersonName, Phone, Place, Row, Section, Template, Url,
};

/// Kind of a message, readable without its content. Whatever the wire brings has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentKind {
    /// Text.
    Text,
    /// Image, by reference.
    Image,
    /// Video, by reference.
    Video,
    /// Audio or voice note, by reference.
    Audio,
    /// Document, by reference.
    Document,
    /// Sticker, by reference.
    Sticker,
    /// Location.
    Location,
    /// Contact cards.
    Contacts,
    /// Interactive message or the answer to one.
    Interactive,
    /// Quick-reply button of a template.
    Button,
    /// Reaction to a message.
    Reaction,
    /// Catalogue order.
    Order,
    /// System notice (number or identity changed).
    System,
    /// Edit of an earlier message.
    Edit,
    /// Deletion of an earlier message for everyone.
    Revoke,
    /// Template.
    Template,
    /// Content the provider could not deliver, with its error code (131051, 131060, …).
    Unsupported {
        /// First error code, 0 when none was given.
        code: u32,
    },
    /// Any other type; the name is the provider's.
    Other(String),
}

impl ContentKind {
    /// The kind, where a message says more than words or a choice do.
    #[must_use]
    pub fn beyond_words(&self) -> Option<Self> {
        match self {
            Self::Text | Self::Interactive | Self::Button => None,
            other => Some(other.clone()),
        }
    }
}

/// Content of one message, sealed in inputs, events and requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The provider's id of the message, where known (personal data: it encodes the phone number).
    pub wamid: Option<String>,
    /// Text, caption, button title or list title: what a bot or an agent reads first.
    pub text: Option<String>,
    /// The message object as it came or as it is to be sent (JSON), for what text does not say.
    pub raw_json: Option<String>,
    /// wamid of the message this one answers, reacts to, edits or deletes.
    pub target_wamid: Option<String>,
    /// Set instead of `raw_json` when that was above 64 KiB: the hash it is parked under on its number.
    #[serde(default)]
    pub parked: Option<crate::Hash16>,
    /// Media to send, by reference; what came in says it in `raw_json`.
    #[serde(default)]
    pub media: Option<MediaReference>,
    /// Id of the button or list row that the customer tapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// Choices to send; the text repeats their body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub menu: Option<Menu>,
    /// One line that says what came in, where there is no text ("Location: …"). What an agent reads then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What came in beyond the text, typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// The advertisement it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// The customer passed it on from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// What of a message to send neither text nor media say. The text of an interactive message is its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<Outgoing>,
}

impl Content {
    /// What a person reads first: the text, else the line that describes the content.
    #[must_use]
    pub fn readable(&self) -> Option<&str> {
        self.text.as_deref().or(self.summary.as_deref())
    }
}

/// Choices to tap: reply buttons or a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menu {
    /// What stands above; at most 1,024 characters with buttons, 4,096 with a list.
    pub body: String,
    /// What opens the list, at most 20 characters; `None`: reply buttons.
    pub opener: Option<String>,
    /// One to three buttons, or one to ten rows of a list.
    pub choices: Vec<MenuChoice>,
}

/// One button or row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuChoice {
    /// Comes back when it is tapped; at most 200 characters.
    pub id: String,
    /// At most 20 characters on a button, 24 in a list.
    pub title: String,
    /// Second line of a row, at most 72 characters; not on buttons.
    pub description: Option<String>,
}

/// Media by reference, as it is to be sent. The kind is the message's; the caption is its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaReference {
    /// Meta media id; or
    pub id: Option<String>,
    /// link that Meta fetches.
    pub link: Option<String>,
    /// Name of a document.
    pub filename: Option<String>,
    /// Audio only: shown as a voice note.
    #[serde(default)]
    pub voice: bool,
}

/// Who a customer is, sealed in inputs and state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// E.164 digits without `+`.
    pub phone: Option<String>,
    /// Business-scoped user id.
    pub bsuid: Option<String>,
    /// Profile name.
    pub name: Option<String>,
    /// User name.
    pub username: Option<String>,
    /// E-mail address, on a channel that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Id that a web page gave its visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<String>,
    /// Any other id of a platform that brought the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
}

impl Identity {
    /// Whether anything is known by which the customer can be written to.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        [&self.phone, &self.bsuid, &self.email, &self.visitor, &self.external]
            .into_iter()
            .any(Option::is_some)
    }
}
