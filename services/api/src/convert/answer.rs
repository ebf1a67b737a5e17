//! Answers to commands. Every refusal says what happened and what to do.

use domain::{
    conversation::{CommandAnswer, Refusal},
    workspace::{OfferEnd, WorkspaceAnswer},
};

use super::id::{conversation_id, opaque_id};
use crate::v1::{self, RefusalReason as Reason, command_result::Result as Answer};

/// The answer of a conversation.
#[must_use]
pub fn command_answer(answer: &CommandAnswer) -> Answer {
    match answer {
        CommandAnswer::Sent { request } => {
            Answer::SendTaken(v1::SendTaken { opaque_id: opaque_id(*request) })
        }
        CommandAnswer::Done => Answer::Done(v1::Done {}),
        CommandAnswer::Refused(why) => Answer::Refused(refusal(why)),
        CommandAnswer::Moved { to } => unavailable(format!(
            "the conversation became part of {}; repeat with that id and the same command id",
            conversation_id(to.hash)
        )),
    }
}

/// The answer of a workspace.
#[must_use]
pub fn workspace_answer(answer: &WorkspaceAnswer) -> Answer {
    let (reason, text) = match answer {
        WorkspaceAnswer::Done => return Answer::Done(v1::Done {}),
        WorkspaceAnswer::OfferEnded(end) => {
            let how = match end {
                OfferEnd::Accepted => "it was accepted",
                OfferEnd::Rejected => "it was rejected",
                OfferEnd::Missed => "its deadline passed",
                OfferEnd::Rescinded => "it was taken back",
                OfferEnd::Undeliverable => "it did not reach this client in time",
            };
            (Reason::OfferEnded, format!("the offer ended before: {how}; nothing to do"))
        }
        WorkspaceAnswer::StaleSession => (
            Reason::StaleSession,
            "this connection was replaced by a newer one; use that one, or connect again"
                .to_owned(),
        ),
        WorkspaceAnswer::Unknown(what) => (Reason::Unknown, format!("{what}; ask for a resync")),
        WorkspaceAnswer::TooOld => (Reason::CommandTooOld, TOO_OLD.to_owned()),
        // Answers to questions, which no command is.
        WorkspaceAnswer::Waiting { .. } | WorkspaceAnswer::Agents { .. } => {
            return Answer::Done(v1::Done {});
        }
    };
    Answer::Refused(v1::Refused { reason: reason.into(), text })
}

const TOO_OLD: &str =
    "the command's number is far below the newest of this client; use rising numbers";

/// A conversation's refusal.
#[must_use]
pub fn refusal(why: &Refusal) -> v1::Refused {
    let (reason, text) = match why {
        Refusal::PhoneHasFloor { since_ms } => (
            Reason::PhoneHasFloor,
            format!(
                "somebody answered on the phone at {since_ms} (Unix ms); send with take_floor to speak all the same"
            ),
        ),
        Refusal::HeldByAnother { agent } => (
            Reason::HeldByAnother,
            format!("agent {agent} has the conversation; have it assigned to you first"),
        ),
        Refusal::BotHasFloor { .. } => (
            Reason::BotHasFloor,
            "the bot is speaking with the customer; send with take_floor to speak all the same"
                .to_owned(),
        ),
        Refusal::Busy { pending } => (
            Reason::Busy,
            format!("{pending} sends of this conversation have no outcome yet; repeat later"),
        ),
        Refusal::WindowClosed { closed_ms: 0 } => (
            Reason::WindowClosed,
            "the customer has not written in the last 24 hours; send a template".to_owned(),
        ),
        Refusal::WindowClosed { closed_ms } => (
            Reason::WindowClosed,
            format!("the customer service window closed at {closed_ms} (Unix ms); send a template"),
        ),
        Refusal::UnknownConversation => {
            (Reason::UnknownConversation, "there is no such conversation; check its id".to_owned())
        }
        Refusal::NothingOpen => {
            (Reason::NothingOpen, "no episode is open; nothing to do".to_owned())
        }
        Refusal::TooOld => (Reason::CommandTooOld, TOO_OLD.to_owned()),
        Refusal::NotAssigned => (
            Reason::NotAssigned,
            "no agent has the conversation; have it assigned first".to_owned(),
        ),
        Refusal::MarketingStopped { since_ms } => (
            Reason::MarketingStopped,
            format!(
                "the customer stopped marketing at {since_ms} (Unix ms); send only what is not marketing until the customer resumes it"
            ),
        ),
        Refusal::Unknown(what) => (Reason::Unknown, format!("{what}; check the id")),
    };
    v1::Refused { reason: reason.into(), text }
}

/// A field is wrong.
#[must_use]
pub fn invalid(text: impl Into<String>) -> Answer {
    Answer::Refused(v1::Refused { reason: Reason::Invalid.into(), text: text.into() })
}

/// No answer came in time.
#[must_use]
pub fn unavailable(text: impl Into<String>) -> Answer {
    Answer::Refused(v1::Refused { reason: Reason::Unavailable.into(), text: text.into() })
}
