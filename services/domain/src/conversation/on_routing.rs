//! Commands about who is to have the conversation: transfer, requeue, supervisor's assignment, snooze, VIP. Each is one
//! step: who had it loses it, the note, the need with its age and who is to be asked first are recorded together.

use super::{
    CommandAnswer, ConversationEvent, ConversationTimer, Floor, FloorCause, Refusal, RoutingAct,
    TransferTo,
    decide::Step,
    on_command::{Answer, add_note, not_held_by_another},
};
use crate::{AgentId, Millis, QueueId, Sealed, workspace::WorkspaceInput};

/// Records who did what.
pub(super) fn record(
    step: &mut Step<'_>,
    by: Option<&AgentId>,
    act: RoutingAct,
    note: Option<u64>,
) {
    let from = step.core.assigned().cloned();
    let (by, at_ms) = (by.cloned(), step.now_ms);
    step.emit(ConversationEvent::RoutingActed { act, by, from, note, at_ms });
}

fn may_act(step: &Step<'_>, by: Option<&AgentId>, overrule: bool) -> Result<(), Refusal> {
    step.core.open_episode().ok_or(Refusal::NothingOpen)?;
    if overrule { Ok(()) } else { not_held_by_another(step, by) }
}

/// Nobody speaks until somebody else has it.
fn leave_floor(step: &mut Step<'_>) {
    let cause = match &step.core.floor {
        Floor::Bot { .. } => FloorCause::HandOff,
        _ => FloorCause::Unassigned,
    };
    step.change_floor(Floor::Nobody, cause);
}

pub(super) fn transfer(
    step: &mut Step<'_>,
    by: Option<&AgentId>,
    to: &TransferTo,
    note: Option<&Sealed>,
    overrule: bool,
) -> Answer {
    may_act(step, by, overrule)?;
    let (queue, agent) = match to {
        TransferTo::Queue(queue) => (Some(queue.clone()), None),
        TransferTo::Agent(agent) => (None, Some(agent.clone())),
    };
    if agent.is_some() && step.core.assigned() == agent.as_ref() {
        return Ok(CommandAnswer::Done);
    }
    let note = note.map(|content| add_note(step, by, content));
    record(step, by, RoutingAct::Transfer { queue: queue.clone(), agent }, note);
    leave_floor(step);
    step.want_item(queue);
    Ok(CommandAnswer::Done)
}

pub(super) fn requeue(
    step: &mut Step<'_>,
    by: Option<&AgentId>,
    queue: Option<&QueueId>,
    overrule: bool,
) -> Answer {
    may_act(step, by, overrule)?;
    record(step, by, RoutingAct::Requeue { queue: queue.cloned() }, None);
    leave_floor(step);
    step.want_item(queue.cloned());
    Ok(CommandAnswer::Done)
}

/// Overrules whoever has the conversation, except that the phone keeps the floor.
pub(super) fn force(
    step: &mut Step<'_>,
    by: Option<&AgentId>,
    to: &AgentId,
    reason: &Sealed,
) -> Answer {
    step.core.open_episode().ok_or(Refusal::NothingOpen)?;
    let note = add_note(step, by, reason);
    record(step, by, RoutingAct::Assign { agent: to.clone() }, Some(note));
    if step.core.assigned() != Some(to) {
        step.claim_item(to.clone());
    }
    step.give_to_agent(to.clone(), FloorCause::Assigned);
    Ok(CommandAnswer::Done)
}

pub(super) fn snooze(
    step: &mut Step<'_>,
    by: Option<&AgentId>,
    until_ms: Millis,
    overrule: bool,
) -> Answer {
    may_act(step, by, overrule)?;
    if step.core.assigned().is_none() {
        return Err(Refusal::NotAssigned);
    }
    record(step, by, RoutingAct::Snooze { until_ms }, None);
    if step.core.floor != Floor::Phone {
        leave_floor(step);
    }
    step.drop_item();
    step.time_snooze();
    Ok(CommandAnswer::Done)
}

pub(super) fn set_vip(step: &mut Step<'_>, by: Option<&AgentId>, vip: bool) -> Answer {
    if step.core.contact.is_none() {
        return Err(Refusal::UnknownConversation);
    }
    if step.core.routing.vip == vip {
        return Ok(CommandAnswer::Done);
    }
    record(step, by, RoutingAct::Vip { vip }, None);
    if step.core.item.is_some() && step.core.assigned().is_none() {
        step.want_item(None);
    }
    Ok(CommandAnswer::Done)
}

impl Step<'_> {
    /// The open item is no longer wanted.
    pub(super) fn drop_item(&mut self) {
        let Some((item, version)) = self.end_item() else { return };
        self.tell_workspace(WorkspaceInput::Dropped { item, version, conversation: self.me });
    }

    /// The agent who has the open item has finished it.
    pub(super) fn finish_item(&mut self, agent: AgentId, wrap_up: bool) {
        let Some((item, version)) = self.end_item() else { return };
        let conversation = self.me;
        let finished = WorkspaceInput::Finished { item, version, conversation, agent, wrap_up };
        self.tell_workspace(finished);
    }

    fn end_item(&mut self) -> Option<(crate::ItemId, u32)> {
        let item = self.core.item.as_ref()?;
        let (item, version) = (item.id, item.version.saturating_add(1));
        self.emit(ConversationEvent::ItemEnded { item, at_ms: self.now_ms });
        self.set_timer(ConversationTimer::Compare, None);
        Some((item, version))
    }

    /// A snooze needs its timer.
    pub(super) fn time_snooze(&mut self) {
        let until_ms = self.core.routing.snooze.as_ref().map(|snooze| snooze.until_ms);
        if until_ms.is_some() {
            self.set_timer(ConversationTimer::Snooze, until_ms);
        }
    }

    /// The time of the snooze has come: the conversation comes back, unless it is cared for otherwise.
    pub(super) fn end_snooze(&mut self) {
        let nobody = self.core.item.is_none() && self.core.floor == Floor::Nobody;
        if nobody && self.core.episode.open && self.core.routing.snooze.is_some() {
            self.want_item(None);
        } else if self.core.routing.snooze.is_some() {
            self.emit(ConversationEvent::SnoozeEnded { at_ms: self.now_ms });
        }
    }

    /// A need ends the snooze, and goes to the queue that the conversation had.
    pub(super) fn take_snoozed(&mut self) -> Option<QueueId> {
        let queue = self.core.routing.snooze.as_ref()?.queue.clone();
        self.emit(ConversationEvent::SnoozeEnded { at_ms: self.now_ms });
        self.set_timer(ConversationTimer::Snooze, None);
        Some(queue)
    }

    /// Notes whether the agent who has the item is gone.
    pub(super) fn set_agent_gone(&mut self, gone: bool) {
        if self.core.routing.agent_gone != gone {
            self.emit(ConversationEvent::AgentGone { gone, at_ms: self.now_ms });
        }
    }

    /// The customer waits and the agent is gone: somebody else is asked for, with the original age.
    pub(super) fn leave_gone_agent(&mut self) {
        self.change_floor(Floor::Nobody, FloorCause::Unassigned);
        self.want_item(None);
    }
}
