//! Connections and presence of agents.

use super::{
    OfferEnd, Presence, WorkspaceAnswer, WorkspaceChange, WorkspaceEvent,
    decide::Turn,
    index::{Key, holds_range},
    offers, settle,
};
use crate::{AgentId, DeskId, ItemId, Millis, SessionId};

/// Offers taken back with the connection in one step. More cannot be open unless capacity is configured far beyond
/// what a person can see; the rest runs into its deadline.
const RESCINDED_MAX: usize = 60;

/// A connection opened: it replaces an older one, takes over its offers and conversations, and gets a snapshot.
pub(super) fn on_sign_in(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    session: SessionId,
    opened_ms: Millis,
) -> WorkspaceAnswer {
    let known = turn.draft.agent(agent);
    let newest = known.and_then(|agent| agent.newest);
    let open = known.and_then(|agent| agent.session.as_ref()).map(|open| open.id);
    let older = newest.is_some_and(|newest| (opened_ms, session) < newest);
    let gone = open.is_none() && newest.is_some_and(|(_, newest)| newest == session);
    if gone || (older && open != Some(session)) {
        return WorkspaceAnswer::StaleSession;
    }
    if open != Some(session) {
        if open.is_some() {
            turn.signal(agent, WorkspaceChange::Replaced);
        }
        let at_ms = turn.now_ms;
        let was_stranded = turn.draft.agent(agent).is_some_and(|a| a.stranded_until_ms.is_some());
        turn.record(WorkspaceEvent::SignedIn { agent: agent.clone(), session, opened_ms, at_ms });
        if was_stranded {
            settle::tell_holder_is_back(turn, agent);
        }
    }
    let snapshot = offers::snapshot(turn, agent);
    turn.signal(agent, snapshot);
    WorkspaceAnswer::Done
}

/// The connection is gone: offers are taken back at once, conversations are held for a while.
pub(super) fn on_sign_out(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    session: SessionId,
) -> WorkspaceAnswer {
    let at_ms = turn.now_ms;
    turn.record(WorkspaceEvent::SignedOut { agent: agent.clone(), session, at_ms });
    rescind_offers(turn, agent);
    WorkspaceAnswer::Done
}

/// The desk process started anew: nobody else would ever sign the connections out that it held before.
pub(super) fn on_desk_restarted(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    before_ms: Millis,
) -> WorkspaceAnswer {
    let known = turn.draft.agent(agent);
    let open = known.and_then(|agent| agent.session.as_ref()).map(|open| open.id);
    // The open connection is the newest one.
    let opened_ms = known.and_then(|agent| agent.newest).map_or(0, |(opened_ms, _)| opened_ms);
    match open {
        Some(session) if opened_ms < before_ms => on_sign_out(turn, agent, session),
        _ => WorkspaceAnswer::Done,
    }
}

/// A desk process is gone: nobody else would ever sign out the connections that it held.
pub(super) fn on_desk_gone(turn: &mut Turn<'_>, agent: &AgentId, desk: DeskId) -> WorkspaceAnswer {
    let known = turn.draft.agent(agent);
    match known.and_then(|agent| agent.session.as_ref()).map(|open| open.id) {
        Some(session) if session.desk() == desk => on_sign_out(turn, agent, session),
        // The agent is connected elsewhere meanwhile, or not at all.
        _ => WorkspaceAnswer::Done,
    }
}

/// Takes an agent's open offers back.
pub(super) fn rescind_offers(turn: &mut Turn<'_>, agent: &AgentId) {
    let offered: Vec<ItemId> = turn
        .draft
        .keys(holds_range(agent))
        .filter_map(|key| match key {
            Key::Holds(_, false, item) => Some(*item),
            _ => None,
        })
        .take(RESCINDED_MAX)
        .collect();
    for item in offered {
        offers::end(turn, item, OfferEnd::Rescinded);
    }
}

/// The agent declared its presence. Open offers stay: they were made to somebody who was there, and end by themselves.
pub(super) fn on_presence(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    presence: Presence,
) -> WorkspaceAnswer {
    let at_ms = turn.now_ms;
    turn.record(WorkspaceEvent::PresenceSet { agent: agent.clone(), presence, at_ms });
    WorkspaceAnswer::Done
}
