//! Rows and signals as clients see them.

use api::{
    convert::{self, Place, ms},
    v1::{self, desk_event::Event},
};
use archive::{
    Archive, Delivery, Marks,
    model::{BillingWindowRow, ConversationView, EpisodeRow, MessageView, NoteRow},
};
use bus::{PartitionId, Position};
use domain::{
    BusinessId, Hash16,
    conversation::{ConversationSignal, Direction, SendOutcome},
};

use crate::BusinessContext;

/// A decided step.
pub(crate) fn position(partition: PartitionId, position: Position) -> v1::Position {
    let Position { generation, seq, index } = position;
    convert::position(partition.0, Place { generation, seq, step: index, event: None })
}

/// Where a client knows of a decision.
pub(crate) fn at_least(wanted: Option<&v1::Position>) -> Option<(PartitionId, Position)> {
    let (partition, place) = convert::parse_position(wanted?)?;
    let position = Position { generation: place.generation, seq: place.seq, index: place.step };
    Some((PartitionId(partition), position))
}

pub(crate) fn conversation(
    business: &BusinessContext,
    view: &ConversationView,
) -> v1::Conversation {
    let row = &view.row;
    let number = row.number.and_then(|number| business.numbers.get(&number));
    let channel = row.number.and_then(|number| business.channel_of(number));
    let (queue, since_ms) = row.waiting.clone().unwrap_or_default();
    let open = view.episodes.iter().rev().find(|episode| episode.resolved_ms == 0);
    v1::Conversation {
        conversation_id: convert::conversation_id(row.id),
        phone_number_id: number.cloned().unwrap_or_default(),
        channel_id: channel.unwrap_or_default().to_owned(),
        contact: Some(convert::contact(view.contact.clone())),
        floor: Some(convert::floor(&row.floor)),
        window_until_ms: ms(row.window_until_ms),
        episode: open.map(episode),
        assigned_agent_id: row.assigned.clone().unwrap_or_default().0,
        waiting_queue_id: queue.0,
        waiting_since_ms: ms(since_ms),
        last_message_ms: ms(row.last_message_ms),
        position: row.position.map(|(partition, at)| position(partition, at)),
        billing_windows: row.billing_windows.iter().map(billing_window).collect(),
        free_entry_until_ms: ms(row.free_entry_until_ms),
        marketing_consent: row
            .marketing
            .map(|(allowed, at_ms)| v1::MarketingConsent { allowed, timestamp_ms: ms(at_ms) }),
        vip: row.vip,
        snoozed_until_ms: ms(row.snoozed_until_ms),
    }
}

fn billing_window(window: &BillingWindowRow) -> v1::BillingWindow {
    v1::BillingWindow { category: window.category.clone(), until_ms: ms(window.until_ms) }
}

pub(crate) fn episode(episode: &EpisodeRow) -> v1::Episode {
    v1::Episode {
        number: episode.n,
        opened_ms: ms(episode.opened_ms),
        resolved_ms: ms(episode.resolved_ms),
        resolved_by: episode.resolved_by.clone().unwrap_or_default().0,
    }
}

pub(crate) fn note(note: &NoteRow, text: String) -> v1::Note {
    v1::Note {
        number: note.n,
        agent_id: note.agent.clone().unwrap_or_default().0,
        text,
        timestamp_ms: ms(note.at_ms),
    }
}

pub(crate) fn message(view: MessageView) -> v1::Message {
    let MessageView { row, content, marks, .. } = view;
    let delivery = match row.direction {
        Direction::In => v1::Delivery::Unspecified,
        Direction::Out => delivery(row.delivery.delivery()),
    };
    let times = row.delivery.times;
    let message = v1::Message {
        message_id: row.message.map(convert::message_id).unwrap_or_default(),
        direction: convert::direction(row.direction).into(),
        author: Some(convert::author(&row.author)),
        kind: convert::kind(&row.kind),
        timestamp_ms: ms(row.at_ms),
        delivery: delivery.into(),
        delivery_times: Some(v1::DeliveryTimes {
            accepted_ms: ms(times.accepted_ms),
            sent_ms: ms(times.sent_ms),
            delivered_ms: ms(times.delivered_ms),
            read_ms: ms(times.read_ms),
            played_ms: ms(times.played_ms),
            failed_ms: ms(times.failed_ms),
        }),
        error_code: row.error_code,
        error_text: row.told,
        opaque_id: row.request.map(convert::opaque_id).unwrap_or_default(),
        repeated_after_unknown: row.repeated,
        episode: row.episode,
        target_message_id: row.target.map(convert::message_id).unwrap_or_default(),
        pricing: row.pricing.as_ref().map(convert::pricing),
        ..convert::with_content(content)
    };
    marked(message, marks)
}

/// A message after what later ones did to it.
fn marked(message: v1::Message, marks: Marks) -> v1::Message {
    let reactions = marks.reactions.into_iter().map(|reaction| v1::Reaction {
        by_customer: reaction.direction == Direction::In,
        emoji: reaction.emoji,
        timestamp_ms: ms(reaction.at_ms),
    });
    let mut marked = v1::Message {
        reactions: reactions.collect(),
        revoked_ms: ms(marks.revoked_ms),
        edited_ms: marks.edits.last().map_or(0, |edit| ms(edit.at_ms)),
        ..message
    };
    let mut since_ms = marked.timestamp_ms;
    for edit in marks.edits {
        let text = std::mem::replace(&mut marked.text, edit.text);
        marked.earlier_texts.push(v1::EarlierText { text, timestamp_ms: since_ms });
        since_ms = ms(edit.at_ms);
    }
    marked
}

fn delivery(state: Delivery) -> v1::Delivery {
    match state {
        Delivery::Pending => v1::Delivery::Pending,
        Delivery::Cancelled => v1::Delivery::Cancelled,
        Delivery::Unknown => v1::Delivery::Unknown,
        Delivery::Accepted => v1::Delivery::Accepted,
        Delivery::Sent => v1::Delivery::Sent,
        Delivery::Failed => v1::Delivery::Failed,
        Delivery::Delivered => v1::Delivery::Delivered,
        Delivery::Read => v1::Delivery::Read,
        Delivery::Played => v1::Delivery::Played,
    }
}

/// News of a conversation for an agent's stream.
pub(crate) fn news(
    archive: &Archive,
    business: &BusinessId,
    conversation: Hash16,
    signal: &ConversationSignal,
) -> Event {
    let conversation_id = convert::conversation_id(conversation);
    match signal {
        ConversationSignal::Message(record) => {
            let content = archive.content(business, &record.content);
            let message = Some(convert::thread_message(record, content));
            Event::Message(v1::ThreadMessage { conversation_id, message })
        }
        ConversationSignal::Requested(record) => {
            let content = archive.content(business, &record.content);
            let message = Some(convert::requested_message(record, content));
            Event::Message(v1::ThreadMessage { conversation_id, message })
        }
        ConversationSignal::Resolved { request, outcome } => {
            let changed = v1::DeliveryChanged {
                conversation_id,
                opaque_id: convert::opaque_id(*request),
                delivery: convert::delivery_of_outcome(outcome).into(),
                ..v1::DeliveryChanged::default()
            };
            Event::DeliveryChanged(match outcome {
                SendOutcome::Accepted { message, .. } => {
                    v1::DeliveryChanged { message_id: convert::message_id(*message), ..changed }
                }
                SendOutcome::Failed { code, told } => {
                    v1::DeliveryChanged { error_code: *code, error_text: told.clone(), ..changed }
                }
                SendOutcome::Cancelled | SendOutcome::Unknown => changed,
            })
        }
        ConversationSignal::Status { message, status, .. } => {
            Event::DeliveryChanged(v1::DeliveryChanged {
                conversation_id,
                message_id: convert::message_id(*message),
                delivery: convert::delivery_of_status(*status).into(),
                ..v1::DeliveryChanged::default()
            })
        }
        ConversationSignal::Floor(floor) => {
            let floor = Some(convert::floor(floor));
            Event::FloorChanged(v1::FloorChanged { conversation_id, floor })
        }
        ConversationSignal::EpisodeResolved { .. } => {
            Event::EpisodeResolved(v1::EpisodeResolved { conversation_id })
        }
    }
}
