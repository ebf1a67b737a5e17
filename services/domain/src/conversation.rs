//! A conversation: the long-lived thread of one customer with one number, who has the floor, its episodes,
//! its customer service window, and what routing it needs. Every identity of a customer on a number is an
//! address: it is the conversation or forwards to it (design.md section 5).
//!
//! [`Conversation::decide`] reads the state and an [`Occasion`] and answers with events, messages and signals;
//! [`Conversation::apply`] is all that replay runs. One handler per input, in `on_<input>`; what several
//! share is in `floor` (who may speak) and `care` (who looks after an unanswered message).

mod answers;
mod apply;
mod billing;
mod bot;
mod care;
mod decide;
mod dedupe;
mod event;
mod external;
mod floor;
mod input;
mod merge;
mod on_address;
mod on_change;
mod on_command;
mod on_echo;
mod on_inbound;
mod on_preference;
mod on_routing;
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

pub use billing::{BillingWindow, Pricing};
pub use bot::{BotPlace, Brief};
pub use decide::Occasion;
pub use event::{
    Author, ConversationEvent, ConversationTimer, Direction, Floor, FloorCause, MessageRecord,
    ResolvedBy, RoutingAct, SendRecord,
};
pub use external::{BotFault, BotResult, HeardMessage};
pub use input::{
    Change, ChangeKind, CommandAnswer, CommandKind, ConversationCommand, ConversationInput, Echo,
    Inbound, Opened, OutboundSend, Preference, Refusal, SendOutcome, Status, StatusKind,
    TransferTo, Via, WorkspaceNews,
};
pub use rules::{ExternalBot, Rules};
pub use signal::ConversationSignal;
pub use state::Conversation;
pub use statuses::StatusFacts;
