//! The typed content of a message and the line that an agent reads where there is no text.

use domain::content::{
    Content,
    detail::{
        CallPermission, Choice, ContactCard, Detail, FlowReply, Location, Media, Order, OrderItem,
        Referral, SystemNotice, Unsupported,
    },
};
use serde_json::Value;
use whatsapp::webhook::{
    content::{Content as WireContent, Order as WireOrder, SharedContact},
    message::Message,
};

/// Of a larger message object only the JSON is kept: everything of a message stands twice otherwise.
const TYPED_BYTES_MAX: usize = 16 * 1024;
/// Longest line.
const SUMMARY_CHARS_MAX: usize = 300;

/// Fills what `content` says beyond the text.
pub(super) fn describe(content: &mut Content, message: &Message) {
    if content.text.is_none() {
        let line = summary(&message.content);
        content.summary = line.map(|line| line.chars().take(SUMMARY_CHARS_MAX).collect());
    }
    if message.raw.len() <= TYPED_BYTES_MAX {
        content.detail = detail(&message.content);
        content.referral =
            message.referral.as_ref().and_then(|raw| Some(referral(&raw.to_value()?)));
    }
}

fn detail(content: &WireContent) -> Option<Detail> {
    Some(match content {
        WireContent::Media(media) => Detail::Media(Media {
            id: media.id.clone(),
            url: media.url.clone(),
            mime_type: media.mime_type.clone(),
            sha256: media.sha256.clone(),
            caption: media.caption.clone(),
            filename: media.filename.clone(),
            is_voice: media.is_voice,
            is_animated: media.is_animated,
        }),
        WireContent::Location(place) => Detail::Location(Location {
            latitude: place.latitude.to_string(),
            longitude: place.longitude.to_string(),
            name: place.name.clone(),
            address: place.address.clone(),
            url: place.url.clone(),
        }),
        WireContent::Contacts(cards) => Detail::Contacts(cards.iter().map(card).collect()),
        WireContent::ButtonReply { id, title } => Detail::Choice(Choice {
            id: Some(id.clone()),
            title: Some(title.clone()),
            description: None,
        }),
        WireContent::ListReply { id, title, description } => Detail::Choice(Choice {
            id: Some(id.clone()),
            title: Some(title.clone()),
            description: description.clone(),
        }),
        WireContent::TemplateButton { payload, text } => {
            let (id, title) = (payload.clone(), text.clone());
            Detail::Choice(Choice { id, title, description: None })
        }
        WireContent::FlowReply { name, body, response_json } => Detail::Flow(FlowReply {
            name: name.clone(),
            body: body.clone(),
            response_json: response_json.clone(),
        }),
        WireContent::CallPermissionReply { accepted, expires_ms } => {
            let until_ms = expires_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
            Detail::CallPermission(CallPermission { accepted: *accepted, until_ms })
        }
        WireContent::Reaction { emoji, .. } => Detail::Reaction { emoji: emoji.clone() },
        WireContent::Order(wire) => Detail::Order(order(wire)),
        WireContent::System(notice) => Detail::System(SystemNotice {
            about: notice.kind.as_wire().to_owned(),
            body: notice.body.clone(),
            new_phone: notice.new_phone.clone(),
            new_bsuid: notice.new_bsuid.clone(),
        }),
        WireContent::Edit { content, .. } => Detail::Edit { text: edited(content.as_deref()) },
        WireContent::Unsupported { codes, original_type } => Detail::Unsupported(Unsupported {
            codes: codes.clone(),
            original_type: original_type.clone(),
        }),
        _ => return None,
    })
}

fn card(card: &SharedContact) -> ContactCard {
    ContactCard {
        name: card.formatted_name.clone(),
        phones: card
            .phones
            .iter()
            .map(|phone| (phone.phone.clone(), phone.wa_id.clone()))
            .collect(),
        origin: card.origin.clone(),
    }
}

fn order(order: &WireOrder) -> Order {
    let items = order.items.iter().map(|item| OrderItem {
        product: item.product_retailer_id.clone(),
        quantity: item.quantity,
        price: item.item_price.map(|price| price.to_string()),
        currency: item.currency.clone(),
    });
    Order { catalog_id: order.catalog_id.clone(), items: items.collect() }
}

fn edited(content: Option<&WireContent>) -> Option<String> {
    content?.text_for_bot().map(str::to_owned)
}

fn referral(ad: &Value) -> Referral {
    let text = |key| ad.get(key).and_then(Value::as_str).map(str::to_owned);
    Referral {
        source_type: text("source_type"),
        source_id: text("source_id"),
        source_url: text("source_url"),
        headline: text("headline"),
        body: text("body"),
        ctwa_clid: text("ctwa_clid"),
    }
}

/// What a message without text says; `None` for what cannot be empty.
fn summary(content: &WireContent) -> Option<String> {
    let named = |what: &str, name: Option<&str>| match name {
        Some(name) if !name.trim().is_empty() => format!("{what}: {name}"),
        _ => what.to_owned(),
    };
    Some(match content {
        WireContent::Text { .. } => return None,
        WireContent::Media(media) if media.is_voice => "Voice note".to_owned(),
        WireContent::Media(media) => {
            let what = match media.kind.as_wire() {
                "image" => "Image",
                "video" => "Video",
                "document" => "Document",
                "audio" => "Audio",
                _ => "Sticker",
            };
            named(what, media.filename.as_deref())
        }
        WireContent::MediaPlaceholder => "Media".to_owned(),
        WireContent::Location(place) => {
            let spot = format!("{}, {}", place.latitude, place.longitude);
            match place.name.as_deref().or(place.address.as_deref()) {
                Some(name) => format!("Location: {name} ({spot})"),
                None => format!("Location: {spot}"),
            }
        }
        WireContent::Contacts(cards) => {
            let names: Vec<&str> = cards.iter().filter_map(name_of).collect();
            named("Contacts", Some(&names.join(", ")))
        }
        WireContent::ButtonReply { id, .. } | WireContent::ListReply { id, .. } => {
            named("Choice", Some(id))
        }
        WireContent::TemplateButton { .. } => "Button".to_owned(),
        WireContent::FlowReply { body, name, .. } => {
            named("Form filled in", body.as_deref().or(name.as_deref()))
        }
        WireContent::CallPermissionReply { accepted, .. } => match accepted {
            Some(true) => "Calls allowed".to_owned(),
            Some(false) => "Calls refused".to_owned(),
            None => "Answer about calls".to_owned(),
        },
        WireContent::Reaction { emoji: Some(emoji), .. } => format!("Reaction: {emoji}"),
        WireContent::Reaction { emoji: None, .. } => "Reaction taken back".to_owned(),
        WireContent::Order(order) => {
            let lines: Vec<String> = order.items.iter().map(line_of).collect();
            named("Order", Some(&lines.join(", ")))
        }
        WireContent::System(notice) => named("Notice", notice.body.as_deref()),
        WireContent::Edit { content, .. } => named("Edited", edited(content.as_deref()).as_deref()),
        WireContent::Revoke { .. } => "Message deleted".to_owned(),
        WireContent::RequestWelcome => "Chat opened".to_owned(),
        WireContent::Unsupported { codes, original_type } => unsupported(codes, original_type),
        WireContent::Incomplete { type_name } => named("Empty message", Some(type_name)),
        WireContent::Unknown { type_name } => named("Unknown kind of message", Some(type_name)),
    })
}

fn name_of(card: &SharedContact) -> Option<&str> {
    let phone = || card.phones.first()?.phone.as_deref();
    card.formatted_name.as_deref().or_else(phone)
}

fn line_of(item: &whatsapp::webhook::content::OrderItem) -> String {
    format!("{} × {}", item.quantity.unwrap_or(1), item.product_retailer_id)
}

/// 131060: the content is on the phone only (whatsapp.md 3.8).
fn unsupported(codes: &[i64], original_type: &Option<String>) -> String {
    if codes.contains(&131_060) {
        return "Message that only the phone can show: look at the phone".to_owned();
    }
    match original_type {
        Some(kind) => format!("Message that cannot be shown: {kind}"),
        None => "Message that cannot be shown".to_owned(),
    }
}
