//! The entities hosted on the runtime, and the executor that carries out their sends.
//!
//! Owns: the bridge between the pure domain and the durable runtime (encoding, sealing, ids, topics), the doors
//! at which a number's rate is kept, and the configuration given to entities. Must never know: HTTP in, gRPC,
//! the read model; nor decide anything that the domain decides.

mod bridge;
pub mod configure;
mod conversation;
pub mod departures;
pub mod door;
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

pub use host::RouterHost;
