//! What a message holds (fact sheet 2.3). The exact JSON stays on the message, so that nothing is
//! lost by typing it.

use crate::json::RawJson;
use crate::wire_enum::wire_enum;

/// The content of a message, inbound, echoed or from the history.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Plain text.
    Text {
        /// As typed; may be empty.
        body: String,
    },
    /// Image, video, document, audio or sticker.
    Media(Media),
    /// History only: a media message whose file may follow in a later webhook with the same wamid.
    MediaPlaceholder,
    /// A place.
    Location(Location),
    /// Shared address-book entries.
    Contacts(Vec<SharedContact>),
    /// Answer to reply buttons.
    ButtonReply {
        /// The id we gave the button.
        id: String,
        /// What the customer saw.
        title: String,
    },
    /// Answer to a list.
    ListReply {
        /// The id we gave the row.
        id: String,
        /// What the customer saw.
        title: String,
        /// Second line of the row.
        description: Option<String>,
    },
    /// Answer to a flow.
    FlowReply {
        /// `flow`, `address_message`, …
        name: Option<String>,
        /// What the chat shows.
        body: Option<String>,
        /// JSON in a string, unchecked: it can be something other than an object.
        response_json: Option<String>,
    },
    /// Answer to a request to call.
    CallPermissionReply {
        /// `accept` or `reject`, where it was one of them.
        accepted: Option<bool>,
        /// Until when, epoch milliseconds.
        expires_ms: Option<i64>,
    },
    /// Quick-reply button of a template.
    TemplateButton {
        /// The payload we gave the button.
        payload: Option<String>,
        /// What the customer saw.
        text: Option<String>,
    },
    /// An emoji put on a message.
    Reaction {
        /// wamid of the message reacted to.
        target: String,
        /// `None`: the reaction was taken back.
        emoji: Option<String>,
    },
    /// A catalogue order.
    Order(Order),
    /// A notice by WhatsApp about the customer; not something the customer said.
    System(SystemNotice),
    /// An earlier message was changed.
    Edit {
        /// wamid of the message changed.
        target: String,
        /// What it is now, where the webhook says so.
        content: Option<Box<Content>>,
    },
    /// An earlier message was deleted for everyone.
    Revoke {
        /// wamid of the message deleted.
        target: String,
    },
    /// The chat was opened for the first time, nothing said (Meta stopped sending it in March
    /// 2026).
    RequestWelcome,
    /// WhatsApp does not hand the content over: 131051 unknown type, 131060 unavailable
    /// (coexistence), 130501 group.
    Unsupported {
        /// Error codes given.
        codes: Vec<i64>,
        /// What it was, where said: `edit`, `poll`, `button`, …
        original_type: Option<String>,
    },
    /// A known type without the object that should hold its content.
    Incomplete {
        /// The `type`.
        type_name: String,
    },
    /// A type this version does not know.
    Unknown {
        /// The `type`, or `interactive/` and the inner type.
        type_name: String,
    },
}

impl Content {
    /// A closed name for counters.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Media(media) => media.kind.as_wire(),
            Self::MediaPlaceholder => "media_placeholder",
            Self::Location(_) => "location",
            Self::Contacts(_) => "contacts",
            Self::ButtonReply { .. } => "button_reply",
            Self::ListReply { .. } => "list_reply",
            Self::FlowReply { .. } => "nfm_reply",
            Self::CallPermissionReply { .. } => "call_permission_reply",
            Self::TemplateButton { .. } => "button",
            Self::Reaction { .. } => "reaction",
            Self::Order(_) => "order",
            Self::System(_) => "system",
            Self::Edit { .. } => "edit",
            Self::Revoke { .. } => "revoke",
            Self::RequestWelcome => "request_welcome",
            Self::Unsupported { .. } => "unsupported",
            Self::Incomplete { .. } => "incomplete",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What a bot that reads text should read: the text typed, the title of the button or row
    /// chosen, the caption, the note of an order. `None` where there is nothing to read, and for
    /// edits and notices, which are no turn of the customer.
    pub fn text_for_bot(&self) -> Option<&str> {
        let text = match self {
            Self::Text { body } => Some(body.as_str()),
            Self::Media(media) => media.caption.as_deref(),
            Self::ButtonReply { id, title } | Self::ListReply { id, title, .. } => {
                Some(if title.is_empty() { id } else { title }.as_str())
            }
            Self::TemplateButton { payload, text } => text.as_deref().or(payload.as_deref()),
            Self::Order(order) => order.text.as_deref(),
            _ => None,
        };
        text.filter(|text| !text.trim().is_empty())
    }

    /// The id or payload of the choice made, where the content is a choice.
    pub fn choice_id(&self) -> Option<&str> {
        match self {
            Self::ButtonReply { id, .. } | Self::ListReply { id, .. } => Some(id),
            Self::TemplateButton { payload, .. } => payload.as_deref(),
            _ => None,
        }
    }
}

/// The kinds of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaKind {
    /// Picture.
    Image,
    /// Film.
    Video,
    /// Any file.
    Document,
    /// Sound, also a voice note.
    Audio,
    /// Sticker.
    Sticker,
}

impl MediaKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Image, Self::Video, Self::Document, Self::Audio, Self::Sticker];

    /// The word on the wire.
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Document => "document",
            Self::Audio => "audio",
            Self::Sticker => "sticker",
        }
    }
}

/// A file by reference. At least one of `id` and `url` is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Which kind.
    pub kind: MediaKind,
    /// Media id, alive for 7 days from the webhook.
    pub id: Option<String>,
    /// Direct address (since November 2025): about 5 minutes, needs the bearer token.
    pub url: Option<String>,
    /// May carry parameters (`audio/ogg; codecs=opus`).
    pub mime_type: Option<String>,
    /// Hexadecimal or base64; see [`crate::media::sha256_bytes`].
    pub sha256: Option<String>,
    /// Text under it.
    pub caption: Option<String>,
    /// Documents: the file's name as the sender had it. Never a path to trust.
    pub filename: Option<String>,
    /// Audio recorded as a voice note.
    pub is_voice: bool,
    /// Moving sticker.
    pub is_animated: bool,
}

/// A place.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// Its page.
    pub url: Option<String>,
}

/// One shared address-book entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedContact {
    /// The name shown.
    pub formatted_name: Option<String>,
    /// Numbers as typed, with the WhatsApp number where known.
    pub phones: Vec<SharedPhone>,
    /// `contact_request`: the answer to our asking for the number; `other`: shared unasked.
    pub origin: Option<String>,
    /// The whole entry.
    pub raw: RawJson,
}

/// One number of a shared entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPhone {
    /// As typed.
    pub phone: Option<String>,
    /// WhatsApp digits.
    pub wa_id: Option<String>,
}

/// A catalogue order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The catalogue.
    pub catalog_id: Option<String>,
    /// The customer's note.
    pub text: Option<String>,
    /// What is ordered; unreadable items are left out here and stay in the message's JSON.
    pub items: Vec<OrderItem>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderItem {
    /// Our article number.
    pub product_retailer_id: String,
    /// How many.
    pub quantity: Option<i64>,
    /// Price of one, as Meta states it.
    pub item_price: Option<f64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
}

wire_enum! {
    /// What a system notice is about.
    SystemKind {
        /// The customer has another phone number now.
        UserChangedNumber = "user_changed_number" | "customer_changed_number",
        /// The customer has another BSUID now.
        UserChangedUserId = "user_changed_user_id",
        /// The security code changed (only with identity checks on).
        CustomerIdentityChanged = "customer_identity_changed",
    }
}

/// A notice by WhatsApp about the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemNotice {
    /// About what.
    pub kind: SystemKind,
    /// The sentence shown in the chat.
    pub body: Option<String>,
    /// The new number, digits.
    pub new_phone: Option<String>,
    /// The new BSUID.
    pub new_bsuid: Option<String>,
    /// The new parent BSUID.
    pub new_parent_bsuid: Option<String>,
}
