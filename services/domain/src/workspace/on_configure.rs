//! A configuration came.

use super::{WorkspaceConfig, WorkspaceEvent, decide::Turn};

/// Takes it if it differs. What it leaves without a queue or an agent is found by `settle`, in pieces that fit a step.
pub(super) fn on_configure(turn: &mut Turn<'_>, config: &WorkspaceConfig) {
    let known = turn.draft.plan().is_some_and(|plan| plan.config == *config);
    if !known {
        turn.record(WorkspaceEvent::Configured(Box::new(config.clone())));
    }
}
