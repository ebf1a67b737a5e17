//! Every unanswered customer message has an owner or a timer (invariant 5), and the work item that says so to
//! the workspace.

use super::{ConversationEvent, ConversationTimer, Floor, FloorCause, decide::Step, state::Item};
use crate::{
    AgentId, ItemId, QueueId,
    workspace::{RoutingHints, WorkspaceInput},
};

impl Step<'_> {
    /// Sees to it that who waits is cared for. Called wherever the customer may wait with nobody in charge.
    /// During a join nothing is begun: its timer is what the customer has meanwhile.
    pub(super) fn care(&mut self) {
        if self.core.waiting_since_ms.is_none() || self.core.is_joining() {
            return;
        }
        if self.core.routing.agent_gone && self.core.floor != Floor::Phone {
            return self.leave_gone_agent();
        }
        match &self.core.floor {
            Floor::Desk { .. } => {}
            Floor::Phone => self.time_phone(self.core.last_in_ms),
            Floor::Bot { .. } if self.core.unheard => self.ask_again(),
            Floor::Bot { .. } => {}
            Floor::Nobody => match (&self.core.item, self.core.assigned()) {
                (_, Some(agent)) => self.give_to_agent(agent.clone(), FloorCause::Inbound),
                (Some(_), None) => {}
                (None, None) if self.core.episode.triaged => self.want_item(None),
                (None, None) => self.ask_first(),
            },
        }
    }

    /// Asks for an agent: a new item, or the open one in another queue. It keeps its age, and without a named
    /// queue the one it had.
    pub(super) fn want_item(&mut self, queue: Option<QueueId>) {
        self.emit_wanted(queue);
        self.tell_item();
    }

    fn emit_wanted(&mut self, queue: Option<QueueId>) {
        let queue = queue.or_else(|| self.take_snoozed());
        let shelved = self.core.shelved.as_ref();
        let (id, version, known_queue, known_since_ms) = match &self.core.item {
            Some(item) => {
                let version = item.version.saturating_add(1);
                (item.id, version, Some(&item.queue), Some(item.since_ms))
            }
            None => {
                let n = self.core.item_n.saturating_add(1);
                let id = ItemId { conversation: self.me.hash, n };
                (id, 1, shelved.map(|s| &s.queue), shelved.map(|s| s.since_ms))
            }
        };
        let queue = queue
            .or_else(|| known_queue.cloned())
            .unwrap_or_else(|| self.rules.default_queue.clone());
        let since_ms = [known_since_ms, self.core.waiting_since_ms].into_iter().flatten().min();
        let since_ms = since_ms.unwrap_or(self.now_ms);
        self.emit(ConversationEvent::ItemWanted { item: id, version, queue, since_ms });
    }

    /// An agent takes the open item, or a new one, without an offer.
    pub(super) fn claim_item(&mut self, agent: AgentId) {
        self.emit_wanted(None);
        let Some(item) = self.core.item.as_ref().map(|item| item.id) else { return };
        self.emit(ConversationEvent::ItemAssigned { item, agent, at_ms: self.now_ms });
        self.tell_item();
    }

    /// Tells the workspace what is needed now, and when to compare again.
    pub(super) fn tell_item(&mut self) {
        let Some(Item { id, version, queue, since_ms, agent }) = self.core.item.clone() else {
            return;
        };
        let Some(agent) = agent else { return self.repeat_need() };
        let conversation = self.me;
        let claimed =
            WorkspaceInput::Claimed { item: id, version, conversation, agent, queue, since_ms };
        self.tell_workspace(claimed);
        let again_ms = self.now_ms.saturating_add(self.rules.compare_every_ms);
        self.set_timer(ConversationTimer::Compare, Some(again_ms));
    }

    /// Compares: says again that an agent is needed, without saying who. A workspace that has given the item to
    /// somebody answers with the agent, and is not made to give it to one who has left since.
    pub(super) fn repeat_need(&mut self) {
        let Some(item) = &self.core.item else { return };
        let wanted = WorkspaceInput::Wanted {
            item: item.id,
            version: item.version,
            conversation: self.me,
            queue: item.queue.clone(),
            since_ms: item.since_ms,
            priority: self.core.brief.as_ref().map_or(0, |brief| brief.priority),
            hints: RoutingHints {
                brief: self.core.brief.clone().map(Box::new),
                ..self.core.routing.hints()
            },
        };
        self.tell_workspace(wanted);
        let again_ms = self.now_ms.saturating_add(self.rules.compare_every_ms);
        self.set_timer(ConversationTimer::Compare, Some(again_ms));
    }

    /// A waiting item is answered on the phone: its owner has it, where named, else nobody needs to.
    pub(super) fn yield_item_to_phone(&mut self) {
        if self.core.item.is_none() || self.core.assigned().is_some() {
            return;
        }
        match &self.rules.phone_owner {
            Some(owner) => self.claim_item(owner.clone()),
            None => self.drop_item(),
        }
    }
}
