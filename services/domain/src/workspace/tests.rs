//! Tests of routing: scenarios, named complaints, and random commands against a naive model.

mod complaints;
mod kit;
mod matcher;
mod model;
mod offers;
mod random;
mod routing;
mod sessions;
mod versions;
