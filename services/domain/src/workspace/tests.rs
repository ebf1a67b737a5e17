//! Tests of routing: scenarios, named complaints, and random commands against a naive model.

mod complaints;
mod kit;
mod matcher;
mod model;
mod naive;
mod offers;
mod random;
mod routing;
mod routing_complaints;
mod sessions;
mod versions;
