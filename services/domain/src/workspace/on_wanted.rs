//! A conversation needs an agent, or says so again.

use super::{
    RoutingHints, WorkspaceEvent,
    decide::Turn,
    news::{answer_stale, holder_news, tell},
    offers, reserve,
    state::{Item, Place},
};
use crate::{EntityId, ItemId, Millis, QueueId, conversation::WorkspaceNews};

/// The need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) item: ItemId,
    pub(super) version: u32,
    pub(super) conversation: EntityId,
    pub(super) queue: &'a QueueId,
    pub(super) since_ms: Millis,
    pub(super) priority: i32,
    pub(super) hints: &'a RoutingHints,
}

/// Queues a new need; a repeat is answered and changes nothing, so is an older version; a newer one replaces what is
/// known.
pub(super) fn on_wanted(turn: &mut Turn<'_>, wanted: &Wanted<'_>) {
    let known = turn.draft.item(wanted.item).cloned();
    match known {
        None => queue_or_refuse(turn, wanted),
        Some(known) if is_stale(&known, wanted.version) => {
            answer_stale(turn, wanted.conversation, wanted.item, &known);
        }
        Some(Item::Gone(_)) => queue_or_refuse(turn, wanted),
        Some(Item::Live(live)) if live.version == wanted.version => {
            // Both sides compare: the answer says who has it, if anybody.
            let news = match live.place {
                Place::Assigned { agent, .. } => holder_news(turn, agent),
                Place::Waiting | Place::Offered { .. } => WorkspaceNews::Unassigned,
            };
            tell(turn, wanted.conversation, wanted.item, live.version, news);
        }
        Some(Item::Live(live)) => {
            let assigned = matches!(live.place, Place::Assigned { .. });
            let same = !assigned && live.queue == *wanted.queue;
            // Who is to be asked first counts anew: the item goes back to the start of its way.
            if same && wanted.hints.target.is_none() {
                turn.record(WorkspaceEvent::ItemRenewed {
                    item: wanted.item,
                    version: wanted.version,
                    conversation: wanted.conversation,
                    since_ms: wanted.since_ms,
                    priority: wanted.priority,
                    hints: wanted.hints.clone(),
                });
            } else {
                offers::release(turn, wanted.item);
                queue_or_refuse(turn, wanted);
            }
        }
    }
}

/// Older than what is known. The version of a drop counts as newer than an equal need; that of a refusal does not, so
/// that a repeat is looked at again.
pub(super) fn is_stale(known: &Item, version: u32) -> bool {
    match known {
        Item::Live(live) => version < live.version,
        Item::Gone(gone) => version < gone.version || (version == gone.version && !gone.refused),
    }
}

fn queue_or_refuse(turn: &mut Turn<'_>, wanted: &Wanted<'_>) {
    queue(turn, wanted);
    reserve::on_queued(turn, wanted.item, wanted.hints);
    let plan = turn.draft.plan();
    if plan.is_some_and(|plan| !plan.config.queues.contains_key(wanted.queue)) {
        offers::refuse(turn, wanted.item, format!("no queue named {}", wanted.queue));
    }
}

/// Records that the item waits.
pub(super) fn queue(turn: &mut Turn<'_>, wanted: &Wanted<'_>) {
    turn.record(WorkspaceEvent::ItemQueued {
        item: wanted.item,
        version: wanted.version,
        conversation: wanted.conversation,
        queue: wanted.queue.clone(),
        since_ms: wanted.since_ms,
        priority: wanted.priority,
        hints: wanted.hints.clone(),
    });
}
