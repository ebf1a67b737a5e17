//! Messages, floors and delivery states.

use domain::{
    Millis,
    content::{Content, ContentKind},
    conversation::{Author, Direction, Floor, MessageRecord, SendOutcome, SendRecord, StatusKind},
};

use super::{
    content::{detail, referral},
    id::{message_id, opaque_id},
};
use crate::v1;

/// A time on the wire.
#[must_use]
pub fn ms(time: Millis) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Way of a message.
#[must_use]
pub fn direction(direction: Direction) -> v1::Direction {
    match direction {
        Direction::In => v1::Direction::Inbound,
        Direction::Out => v1::Direction::Outbound,
    }
}

/// Author of a message.
#[must_use]
pub fn author(author: &Author) -> v1::Author {
    let (kind, agent_id) = match author {
        Author::Customer => (v1::AuthorKind::Customer, ""),
        Author::Bot { .. } => (v1::AuthorKind::Bot, ""),
        Author::Agent(agent) => (v1::AuthorKind::Agent, agent.0.as_str()),
        Author::Api => (v1::AuthorKind::Api, ""),
        Author::Phone { automatic: false } => (v1::AuthorKind::Phone, ""),
        Author::Phone { automatic: true } => (v1::AuthorKind::PhoneAutomatic, ""),
    };
    v1::Author { kind: kind.into(), agent_id: agent_id.to_owned() }
}

/// Who may speak.
#[must_use]
pub fn floor(floor: &Floor) -> v1::Floor {
    use v1::floor::{Bot, Desk, Holder, Nobody, Phone};
    let holder = match floor {
        Floor::Nobody => Holder::Nobody(Nobody {}),
        Floor::Bot { turn } => Holder::Bot(Bot { turn: *turn }),
        Floor::Desk { agent } => Holder::Desk(Desk { agent_id: agent.0.clone() }),
        Floor::Phone => Holder::Phone(Phone {}),
    };
    v1::Floor { holder: Some(holder) }
}

/// Kind of content, by the provider's name where it has one.
#[must_use]
pub fn kind(kind: &ContentKind) -> String {
    let name = match kind {
        ContentKind::Text => "text",
        ContentKind::Image => "image",
        ContentKind::Video => "video",
        ContentKind::Audio => "audio",
        ContentKind::Document => "document",
        ContentKind::Sticker => "sticker",
        ContentKind::Location => "location",
        ContentKind::Contacts => "contacts",
        ContentKind::Interactive => "interactive",
        ContentKind::Button => "button",
        ContentKind::Reaction => "reaction",
        ContentKind::Order => "order",
        ContentKind::System => "system",
        ContentKind::Edit => "edit",
        ContentKind::Revoke => "revoke",
        ContentKind::Template => "template",
        ContentKind::Unsupported { .. } => "unsupported",
        ContentKind::Other(name) => name,
    };
    name.to_owned()
}

/// The state that a status reports.
#[must_use]
pub fn delivery_of_status(status: StatusKind) -> v1::Delivery {
    match status {
        StatusKind::Accepted => v1::Delivery::Accepted,
        StatusKind::Sent => v1::Delivery::Sent,
        StatusKind::Delivered => v1::Delivery::Delivered,
        StatusKind::Read => v1::Delivery::Read,
        StatusKind::Played => v1::Delivery::Played,
        StatusKind::Failed => v1::Delivery::Failed,
        // Not documented by the provider now; kept, never interpreted.
        StatusKind::Deleted => v1::Delivery::Unspecified,
    }
}

/// The state that the end of a send means.
#[must_use]
pub fn delivery_of_outcome(outcome: &SendOutcome) -> v1::Delivery {
    match outcome {
        SendOutcome::Accepted { .. } => v1::Delivery::Accepted,
        SendOutcome::Failed { .. } => v1::Delivery::Failed,
        SendOutcome::Cancelled => v1::Delivery::Cancelled,
        SendOutcome::Unknown => v1::Delivery::Unknown,
    }
}

/// A message that joined the thread, with its opened content.
#[must_use]
pub fn thread_message(record: &MessageRecord, content: Content) -> v1::Message {
    let delivery = match record.direction {
        Direction::In => v1::Delivery::Unspecified,
        Direction::Out => v1::Delivery::Sent,
    };
    v1::Message {
        message_id: message_id(record.message),
        direction: direction(record.direction).into(),
        author: Some(author(&record.author)),
        kind: kind(&record.kind),
        timestamp_ms: ms(record.at_ms),
        delivery: delivery.into(),
        episode: record.episode.unwrap_or(0),
        target_message_id: record.target.map(message_id).unwrap_or_default(),
        ..with_content(content)
    }
}

/// A send that was asked, with its opened content.
#[must_use]
pub fn requested_message(record: &SendRecord, content: Content) -> v1::Message {
    v1::Message {
        direction: v1::Direction::Outbound.into(),
        author: Some(author(&record.author)),
        kind: kind(&record.kind),
        timestamp_ms: ms(record.at_ms),
        delivery: v1::Delivery::Pending.into(),
        opaque_id: opaque_id(record.request),
        episode: record.episode.unwrap_or(0),
        ..with_content(content)
    }
}

/// What a message's content says of it.
#[must_use]
pub fn with_content(content: Content) -> v1::Message {
    v1::Message {
        text: content.readable().unwrap_or_default().to_owned(),
        wamid: content.wamid.unwrap_or_default(),
        raw_json: content.raw_json.unwrap_or_default(),
        detail: content.detail.map(detail),
        referral: content.referral.map(referral),
        forwarded: content.forwarded,
        ..v1::Message::default()
    }
}
