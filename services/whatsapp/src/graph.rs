//! Calls to the Graph API, and exactly what is known after each of them (fact sheet 4).
//!
//! Sending is not idempotent: Meta has no idempotency key, so a message that may have been sent
//! must never be taken for one that was not. [`CallResult`] keeps four outcomes apart, and
//! [`CallResult::NotSent`] is only ever said where it is certain: the request body had not been
//! handed to the connection, and never will be.

pub mod answer;
mod body;
pub mod client;
pub mod contacts;
pub mod interactive;
pub mod request;
pub mod template;
mod validate;

pub use answer::{Accepted, CallResult, NotSentWhy, Refusal, SendResult, UnknownWhy};
pub use client::{BuildError, GraphClient, GraphConfig, SendCall};
pub use request::{OutboundContent, OutboundMedia, OutboundMessage, Recipient};
pub use validate::Invalid;
