//! Tests of sending: scenarios, and a random world.

mod cancels;
mod channel;
mod complaints;
mod consent;
mod echoes;
mod kit;
mod lanes;
mod look;
mod pairs;
mod policy;
mod pressure;
mod random;
mod results;
mod watch;
