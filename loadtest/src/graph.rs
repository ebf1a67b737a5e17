//! The Graph endpoint: what Meta's send API takes, refuses and answers.

mod error;
mod interactive;
pub(crate) mod server;
mod validate;

pub(crate) use error::GraphError;
pub(crate) use validate::{Request, SendRequest, validate};
