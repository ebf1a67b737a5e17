//! A number: one phone number (channel account). Order and pace of sending, retries, reconciliation.

mod event;
mod input;

pub use event::NumberEvent;
pub use input::{CallAnswer, Lane, NumberConfig, NumberInput, NumberMode, Parked, Retry, SendRequest};
