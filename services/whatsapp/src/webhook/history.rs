//! The history a coexistence number shares once, after onboarding (fact sheet 3.4). It opens no
//! window, starts no bot, notifies nobody; its items carry their direction because both sides'
//! messages come in one list.

use serde_json::value::RawValue;

use super::envelope::Sink;
use super::message::{self, Message, Side};
use super::wire_error::{self, WireError};
use super::{AsideItem, AsideReason, Kind, Part, Reason};
use crate::identity::{Customer, phone_key};
use crate::json::Object;
use crate::wire_enum::wire_enum;

/// Who wrote a message of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The customer.
    Inbound,
    /// The business, on the phone.
    Outbound,
}

wire_enum! {
    /// How far a message of the history came.
    HistoryStatus {
        /// On a device.
        Delivered = "DELIVERED",
        /// Not sent.
        Error = "ERROR",
        /// Not sent yet.
        Pending = "PENDING",
        /// Listened to.
        Played = "PLAYED",
        /// Read.
        Read = "READ",
        /// Taken by the servers.
        Sent = "SENT",
    }
}

/// One message of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryMessage {
    /// The message; its time is the device's.
    pub message: Message,
    /// Who wrote it.
    pub direction: Direction,
    /// How far it came.
    pub status: Option<HistoryStatus>,
    /// The chunk it stood in.
    pub chunk: HistoryChunk,
}

/// Which part of the history. Chunks come out of order; all is there when `progress` says 100, not
/// when every phase was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistoryChunk {
    /// 0: the last day, 1: to day 90, 2: to day 180.
    pub phase: Option<i64>,
    /// Order inside the phase.
    pub chunk_order: Option<i64>,
    /// Percent of all.
    pub progress: Option<i64>,
}

/// The business refused to share (2593109), or the sharing failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRefused {
    /// Why.
    pub errors: Vec<WireError>,
}

/// One element of `value.history`.
pub(super) fn read(raw: &RawValue, display_phone_number: Option<&str>, sink: &mut Sink) {
    let Some(element) = Object::parse(raw) else {
        return sink.malformed(Part::History, Reason::NotAnObject, raw);
    };
    let chunk = element.object("metadata").map(|metadata| HistoryChunk {
        phase: metadata.int("phase"),
        chunk_order: metadata.int("chunk_order"),
        progress: metadata.int("progress"),
    });
    let errors = wire_error::list(&element, "errors");
    if !errors.is_empty() {
        sink.push(Kind::HistoryRefused(Box::new(HistoryRefused { errors })));
    } else if chunk.is_none() && !element.has("threads") {
        return sink.malformed(Part::History, Reason::NothingInIt, raw);
    }
    match element.list("threads") {
        Err(_) => sink.malformed(Part::History, Reason::NotAList, raw),
        Ok(threads) => {
            for thread in threads {
                read_thread(thread, display_phone_number, chunk.unwrap_or_default(), sink);
            }
        }
    }
    if let Some(chunk) = chunk {
        sink.push(Kind::HistoryProgress(chunk));
    }
}

fn read_thread(
    raw: &RawValue,
    display_phone_number: Option<&str>,
    chunk: HistoryChunk,
    sink: &mut Sink,
) {
    let Some(thread) = Object::parse(raw) else {
        return sink.malformed(Part::HistoryThread, Reason::NotAnObject, raw);
    };
    let other_side = thread_customer(&thread);
    let Ok(messages) = thread.list("messages") else {
        return sink.malformed(Part::HistoryThread, Reason::NotAList, raw);
    };
    for raw in messages {
        let item = Object::parse(raw).ok_or(Reason::NotAnObject);
        match item
            .and_then(|item| read_message(raw, &item, &other_side, display_phone_number, chunk))
        {
            Ok(item) => sink.push(item),
            Err(reason) => sink.malformed(Part::HistoryMessage, reason, raw),
        }
    }
}

fn thread_customer(thread: &Object<'_>) -> Customer {
    let id = thread.text("id");
    let Some(context) = thread.object("context") else {
        return Customer::from_wire(id.as_deref(), None, None);
    };
    let phone = context.text("wa_id").filter(|phone| !phone.is_empty()).or(id);
    let mut customer = Customer::from_wire(
        phone.as_deref(),
        context.string("user_id"),
        context.string("parent_user_id"),
    );
    customer.username = context.string("username");
    customer
}

fn read_message(
    raw: &RawValue,
    item: &Object<'_>,
    other_side: &Customer,
    display_phone_number: Option<&str>,
    chunk: HistoryChunk,
) -> Result<Kind, Reason> {
    let direction = direction(item, other_side, display_phone_number).ok_or(Reason::NoSender)?;
    let named = message::customer_of(
        item,
        if direction == Direction::Inbound { Side::From } else { Side::To },
    );
    // The thread says who the other side is; the message only adds to it.
    let mut customer = other_side.clone();
    if !contradict(&customer, &named) {
        customer.fill_from(&named);
    }
    if !customer.is_known() {
        return Err(Reason::NoRecipient);
    }
    let message = message::with_customer(raw, item, customer)?;
    if message.group_id.is_some() {
        let what = match direction {
            Direction::Inbound => AsideItem::Inbound(Box::new(message)),
            Direction::Outbound => AsideItem::Echo(Box::new(message)),
        };
        return Ok(Kind::Aside { why: AsideReason::Group, what });
    }
    let status = item.object("history_context").and_then(|context| context.string("status"));
    Ok(Kind::History(Box::new(HistoryMessage {
        message,
        direction,
        status: status.map(|word| HistoryStatus::from_wire(&word)),
        chunk,
    })))
}

fn contradict(one: &Customer, other: &Customer) -> bool {
    let phones = one.phone.is_some() && other.phone.is_some();
    let bsuids = one.bsuid.is_some() && other.bsuid.is_some();
    (phones || bsuids) && !one.is_same_as(other)
}

/// The display number decides first, then the thread's customer, then whether the message names a
/// recipient.
fn direction(
    item: &Object<'_>,
    other_side: &Customer,
    display_phone_number: Option<&str>,
) -> Option<Direction> {
    if message::is_from_business(item, display_phone_number) {
        return Some(Direction::Outbound);
    }
    let sender = message::customer_of(item, Side::From);
    if sender.is_known() && sender.is_same_as(other_side) {
        return Some(Direction::Inbound);
    }
    if message::customer_of(item, Side::To).is_known() {
        return Some(Direction::Outbound);
    }
    if !sender.is_known() {
        return None;
    }
    // Without a display number, a sender other than the thread's customer can only be the business.
    let display_is_unknown = display_phone_number.and_then(phone_key).is_none();
    let is_business = display_is_unknown && contradict(&sender, other_side);
    Some(if is_business { Direction::Outbound } else { Direction::Inbound })
}
