//! A conversation: the long-lived thread of one customer with one number, who has the floor, its episodes,
//! its customer service window, and what routing it needs. Every identity of a customer on a number is an
//! address: it is the conversation or forwards to it (design.md section 5).
//!
//! [`Conversation::decide`] reads the state and an [`Occasion`] and answers with events, messages and signals;
//! [`Conversation::apply`] is all that replay runs. One handler per input, in `on_<input>`; what several
//! share is in `floor` (who may speak) and `care` (who looks after an unanswered message).

mod answers;
mod apply;
mod care;
mod decide;
mod dedupe;
mod event;
mod floor;
mod input;
mod merge;
mod on_address;
mod on_command;
mod on_echo;
mod on_inbound;
mod on_send_outcome;
mod on_status;
mod on_wake;
mod on_workspace;
mod rules;
mod signal;
mod state;
mod statuses;
#[cfg(test)]
mod tests;
mod triage;

pub use decide::Occasion;
pub use event::{
    Author, ConversationEvent, ConversationTimer, Direction, Floor, FloorCause, MessageRecord,
    ResolvedBy, SendRecord,
};
pub use input::{
    CommandAnswer, CommandKind, ConversationCommand, ConversationInput, Echo, Inbound, Opened,
    OutboundSend, Refusal, SendOutcome, Status, StatusKind, Via, WorkspaceNews,
};
pub use rules::{BotRules, MenuOption, Rules, SealedText};
pub use signal::ConversationSignal;
pub use state::Conversation;
pub use statuses::StatusFacts;
