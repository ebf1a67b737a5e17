//! A workspace: one routing domain. Queues, agents, skills, capacity, presence, offers, assignments.

mod event;
mod input;
mod signal;

pub use event::{OfferEnd, WorkspaceEvent};
pub use input::{
    AgentConfig, DeskCommand, Presence, QueueConfig, SkillNeed, WorkspaceAnswer, WorkspaceConfig,
    WorkspaceInput,
};
pub use signal::{OfferView, WorkspaceChange, WorkspaceSignal};
