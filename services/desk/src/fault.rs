//! Why a request was not carried out, as a status of a call and as a refusal on a stream.

use std::time::Duration;

use api::{
    convert,
    v1::{self, RefusalReason, command_result},
};
use archive::ArchiveError;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::ask::AskError;

/// What went wrong before an entity answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A field is wrong; the text says which and what to do.
    Invalid(String),
    /// The business has no such conversation.
    NoConversation,
    /// The channel has no such reply.
    NoReply,
    /// The call names nobody.
    UnknownToken,
    /// The token does not allow it.
    Forbidden(&'static str),
    /// The entity did not answer.
    Ask(AskError),
    /// Too much waits on a number.
    NoRoom {
        /// Messages that wait on it.
        waiting: u32,
        /// Messages that may.
        limit: u32,
        /// There is room then, ms.
        retry_after_ms: u64,
    },
    /// Nothing was taken on under a program's key.
    NothingSubmitted,
    /// The read model failed.
    Store,
}

/// Domain of `ErrorInfo`.
const DOMAIN: &str = "tandem";
/// What `RetryInfo` asks for: a moment of overload or a restart is over by then.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const NO_CONVERSATION: &str = "there is no such conversation; check its id";
const NO_REPLY: &str = "the channel has no such reply; confirm with the opaque_id it came with";
const UNKNOWN_TOKEN: &str = "unknown token: send metadata `authorization: Bearer <token>` with the token of an agent, \
                             of the business or of a channel";
const NOTHING_SUBMITTED: &str = "key: nothing was taken on under it; of a message just submitted pass the position of its answer as \
                                 at_least, else submit it again";
const STORE: &str = "the read model cannot be read now; repeat later";

impl From<AskError> for Fault {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<ArchiveError> for Fault {
    fn from(error: ArchiveError) -> Self {
        match error {
            // The read model says once when its database goes away, and reports it as not ready.
            ArchiveError::Unreachable(why) => tracing::debug!(why, "the read model waits"),
            error => tracing::error!(%error, "the read model failed"),
        }
        Self::Store
    }
}

impl Fault {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// As the answer to a command on a stream.
    pub(crate) fn to_answer(&self) -> command_result::Result {
        let (reason, text) = match self {
            Self::Invalid(text) => return convert::invalid(text.as_str()),
            Self::NoConversation => {
                (RefusalReason::UnknownConversation, NO_CONVERSATION.to_owned())
            }
            Self::Forbidden(text) => (RefusalReason::NotAllowed, (*text).to_owned()),
            Self::NoReply => (RefusalReason::Unknown, NO_REPLY.to_owned()),
            Self::NoRoom { .. } => return convert::unavailable(self.clone().text()),
            Self::NothingSubmitted => (RefusalReason::Unknown, NOTHING_SUBMITTED.to_owned()),
            Self::UnknownToken => (RefusalReason::StaleSession, UNKNOWN_TOKEN.to_owned()),
            Self::Ask(error @ (AskError::TooLarge | AskError::SetAside)) => {
                (RefusalReason::Invalid, error.to_string())
            }
            Self::Ask(error) => return convert::unavailable(error.to_string()),
            Self::Store => return convert::unavailable(STORE),
        };
        command_result::Result::Refused(v1::Refused { reason: reason.into(), text })
    }

    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Ask(AskError::TooLarge) => "invalid",
            Self::NoConversation => "unknown_conversation",
            Self::NoReply => "unknown_reply",
            Self::NoRoom { .. } => "no_room",
            Self::NothingSubmitted => "unknown_key",
            Self::UnknownToken => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Ask(AskError::Full) => "full",
            Self::Ask(AskError::Closed) => "closed",
            Self::Ask(AskError::NoAnswer) => "no_answer",
            Self::Ask(AskError::SetAside) => "set_aside",
            Self::Store => "store",
        }
    }
}

impl Fault {
    fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::Ask(AskError::TooLarge) => Code::InvalidArgument,
            Self::NoConversation | Self::NoReply | Self::NothingSubmitted => Code::NotFound,
            Self::UnknownToken => Code::Unauthenticated,
            Self::Forbidden(_) => Code::PermissionDenied,
            Self::Store | Self::Ask(AskError::Closed) => Code::Unavailable,
            Self::NoRoom { .. } | Self::Ask(AskError::Full) => Code::ResourceExhausted,
            Self::Ask(AskError::NoAnswer) => Code::DeadlineExceeded,
            Self::Ask(AskError::SetAside) => Code::Internal,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Invalid(text) => text,
            Self::NoConversation => NO_CONVERSATION.to_owned(),
            Self::NoReply => NO_REPLY.to_owned(),
            Self::NoRoom { waiting, limit, retry_after_ms } => format!(
                "{waiting} messages wait on this number, {limit} may; nothing was taken on: repeat in {retry_after_ms} ms"
            ),
            Self::NothingSubmitted => NOTHING_SUBMITTED.to_owned(),
            Self::UnknownToken => UNKNOWN_TOKEN.to_owned(),
            Self::Forbidden(text) => text.to_owned(),
            Self::Store => STORE.to_owned(),
            Self::Ask(error) => error.to_string(),
        }
    }
}

/// A reason without its prefix.
pub(crate) fn reason_name(reason: RefusalReason) -> &'static str {
    reason.as_str_name().trim_start_matches("REFUSAL_REASON_")
}

/// The details of `google.rpc.Status`: `ErrorInfo` always, `BadRequest` where a field is wrong, `RetryInfo` where
/// repeating helps.
impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let (code, reason) = (fault.code(), fault.label().to_ascii_uppercase());
        let field = match &fault {
            Fault::Invalid(text) => field_of(text).map(str::to_owned),
            _ => None,
        };
        let (after, mut details) = match &fault {
            Fault::NoRoom { waiting, limit, retry_after_ms } => {
                let facts = [("waiting", waiting), ("limit", limit)];
                let facts = facts.map(|(name, n)| (name.to_owned(), n.to_string()));
                let details = ErrorDetails::with_error_info(reason, DOMAIN, facts);
                (Duration::from_millis(*retry_after_ms), details)
            }
            _ => (RETRY_AFTER, ErrorDetails::with_error_info(reason, DOMAIN, [])),
        };
        let text = fault.text();
        if let Some(field) = field {
            details.add_bad_request_violation(field, text.clone());
        }
        retry(&mut details, code, after);
        Self::with_error_details(code, text, details)
    }
}

/// Texts about a field begin with it: `page_token: …`.
fn field_of(text: &str) -> Option<&str> {
    let (field, _) = text.split_once(':')?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.[]".contains(c);
    (!field.is_empty() && field.chars().all(plain)).then_some(field)
}

fn retry(details: &mut ErrorDetails, code: Code, after: Duration) {
    if matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded) {
        details.set_retry_info(Some(after));
    }
}

/// A refusal as the status of a call; metadata `refusal-reason` and `ErrorInfo` carry its reason.
pub(crate) fn refused(refused: v1::Refused) -> Status {
    let reason = refused.reason();
    let code = match reason {
        RefusalReason::UnknownConversation => Code::NotFound,
        RefusalReason::Busy => Code::ResourceExhausted,
        RefusalReason::Unavailable => Code::Unavailable,
        RefusalReason::Invalid => Code::InvalidArgument,
        _ => Code::FailedPrecondition,
    };
    let name = reason_name(reason);
    let mut details = ErrorDetails::with_error_info(name, DOMAIN, []);
    retry(&mut details, code, RETRY_AFTER);
    let mut metadata = MetadataMap::new();
    if let Ok(value) = name.parse() {
        metadata.insert("refusal-reason", value);
    }
    let text = format!("{name}: {}", refused.text);
    Status::with_error_details_and_metadata(code, text, details, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_say_what_to_do() {
        let status = Status::from(Fault::invalid("page_token: it is not one of this listing"));
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "INVALID");
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "page_token");
        assert!(details.retry_info().is_none());
        let status = Status::from(Fault::Ask(AskError::Full));
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = status.get_error_details();
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
        assert!(details.bad_request().is_none());
        let full = Fault::NoRoom { waiting: 500, limit: 500, retry_after_ms: 2_500 };
        let details = Status::from(full).get_error_details();
        let wait = Duration::from_millis(2_500);
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(wait));
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.metadata["waiting"].as_str()), ("NO_ROOM", "500"));
    }

    #[test]
    fn a_sentence_names_no_field() {
        assert_eq!(field_of("message.text: it is empty"), Some("message.text"));
        for text in ["There is no such thing: look", "nothing", ": x"] {
            assert_eq!(field_of(text), None, "{text}");
        }
    }
}
