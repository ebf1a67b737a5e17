//! An agent has an item without an offer: the phone's owner answered, or a supervisor gave it.

use super::{
    WorkspaceEvent,
    decide::Turn,
    news::{answer_stale, tell},
    offers,
    on_wanted::{Wanted, is_stale, queue},
    state::{Item, Place},
};
use crate::{AgentId, conversation::WorkspaceNews};

/// Gives the item to the agent, over capacity if need be. An agent nobody configured gets nothing.
pub(super) fn on_claimed(turn: &mut Turn<'_>, wanted: &Wanted<'_>, agent: &AgentId) {
    let known = turn.draft.item(wanted.item).cloned();
    if let Some(known) = known.as_ref().filter(|known| is_stale(known, wanted.version)) {
        answer_stale(turn, wanted.conversation, wanted.item, known);
        return;
    }
    let plan = turn.draft.plan().cloned();
    if plan.as_ref().is_some_and(|plan| !plan.config.agents.contains_key(agent)) {
        let news = WorkspaceNews::Refused(format!("no agent named {agent}"));
        tell(turn, wanted.conversation, wanted.item, wanted.version, news);
        return;
    }
    match known {
        Some(Item::Live(live)) => {
            let has_it = has_it(&live.place, agent);
            if !has_it {
                offers::release(turn, wanted.item);
            }
            if live.version < wanted.version {
                turn.record(WorkspaceEvent::ItemRenewed {
                    item: wanted.item,
                    version: wanted.version,
                    conversation: wanted.conversation,
                    since_ms: live.since_ms,
                    priority: live.priority,
                    hints: *live.hints,
                });
            }
            if has_it {
                let news = WorkspaceNews::Assigned { agent: agent.clone() };
                tell(turn, wanted.conversation, wanted.item, wanted.version, news);
                return;
            }
        }
        Some(Item::Gone(_)) | None => queue(turn, wanted),
    }
    let queue = turn.draft.live(wanted.item).map(|live| live.queue.clone());
    let weight = match (plan, queue) {
        (Some(plan), Some(queue)) => plan.weight(&queue),
        _ => 1,
    };
    let loaded = WorkspaceEvent::AgentLoaded { agent: agent.clone(), item: wanted.item, weight };
    turn.record(loaded);
    offers::assign(turn, wanted.item, agent, weight);
}

fn has_it(place: &Place, agent: &AgentId) -> bool {
    matches!(place, Place::Assigned { agent: holder, .. } if holder == agent)
}
