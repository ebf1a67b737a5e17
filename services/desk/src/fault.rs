//! Why a request was not carried out, as a status of a call and as a refusal on a stream.

use api::{
    convert,
    v1::{self, RefusalReason, command_result},
};
use archive::ArchiveError;
use tonic::{Code, Status};

use crate::ask::AskError;

/// What went wrong before an entity answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A field is wrong; the text says which and what to do.
    Invalid(String),
    /// The business has no such conversation.
    NoConversation,
    /// The token does not allow it.
    Forbidden(&'static str),
    /// The entity did not answer.
    Ask(AskError),
    /// The read model failed.
    Store,
}

const NO_CONVERSATION: &str = "there is no such conversation; check its id";
const STORE: &str = "the read model cannot be read now; repeat later";

impl From<AskError> for Fault {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<ArchiveError> for Fault {
    fn from(error: ArchiveError) -> Self {
        tracing::error!(%error, "the read model failed");
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
            Self::Forbidden(text) => (RefusalReason::Invalid, (*text).to_owned()),
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
            Self::Forbidden(_) => "forbidden",
            Self::Ask(AskError::Full) => "full",
            Self::Ask(AskError::Closed) => "closed",
            Self::Ask(AskError::NoAnswer) => "no_answer",
            Self::Ask(AskError::SetAside) => "set_aside",
            Self::Store => "store",
        }
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Invalid(text) => Self::invalid_argument(text),
            Fault::NoConversation => Self::not_found(NO_CONVERSATION),
            Fault::Forbidden(text) => Self::permission_denied(text),
            Fault::Store => Self::unavailable(STORE),
            Fault::Ask(error) => {
                let code = match error {
                    AskError::Full => Code::ResourceExhausted,
                    AskError::TooLarge => Code::InvalidArgument,
                    AskError::Closed => Code::Unavailable,
                    AskError::NoAnswer => Code::DeadlineExceeded,
                    AskError::SetAside => Code::Internal,
                };
                Self::new(code, error.to_string())
            }
        }
    }
}

/// A reason without its prefix.
pub(crate) fn reason_name(reason: RefusalReason) -> &'static str {
    reason.as_str_name().trim_start_matches("REFUSAL_REASON_")
}

/// A refusal as the status of a call; metadata `refusal-reason` carries its reason.
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
    let mut status = Status::new(code, format!("{name}: {}", refused.text));
    if let Ok(value) = name.parse() {
        status.metadata_mut().insert("refusal-reason", value);
    }
    status
}
