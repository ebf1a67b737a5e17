//! Tests of sending: scenarios, and a random world.

mod cancels;
mod channel;
mod consent;
mod echoes;
mod kit;
mod lanes;
mod pairs;
mod policy;
mod pressure;
mod random;
mod results;
mod watch;
