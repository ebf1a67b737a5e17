//! A workspace: one routing domain. Queues, agents, skills, capacity, presence, offers, assignments.
//!
//! Owns: which agent has which work item, and why. A work item is never assigned twice and never forgotten,
//! offers never exceed capacity, nobody signed out or away is offered work, and after every decision no item
//! waits that a free agent could take. Must never know: what is written in a conversation, who has the floor.
//!
//! | file | what |
//! |---|---|
//! | `input`, `event`, `signal` | the contract |
//! | `state` | what is kept of items and agents |
//! | `index`, `plan` | derived in memory, never saved |
//! | `draft` | a workspace with the events of one decision on top; the only place that applies events |
//! | `decide`, `on_*` | one handler per input |
//! | `offers`, `matching`, `matcher`, `reserve` | who is offered what |
//! | `wrap_up` | work after a conversation |
//! | `board` | what supervisors see: who waits and why |
//! | `settle` | what is due, lost or left over: run after every input and on wake |
//! | `places`, `waits` | where items are, who waits and why: counted for metrics |

mod apply;
mod board;
mod decide;
mod draft;
mod event;
mod index;
mod input;
mod matcher;
mod matching;
mod news;
mod offers;
mod on_claimed;
mod on_configure;
mod on_desk;
mod on_dropped;
mod on_offer;
mod on_session;
mod on_wanted;
mod places;
mod plan;
mod reserve;
mod settle;
mod signal;
mod state;
#[cfg(test)]
mod tests;
mod waits;
mod wrap_up;

pub use board::{AgentView, PAGE_MAX, WaitReason, WaitingCursor, WaitingView};
pub use decide::Occasion;
pub use event::{OfferEnd, ReservedFor, WorkspaceEvent};
pub use input::{
    ANSWER_TARGET_MS, AgentConfig, AgentSince, DeskCommand, Presence, QueueConfig, RoutingHints,
    SkillNeed, WorkspaceAnswer, WorkspaceConfig, WorkspaceInput, WrapUpConfig, WrapUpMode,
};
pub use places::{Standing, Standpoint};
pub use signal::{OfferView, SnapshotMore, WorkspaceChange, WorkspaceSignal, WrapUpView};
pub use state::{Part, Workspace};
pub use waits::{Look, Waits};
