//! Best-effort news of a conversation for whoever watches it. Not persisted.

use serde::{Deserialize, Serialize};

use super::{Floor, MessageRecord, SendOutcome, SendRecord, StatusKind};
use crate::{MessageId, Millis, RequestId};

/// One piece of news (topic `conversation.<hex>`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConversationSignal {
    /// A message joined the thread.
    Message(MessageRecord),
    /// A send was asked.
    Requested(SendRecord),
    /// A requested send came to an end.
    Resolved {
        /// The request.
        request: RequestId,
        /// How.
        outcome: SendOutcome,
    },
    /// A status moved.
    Status {
        /// The message.
        message: MessageId,
        /// State.
        status: StatusKind,
        /// Meta timestamp.
        at_ms: Millis,
    },
    /// The floor changed.
    Floor(Floor),
    /// The episode was resolved.
    EpisodeResolved {
        /// When.
        at_ms: Millis,
    },
}
