//! Webhooks as Meta sends them: bodies, escaping, signature, and the connections that carry them.

mod escape;
mod payload;
pub(crate) mod post;
mod sign;

pub(crate) use escape::meta_bytes;
pub(crate) use payload::{Content, Update, What, body};
pub(crate) use sign::signature;
