//! Reading Meta's answers (fact sheet 4.2, 4.3).

use std::borrow::Cow;

use crate::errors::{self, ErrorFacts, TransportFault, Verdict};
use crate::identity::opaque_id;
use crate::json::Object;

/// What is known after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult<T> {
    /// Meta did what was asked. For a message: taken, not delivered.
    Accepted(T),
    /// Meta said no: surely not sent.
    Refused(Box<Refusal>),
    /// It may have been sent or not: look for its status, never just send again.
    Unknown(UnknownWhy),
    /// Surely not sent: the request never left in full.
    NotSent(NotSentWhy),
}

/// What is known after sending a message.
pub type SendResult = CallResult<Accepted>;

impl<T> CallResult<T> {
    /// What the outcome asks for; `None` when it was accepted.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Accepted(_) => None,
            Self::Refused(refusal) => Some(refusal.verdict()),
            Self::Unknown(_) => Some(errors::classify_transport(TransportFault::Unknown)),
            Self::NotSent(_) => Some(errors::classify_transport(TransportFault::NotSent)),
        }
    }
}

/// A message Meta took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id; statuses bear it, and may have come before this answer.
    pub wamid: String,
    /// `accepted`, `held_for_quality_assessment`, `paused`: on templates.
    pub message_status: Option<String>,
    /// The customer's number as WhatsApp spells it, digits; may differ from the one dialled.
    pub wa_id: Option<String>,
    /// The customer's BSUID.
    pub user_id: Option<String>,
}

/// An error object of Meta's, or a refusal without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub http: u16,
    /// Meta's number; absent where the answer held no error object.
    pub code: Option<i64>,
    /// Narrows the code.
    pub subcode: Option<i64>,
    /// Meta's sentence; it may quote what was sent.
    pub message: Option<String>,
    /// Meta's details.
    pub details: Option<String>,
    /// Meta says it passes.
    pub is_transient: bool,
    /// For Meta's support.
    pub fbtrace_id: Option<String>,
    /// `Retry-After`, where sent in seconds.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// What it means and asks for.
    pub fn verdict(&self) -> Verdict {
        errors::classify(ErrorFacts {
            code: self.code,
            subcode: self.subcode,
            http: Some(self.http),
            is_transient: self.is_transient,
        })
    }
}

/// Why nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum UnknownWhy {
    /// The hard limit passed after the request had left.
    #[error("no answer within the limit")]
    Timeout,
    /// The connection broke after the request had left.
    #[error("the connection broke")]
    ConnectionLost,
    /// A status that says nothing about the message (5xx, 3xx, 408), without an error object of
    /// Meta's.
    #[error("HTTP {0} without an answer of Meta's")]
    HttpStatus(u16),
    /// Success, but without the id that would prove it.
    #[error("success without a message id")]
    NoMessageId,
    /// The answer was longer than any real one.
    #[error("the answer is too long")]
    AnswerTooLong,
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotSentWhy {
    /// The caller's check before the first byte said no: too late.
    #[error("its time to start had passed")]
    NotStarted,
    /// Name, connection or TLS failed.
    #[error("no connection")]
    Connect,
    /// The hard limit passed before anything left.
    #[error("no connection within the limit")]
    ConnectTimeout,
    /// The connection closed before anything left.
    #[error("the connection closed first")]
    ConnectionLost,
    /// The request cannot be made at all (a token with a line break, an id that is no path
    /// segment).
    #[error("the request cannot be made")]
    BadRequest,
}

/// Reads the answer to a message.
pub fn read_send(http: u16, body: &[u8]) -> SendResult {
    read(http, body, accepted, UnknownWhy::NoMessageId)
}

/// Reads the answer to a call that only succeeds or fails (`{"success":true}`).
pub fn read_success(http: u16, body: &[u8]) -> CallResult<()> {
    let done = |answer: &Object<'_>| (answer.flag("success") != Some(false)).then_some(());
    read(http, body, done, UnknownWhy::HttpStatus(http))
}

fn read<T>(
    http: u16,
    body: &[u8],
    success: impl Fn(&Object<'_>) -> Option<T>,
    empty: UnknownWhy,
) -> CallResult<T> {
    let text: Cow<'_, str> = String::from_utf8_lossy(body);
    let answer = Object::parse_text(&text).ok();
    let error = answer.as_ref().and_then(|answer| answer.object("error"));
    match (http, error) {
        (_, Some(error)) => CallResult::Refused(Box::new(refusal(http, &error))),
        (200..=299, None) => answer
            .as_ref()
            .and_then(success)
            .map_or(CallResult::Unknown(empty), CallResult::Accepted),
        // Something on the way (or Meta, curtly) refused before anything was done with it.
        (400..=407 | 409..=499, None) => CallResult::Refused(Box::new(Refusal {
            http,
            code: None,
            subcode: None,
            message: None,
            details: None,
            is_transient: false,
            fbtrace_id: None,
            retry_after_ms: None,
        })),
        (other, None) => CallResult::Unknown(UnknownWhy::HttpStatus(other)),
    }
}

fn accepted(answer: &Object<'_>) -> Option<Accepted> {
    let messages = answer.list("messages").ok()?;
    let message = Object::parse(messages.first()?)?;
    let contacts = answer.list("contacts").unwrap_or_default();
    let contact = contacts.first().and_then(|contact| Object::parse(contact));
    let of_contact = |key| contact.as_ref().and_then(|contact| contact.string(key));
    Some(Accepted {
        wamid: message.string("id").and_then(opaque_id)?,
        message_status: message.string("message_status"),
        wa_id: of_contact("wa_id"),
        user_id: of_contact("user_id"),
    })
}

fn refusal(http: u16, error: &Object<'_>) -> Refusal {
    Refusal {
        http,
        code: error.int("code"),
        subcode: error.int("error_subcode"),
        message: error.string("message"),
        details: error.object("error_data").and_then(|data| data.string("details")),
        is_transient: error.flag("is_transient").unwrap_or(false),
        fbtrace_id: error.string("fbtrace_id"),
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_needs_an_id() {
        let SendResult::Accepted(it) = read_send(200, br#"{"messages":[{"id":"wamid.X"}]}"#) else {
            panic!()
        };
        assert_eq!(it.wamid, "wamid.X");
        for body in
            [&b"{}"[..], b"", b"<html>", br#"{"messages":[]}"#, br#"{"messages":[{"id":""}]}"#]
        {
            assert_eq!(read_send(200, body), CallResult::Unknown(UnknownWhy::NoMessageId));
        }
    }

    #[test]
    fn an_error_object_is_a_refusal_whatever_the_status() {
        for http in [200, 400, 500, 503] {
            let SendResult::Refused(it) = read_send(http, br#"{"error":{"code":131000}}"#) else {
                panic!("{http}")
            };
            assert_eq!((it.http, it.code), (http, Some(131_000)));
        }
    }

    #[test]
    fn without_an_error_object_only_4xx_is_a_refusal() {
        for http in [400, 403, 404, 413, 429] {
            assert!(matches!(read_send(http, b"no"), CallResult::Refused(_)), "{http}");
        }
        for http in [302, 408, 500, 502, 503, 504] {
            assert_eq!(
                read_send(http, b"<html>"),
                CallResult::Unknown(UnknownWhy::HttpStatus(http)),
                "{http}"
            );
        }
    }

    #[test]
    fn reading_a_success() {
        assert_eq!(read_success(200, br#"{"success":true}"#), CallResult::Accepted(()));
        assert!(matches!(read_success(200, br#"{"success":false}"#), CallResult::Unknown(_)));
        assert!(matches!(read_success(200, b"<html>"), CallResult::Unknown(_)));
    }
}
