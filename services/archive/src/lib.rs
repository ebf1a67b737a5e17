//! The read model: what conversations look like, projected from the logs.
//!
//! Owns: the tables of contacts, conversations, messages, notes, episodes, assignments and dead letters behind
//! one [`Repository`] interface (a SQLite file, or a Postgres database), the projection that fills them exactly once by log position, and
//! the reader that opens sealed content and puts threads in order. Everything here can be thrown away and
//! rebuilt from the archive segments (immutable, hash-linked files of the log's records, also owned here) and
//! the logs; what is in segments may be trimmed from the logs. Personal content stays sealed in the tables; every row and every query names
//! its business.
//!
//! Must never know: gRPC, Meta, the runtime, how an entity decides. Decisions never read it.

pub mod chain;
mod codes;
mod decode;
mod delivery;
mod duty;
mod error;
mod group;
mod history;
mod marks;
pub mod metrics;
pub mod model;
pub mod postgres;
mod progress;
mod projector;
mod reader;
mod repository;
pub mod segments;
pub mod sqlite;
mod tables;
mod trim;

pub use decode::{DecodeError, step_events};
pub use delivery::{Delivery, DeliveryFacts, Outcome, StatusTimes};
pub use duty::{Duty, DutyError, LeaseTimes};
pub use error::ArchiveError;
pub use history::{History, HistoryError};
pub use marks::{Marks, Reaction, Version};
pub use postgres::{PostgresOptions, PostgresRepository, PostgresTls};
pub use projector::{Projector, ProjectorError, rebuild};
pub use reader::{Archive, Fresh};
pub use repository::{Applied, Batch, DecodedStep, Repository};
pub use sqlite::SqliteRepository;
pub use trim::{Floor, TrimOptions, Trimmed, Trimmer};

#[cfg(test)]
mod tests;
