//! What an agent's client sees of the workspace.

use domain::workspace::{
    AgentView, OfferEnd, OfferView, Presence, ReservedFor, WaitReason, WaitingView,
    WorkspaceChange, WrapUpView,
};
use domain::{Sealed, conversation::Brief, flow::Field};

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

/// An offer. `fields` opens what a bot collected.
#[must_use]
pub fn offer(view: &OfferView, fields: &impl Fn(&Sealed) -> Vec<Field>) -> v1::Offer {
    let brief = view.brief.as_deref();
    let collected = brief.and_then(|brief| brief.fields.as_ref()).map(fields).unwrap_or_default();
    v1::Offer {
        handoff_why: brief.map(|brief| brief.why.code().to_owned()).unwrap_or_default(),
        handoff_reason: brief.map(|brief| brief.reason.clone()).unwrap_or_default(),
        fields: collected.into_iter().map(collected_field).collect(),
        offer_id: offer_id(view.offer),
        conversation_id: conversation_id(view.conversation.hash),
        queue_id: view.queue.0.clone(),
        waiting_since_ms: ms(view.since_ms),
        deadline_ms: ms(view.deadline_ms),
        reason: view.reason.clone(),
    }
}

fn collected_field(field: Field) -> v1::CollectedField {
    v1::CollectedField { name: field.name, value: field.value }
}

/// A bot's hand-over. `fields` opens what it collected.
#[must_use]
pub fn handed_over(brief: &Brief, fields: impl Fn(&Sealed) -> Vec<Field>) -> v1::HandedOver {
    let collected = brief.fields.as_ref().map(fields).unwrap_or_default();
    v1::HandedOver {
        why: brief.why.code().to_owned(),
        reason: brief.reason.clone(),
        fields: collected.into_iter().map(collected_field).collect(),
        priority: brief.priority,
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

/// A change of what the agent has. `fields` opens what a bot collected.
#[must_use]
pub fn workspace_change(
    change: &WorkspaceChange,
    fields: &impl Fn(&Sealed) -> Vec<Field>,
) -> Event {
    match change {
        WorkspaceChange::Snapshot {
            presence: declared,
            offers,
            assigned,
            used,
            capacity,
            more,
        } => {
            let taken = more.taken.iter().map(|item| conversation_id(item.conversation));
            let assigned = assigned.iter().map(|(_, conversation)| v1::Assigned {
                conversation_id: conversation_id(conversation.hash),
            });
            Event::Snapshot(v1::Snapshot {
                presence: presence(*declared).into(),
                offers: offers.iter().map(|view| offer(view, fields)).collect(),
                assigned: assigned.collect(),
                capacity_used: *used,
                capacity: *capacity,
                missed_too_many: more.missed,
                wrap_ups: more.wrap_ups.iter().map(wrap_up).collect(),
                taken_conversation_ids: taken.collect(),
            })
        }
        WorkspaceChange::Offered(view) => Event::Offered(offer(view, fields)),
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
        WorkspaceChange::Missed => Event::MissedTooMany(v1::MissedTooMany {}),
        WorkspaceChange::WrapUpBegan(view) => Event::WrapUpBegan(wrap_up(view)),
        WorkspaceChange::WrapUpEnded { conversation } => Event::WrapUpEnded(v1::WrapUpEnded {
            conversation_id: conversation_id(conversation.hash),
        }),
    }
}

fn wrap_up(view: &WrapUpView) -> v1::WrapUp {
    v1::WrapUp {
        conversation_id: conversation_id(view.conversation.hash),
        until_ms: ms(view.until_ms),
        holds_capacity: view.holds_capacity,
    }
}

/// Somebody who waits, and why.
#[must_use]
pub fn waiting_item(view: &WaitingView) -> v1::WaitingItem {
    use v1::WaitReason as Wire;
    let (reason, agent, until_ms) = match &view.reason {
        WaitReason::NobodySignedIn => (Wire::NobodySignedIn, None, 0),
        WaitReason::NobodySkilled => (Wire::NobodySkilled, None, 0),
        WaitReason::EverybodyAway => (Wire::EverybodyAway, None, 0),
        WaitReason::EverybodyFull => (Wire::EverybodyFull, None, 0),
        WaitReason::CoolingDown { until_ms } => (Wire::CoolingDown, None, *until_ms),
        WaitReason::Reserved { agent, why, until_ms } => {
            let reason = match why {
                ReservedFor::LastAgent => Wire::KeptForLastAgent,
                ReservedFor::Transfer => Wire::KeptForTransfer,
                ReservedFor::Snooze => Wire::KeptAfterSnooze,
            };
            (reason, Some(agent), *until_ms)
        }
        WaitReason::Offered { agent, until_ms } => (Wire::Offered, Some(agent), *until_ms),
        WaitReason::Matching => (Wire::Matching, None, 0),
        WaitReason::UnknownQueue => (Wire::UnknownQueue, None, 0),
    };
    v1::WaitingItem {
        conversation_id: conversation_id(view.conversation.hash),
        queue_id: view.queue.0.clone(),
        waiting_since_ms: ms(view.since_ms),
        reason: reason.into(),
        agent_id: agent.map(|agent| agent.0.clone()).unwrap_or_default(),
        until_ms: ms(until_ms),
        vip: view.vip,
        offers: view.offers,
    }
}

/// An agent as supervisors see it.
#[must_use]
pub fn agent_state(view: &AgentView) -> v1::AgentState {
    let conversations = view.assigned.iter();
    v1::AgentState {
        agent_id: view.agent.0.clone(),
        signed_in: view.signed_in,
        presence: presence(view.presence).into(),
        missed_too_many: view.missed,
        capacity_used: view.used,
        capacity: view.capacity,
        offers: view.offers,
        conversation_ids: conversations.map(|entity| conversation_id(entity.hash)).collect(),
        wrap_ups: view.wrap_ups,
        connection_lost_ms: ms(view.left_ms.unwrap_or(0)),
        stranded_until_ms: ms(view.stranded_until_ms.unwrap_or(0)),
    }
}
