//! What an agent's client sees of the workspace.

use domain::workspace::{OfferEnd, OfferView, Presence, WorkspaceChange};

use super::{
    id::{conversation_id, offer_id},
    thread::ms,
};
use crate::v1::{self, desk_event::Event};

/// Declared presence.
#[must_use]
pub fn presence(presence: Presence) -> v1::Presence {
    match presence {
        Presence::Available => v1::Presence::Available,
        Presence::Away => v1::Presence::Away,
    }
}

/// Presence as a client says it; `None` when it says none.
#[must_use]
pub fn presence_from_wire(presence: v1::Presence) -> Option<Presence> {
    match presence {
        v1::Presence::Unspecified => None,
        v1::Presence::Available => Some(Presence::Available),
        v1::Presence::Away => Some(Presence::Away),
    }
}

/// An offer.
#[must_use]
pub fn offer(view: &OfferView) -> v1::Offer {
    v1::Offer {
        offer_id: offer_id(view.offer),
        conversation_id: conversation_id(view.conversation.hash),
        queue_id: view.queue.0.clone(),
        waiting_since_ms: ms(view.since_ms),
        deadline_ms: ms(view.deadline_ms),
        reason: view.reason.clone(),
    }
}

/// How an offer ended.
#[must_use]
pub fn offer_end(end: OfferEnd) -> v1::OfferEnd {
    match end {
        OfferEnd::Accepted => v1::OfferEnd::Accepted,
        OfferEnd::Rejected => v1::OfferEnd::Rejected,
        OfferEnd::Missed => v1::OfferEnd::Missed,
        OfferEnd::Rescinded => v1::OfferEnd::Rescinded,
        OfferEnd::Undeliverable => v1::OfferEnd::Undeliverable,
    }
}

/// A change of what the agent has.
#[must_use]
pub fn workspace_change(change: &WorkspaceChange) -> Event {
    match change {
        WorkspaceChange::Snapshot { presence: declared, offers, assigned, used, capacity } => {
            let assigned = assigned.iter().map(|(_, conversation)| v1::Assigned {
                conversation_id: conversation_id(conversation.hash),
            });
            Event::Snapshot(v1::Snapshot {
                presence: presence(*declared).into(),
                offers: offers.iter().map(offer).collect(),
                assigned: assigned.collect(),
                capacity_used: *used,
                capacity: *capacity,
            })
        }
        WorkspaceChange::Offered(view) => Event::Offered(offer(view)),
        WorkspaceChange::OfferEnded { offer, end } => Event::OfferEnded(v1::OfferEnded {
            offer_id: offer_id(*offer),
            end: offer_end(*end).into(),
        }),
        WorkspaceChange::Assigned { conversation, .. } => {
            Event::Assigned(v1::Assigned { conversation_id: conversation_id(conversation.hash) })
        }
        WorkspaceChange::Unassigned { conversation, .. } => Event::Unassigned(v1::Unassigned {
            conversation_id: conversation_id(conversation.hash),
        }),
        WorkspaceChange::Replaced => Event::Replaced(v1::Replaced {}),
    }
}
