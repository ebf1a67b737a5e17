//! Statuses: by our opaque id to the conversation that asked, else by recipient.

use domain::{
    RequestId,
    content::Content,
    conversation::{BillingWindow, ConversationInput, Pricing, Status, StatusKind},
    persist::PersistError,
};
use whatsapp::webhook::status::{
    Conversation as WireWindow, Pricing as WirePricing, Status as WireStatus,
    StatusKind as WireKind,
};

use super::{Target, message, parked};
use crate::metrics;

/// Longest word of a price; Meta's longest has 28 letters.
const WORD_CHARS_MAX: usize = 40;

pub(super) fn status(target: &mut Target<'_>, status: &WireStatus) -> Result<(), PersistError> {
    let request = status.biz_opaque_callback_data.as_deref().and_then(RequestId::from_opaque);
    let by_recipient = target.addresses(&status.recipient).map(|(address, _)| address);
    let address = request.map(RequestId::conversation_entity).or(by_recipient);
    let (Some(address), Some(kind)) = (address, kind_of(&status.status)) else {
        return parked::park_raw(target, "status", status.raw.as_str()).map(|_| ());
    };
    metrics::item("status");
    let content = Content {
        wamid: Some(status.wamid.clone()),
        raw_json: is_worth_keeping(status).then(|| status.raw.as_str().to_owned()),
        ..Content::default()
    };
    let who =
        by_recipient.map(|_| target.seal(&message::identity(&status.recipient))).transpose()?;
    let at_ms = target.time_ms(status.timestamp_ms);
    let input = ConversationInput::Status(Status {
        via: target.number.via,
        message: target.message_id(&status.wamid),
        request,
        status: kind,
        at_ms,
        error: status.errors.iter().find_map(|e| e.code).and_then(|code| u32::try_from(code).ok()),
        content: target.seal(&content)?,
        who,
        pricing: status.pricing.as_ref().and_then(pricing).map(Box::new),
        window: status.conversation.as_ref().and_then(window),
    });
    // (wamid, status, recipient, timestamp): whatsapp.md 1.6.
    let recipient = status.recipient.bsuid.as_deref().or(status.recipient.phone.as_deref());
    let key = [
        status.wamid.as_bytes(),
        status.status.as_wire().as_bytes(),
        recipient.unwrap_or_default().as_bytes(),
        &at_ms.to_be_bytes(),
    ];
    target.push("status", &key, address, &input)
}

/// Pricing, conversation and errors are facts that our fields do not hold.
fn is_worth_keeping(status: &WireStatus) -> bool {
    status.pricing.is_some() || status.conversation.is_some() || !status.errors.is_empty()
}

/// Meta spells categories with `-` here and `_` there, models in capitals.
fn word(text: &str) -> Option<String> {
    let letters = text.trim().chars().take(WORD_CHARS_MAX).map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_ascii_lowercase(),
        _ => '_',
    });
    Some(letters.collect::<String>()).filter(|word| !word.is_empty())
}

fn pricing(told: &WirePricing) -> Option<Pricing> {
    let word = |text: &Option<String>| text.as_deref().and_then(word);
    let pricing = Pricing {
        model: word(&told.model),
        kind: word(&told.kind),
        category: word(&told.category),
        billable: told.billable,
        subtype: word(&told.subtype),
    };
    (pricing != Pricing::default()).then_some(pricing)
}

fn window(told: &WireWindow) -> Option<BillingWindow> {
    let until_ms = u64::try_from(told.expires_ms?).ok()?;
    Some(BillingWindow { category: word(told.origin.as_deref()?)?, until_ms })
}

fn kind_of(kind: &WireKind) -> Option<StatusKind> {
    Some(match kind {
        WireKind::Sent => StatusKind::Sent,
        WireKind::Delivered => StatusKind::Delivered,
        WireKind::Read => StatusKind::Read,
        WireKind::Played => StatusKind::Played,
        WireKind::Failed => StatusKind::Failed,
        WireKind::Deleted => StatusKind::Deleted,
        WireKind::Unknown(_) => return None,
    })
}
