//! The webhook reader against the payload files, hostile input and random input.

mod describe;
mod hostile;
mod kinds;
mod payloads;
mod properties;
mod signing;
