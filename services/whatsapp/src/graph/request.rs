//! What we send (fact sheet 4.1): the message as data, checked against Meta's limits, and its JSON.

use bytes::Bytes;
use serde_json::{Value, json};

use super::contacts::{self, Card};
use super::interactive::Ask;
use super::template::Template;
use super::validate::{self, Invalid};
use crate::webhook::content::MediaKind;

/// To whom. A BSUID written where a phone belongs is accepted by Meta and then fails (131026): the
/// two never mix here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// International number, digits.
    Phone(String),
    /// Business-scoped user id.
    Bsuid(String),
}

/// One message to a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboundMessage {
    /// To whom.
    pub to: Recipient,
    /// What.
    pub content: OutboundContent,
    /// wamid of the message this answers; not with reactions and templates.
    pub reply_to: Option<String>,
    /// Our own id, given back in every status: at most 512 characters.
    pub biz_opaque_callback_data: Option<String>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum OutboundContent {
    /// Text.
    Text {
        /// At most 4096 characters.
        body: String,
        /// Show a preview of the first link?
        preview_url: bool,
    },
    /// A file.
    Media(OutboundMedia),
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Its name.
        name: Option<String>,
        /// Its address.
        address: Option<String>,
    },
    /// An emoji on a message of the customer's.
    Reaction {
        /// wamid.
        message_id: String,
        /// `None` takes it back.
        emoji: Option<String>,
    },
    /// Up to three reply buttons.
    Buttons {
        /// Above.
        header: Option<Header>,
        /// At most 1024 characters.
        body: String,
        /// At most 60 characters.
        footer: Option<String>,
        /// One to three.
        buttons: Vec<Button>,
    },
    /// A list to choose from.
    List {
        /// Above: at most 60 characters.
        header: Option<String>,
        /// At most 4096 characters.
        body: String,
        /// At most 60 characters.
        footer: Option<String>,
        /// What opens the list: at most 20 characters.
        button: String,
        /// One to ten, ten rows in all.
        sections: Vec<Section>,
    },
    /// Contact cards, 1 to 100.
    Contacts(Vec<Card>),
    /// An interactive message with one action.
    Ask {
        /// Above; not with requests.
        header: Option<Header>,
        /// At most 4096 characters.
        body: String,
        /// At most 60 characters.
        footer: Option<String>,
        /// The action.
        ask: Ask,
    },
    /// An approved template.
    Template(Template),
}

/// What stands above the buttons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// At most 60 characters.
    Text(String),
    /// Image, video or document.
    Media(OutboundMedia),
}

/// A reply button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// Comes back with the answer: at most 256 characters.
    pub id: String,
    /// At most 20 characters, different from the others.
    pub title: String,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// At most 24 characters; needed where there is more than one section.
    pub title: Option<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Comes back with the answer: at most 200 characters, different from the others.
    pub id: String,
    /// At most 24 characters.
    pub title: String,
    /// At most 72 characters.
    pub description: Option<String>,
}

/// A file by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundMedia {
    /// Which kind.
    pub kind: MediaKind,
    /// Where it is.
    pub source: MediaSource,
    /// At most 1024 characters; not on audio and stickers.
    pub caption: Option<String>,
    /// Documents only.
    pub filename: Option<String>,
    /// Audio only: show it as a voice note (needs ogg with opus).
    pub is_voice: bool,
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// Uploaded before; lives 30 days.
    Id(String),
    /// Meta fetches it: http or https.
    Link(String),
}

impl OutboundMessage {
    /// Checks Meta's limits, so that a mistake is found before it costs a call.
    ///
    /// # Errors
    /// The first limit broken.
    pub fn validate(&self) -> Result<(), Invalid> {
        validate::message(self)
    }

    /// The checked request body.
    ///
    /// # Errors
    /// As [`OutboundMessage::validate`].
    pub fn to_body(&self) -> Result<Bytes, Invalid> {
        self.validate()?;
        Ok(Bytes::from(self.to_json().to_string()))
    }

    fn to_json(&self) -> Value {
        let (type_name, content) = self.content.to_json();
        let mut body = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "type": type_name,
            type_name: content,
        });
        match &self.to {
            Recipient::Phone(phone) => put(&mut body, "to", Some(phone.as_str())),
            Recipient::Bsuid(bsuid) => put(&mut body, "recipient", Some(bsuid.as_str())),
        }
        if let Some(wamid) = &self.reply_to {
            put(&mut body, "context", Some(json!({ "message_id": wamid })));
        }
        put(&mut body, "biz_opaque_callback_data", self.biz_opaque_callback_data.as_deref());
        body
    }
}

/// The body that marks a message read, optionally showing "typing" for up to 25 s.
pub fn mark_read(message_id: &str, show_typing: bool) -> Bytes {
    let mut body =
        json!({ "messaging_product": "whatsapp", "status": "read", "message_id": message_id });
    put(&mut body, "typing_indicator", show_typing.then(|| json!({ "type": "text" })));
    Bytes::from(body.to_string())
}

impl OutboundContent {
    /// The word on the wire.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Media(media) => media.kind.as_wire(),
            Self::Location { .. } => "location",
            Self::Reaction { .. } => "reaction",
            Self::Buttons { .. } | Self::List { .. } | Self::Ask { .. } => "interactive",
            Self::Contacts(_) => "contacts",
            Self::Template(_) => "template",
        }
    }

    fn to_json(&self) -> (&'static str, Value) {
        let content = match self {
            Self::Text { body, preview_url } => json!({ "body": body, "preview_url": preview_url }),
            Self::Media(media) => media.to_json(),
            Self::Location { latitude, longitude, name, address } => {
                let mut place = json!({ "latitude": latitude, "longitude": longitude });
                put(&mut place, "name", name.as_deref());
                put(&mut place, "address", address.as_deref());
                place
            }
            Self::Reaction { message_id, emoji } => {
                json!({ "message_id": message_id, "emoji": emoji.as_deref().unwrap_or_default() })
            }
            Self::Buttons { header, body, footer, buttons } => {
                let buttons: Vec<_> = buttons
                    .iter()
                    .map(|button| json!({ "type": "reply", "reply": { "id": button.id, "title": button.title } }))
                    .collect();
                let header = header.as_ref().map(Header::to_json);
                interactive("button", header, body, footer.as_ref(), &json!({ "buttons": buttons }))
            }
            Self::List { header, body, footer, button, sections } => {
                let sections: Vec<_> = sections.iter().map(Section::to_json).collect();
                let header = header.as_ref().map(|text| json!({ "type": "text", "text": text }));
                let action = json!({ "button": button, "sections": sections });
                interactive("list", header, body, footer.as_ref(), &action)
            }
            Self::Contacts(cards) => contacts::to_json(cards),
            Self::Ask { header, body, footer, ask } => {
                let header = header.as_ref().map(Header::to_json);
                interactive(ask.kind(), header, body, footer.as_ref(), &ask.action())
            }
            Self::Template(template) => template.to_json(),
        };
        (self.type_name(), content)
    }
}

fn interactive(
    kind: &str,
    header: Option<Value>,
    body: &str,
    footer: Option<&String>,
    action: &Value,
) -> Value {
    let mut message = json!({ "type": kind, "body": { "text": body }, "action": action });
    put(&mut message, "header", header);
    put(&mut message, "footer", footer.map(|text| json!({ "text": text })));
    message
}

impl Header {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!({ "type": "text", "text": text }),
            Self::Media(media) => {
                let kind = media.kind.as_wire();
                json!({ "type": kind, kind: media.to_json() })
            }
        }
    }
}

impl Section {
    fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut json = json!({ "id": row.id, "title": row.title });
            put(&mut json, "description", row.description.as_deref());
            json
        });
        let mut section = json!({ "rows": rows.collect::<Vec<_>>() });
        put(&mut section, "title", self.title.as_deref());
        section
    }
}

impl OutboundMedia {
    pub(super) fn to_json(&self) -> Value {
        let mut file = match &self.source {
            MediaSource::Id(id) => json!({ "id": id }),
            MediaSource::Link(link) => json!({ "link": link }),
        };
        put(&mut file, "caption", self.caption.as_deref());
        put(&mut file, "filename", self.filename.as_deref());
        put(&mut file, "voice", self.is_voice.then_some(true));
        file
    }
}

/// Adds a member where there is something to add.
pub(super) fn put(object: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
