//! An agent's client answers an offer.

use super::{
    OfferEnd, WorkspaceAnswer, WorkspaceEvent,
    decide::Turn,
    offers,
    state::{Item, Place},
};
use crate::{AgentId, OfferId};

/// The offer is on the agent's screen: its clock starts, once.
pub(super) fn on_delivered(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    offer: OfferId,
) -> WorkspaceAnswer {
    let Some((_, delivered)) = open_offer(turn, agent, offer) else {
        return ended(turn, agent, offer);
    };
    if !delivered {
        let live = turn.draft.live(offer.item);
        let timeout_ms = turn
            .draft
            .plan()
            .zip(live)
            .map_or(0, |(plan, live)| plan.offer_timeout_ms(&live.queue));
        let deadline_ms = turn.now_ms.saturating_add(timeout_ms);
        let tried_ms = live.and_then(offers::tried_until_ms);
        let deadline_ms = tried_ms.map_or(deadline_ms, |ms| ms.min(deadline_ms));
        turn.record(WorkspaceEvent::OfferDelivered { offer, deadline_ms });
    }
    WorkspaceAnswer::Done
}

/// The agent takes the offer.
pub(super) fn on_accept(turn: &mut Turn<'_>, agent: &AgentId, offer: OfferId) -> WorkspaceAnswer {
    let Some((weight, _)) = open_offer(turn, agent, offer) else {
        return ended(turn, agent, offer);
    };
    offers::end(turn, offer.item, OfferEnd::Accepted);
    offers::assign(turn, offer.item, agent, weight);
    show_activity(turn, agent);
    WorkspaceAnswer::Done
}

/// Somebody is there: earlier misses are forgiven.
pub(super) fn show_activity(turn: &mut Turn<'_>, agent: &AgentId) {
    if turn.draft.agent(agent).is_some_and(|agent| !agent.misses_ms.is_empty()) {
        let at_ms = turn.now_ms;
        turn.record(WorkspaceEvent::AgentActive { agent: agent.clone(), at_ms });
    }
}

/// The agent turns the offer down.
pub(super) fn on_reject(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    offer: OfferId,
    reason: &str,
) -> WorkspaceAnswer {
    if open_offer(turn, agent, offer).is_none() {
        return ended(turn, agent, offer);
    }
    offers::end_because(turn, offer.item, OfferEnd::Rejected, reason);
    WorkspaceAnswer::Done
}

/// Units and whether delivery is confirmed, if this very offer is open to this agent.
fn open_offer(turn: &Turn<'_>, agent: &AgentId, offer: OfferId) -> Option<(u32, bool)> {
    match &turn.draft.live(offer.item)?.place {
        Place::Offered { n, agent: to, weight, delivered, .. } if *n == offer.n && to == agent => {
            Some((*weight, *delivered))
        }
        _ => None,
    }
}

/// How the offer ended, if it was this agent's and is still remembered.
fn ended(turn: &Turn<'_>, agent: &AgentId, offer: OfferId) -> WorkspaceAnswer {
    let history = turn.draft.item(offer.item).map(Item::offers);
    let ended = history.and_then(|history| {
        history.ended.iter().find(|ended| ended.n == offer.n && ended.agent == *agent)
    });
    match ended {
        Some(ended) => WorkspaceAnswer::OfferEnded(ended.end),
        None => WorkspaceAnswer::Unknown("no such offer".to_owned()),
    }
}
