//! The edge as its clients meet it: a real gRPC client, a real server on a free port, the embedded bus, and a
//! scripted stand-in for the entities.

mod admin;
mod channel;
mod commands;
mod complaints;
mod conversations;
mod edge;
mod entities;
mod outage;
mod outbound;
mod rich;
mod routing;
mod session;
mod tail;
mod tls;
mod world;
