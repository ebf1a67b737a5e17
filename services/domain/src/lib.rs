//! What Tandem decides, as pure functions: conversations, workspaces (routing), numbers (sending).
//!
//! Owns: the three entities with their states, inputs, events and decisions, and the words of design.md
//! section 2. Must never know: tokio, I/O, a clock, randomness, a wire format of Meta or of gRPC.
//! `decide(state, input, now) -> events + effects`; `apply(part, event)` sees one part and one event.

pub mod content;
pub mod conversation;
pub mod desk;
pub mod effect;
pub mod flow;
pub mod id;
mod layered;
pub mod naming;
pub mod number;
pub mod persist;
pub mod sealed;
pub mod workspace;

pub use desk::{DeskId, DeskLease};
pub use effect::{Call, Outcome, ToEntity};
pub use id::{
    AgentId, BusinessId, CommandId, EntityId, EntityKind, Hash16, ItemId, MessageId, OfferId,
    QueueId, RequestId, SessionId, SkillId,
};
pub use sealed::{Sealed, Sealing};

/// Unix time in milliseconds.
pub type Millis = u64;
