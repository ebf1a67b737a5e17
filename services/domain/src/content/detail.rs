//! What an inbound or echoed message holds beyond its text, typed, so that nobody has to read the provider's JSON.

use serde::{Deserialize, Serialize};

/// The typed content of a message, by kind. Not set where the text says it all, nor for a message object so large
/// that only its JSON is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Image, video, document, audio or sticker by reference.
    Media(Media),
    /// A place.
    Location(Location),
    /// Shared address-book entries.
    Contacts(Vec<ContactCard>),
    /// The button or list row that was tapped.
    Choice(Choice),
    /// The answer to a flow.
    Flow(FlowReply),
    /// The answer to a request to call.
    CallPermission(CallPermission),
    /// A reaction to the target; without an emoji it was taken back.
    Reaction {
        /// The emoji.
        emoji: Option<String>,
    },
    /// A catalogue order.
    Order(Order),
    /// A notice about the customer.
    System(SystemNotice),
    /// What the target says from now on.
    Edit {
        /// Its new text or caption, where the provider gave it.
        text: Option<String>,
    },
    /// Content the provider does not hand over.
    Unsupported(Unsupported),
}

/// A file by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// The provider's id of it, alive for 7 days from the message.
    pub id: Option<String>,
    /// Direct address: minutes, with the number's token.
    pub url: Option<String>,
    /// May carry parameters (`audio/ogg; codecs=opus`).
    pub mime_type: Option<String>,
    /// As given, hexadecimal or base64.
    pub sha256: Option<String>,
    /// Text under it.
    pub caption: Option<String>,
    /// A document's name as its sender had it. Never a path to trust.
    pub filename: Option<String>,
    /// Recorded as a voice note.
    pub is_voice: bool,
    /// A moving sticker.
    pub is_animated: bool,
}

/// A place. Degrees as decimal text: the domain has no floating point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: String,
    /// Degrees east.
    pub longitude: String,
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// Its page.
    pub url: Option<String>,
}

/// One shared address-book entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// The name shown.
    pub name: Option<String>,
    /// Numbers as typed, each with its WhatsApp digits where known.
    pub phones: Vec<(Option<String>, Option<String>)>,
    /// `contact_request`: it answers our asking for the number.
    pub origin: Option<String>,
}

/// What was tapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The id or payload that the business gave it.
    pub id: Option<String>,
    /// What the customer saw.
    pub title: Option<String>,
    /// Second line of a row.
    pub description: Option<String>,
}

/// The answer to a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowReply {
    /// `flow`, `address_message`, …
    pub name: Option<String>,
    /// What the chat shows.
    pub body: Option<String>,
    /// JSON as text, unchecked: it can be something other than an object.
    pub response_json: Option<String>,
}

/// The answer to a request to call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPermission {
    /// Given; `None` where neither was said.
    pub accepted: Option<bool>,
    /// Until when, Unix ms; 0 where not told.
    pub until_ms: u64,
}

/// A catalogue order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The catalogue.
    pub catalog_id: Option<String>,
    /// What is ordered.
    pub items: Vec<OrderItem>,
}

/// One line of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// Article number.
    pub product: String,
    /// How many.
    pub quantity: Option<i64>,
    /// Price of one, as decimal text.
    pub price: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
}

/// A notice about the customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemNotice {
    /// `user_changed_number`, `user_changed_user_id`, `customer_identity_changed`, …
    pub about: String,
    /// The sentence shown in the chat.
    pub body: Option<String>,
    /// The new number, digits.
    pub new_phone: Option<String>,
    /// The new user id.
    pub new_bsuid: Option<String>,
}

/// Content the provider does not hand over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// Error codes.
    pub codes: Vec<i64>,
    /// What it was, where said: `edit`, `poll`, …
    pub original_type: Option<String>,
}

/// The advertisement a message came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// `ad` or `post`.
    pub source_type: Option<String>,
    /// Id of the advertisement.
    pub source_id: Option<String>,
    /// Its address.
    pub source_url: Option<String>,
    /// Its headline.
    pub headline: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// Click id, for reporting conversions; may be missing.
    pub ctwa_clid: Option<String>,
}
