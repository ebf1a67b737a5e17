//! What became of a message we sent (fact sheet 2.4). Duplicated, reordered, early: the order is
//! made by who keeps it.

use serde_json::value::RawValue;

use super::people::People;
use super::wire_error::{self, WireError};
use super::{AsideItem, AsideReason, Kind, Reason};
use crate::identity::{Customer, opaque_id};
use crate::json::{Object, RawJson};
use crate::wire_enum::wire_enum;

wire_enum! {
    /// How far a message came.
    StatusKind {
        /// Taken by the servers.
        Sent = "sent",
        /// On a device of the customer. May never come when read at once.
        Delivered = "delivered",
        /// Shown in an open chat.
        Read = "read",
        /// A voice message was listened to.
        Played = "played",
        /// Not delivered; see the errors. Has been seen after `delivered`.
        Failed = "failed",
        /// Undocumented now.
        Deleted = "deleted",
    }
}

/// One status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The message it is about.
    pub wamid: String,
    /// How far it came.
    pub status: StatusKind,
    /// When, epoch milliseconds.
    pub timestamp_ms: Option<i64>,
    /// To whom; may be unknown (of a group send: the participant).
    pub recipient: Customer,
    /// Our own opaque id, given back.
    pub biz_opaque_callback_data: Option<String>,
    /// The billing conversation, where given.
    pub conversation: Option<Conversation>,
    /// The price class, where given; the first one seen of a message counts.
    pub pricing: Option<Pricing>,
    /// Why it failed.
    pub errors: Vec<WireError>,
    /// The whole status object.
    pub raw: RawJson,
}

/// The billing conversation of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Meta's id of it.
    pub id: Option<String>,
    /// Category, with `_` for `-`.
    pub origin: Option<String>,
    /// When it ends, epoch milliseconds; on `sent` only.
    pub expires_ms: Option<i64>,
}

/// How Meta prices the message. Decide by `kind` and `category`; `billable` is going to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pricing {
    /// `CBP` or `PMP`.
    pub model: Option<String>,
    /// `regular`, `free_customer_service`, `free_entry_point`, `free_group_customer_service`.
    pub kind: Option<String>,
    /// With `_` for `-` (Meta writes both in `authentication-international`).
    pub category: Option<String>,
    /// Charged?
    pub billable: Option<bool>,
    /// `paid_exempt` for exempt senders.
    pub subtype: Option<String>,
}

/// A status object of any array: of a message, of a call, or of something else (a payment) that
/// must not be taken for either.
pub(super) fn read(
    raw: &RawValue,
    status: &Object<'_>,
    people: &People,
    alone: bool,
    on_calls: bool,
) -> Result<Kind, Reason> {
    let id = status.string("id").and_then(opaque_id).ok_or(Reason::NoId)?;
    let word = status.string("status").ok_or(Reason::NoStatus)?;
    let about = status.string("type").unwrap_or_default();
    let is_call = on_calls || about == "call" || id.starts_with("wacid.");
    if !is_call && !matches!(about.as_str(), "" | "message") {
        return Ok(Kind::Other { key: Some(format!("statuses/{about}")), raw: RawJson::of(raw) });
    }
    let mut recipient = recipient(status);
    people.complete(&mut recipient, alone);
    let timestamp_ms = status.timestamp_ms("timestamp");
    if is_call {
        let status = CallStatus {
            wacid: id,
            status: word,
            timestamp_ms,
            customer: recipient,
            raw: RawJson::of(raw),
        };
        return Ok(Kind::CallStatus(Box::new(status)));
    }
    let status_of_message = Box::new(Status {
        wamid: id,
        status: StatusKind::from_wire(&word),
        timestamp_ms,
        recipient,
        biz_opaque_callback_data: status.string("biz_opaque_callback_data"),
        conversation: status.object("conversation").as_ref().map(conversation),
        pricing: status.object("pricing").as_ref().map(pricing),
        errors: wire_error::list(status, "errors"),
        raw: RawJson::of(raw),
    });
    Ok(if is_group(status) {
        Kind::Aside { why: AsideReason::Group, what: AsideItem::Status(status_of_message) }
    } else {
        Kind::Status(status_of_message)
    })
}

fn is_group(status: &Object<'_>) -> bool {
    status.text("recipient_type").is_some_and(|kind| kind == "group") || status.has("group_id")
}

fn recipient(status: &Object<'_>) -> Customer {
    let (phone, user_id, parent) = if is_group(status) {
        (
            "recipient_participant_id",
            "recipient_participant_user_id",
            "recipient_participant_parent_user_id",
        )
    } else {
        ("recipient_id", "recipient_user_id", "recipient_parent_user_id")
    };
    Customer::from_wire(
        status.text(phone).as_deref(),
        status.string(user_id),
        status.string(parent),
    )
}

fn conversation(conversation: &Object<'_>) -> Conversation {
    Conversation {
        id: conversation.string("id"),
        origin: conversation.object("origin").and_then(|origin| category(&origin, "type")),
        expires_ms: conversation.timestamp_ms("expiration_timestamp"),
    }
}

fn pricing(pricing: &Object<'_>) -> Pricing {
    Pricing {
        model: pricing.string("pricing_model"),
        kind: pricing.string("type"),
        category: category(pricing, "category"),
        billable: pricing.flag("billable"),
        subtype: pricing.string("subtype"),
    }
}

fn category(owner: &Object<'_>, key: &str) -> Option<String> {
    owner.string(key).map(|word| word.replace('-', "_"))
}

/// What became of a call; its words are upper case and mean other things than a message's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStatus {
    /// The call.
    pub wacid: String,
    /// `RINGING`, `ACCEPTED`, `REJECTED`, …
    pub status: String,
    /// When, epoch milliseconds.
    pub timestamp_ms: Option<i64>,
    /// Who is called.
    pub customer: Customer,
    /// The whole status object.
    pub raw: RawJson,
}
