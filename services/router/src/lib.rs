//! The entities hosted on the runtime, and the executors that carry out their sends and ask external bots.
//!
//! Owns: the bridge between the pure domain and the durable runtime (encoding, sealing, ids, topics), the doors
//! at which a number's rate is kept, and the configuration given to entities. Must never know: HTTP in, gRPC in (it
//! calls `Bot.Turn`), the read model; nor decide anything that the domain decides.

pub mod bot;
mod bridge;
pub mod configure;
mod conversation;
pub mod departures;
pub mod desks;
pub mod door;
mod executors;
pub mod flows;
mod host;
pub mod metrics;
mod number;
mod outbound;
mod places;
pub mod rules;
pub mod send;
mod waiting;
mod workspace;

pub use executors::Executors;
pub use host::RouterHost;
