//! A conversation: the long-lived thread of one customer with one number, who has the floor, its episodes,
//! its customer service window, and what routing it needs. Every identity of a customer on a number is an
//! address: it is the conversation or forwards to it (design.md section 5).

mod event;
mod input;
mod signal;

pub use event::{
    Author, ConversationEvent, ConversationTimer, Direction, Floor, FloorCause, MessageRecord,
    ResolvedBy, SendRecord,
};
pub use input::{
    CommandAnswer, CommandKind, ConversationCommand, ConversationInput, Echo, Inbound, Opened,
    Refusal, SendOutcome, Status, StatusKind, Via, WorkspaceNews,
};
pub use signal::ConversationSignal;
