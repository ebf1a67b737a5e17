//! The workspace reports on a work item. It decides items, the conversation decides the floor; news of another
//! version than ours is answered with what is needed now, and not applied.

use super::{ConversationEvent, Floor, FloorCause, WorkspaceNews, decide::Step, state::Item};
use crate::{AgentId, ItemId, workspace::WorkspaceInput};

pub(super) fn on_workspace(step: &mut Step<'_>, item: ItemId, version: u32, news: &WorkspaceNews) {
    let Some(open) = step.core.item.clone().filter(|open| open.id == item) else {
        return not_wanted(step, item, version, news);
    };
    if version < open.version {
        return step.tell_item();
    }
    if version > open.version {
        catch_up(step, &open, version, news);
    }
    match news {
        WorkspaceNews::Assigned { agent } => assigned(step, &open, agent),
        WorkspaceNews::Unassigned => unassigned(step, open),
        WorkspaceNews::Check => step.repeat_need(),
        WorkspaceNews::NotKnown => step.tell_item(),
        WorkspaceNews::Refused(_) => refused(step, &open),
        WorkspaceNews::Stranded { agent } => stranded(step, &open, agent),
    }
}

/// The workspace knows a version that we do not. Ours becomes as new as its news, or newer than what it threw
/// away: else each would go on telling the other that it is late.
fn catch_up(step: &mut Step<'_>, open: &Item, version: u32, news: &WorkspaceNews) {
    let Item { id: item, queue, since_ms, agent, .. } = open.clone();
    let gone = matches!(news, WorkspaceNews::NotKnown | WorkspaceNews::Refused(_));
    let version = if gone { version.saturating_add(1) } else { version };
    step.emit(ConversationEvent::ItemWanted { item, version, queue, since_ms });
    if let Some(agent) = agent {
        step.emit(ConversationEvent::ItemAssigned { item, agent, at_ms: step.now_ms });
    }
}

fn not_wanted(step: &mut Step<'_>, item: ItemId, version: u32, news: &WorkspaceNews) {
    if matches!(news, WorkspaceNews::NotKnown | WorkspaceNews::Refused(_)) {
        return; // Nobody has it: agreed.
    }
    let version = version.saturating_add(1);
    step.tell_workspace(WorkspaceInput::Dropped { item, version, conversation: step.me });
}

fn assigned(step: &mut Step<'_>, open: &Item, agent: &AgentId) {
    if open.agent.as_ref() != Some(agent) {
        step.emit(ConversationEvent::ItemAssigned {
            item: open.id,
            agent: agent.clone(),
            at_ms: step.now_ms,
        });
        step.give_to_agent(agent.clone(), FloorCause::Assigned);
    } else {
        step.set_agent_gone(false);
    }
}

/// The agent did not come back: who waits is given to somebody else, the rest stays until the customer writes.
fn stranded(step: &mut Step<'_>, open: &Item, agent: &AgentId) {
    if open.agent.as_ref() != Some(agent) {
        assigned(step, open, agent);
    }
    step.set_agent_gone(true);
    step.care();
}

fn unassigned(step: &mut Step<'_>, open: Item) {
    if open.agent.is_none() {
        return;
    }
    let Item { id: item, version, queue, since_ms, .. } = open;
    step.emit(ConversationEvent::ItemWanted { item, version, queue, since_ms });
    match &step.core.floor {
        // The phone answers; should it not, its timer asks for an agent again.
        Floor::Phone => step.yield_item_to_phone(),
        _ => step.change_floor(Floor::Nobody, FloorCause::Unassigned),
    }
}

/// The queue or the agent does not exist. A need is never given up: first its queue without the agent, then the
/// default queue, then the slow comparison repeats it until the configuration is right.
fn refused(step: &mut Step<'_>, open: &Item) {
    if open.agent.is_some() {
        if step.core.floor != Floor::Phone {
            step.change_floor(Floor::Nobody, FloorCause::Unassigned);
        }
        step.want_item(None);
    } else if open.queue != step.rules.default_queue {
        step.want_item(Some(step.rules.default_queue.clone()));
    }
}
