//! Work after a conversation: by the rules of its queue, ended by the agent or by time. It may hold capacity.

use super::{
    WorkspaceAnswer, WorkspaceChange, WorkspaceEvent, WrapUpMode, WrapUpView,
    decide::Turn,
    on_dropped,
    state::{Agent, Place, WRAP_UPS_MAX, WrapUp},
};
use crate::{AgentId, EntityId, ItemId, Millis};

/// The agent who has an item has finished it.
pub(super) fn on_finished(
    turn: &mut Turn<'_>,
    (item, version, conversation): (ItemId, u32, EntityId),
    agent: &AgentId,
    asked: bool,
) {
    let held = turn.draft.live(item).and_then(|live| match &live.place {
        Place::Assigned { agent: holder, weight, .. } if holder == agent => {
            Some((*weight, live.queue.clone()))
        }
        _ => None,
    });
    on_dropped::on_dropped(turn, item, version, conversation);
    let Some((weight, queue)) = held.filter(|_| turn.draft.live(item).is_none()) else { return };
    let rule = turn.draft.plan().map(|plan| plan.wrap_up(&queue)).unwrap_or_default();
    let begins = match rule.mode {
        WrapUpMode::None => false,
        WrapUpMode::Optional => asked,
        WrapUpMode::Timed => true,
    };
    let n = turn.draft.agent(agent).map_or(0, |agent| agent.wrap_ups.len());
    if !begins || n >= WRAP_UPS_MAX {
        return;
    }
    let until_ms = turn.now_ms.saturating_add(rule.for_ms);
    turn.record(WorkspaceEvent::WrapUpBegan {
        agent: agent.clone(),
        item,
        conversation,
        weight: if rule.holds_capacity { weight } else { 0 },
        until_ms,
        at_ms: turn.now_ms,
    });
    let view = WrapUpView { conversation, until_ms, holds_capacity: rule.holds_capacity };
    turn.signal(agent, WorkspaceChange::WrapUpBegan(view));
}

/// The agent ends the work early.
pub(super) fn on_end(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    conversation: EntityId,
) -> WorkspaceAnswer {
    let found = wrap_ups(turn, agent).iter().find(|w| w.conversation.hash == conversation.hash);
    match found.map(|wrap_up| wrap_up.item) {
        Some(item) => {
            end(turn, agent, item);
            super::on_offer::show_activity(turn, agent);
            WorkspaceAnswer::Done
        }
        None => WorkspaceAnswer::Unknown("no wrap-up of this conversation is open".to_owned()),
    }
}

/// The first one whose time is over ends.
pub(super) fn on_over(turn: &mut Turn<'_>, agent: &AgentId) {
    let now_ms = turn.now_ms;
    let over = wrap_ups(turn, agent).iter().find(|wrap_up| wrap_up.until_ms <= now_ms);
    if let Some(item) = over.map(|wrap_up| wrap_up.item) {
        end(turn, agent, item);
    }
}

fn end(turn: &mut Turn<'_>, agent: &AgentId, item: ItemId) {
    let found = wrap_ups(turn, agent).iter().find(|wrap_up| wrap_up.item == item);
    let Some(conversation) = found.map(|wrap_up| wrap_up.conversation) else { return };
    let at_ms: Millis = turn.now_ms;
    turn.record(WorkspaceEvent::WrapUpEnded { agent: agent.clone(), item, at_ms });
    turn.signal(agent, WorkspaceChange::WrapUpEnded { conversation });
}

fn wrap_ups<'t>(turn: &'t Turn<'_>, agent: &AgentId) -> &'t [WrapUp] {
    turn.draft.agent(agent).map_or(&[], |agent: &Agent| agent.wrap_ups.as_slice())
}
