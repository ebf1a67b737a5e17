//! One message between the business and a customer, whichever array it came in (fact sheet 2.2,
//! 3.4, 3.6).

use serde_json::value::RawValue;

use super::content::Content;
use super::people::People;
use super::wire_error::{self, WireError};
use super::{Reason, read_content};
use crate::identity::{Customer, normalise_phone, opaque_id, phone_key};
use crate::json::{Object, RawJson};

/// A message. Who wrote it follows from where it stands: see [`super::Kind`].
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Meta's id of the message: opaque, may hold the customer's number in clear.
    pub wamid: String,
    /// When it was written, epoch milliseconds; `None` where the webhook gives none that can be
    /// read.
    pub timestamp_ms: Option<i64>,
    /// The other side: the sender of an inbound message, the recipient of an echo.
    pub customer: Customer,
    /// What it says.
    pub content: Content,
    /// What it answers or forwards.
    pub context: Option<Context>,
    /// The advertisement it came from; opens the free entry point.
    pub referral: Option<RawJson>,
    /// Set on group messages, which never belong to a one-to-one conversation.
    pub group_id: Option<String>,
    /// Errors standing on the message.
    pub errors: Vec<WireError>,
    /// The whole message object.
    pub raw: RawJson,
}

/// What a message answers or forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// wamid of the quoted message; maybe one we never saw.
    pub message_id: Option<String>,
    /// Author of the quoted message, digits; can be the business.
    pub from: Option<String>,
    /// Forwarded.
    pub is_forwarded: bool,
    /// Forwarded many times.
    pub is_frequently_forwarded: bool,
    /// Catalogue product asked about.
    pub referred_product: Option<RawJson>,
}

/// Who stands on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The customer is the sender.
    From,
    /// The customer is the recipient.
    To,
}

pub(super) fn customer_of(message: &Object<'_>, side: Side) -> Customer {
    let (phone, user_id, parent) = match side {
        Side::From => ("from", "from_user_id", "from_parent_user_id"),
        Side::To => ("to", "to_user_id", "to_parent_user_id"),
    };
    Customer::from_wire(
        message.text(phone).as_deref(),
        message.string(user_id),
        message.string(parent),
    )
}

/// Is the business itself the sender?
pub(super) fn is_from_business(message: &Object<'_>, display_phone_number: Option<&str>) -> bool {
    let sender = message.text("from").and_then(|from| phone_key(&from));
    sender.is_some() && sender == display_phone_number.and_then(phone_key)
}

/// Reads the message whose customer stands on `side`.
pub(super) fn read(
    raw: &RawValue,
    message: &Object<'_>,
    side: Side,
    people: &People,
    alone: bool,
) -> Result<Message, Reason> {
    let mut customer = customer_of(message, side);
    people.complete(&mut customer, alone);
    if !customer.is_known() {
        return Err(match side {
            Side::From => Reason::NoSender,
            Side::To => Reason::NoRecipient,
        });
    }
    with_customer(raw, message, customer)
}

/// Reads the message of a customer known already.
pub(super) fn with_customer(
    raw: &RawValue,
    message: &Object<'_>,
    customer: Customer,
) -> Result<Message, Reason> {
    Ok(Message {
        wamid: message.string("id").and_then(opaque_id).ok_or(Reason::NoId)?,
        timestamp_ms: message.timestamp_ms("timestamp"),
        customer,
        content: read_content::content(message),
        context: message.object("context").as_ref().map(context),
        referral: message.kept("referral"),
        group_id: message.string("group_id"),
        errors: wire_error::list(message, "errors"),
        raw: RawJson::of(raw),
    })
}

fn context(context: &Object<'_>) -> Context {
    Context {
        message_id: context
            .string("id")
            .or_else(|| context.string("message_id"))
            .and_then(opaque_id),
        from: context.text("from").as_deref().and_then(normalise_phone),
        is_forwarded: context.flag("forwarded").unwrap_or(false),
        is_frequently_forwarded: context.flag("frequently_forwarded").unwrap_or(false),
        referred_product: context.kept("referred_product"),
    }
}
