//! Dialogues played through flows.

mod dialogues;
mod engine;
mod load;
