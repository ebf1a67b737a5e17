//! What Meta posts, as a flat list of typed items (fact sheet 1 to 3).
//!
//! [`parse`] refuses a whole POST only when it is not one JSON object. Everything below is read
//! member by member: an entry, change, message or status that cannot be read becomes
//! [`Kind::Malformed`] with its JSON, and its neighbours are not touched. What is new to this
//! version becomes [`Kind::Other`] or [`content::Content::Unknown`]. Nothing is dropped without an
//! item saying so.
//!
//! Only [`Kind::Inbound`] is a customer writing to the business one to one. Groups, threads owned
//! by somebody else (`standby`), the dashboard's samples, calls, clicks and the history have kinds
//! of their own, so that no router takes them for that.

use std::borrow::Cow;
use std::sync::Arc;

use crate::json::{Object, RawJson};

pub mod account;
pub mod content;
mod envelope;
pub mod events;
pub mod field;
pub mod history;
pub mod message;
mod people;
mod read_content;
mod sample;
pub mod status;
pub mod wire_error;

use account::AccountUpdate;
use events::{Call, Preference, StateSync, UserAction, UserIdUpdate};
use field::Field;
use history::{HistoryChunk, HistoryMessage, HistoryRefused};
use message::Message;
use status::{CallStatus, Status};
use wire_error::WireError;

/// Why a whole POST cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON. The text says where, never what stands there.
    #[error("the body is not JSON: line {line}, column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
}

/// What the change says about where an item belongs. One of them is shared by all items of a
/// change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where messages belong. Absent on management fields.
    pub phone_number_id: Option<String>,
    /// The business's number, digits, where told.
    pub display_phone_number: Option<String>,
    /// `entry.id`; on `account_update` it may be the partner's own.
    pub waba_id: Option<String>,
    /// `entry.time`, epoch milliseconds; management fields only.
    pub entry_time_ms: Option<i64>,
    /// What the change is about.
    pub field: Field,
    /// The field's name where [`Field::Unknown`]; may be anything, so never a metric label.
    pub field_name: Option<String>,
}

/// One typed item with its routing facts.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Where it belongs.
    pub route: Arc<Route>,
    /// What it is.
    pub kind: Kind,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A customer wrote to the business, one to one.
    Inbound(Box<Message>),
    /// The business wrote on the phone.
    Echo(Box<Message>),
    /// What became of a message we sent.
    Status(Box<Status>),
    /// One message of the shared history.
    History(Box<HistoryMessage>),
    /// The file of a history placeholder, which it may overtake. Match by wamid only: the
    /// placeholder's direction and time hold, those of the follow-up have been seen to be wrong.
    HistoryMedia(Box<Message>),
    /// A chunk of the history was read to its end.
    HistoryProgress(HistoryChunk),
    /// No history, and why.
    HistoryRefused(Box<HistoryRefused>),
    /// Address book of the phone.
    StateSync(Box<StateSync>),
    /// Life of the account.
    Account(Box<AccountUpdate>),
    /// A customer's wish about marketing.
    Preference(Box<Preference>),
    /// A customer's BSUID was replaced.
    UserIdUpdate(Box<UserIdUpdate>),
    /// A call.
    Call(Box<Call>),
    /// What became of a call.
    CallStatus(Box<CallStatus>),
    /// A click on a marketing message.
    UserAction(Box<UserAction>),
    /// Errors of the number, not of a message.
    Errors(Vec<WireError>),
    /// Not ours to answer: recorded, never routed.
    Aside {
        /// Why.
        why: AsideReason,
        /// What.
        what: AsideItem,
    },
    /// Sample data of the dashboard's "send test" button: count and drop.
    Sample(Box<Kind>),
    /// Known or unknown, but not typed by this version.
    Other {
        /// The part of the value it is; `None`: the whole value.
        key: Option<String>,
        /// Its JSON.
        raw: RawJson,
    },
    /// Cannot be read.
    Malformed(Malformed),
}

/// Why an item is not ours to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AsideReason {
    /// It belongs to a group.
    Group,
    /// Somebody else owns the thread.
    Standby,
}

/// What is set aside.
#[derive(Debug, Clone, PartialEq)]
pub enum AsideItem {
    /// A customer's message.
    Inbound(Box<Message>),
    /// The business's message.
    Echo(Box<Message>),
    /// A status.
    Status(Box<Status>),
}

/// A part that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Which part.
    pub what: Part,
    /// What is wrong with it.
    pub reason: Reason,
    /// Its JSON; absent only for [`Reason::TooMany`].
    pub raw: Option<RawJson>,
}

/// The parts of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The object around everything.
    Envelope,
    /// An element of `entry`.
    Entry,
    /// An element of `changes`.
    Change,
    /// An element of `messages`.
    Message,
    /// An element of `message_echoes`.
    Echo,
    /// An element of `statuses`.
    Status,
    /// An element of `history`.
    History,
    /// An element of `threads`.
    HistoryThread,
    /// A message of a thread.
    HistoryMessage,
    /// An element of `state_sync`.
    StateSync,
    /// An element of `user_preferences`.
    Preference,
    /// An element of `user_id_update`.
    UserIdUpdate,
    /// An element of `calls`.
    Call,
    /// An element of `user_actions`.
    UserAction,
    /// The value of `account_update`.
    Account,
}

/// What is wrong with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reason {
    /// An object was expected.
    #[error("not an object")]
    NotAnObject,
    /// A list was expected.
    #[error("not a list")]
    NotAList,
    /// No id, or one longer than any real one.
    #[error("without an id")]
    NoId,
    /// Neither the number nor the BSUID of the sender.
    #[error("without a sender")]
    NoSender,
    /// Neither the number nor the BSUID of the recipient.
    #[error("without a recipient")]
    NoRecipient,
    /// Names nobody.
    #[error("names nobody")]
    NoIdentity,
    /// A status without its word.
    #[error("without a status")]
    NoStatus,
    /// Nothing in it that could mean anything.
    #[error("nothing in it")]
    NothingInIt,
    /// So many parts of this POST cannot be read that the rest is only counted here.
    #[error("{0} more of them")]
    TooMany(usize),
}

/// Reads one POST body.
///
/// Bytes that are not UTF-8 are replaced (they can only stand inside strings); a byte-order mark is
/// skipped.
///
/// # Errors
/// When the body is not one JSON object.
pub fn parse(body: &[u8]) -> Result<Vec<Item>, ParseError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(body),
    };
    match Object::parse_text(&text) {
        Ok(root) => Ok(envelope::items(&text, &root)),
        Err(error) if error.is_data() => Err(ParseError::NotAnObject),
        Err(error) => Err(ParseError::NotJson { line: error.line(), column: error.column() }),
    }
}
