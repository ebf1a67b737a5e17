//! Messages of customers and echoes of the phone.

use domain::{
    EntityId, MessageId, Sealed,
    content::{Content, ContentKind, Identity},
    conversation::{ConversationInput, Echo, Inbound},
    persist::PersistError,
};
use whatsapp::{
    identity::Customer,
    webhook::{
        content::{Content as WireContent, MediaKind},
        message::Message,
    },
};

use super::{Target, change, detail, parked};
use crate::{directory::normalise, metrics};

/// A raw message object above this is parked in the log of its number, and the message refers to it
/// (design.md 4.1), bytes.
const RAW_BYTES_MAX: usize = 64 * 1024;
/// What is kept of the text of a message so large; WhatsApp's own limit of a text (whatsapp.md 4.1).
const TEXT_CHARS_MAX: usize = 4_096;

/// What is kept of the name of a kind nobody knows.
const KIND_CHARS_MAX: usize = 64;

pub(super) fn inbound(target: &mut Target<'_>, message: &Message) -> Result<(), PersistError> {
    let Some(parts) = parts(target, message)? else {
        return parked::park_message(target, "no_identity", message);
    };
    metrics::item("inbound");
    target.count_against_rate();
    let input = ConversationInput::Inbound(Inbound {
        via: target.number.via,
        message: parts.message,
        at_ms: parts.at_ms,
        kind: parts.kind,
        paired: parts.paired,
        who: parts.who,
        content: parts.content,
        target: parts.target,
        referral: message.referral.is_some(),
    });
    push(target, message, parts.address, &input)?;
    change::notice(target, message)
}

/// Under the message's own id. An edit or deletion that reuses its target's is told apart by its time.
fn push(
    target: &mut Target<'_>,
    message: &Message,
    address: EntityId,
    input: &ConversationInput,
) -> Result<(), PersistError> {
    let (wamid, at_ms) = (message.wamid.as_bytes(), message.timestamp_ms.unwrap_or(0));
    match reuses_its_targets_id(message) {
        true => target.push(key_kind(message), &[wamid, &at_ms.to_be_bytes()], address, input),
        false => target.push(key_kind(message), &[wamid], address, input),
    }
}

fn reuses_its_targets_id(message: &Message) -> bool {
    key_kind(message) != "message" && target_of(message) == Some(message.wamid.as_str())
}

pub(super) fn echo(target: &mut Target<'_>, message: &Message) -> Result<(), PersistError> {
    let Some(parts) = parts(target, message)? else {
        return parked::park_message(target, "no_identity", message);
    };
    metrics::item("echo");
    target.count_against_rate();
    let text = match &message.content {
        WireContent::Text { body } => Some(normalise(body)).filter(|text| !text.is_empty()),
        _ => None,
    };
    let configured_automatic =
        text.as_ref().is_some_and(|text| target.number.automatic_texts.contains(text));
    if !configured_automatic {
        target.phone_spoke([Some(parts.address), parts.paired].into_iter().flatten());
    }
    let text_hash = text.map(|text| target.sealer.hash8("echo text", &[text.as_bytes()]));
    let input = ConversationInput::Echo(Echo {
        via: target.number.via,
        message: parts.message,
        at_ms: parts.at_ms,
        kind: parts.kind,
        paired: parts.paired,
        who: parts.who,
        content: parts.content,
        target: parts.target,
        configured_automatic,
        text_hash,
    });
    push(target, message, parts.address, &input)
}

/// An edit or deletion that reuses its target's wamid is not a repeat of it.
fn key_kind(message: &Message) -> &'static str {
    match message.content {
        WireContent::Edit { .. } => "edit",
        WireContent::Revoke { .. } => "revoke",
        _ => "message",
    }
}

struct Parts {
    address: EntityId,
    paired: Option<EntityId>,
    message: MessageId,
    at_ms: u64,
    kind: ContentKind,
    who: Sealed,
    content: Sealed,
    target: Option<MessageId>,
}

fn parts(target: &mut Target<'_>, message: &Message) -> Result<Option<Parts>, PersistError> {
    let Some((address, mut paired)) = target.addresses(&message.customer) else {
        return Ok(None);
    };
    if paired.is_none() && message.customer.bsuid.is_some() {
        paired = change::new_phone(message).and_then(|phone| target.phone_address(phone));
    }
    let target_wamid = target_of(message);
    let mut content = Content {
        wamid: Some(message.wamid.clone()),
        text: message.content.text_for_bot().map(str::to_owned),
        target_wamid: target_wamid.map(str::to_owned),
        choice: message.content.choice_id().map(str::to_owned),
        forwarded: message
            .context
            .as_ref()
            .is_some_and(|c| c.is_forwarded || c.is_frequently_forwarded),
        ..Content::default()
    };
    detail::describe(&mut content, message);
    if message.raw.len() > RAW_BYTES_MAX {
        content.text = content.text.map(|text| text.chars().take(TEXT_CHARS_MAX).collect());
        content.parked = Some(parked::park_raw(target, "large_message", message.raw.as_str())?);
    } else if !is_plain_text(message) {
        content.raw_json = Some(message.raw.as_str().to_owned());
    }
    Ok(Some(Parts {
        address,
        paired,
        message: match reuses_its_targets_id(message) {
            true => {
                let at_ms = message.timestamp_ms.unwrap_or(0);
                let name = format!("{}#{}@{at_ms}", message.wamid, key_kind(message));
                target.message_id(&name)
            }
            false => target.message_id(&message.wamid),
        },
        at_ms: target.time_ms(message.timestamp_ms),
        kind: kind_of(&message.content),
        who: target.seal(&identity(&message.customer))?,
        content: target.seal(&content)?,
        target: target_wamid.map(|wamid| target.message_id(wamid)),
    }))
}

/// Everything such a message says is in its other fields.
fn is_plain_text(message: &Message) -> bool {
    matches!(message.content, WireContent::Text { .. })
        && message.context.is_none()
        && message.referral.is_none()
        && message.errors.is_empty()
}

pub(super) fn identity(customer: &Customer) -> Identity {
    Identity {
        phone: customer.phone.clone(),
        bsuid: customer.bsuid.clone(),
        name: customer.profile_name.clone(),
        username: customer.username.clone(),
        ..Identity::default()
    }
}

fn target_of(message: &Message) -> Option<&str> {
    match &message.content {
        WireContent::Reaction { target, .. }
        | WireContent::Edit { target, .. }
        | WireContent::Revoke { target } => Some(target),
        _ => message.context.as_ref()?.message_id.as_deref(),
    }
}

fn kind_of(content: &WireContent) -> ContentKind {
    match content {
        WireContent::Text { .. } => ContentKind::Text,
        WireContent::Media(media) => match media.kind {
            MediaKind::Image => ContentKind::Image,
            MediaKind::Video => ContentKind::Video,
            MediaKind::Audio => ContentKind::Audio,
            MediaKind::Document => ContentKind::Document,
            MediaKind::Sticker => ContentKind::Sticker,
        },
        WireContent::Location(_) => ContentKind::Location,
        WireContent::Contacts(_) => ContentKind::Contacts,
        WireContent::ButtonReply { .. }
        | WireContent::ListReply { .. }
        | WireContent::FlowReply { .. }
        | WireContent::CallPermissionReply { .. } => ContentKind::Interactive,
        WireContent::TemplateButton { .. } => ContentKind::Button,
        WireContent::Reaction { .. } => ContentKind::Reaction,
        WireContent::Order(_) => ContentKind::Order,
        WireContent::System(_) => ContentKind::System,
        WireContent::Edit { .. } => ContentKind::Edit,
        WireContent::Revoke { .. } => ContentKind::Revoke,
        WireContent::Unsupported { codes, .. } => ContentKind::Unsupported {
            code: codes.first().and_then(|code| u32::try_from(*code).ok()).unwrap_or(0),
        },
        WireContent::MediaPlaceholder
        | WireContent::RequestWelcome
        | WireContent::Incomplete { .. } => ContentKind::Other(content.label().to_owned()),
        WireContent::Unknown { type_name } => {
            ContentKind::Other(type_name.chars().take(KIND_CHARS_MAX).collect())
        }
    }
}
