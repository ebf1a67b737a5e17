//! Tests of sending: scenarios, and a random world.

mod cancels;
mod channel;
mod echoes;
mod kit;
mod lanes;
mod random;
mod results;
mod watch;
