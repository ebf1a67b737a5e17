//! The machine, driven by hand: one rule per test.

mod checkpoint;
mod commit;
mod driver;
mod effects;
mod intake;
mod poison;
mod takeover;
mod timers;
