//! Meta's wire, and nothing else: webhooks in, Graph API calls out.
//!
//! **Is**: the types of WhatsApp's Cloud API and Coexistence webhooks and a lenient reader of them
//! ([`webhook`]), the signature check ([`signature`]), the identities customers have there
//! ([`identity`]), the error codes and what each one asks for ([`errors`]), media facts
//! ([`media`]), and a client that sends one message and says exactly what is known about it
//! afterwards ([`graph`]).
//!
//! **Owns**: every fact about Meta's formats. A new field, type or code is added here. Nothing of
//! it is persisted as it is: what is kept is the domain's own.
//!
//! **Must never know**: conversations, agents, queues, storage, retries over time. It decides
//! nothing: a class of error says what the fact means, whoever sends decides what follows. It reads
//! no clock.
//!
//! The comments cite sections of the fact sheet the crate was written from;
//! `tests/payloads/INDEX.md` lists one example of each kind.

pub mod errors;
pub mod graph;
pub mod identity;
pub mod json;
pub mod media;
pub mod signature;
pub mod webhook;
mod wire_enum;
