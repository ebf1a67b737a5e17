//! Bots: what a bot hears, what it says and how its turn ends; and the engine of flows, which are bots written as
//! TOML files.
//!
//! [`Heard`], [`Facts`] and [`Answer`] are the seam: the flow engine answers by them, and so does a bot of another
//! kind (an external program). Whoever answers, the conversation carries the answer out in the same way and
//! only while the turn it was given for is still the conversation's turn.

mod calendar;
mod check;
mod engine;
mod fields;
mod fold;
mod model;
mod one_question;
mod problem;
mod read;
mod render;
mod state;
mod talk;
#[cfg(test)]
mod tests;
mod words;

pub use engine::Turn;
pub use model::Flow;
pub use one_question::{MenuOption, OneQuestion};
pub use problem::{Problem, Problems};
pub use read::FILE_BYTES_MAX;
pub use state::State;
pub use talk::{Answer, Facts, Field, HandOff, Heard, Outcome, Reply, VIP_PRIORITY, Why};
