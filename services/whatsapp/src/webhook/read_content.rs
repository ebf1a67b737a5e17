//! From the JSON of a message to its [`Content`].

use serde_json::value::RawValue;

use super::content::{
    Content, Location, Media, MediaKind, Order, OrderItem, SharedContact, SharedPhone, SystemKind,
    SystemNotice,
};
use super::wire_error;
use crate::identity::{normalise_phone, opaque_id};
use crate::json::{Object, RawJson};

/// May the content hold another message? An edit does; an edit inside an edit does not, which also
/// bounds the recursion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Allowed,
    Refused,
}

/// Types whose object bears the type's name, for a message that forgot its `type`.
const NAMED_BY_THEIR_OBJECT: [&str; 14] = [
    "text",
    "image",
    "video",
    "document",
    "audio",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "reaction",
    "order",
    "edit",
    "revoke",
];

/// Never fails: what cannot be read is [`Content::Incomplete`] or [`Content::Unknown`].
pub(super) fn content(message: &Object<'_>) -> Content {
    read(message, Nesting::Allowed)
}

fn read(message: &Object<'_>, nesting: Nesting) -> Content {
    let named = message.string("type");
    let type_name = match &named {
        Some(name) => name.as_str(),
        None => {
            NAMED_BY_THEIR_OBJECT.into_iter().find(|name| message.has(name)).unwrap_or_default()
        }
    };
    let typed = match type_name {
        "text" => text(message),
        "image" => media(message, MediaKind::Image),
        "video" => media(message, MediaKind::Video),
        "document" => media(message, MediaKind::Document),
        "audio" => media(message, MediaKind::Audio),
        "sticker" => media(message, MediaKind::Sticker),
        "media_placeholder" => Some(Content::MediaPlaceholder),
        "location" => location(message),
        "contacts" => contacts(message),
        "interactive" => interactive(message),
        "button" => button(message),
        "reaction" => reaction(message),
        "order" => order(message),
        "system" => system(message),
        "edit" if nesting == Nesting::Allowed => edit(message),
        "revoke" => target_of(message, "revoke").map(|target| Content::Revoke { target }),
        "request_welcome" => Some(Content::RequestWelcome),
        "unsupported" => Some(unsupported(message)),
        other => return Content::Unknown { type_name: other.to_owned() },
    };
    typed.unwrap_or_else(|| Content::Incomplete { type_name: type_name.to_owned() })
}

fn text(message: &Object<'_>) -> Option<Content> {
    let body = message.object("text")?.text("body")?.into_owned();
    Some(Content::Text { body })
}

fn media(message: &Object<'_>, kind: MediaKind) -> Option<Content> {
    let file = message.object(kind.as_wire())?;
    let media = Media {
        kind,
        id: file.string("id"),
        url: file.string("url").or_else(|| file.string("link")),
        mime_type: file.string("mime_type"),
        sha256: file.string("sha256"),
        caption: file.string("caption"),
        filename: file.string("filename"),
        is_voice: file.flag("voice").unwrap_or(false),
        is_animated: file.flag("animated").unwrap_or(false),
    };
    (media.id.is_some() || media.url.is_some()).then_some(Content::Media(media))
}

fn location(message: &Object<'_>) -> Option<Content> {
    let place = message.object("location")?;
    Some(Content::Location(Location {
        latitude: place.float("latitude")?,
        longitude: place.float("longitude")?,
        name: place.string("name"),
        address: place.string("address"),
        url: place.string("url"),
    }))
}

fn contacts(message: &Object<'_>) -> Option<Content> {
    let entries: Vec<_> =
        message.list("contacts").ok()?.into_iter().filter_map(shared_contact).collect();
    (!entries.is_empty()).then_some(Content::Contacts(entries))
}

fn shared_contact(raw: &RawValue) -> Option<SharedContact> {
    let entry = Object::parse(raw)?;
    let phones = entry.list("phones").unwrap_or_default();
    Some(SharedContact {
        formatted_name: entry.object("name").and_then(|name| name.string("formatted_name")),
        phones: phones
            .into_iter()
            .filter_map(Object::parse)
            .map(|phone| SharedPhone { phone: phone.string("phone"), wa_id: phone.string("wa_id") })
            .collect(),
        origin: entry.string("origin"),
        raw: RawJson::of(raw),
    })
}

fn interactive(message: &Object<'_>) -> Option<Content> {
    let outer = message.object("interactive")?;
    let kinds = ["button_reply", "list_reply", "nfm_reply", "call_permission_reply"];
    let kind = match outer.string("type") {
        Some(kind) => kind,
        None => kinds.into_iter().find(|kind| outer.has(kind))?.to_owned(),
    };
    if !kinds.contains(&kind.as_str()) {
        return Some(Content::Unknown { type_name: format!("interactive/{kind}") });
    }
    let reply = outer.object(&kind)?;
    let title = reply.text("title").unwrap_or_default().into_owned();
    Some(match kind.as_str() {
        "button_reply" => Content::ButtonReply { id: reply.text("id")?.into_owned(), title },
        "list_reply" => Content::ListReply {
            id: reply.text("id")?.into_owned(),
            title,
            description: reply.string("description"),
        },
        "nfm_reply" => Content::FlowReply {
            name: reply.string("name"),
            body: reply.string("body"),
            // Documented as a string; an object written in its place is kept as its text.
            response_json: reply
                .string("response_json")
                .or_else(|| reply.raw("response_json").map(|raw| raw.get().to_owned())),
        },
        _ => Content::CallPermissionReply {
            accepted: match reply.text("response").as_deref() {
                Some("accept") => Some(true),
                Some("reject") => Some(false),
                _ => None,
            },
            expires_ms: reply.timestamp_ms("expiration_timestamp"),
        },
    })
}

fn button(message: &Object<'_>) -> Option<Content> {
    let pressed = message.object("button")?;
    let (payload, text) = (pressed.string("payload"), pressed.string("text"));
    (payload.is_some() || text.is_some()).then_some(Content::TemplateButton { payload, text })
}

fn reaction(message: &Object<'_>) -> Option<Content> {
    let put = message.object("reaction")?;
    let target = put.string("message_id").and_then(opaque_id)?;
    Some(Content::Reaction { target, emoji: put.string("emoji") })
}

fn order(message: &Object<'_>) -> Option<Content> {
    let order = message.object("order")?;
    let items = order.list("product_items").unwrap_or_default();
    Some(Content::Order(Order {
        catalog_id: order.string("catalog_id"),
        text: order.string("text"),
        items: items.into_iter().filter_map(order_item).collect(),
    }))
}

fn order_item(raw: &RawValue) -> Option<OrderItem> {
    let item = Object::parse(raw)?;
    Some(OrderItem {
        product_retailer_id: item.string("product_retailer_id")?,
        quantity: item.int("quantity"),
        item_price: item.float("item_price"),
        currency: item.string("currency"),
    })
}

fn system(message: &Object<'_>) -> Option<Content> {
    let notice = message.object("system")?;
    let new_phone = notice.text("wa_id").or_else(|| notice.text("new_wa_id"));
    let new = crate::identity::Customer::from_wire(
        new_phone.as_deref(),
        notice.string("user_id"),
        notice.string("parent_user_id"),
    );
    Some(Content::System(SystemNotice {
        kind: SystemKind::from_wire(&notice.text("type").unwrap_or_default()),
        body: notice.string("body"),
        new_phone: new_phone.as_deref().and_then(normalise_phone),
        new_bsuid: new.bsuid,
        new_parent_bsuid: new.parent_bsuid,
    }))
}

fn edit(message: &Object<'_>) -> Option<Content> {
    let target = target_of(message, "edit")?;
    let inner = message.object("edit").and_then(|edit| edit.object("message"));
    let content = inner.map(|inner| Box::new(read(&inner, Nesting::Refused)));
    Some(Content::Edit { target, content })
}

fn target_of(message: &Object<'_>, kind: &str) -> Option<String> {
    message.object(kind)?.string("original_message_id").and_then(opaque_id)
}

fn unsupported(message: &Object<'_>) -> Content {
    let errors = wire_error::list(message, "errors");
    Content::Unsupported {
        codes: errors.iter().filter_map(|error| error.code).collect(),
        original_type: message.object("unsupported").and_then(|what| what.string("type")),
    }
}
