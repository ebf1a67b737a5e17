//! Smaller events about people: address book, preferences, changed ids, calls, clicks (fact sheet
//! 2.3, 3.5, 8).

use serde_json::value::RawValue;

use super::people::People;
use super::{Kind, Reason};
use crate::identity::{Customer, opaque_id};
use crate::json::{Object, RawJson, text_of};
use crate::wire_enum::wire_enum;

wire_enum! {
    /// What happened to an address-book entry.
    SyncAction {
        /// Added or edited.
        Add = "add",
        /// Removed from the address book; not a deletion of the person.
        Remove = "remove",
    }
}

/// An entry of the phone's address book, added, edited or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSync {
    /// What happened.
    pub action: SyncAction,
    /// Who; `profile_name` is not set here.
    pub customer: Customer,
    /// The name the business typed in.
    pub full_name: Option<String>,
    /// The first name the business typed in.
    pub first_name: Option<String>,
    /// When; of several changes the last one holds.
    pub timestamp_ms: Option<i64>,
    /// The whole element.
    pub raw: RawJson,
}

wire_enum! {
    /// What a customer wants about marketing.
    PreferenceValue {
        /// No more of it. Obey before Meta answers 131050.
        Stop = "stop",
        /// Again.
        Resume = "resume",
        /// Opted in.
        Signup = "signup",
    }
}

/// A customer's wish about marketing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preference {
    /// Whose wish.
    pub customer: Customer,
    /// `marketing_messages`.
    pub category: Option<String>,
    /// The wish.
    pub value: PreferenceValue,
    /// The opt-in's id.
    pub signup_id: Option<String>,
    /// When.
    pub timestamp_ms: Option<i64>,
    /// The whole element.
    pub raw: RawJson,
}

/// A customer's BSUID was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIdUpdate {
    /// The number, where told.
    pub phone: Option<String>,
    /// The id until now.
    pub previous_bsuid: Option<String>,
    /// The id from now on.
    pub current_bsuid: String,
    /// The parent id until now.
    pub previous_parent_bsuid: Option<String>,
    /// The parent id from now on.
    pub current_parent_bsuid: Option<String>,
    /// When.
    pub timestamp_ms: Option<i64>,
    /// The whole element.
    pub raw: RawJson,
}

/// A call began or ended. A customer's call opens the service window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The call.
    pub wacid: String,
    /// `connect`, `terminate`.
    pub event: Option<String>,
    /// Did the customer call? `None` where not told.
    pub is_user_initiated: Option<bool>,
    /// The other side, where it can be told.
    pub customer: Customer,
    /// When.
    pub timestamp_ms: Option<i64>,
    /// `COMPLETED`, `FAILED`, …: on `terminate`.
    pub status: Option<String>,
    /// The whole element.
    pub raw: RawJson,
}

/// A click on a marketing message. It has no message and opens no conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAction {
    /// `marketing_messages_link_click`, `landing_page_view`, …
    pub action_type: Option<String>,
    /// When.
    pub timestamp_ms: Option<i64>,
    /// The whole element.
    pub raw: RawJson,
}

pub(super) fn state_sync(raw: &RawValue, element: &Object<'_>) -> Result<Kind, Reason> {
    let Some(contact) = element.object("contact") else {
        return match element.string("type").as_deref() {
            None | Some("contact") => Err(Reason::NoIdentity),
            Some(other) => {
                Ok(Kind::Other { key: Some(format!("state_sync/{other}")), raw: RawJson::of(raw) })
            }
        };
    };
    let phone = contact.text("phone_number");
    let mut customer = Customer::from_wire(
        phone.as_deref(),
        contact.string("user_id"),
        contact.string("parent_user_id"),
    );
    if !customer.is_known() {
        return Err(Reason::NoIdentity);
    }
    customer.username = contact.string("username");
    let metadata = element.object("metadata");
    Ok(Kind::StateSync(Box::new(StateSync {
        action: SyncAction::from_wire(&element.text("action").unwrap_or_default()),
        customer,
        full_name: contact.string("full_name"),
        first_name: contact.string("first_name"),
        timestamp_ms: metadata.and_then(|metadata| metadata.timestamp_ms("timestamp")),
        raw: RawJson::of(raw),
    })))
}

pub(super) fn preference(
    raw: &RawValue,
    element: &Object<'_>,
    people: &People,
    alone: bool,
) -> Result<Kind, Reason> {
    let phone = element.text("wa_id");
    let mut customer = Customer::from_wire(
        phone.as_deref(),
        element.string("user_id"),
        element.string("parent_user_id"),
    );
    people.complete(&mut customer, alone);
    if !customer.is_known() {
        return Err(Reason::NoIdentity);
    }
    let value = element.string("value").ok_or(Reason::NothingInIt)?;
    Ok(Kind::Preference(Box::new(Preference {
        customer,
        category: element.string("category"),
        value: PreferenceValue::from_wire(&value),
        signup_id: element.string("signup_id"),
        timestamp_ms: element.timestamp_ms("timestamp"),
        raw: RawJson::of(raw),
    })))
}

pub(super) fn user_id_update(raw: &RawValue, element: &Object<'_>) -> Result<Kind, Reason> {
    let (user, parent) = (element.object("user_id"), element.object("parent_user_id"));
    let id = |owner: &Option<Object<'_>>, key| owner.as_ref()?.string(key).and_then(opaque_id);
    let phone = element.text("wa_id");
    Ok(Kind::UserIdUpdate(Box::new(UserIdUpdate {
        phone: Customer::from_wire(phone.as_deref(), None, None).phone,
        previous_bsuid: id(&user, "previous"),
        current_bsuid: id(&user, "current").ok_or(Reason::NoIdentity)?,
        previous_parent_bsuid: id(&parent, "previous"),
        current_parent_bsuid: id(&parent, "current"),
        timestamp_ms: element.timestamp_ms("timestamp"),
        raw: RawJson::of(raw),
    })))
}

pub(super) fn call(
    raw: &RawValue,
    element: &Object<'_>,
    people: &People,
    alone: bool,
) -> Result<Kind, Reason> {
    let is_user_initiated = match element.text("direction").as_deref() {
        Some("USER_INITIATED") => Some(true),
        Some("BUSINESS_INITIATED") => Some(false),
        _ => None,
    };
    let mut customer = match is_user_initiated {
        Some(true) => super::message::customer_of(element, super::message::Side::From),
        Some(false) => super::message::customer_of(element, super::message::Side::To),
        None => Customer::default(),
    };
    people.complete(&mut customer, alone);
    Ok(Kind::Call(Box::new(Call {
        wacid: element.string("id").and_then(opaque_id).ok_or(Reason::NoId)?,
        event: element.string("event"),
        is_user_initiated,
        customer,
        timestamp_ms: element.timestamp_ms("timestamp"),
        // Meta's page shows a list of words once; the first one then.
        status: element.string("status").or_else(|| {
            let words = element.list("status").ok()?;
            Some(text_of(words.first()?)?.into_owned())
        }),
        raw: RawJson::of(raw),
    })))
}

pub(super) fn user_action(raw: &RawValue, element: &Object<'_>) -> Kind {
    Kind::UserAction(Box::new(UserAction {
        action_type: element.string("action_type"),
        timestamp_ms: element.timestamp_ms("timestamp"),
        raw: RawJson::of(raw),
    }))
}
