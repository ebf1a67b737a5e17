//! Bots: what a bot hears, what it says and how its turn ends; and the engine of flows, which are bots written as
//! TOML files.
//!
//! [`Heard`], [`Facts`] and [`Answer`] are the seam: the flow engine answers by them, and so does a bot of another
//! kind (an external program). Whoever answers, the conversation carries the answer out in the same way and
//! only while the turn it was given for is still the conversation's turn.

mod talk;

pub use talk::{Answer, Facts, Field, HandOff, Heard, Outcome, Reply, Why};
