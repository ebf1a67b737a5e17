//! The gRPC edge: agents at their desks, programs of a business, the event tail.
//!
//! Owns: authentication by token, the checking of what clients send, their sessions and streams, and turning
//! commands into inputs. Nothing is decided here: a command is answered by the entity that decides it, and what is
//! read comes from the read model or the log. A token names one business; whatever belongs to another one is as
//! if it did not exist.
//!
//! Must never know: how an entity decides, Meta's wire formats, the runtime, the tables of the read model.

mod admin;
mod ask;
mod board;
mod channel;
mod command;
mod context;
mod conversations;
mod fault;
mod incoming;
mod life;
mod mask;
pub mod metrics;
mod outbound;
mod page;
mod routing;
mod server;
mod session;
mod tail;
mod tokens;
mod wire;

pub use admin::{AdminParts, Operator};
pub use context::{BusinessContext, ChannelContext, DeskContext, Options};
pub use server::{Desk, DeskError, DeskParts};
pub use tokens::TokenSource;

#[cfg(test)]
mod tests;
