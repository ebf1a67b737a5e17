//! Making and ending offers, giving and taking back assignments: every change of who holds what.

use super::{
    OfferEnd, OfferView, ReservedFor, SnapshotMore, WorkspaceChange, WorkspaceEvent, WrapUpView,
    decide::Turn,
    index::{Key, holds_range, is_silent},
    news::tell,
    state::{Agent, LiveItem, Place},
};
use crate::{AgentId, EntityId, ItemId, Millis, OfferId, conversation::WorkspaceNews};

/// Added to the offer timeout while nothing has confirmed that the agent's client has the offer.
const UNDELIVERABLE_ALLOWANCE_MS: Millis = 5_000;

/// Offers a waiting item to an agent: takes the capacity, tells the session.
pub(super) fn make(turn: &mut Turn<'_>, item: ItemId, agent: &AgentId) {
    let Some(plan) = turn.draft.plan().cloned() else { return };
    let Some(live) = turn.draft.live(item) else { return };
    let offer = OfferId { item, n: live.offers.made.saturating_add(1) };
    let weight = plan.weight(&live.queue);
    let timeout_ms = plan.offer_timeout_ms(&live.queue);
    let deadline_ms =
        turn.now_ms.saturating_add(timeout_ms).saturating_add(UNDELIVERABLE_ALLOWANCE_MS);
    let deadline_ms = tried_until_ms(live).map_or(deadline_ms, |ms| ms.min(deadline_ms));
    turn.record(WorkspaceEvent::ItemOffered {
        offer,
        agent: agent.clone(),
        weight,
        at_ms: turn.now_ms,
        deadline_ms,
    });
    turn.record(WorkspaceEvent::AgentLoaded { agent: agent.clone(), item, weight });
    if let Some(view) = view(turn, item) {
        turn.signal(agent, WorkspaceChange::Offered(view));
    }
}

/// The last agent is tried for a bounded time, whatever the queue's offers have.
pub(super) fn tried_until_ms(live: &LiveItem) -> Option<Millis> {
    let kept = live.reserved.as_ref().filter(|kept| kept.why == ReservedFor::LastAgent);
    kept.map(|kept| kept.until_ms)
}

/// Ends the open offer of an item, if there is one. Unless accepted, the capacity comes back and the item waits again
/// with its age.
pub(super) fn end(turn: &mut Turn<'_>, item: ItemId, end: OfferEnd) {
    end_because(turn, item, end, "");
}

/// As [`end`], with the agent's code for a rejection.
pub(super) fn end_because(turn: &mut Turn<'_>, item: ItemId, end: OfferEnd, reason: &str) {
    let Some(live) = turn.draft.live(item) else { return };
    let Place::Offered { n, agent, weight, .. } = &live.place else { return };
    let (offer, agent, weight) = (OfferId { item, n: *n }, agent.clone(), *weight);
    let at_ms = turn.now_ms;
    // A try cut short for the customer's sake is no miss of the agent's.
    let cut_short = end != OfferEnd::Rejected && tried_until_ms(live).is_some();
    turn.record(WorkspaceEvent::OfferEnded { offer, agent: agent.clone(), end, at_ms });
    if end != OfferEnd::Accepted {
        let agent = agent.clone();
        turn.record(WorkspaceEvent::AgentUnloaded { agent, item, weight, at_ms, had: false });
    }
    turn.signal(&agent, WorkspaceChange::OfferEnded { offer, end });
    if end.turned_down() {
        super::reserve::end(turn, item);
        if !cut_short {
            count_miss(turn, &agent, item, end, reason);
        }
    }
}

/// Counts what an agent did not take; one too many, and it is offered nothing until it does something.
fn count_miss(turn: &mut Turn<'_>, agent: &AgentId, item: ItemId, end: OfferEnd, reason: &str) {
    let silent = |turn: &Turn<'_>| {
        let known = turn.draft.agent(agent).zip(turn.draft.plan());
        known.is_some_and(|(agent, plan)| is_silent(agent, plan))
    };
    let before = silent(turn);
    turn.record(WorkspaceEvent::AgentMissed {
        agent: agent.clone(),
        item,
        end,
        at_ms: turn.now_ms,
        reason: reason.to_owned(),
    });
    if !before && silent(turn) {
        turn.signal(agent, WorkspaceChange::Missed);
    }
}

/// Gives a waiting item whose capacity is already taken (an accepted offer) or may be exceeded (a claim).
pub(super) fn assign(turn: &mut Turn<'_>, item: ItemId, agent: &AgentId, weight: u32) {
    let Some(live) = turn.draft.live(item) else { return };
    let (conversation, version) = (live.conversation, live.version);
    let at_ms = turn.now_ms;
    turn.record(WorkspaceEvent::ItemAssigned { item, agent: agent.clone(), weight, at_ms });
    turn.signal(agent, WorkspaceChange::Assigned { item, conversation });
    let news = WorkspaceNews::Assigned { agent: agent.clone() };
    tell(turn, conversation, item, version, news);
}

/// Takes an item from whoever is offered or has it. Afterwards it waits, with its age.
pub(super) fn release(turn: &mut Turn<'_>, item: ItemId) {
    let Some(live) = turn.draft.live(item) else { return };
    match &live.place {
        Place::Waiting => {}
        Place::Offered { .. } => end(turn, item, OfferEnd::Rescinded),
        Place::Assigned { agent, weight, .. } => {
            let (agent, weight, conversation) = (agent.clone(), *weight, live.conversation);
            let at_ms = turn.now_ms;
            turn.record(WorkspaceEvent::ItemReturned { item, at_ms });
            turn.record(WorkspaceEvent::AgentUnloaded {
                agent: agent.clone(),
                item,
                weight,
                at_ms,
                had: true,
            });
            turn.signal(&agent, WorkspaceChange::Unassigned { item, conversation });
        }
    }
}

/// Refuses an item: it cannot be routed.
pub(super) fn refuse(turn: &mut Turn<'_>, item: ItemId, why: String) {
    release(turn, item);
    let Some(live) = turn.draft.live(item) else { return };
    let (conversation, version) = (live.conversation, live.version);
    let at_ms = turn.now_ms;
    turn.record(WorkspaceEvent::ItemEnded { item, version, refused: true, at_ms });
    tell(turn, conversation, item, version, WorkspaceNews::Refused(why));
}

/// The open offer of an item as its agent sees it.
fn view(turn: &Turn<'_>, item: ItemId) -> Option<OfferView> {
    let live = turn.draft.live(item)?;
    let Place::Offered { n, agent, deadline_ms, .. } = &live.place else { return None };
    let plan = turn.draft.plan();
    Some(OfferView {
        offer: OfferId { item, n: *n },
        conversation: live.conversation,
        queue: live.queue.clone(),
        since_ms: live.since_ms,
        deadline_ms: *deadline_ms,
        reason: plan.map(|plan| plan.reason(agent, &live.queue)).unwrap_or_default(),
        brief: live.hints.brief.clone(),
    })
}

/// Everything an agent has now.
pub(super) fn snapshot(turn: &Turn<'_>, agent: &AgentId) -> WorkspaceChange {
    let mut offers = Vec::new();
    let mut assigned: Vec<(ItemId, EntityId)> = Vec::new();
    for key in turn.draft.keys(holds_range(agent)) {
        let Key::Holds(_, has, item) = key else { continue };
        if *has {
            let live: Option<&LiveItem> = turn.draft.live(*item);
            assigned.extend(live.map(|live| (*item, live.conversation)));
        } else {
            offers.extend(view(turn, *item));
        }
    }
    let known = turn.draft.agent(agent);
    WorkspaceChange::Snapshot {
        presence: known.map(|agent| agent.presence).unwrap_or_default(),
        offers,
        assigned,
        used: known.map_or(0, |agent| agent.used),
        capacity: turn.draft.plan().map_or(0, |plan| plan.capacity(agent)),
        more: known.map(|agent| more(turn, agent)).unwrap_or_default(),
    }
}

fn more(turn: &Turn<'_>, agent: &Agent) -> SnapshotMore {
    let wrap_ups = agent.wrap_ups.iter().map(|wrap_up| WrapUpView {
        conversation: wrap_up.conversation,
        until_ms: wrap_up.until_ms,
        holds_capacity: wrap_up.weight > 0,
    });
    SnapshotMore {
        missed: turn.draft.plan().is_some_and(|plan| is_silent(agent, plan)),
        wrap_ups: wrap_ups.collect(),
        taken: agent.taken.clone(),
    }
}
