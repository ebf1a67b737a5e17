//! Events of a conversation as programs see them. The place of an event in its step is its place in what was
//! recorded, so that it stays the same when more kinds of events are shown.

use api::{
    convert::{self, ms},
    v1::{
        self, AgentAssigned, AgentWanted, BillingRecorded, BillingWindow, DeadLettered,
        DeliveryMerged, Episode, ForwardedTo, FreeEntryMoved, ItemEnded, MarketingConsent, Note,
        WindowMoved, conversation_event::Event, tail_response,
    },
};
use archive::Archive;
use bus::Step;
use domain::{
    BusinessId, EntityKind, Hash16, Sealed,
    conversation::{ConversationEvent, ResolvedBy, RoutingAct, SendOutcome},
    number::{Number, NumberEvent},
    persist::{self, PersistError},
};

use crate::{BusinessContext, command::conversation_of};

/// The shown events of a step, each with its place in the step.
pub(super) fn step(
    archive: &Archive,
    business: &BusinessId,
    step: &Step,
    events: &[ConversationEvent],
) -> Vec<(u32, tail_response::Event)> {
    let mut shown = Vec::new();
    if let Some(conversation) = conversation_of(step.entity) {
        let conversation_id = convert::conversation_id(conversation);
        for (place, event) in (0u32..).zip(events) {
            if let Some((event, at_ms)) = show(archive, business, event, step.now_ms) {
                let event = v1::ConversationEvent {
                    conversation_id: conversation_id.clone(),
                    timestamp_ms: ms(at_ms),
                    event: Some(event),
                };
                shown.push((place, tail_response::Event::Conversation(event)));
            }
        }
    }
    if let Some(letter) = &step.dead_letter {
        let place = u32::try_from(events.len()).unwrap_or(u32::MAX);
        let event = DeadLettered { error: letter.error.clone(), timestamp_ms: ms(step.now_ms) };
        shown.push((place, tail_response::Event::DeadLettered(event)));
    }
    shown
}

/// The shown events of a number's step: that it is paused until a person acts, or goes on.
pub(super) fn number_step(
    context: &BusinessContext,
    step: &Step,
) -> Result<Vec<(u32, tail_response::Event)>, PersistError> {
    let mut shown = Vec::new();
    if step.entity.kind != EntityKind::Number.code() {
        return Ok(shown);
    }
    let hash = Hash16(step.entity.hash);
    // Of each request there are many events, and none of them says how the number stands.
    let own = (0u32..).zip(&step.events).filter(|(_, event)| event.part.0 == Number::PART);
    for (place, event) in own {
        let event: NumberEvent = persist::decode(&event.body)?;
        let Some(state) = convert::channel_state(&event) else { continue };
        let state = v1::ChannelState {
            phone_number_id: context.numbers.get(&hash).cloned().unwrap_or_default(),
            channel_id: context.channel_of(hash).unwrap_or_default().to_owned(),
            timestamp_ms: ms(step.now_ms),
            ..state
        };
        shown.push((place, tail_response::Event::ChannelState(state)));
    }
    Ok(shown)
}

/// An event and its time; `None` for what only the conversation itself needs.
fn show(
    archive: &Archive,
    business: &BusinessId,
    event: &ConversationEvent,
    now_ms: u64,
) -> Option<(Event, u64)> {
    use ConversationEvent as E;
    Some(match event {
        E::MessageRecorded(record) => {
            let content = archive.content(business, &record.content);
            (Event::Message(convert::thread_message(record, content)), record.at_ms)
        }
        E::SendRequested(record) => {
            let content = archive.content(business, &record.content);
            (Event::Message(convert::requested_message(record, content)), record.at_ms)
        }
        E::StatusMerged { .. } | E::SendResolved { .. } => {
            let merged = delivery(event)?;
            let at_ms = u64::try_from(merged.timestamp_ms).unwrap_or(now_ms);
            (Event::Delivery(merged), at_ms)
        }
        E::NoteAdded { .. } => return note(archive, business, event),
        E::EpisodeOpened { .. }
        | E::EpisodeResolved { .. }
        | E::ItemWanted { .. }
        | E::ItemAssigned { .. }
        | E::RoutingActed { .. }
        | E::SnoozeEnded { .. }
        | E::ItemEnded { .. } => return care(event, now_ms),
        E::HandedOver { brief, at_ms } => {
            let fields = |sealed: &Sealed| {
                let plain = archive.opened(business, sealed.key_id, &sealed.bytes);
                plain.and_then(|plain| persist::decode(&plain).ok()).unwrap_or_default()
            };
            (Event::HandedOver(convert::handed_over(brief, fields)), *at_ms)
        }
        E::FloorChanged { floor, at_ms, .. } => {
            (Event::FloorChanged(convert::floor(floor)), *at_ms)
        }
        E::WindowMoved { until_ms } => {
            (Event::WindowMoved(WindowMoved { until_ms: ms(*until_ms) }), now_ms)
        }
        E::Forwarding { to, .. } => {
            let conversation_id = convert::conversation_id(to.hash);
            (Event::ForwardedTo(ForwardedTo { conversation_id }), now_ms)
        }
        E::BillingRecorded { .. }
        | E::BillingWindowMoved { .. }
        | E::FreeEntryMoved { .. }
        | E::MarketingWished { .. } => return money(event, now_ms),
        // Whether a cancelled send was still stopped is what its end says.
        E::SendCancelled { .. }
        | E::IdentitySeen { .. }
        | E::IdentityChanged { .. }
        | E::ReferralSeen { .. }
        | E::Retired { .. }
        | E::Unretired { .. }
        | E::WaitChanged { .. }
        | E::PhoneSpoke { .. }
        | E::EchoAutomatic { .. }
        | E::CommandAnswered { .. }
        | E::AgentGone { .. }
        | E::TurnTaken { .. }
        | E::BotMoved { .. }
        | E::BotHeard { .. }
        | E::BotAsked { .. }
        | E::BotAnswered { .. }
        | E::BotFailed { .. }
        | E::TimerSet { .. }
        | E::Joining { .. }
        | E::JoinEnded { .. }
        | E::LowerMoved { .. }
        | E::Absorbed { .. }
        | E::KeySeen { .. } => return None,
    })
}

fn note(
    archive: &Archive,
    business: &BusinessId,
    event: &ConversationEvent,
) -> Option<(Event, u64)> {
    let ConversationEvent::NoteAdded { n, agent, content, at_ms } = event else { return None };
    let agent_id = agent.clone().unwrap_or_default().0;
    let text = archive.content(business, content).text.unwrap_or_default();
    let timestamp_ms = ms(*at_ms);
    Some((Event::Note(Note { number: *n, agent_id, text, timestamp_ms }), *at_ms))
}

/// Episodes, and who is asked to look after them.
fn care(event: &ConversationEvent, now_ms: u64) -> Option<(Event, u64)> {
    use ConversationEvent as E;
    Some(match event {
        E::EpisodeOpened { n, at_ms } => {
            let episode = Episode { number: *n, opened_ms: ms(*at_ms), ..Episode::default() };
            (Event::EpisodeOpened(episode), *at_ms)
        }
        E::EpisodeResolved { n, by, at_ms } => {
            let resolved_by = resolver(by);
            let resolved_ms = ms(*at_ms);
            let episode = Episode { number: *n, opened_ms: 0, resolved_ms, resolved_by };
            (Event::EpisodeResolved(episode), *at_ms)
        }
        E::ItemWanted { queue, since_ms, .. } => {
            let queue_id = queue.0.clone();
            (Event::Wanted(AgentWanted { queue_id, waiting_since_ms: ms(*since_ms) }), now_ms)
        }
        E::ItemAssigned { agent, at_ms, .. } => {
            (Event::Assigned(AgentAssigned { agent_id: agent.0.clone() }), *at_ms)
        }
        E::RoutingActed { .. } | E::SnoozeEnded { .. } => return show_routing(event),
        E::ItemEnded { at_ms, .. } => (Event::ItemEnded(ItemEnded {}), *at_ms),
        _ => return None,
    })
}

/// Prices, windows and wishes.
fn money(event: &ConversationEvent, now_ms: u64) -> Option<(Event, u64)> {
    use ConversationEvent as E;
    Some(match event {
        E::BillingRecorded { message, request, pricing, at_ms } => {
            let recorded = BillingRecorded {
                message_id: convert::message_id(*message),
                opaque_id: request.map(convert::opaque_id).unwrap_or_default(),
                pricing: Some(convert::pricing(pricing)),
            };
            (Event::BillingRecorded(recorded), *at_ms)
        }
        E::BillingWindowMoved { category, until_ms } => {
            let window = BillingWindow { category: category.clone(), until_ms: ms(*until_ms) };
            (Event::BillingWindowMoved(window), now_ms)
        }
        E::FreeEntryMoved { until_ms } => {
            (Event::FreeEntryMoved(FreeEntryMoved { until_ms: ms(*until_ms) }), now_ms)
        }
        E::MarketingWished { allowed, at_ms } => {
            let consent = MarketingConsent { allowed: *allowed, timestamp_ms: ms(*at_ms) };
            (Event::MarketingConsent(consent), *at_ms)
        }
        _ => return None,
    })
}

fn show_routing(event: &ConversationEvent) -> Option<(Event, u64)> {
    match event {
        ConversationEvent::RoutingActed { act, by, from, note, at_ms } => {
            let act = v1::RoutingAct {
                by_agent_id: by.clone().unwrap_or_default().0,
                from_agent_id: from.clone().unwrap_or_default().0,
                note_number: note.unwrap_or(0),
                act: Some(routing_act(act)),
            };
            Some((Event::RoutingAct(act), *at_ms))
        }
        ConversationEvent::SnoozeEnded { at_ms } => {
            Some((Event::SnoozeEnded(v1::SnoozeEnded {}), *at_ms))
        }
        _ => None,
    }
}

fn routing_act(act: &RoutingAct) -> v1::routing_act::Act {
    use v1::routing_act::Act;
    let target = |queue: Option<&domain::QueueId>, agent: Option<&domain::AgentId>| {
        let queue_id = queue.map(|queue| queue.0.clone()).unwrap_or_default();
        let agent_id = agent.map(|agent| agent.0.clone()).unwrap_or_default();
        v1::RoutingTarget { queue_id, agent_id }
    };
    match act {
        RoutingAct::Transfer { queue, agent } => {
            Act::Transferred(target(queue.as_ref(), agent.as_ref()))
        }
        RoutingAct::Assign { agent } => Act::Assigned(target(None, Some(agent))),
        RoutingAct::Requeue { queue } => Act::Requeued(target(queue.as_ref(), None)),
        RoutingAct::Snooze { until_ms } => Act::SnoozedUntilMs(ms(*until_ms)),
        RoutingAct::Vip { vip } => Act::Vip(*vip),
        RoutingAct::WrapUp { code } => Act::Code(code.clone()),
    }
}

fn resolver(by: &ResolvedBy) -> String {
    match by {
        ResolvedBy::Agent(agent) => agent.0.clone(),
        ResolvedBy::Api | ResolvedBy::Bot => String::new(),
    }
}

fn delivery(event: &ConversationEvent) -> Option<DeliveryMerged> {
    Some(match event {
        ConversationEvent::StatusMerged { message, request, status, at_ms, error, .. } => {
            DeliveryMerged {
                message_id: convert::message_id(*message),
                opaque_id: request.map(convert::opaque_id).unwrap_or_default(),
                delivery: convert::delivery_of_status(*status).into(),
                timestamp_ms: ms(*at_ms),
                error_code: error.unwrap_or(0),
            }
        }
        ConversationEvent::SendResolved { request, outcome, at_ms } => {
            let (message_id, error_code) = match outcome {
                SendOutcome::Accepted { message, .. } => (convert::message_id(*message), 0),
                SendOutcome::Failed { code, .. } => (String::new(), *code),
                SendOutcome::Cancelled | SendOutcome::Unknown => (String::new(), 0),
            };
            DeliveryMerged {
                message_id,
                opaque_id: convert::opaque_id(*request),
                delivery: convert::delivery_of_outcome(outcome).into(),
                timestamp_ms: ms(*at_ms),
                error_code,
            }
        }
        _ => return None,
    })
}
