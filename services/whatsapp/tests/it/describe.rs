//! An item as one line, so that a table can say what a POST must become.

use whatsapp::identity::Customer;
use whatsapp::webhook::account::AccountUpdate;
use whatsapp::webhook::content::{Content, Media};
use whatsapp::webhook::history::{Direction, HistoryChunk};
use whatsapp::webhook::message::Message;
use whatsapp::webhook::status::Status;
use whatsapp::webhook::{AsideItem, Item, Kind, parse};

/// One line per item.
pub(crate) fn lines(body: &[u8]) -> Vec<String> {
    parse(body).unwrap().iter().map(item).collect()
}

/// One item as a line: where it belongs, what it is.
pub(crate) fn item(item: &Item) -> String {
    let route = &item.route;
    let number = route.phone_number_id.as_ref().map(|id| format!("number:{id}"));
    let place = number.or_else(|| route.waba_id.as_ref().map(|id| format!("account:{id}")));
    let time = route.entry_time_ms.map(|time| format!("@{time}")).unwrap_or_default();
    format!("{}{time} {} {}", or_dash(&place), route.field.label(), kind(&item.kind))
}

fn or_dash<T: std::fmt::Display>(it: &Option<T>) -> String {
    it.as_ref().map_or_else(|| "-".to_owned(), |it| it.to_string())
}

fn quoted(it: &Option<String>) -> String {
    it.as_ref().map_or_else(|| "-".to_owned(), |it| format!("{it:?}"))
}

fn kind(it: &Kind) -> String {
    match it {
        Kind::Inbound(it) => format!("inbound {}", message(it)),
        Kind::Echo(it) => format!("echo {}", message(it)),
        Kind::Status(it) => status(it),
        Kind::History(it) => {
            let direction = if it.direction == Direction::Inbound { "in" } else { "out" };
            let status = it.status.as_ref().map_or("-", |status| status.as_wire());
            format!("history {direction} {status} {} {}", chunk(&it.chunk), message(&it.message))
        }
        Kind::HistoryMedia(it) => format!("history media {}", message(it)),
        Kind::HistoryProgress(it) => format!("history progress {}", chunk(it)),
        Kind::HistoryRefused(it) => format!("history refused {:?}", codes(&it.errors)),
        Kind::StateSync(it) => format!(
            "sync {} {} {} {} {}",
            it.action.as_wire(),
            customer(&it.customer),
            quoted(&it.full_name),
            quoted(&it.first_name),
            or_dash(&it.timestamp_ms)
        ),
        Kind::Account(it) => account(it),
        Kind::Preference(it) => format!(
            "preference {} {} {} {}",
            customer(&it.customer),
            or_dash(&it.category),
            it.value.as_wire(),
            or_dash(&it.timestamp_ms)
        ),
        Kind::UserIdUpdate(it) => {
            format!(
                "user id {} {} -> {}",
                or_dash(&it.phone),
                or_dash(&it.previous_bsuid),
                it.current_bsuid
            )
        }
        Kind::Call(it) => format!(
            "call {} {} by_user={} {} {} {}",
            tail(&it.wacid),
            or_dash(&it.event),
            or_dash(&it.is_user_initiated),
            or_dash(&it.status),
            or_dash(&it.timestamp_ms),
            customer(&it.customer)
        ),
        Kind::CallStatus(it) => {
            format!("call status {} {} {}", tail(&it.wacid), it.status, customer(&it.customer))
        }
        Kind::UserAction(it) => {
            format!("action {} {}", or_dash(&it.action_type), or_dash(&it.timestamp_ms))
        }
        Kind::Errors(errors) => format!("errors {:?}", codes(errors)),
        Kind::Aside { why, what } => format!(
            "aside {why:?} {}",
            match what {
                AsideItem::Inbound(it) => format!("inbound {}", message(it)),
                AsideItem::Echo(it) => format!("echo {}", message(it)),
                AsideItem::Status(it) => status(it),
            }
        ),
        Kind::Sample(inner) => format!("sample {}", kind(inner)),
        Kind::Other { key, .. } => format!("other {}", or_dash(key)),
        Kind::Malformed(it) => format!("malformed {:?} {:?}", it.what, it.reason),
    }
}

fn chunk(it: &HistoryChunk) -> String {
    format!(
        "phase={} chunk={} {}%",
        or_dash(&it.phase),
        or_dash(&it.chunk_order),
        or_dash(&it.progress)
    )
}

fn account(it: &AccountUpdate) -> String {
    let mut line = format!("account {} client={}", it.event.as_wire(), or_dash(&it.client_waba_id));
    for (name, value) in [
        ("phone", &it.phone_number),
        ("why", &it.disconnect_reason.as_ref().map(|why| why.as_wire().to_owned())),
        ("by", &it.disconnect_initiated_by),
        ("ban", &it.ban_state),
        ("ban_date", &it.ban_date),
        ("violation", &it.violation_type),
        (
            "tier_update_time",
            &it.volume_tier
                .as_ref()
                .map(|it| it.to_value().unwrap()["tier_update_time"].to_string()),
        ),
    ] {
        if let Some(value) = value {
            line.push_str(&format!(" {name}={value}"));
        }
    }
    for restriction in &it.restrictions {
        line.push_str(&format!(" {} until={}", restriction.kind, or_dash(&restriction.expires_ms)));
    }
    line
}

fn codes(errors: &[whatsapp::webhook::wire_error::WireError]) -> Vec<i64> {
    errors.iter().filter_map(|error| error.code).collect()
}

/// The end of an id is what differs in the files.
fn tail(id: &str) -> &str {
    let start = id.char_indices().rev().nth(5).map_or(0, |(place, _)| place);
    &id[start..]
}

fn customer(it: &Customer) -> String {
    let mut line =
        format!("{}/{}/{}", or_dash(&it.phone), or_dash(&it.bsuid), or_dash(&it.profile_name));
    for (sign, extra) in [("^", &it.parent_bsuid), ("@", &it.username)] {
        if let Some(extra) = extra {
            line.push_str(&format!(" {sign}{extra}"));
        }
    }
    line
}

fn message(it: &Message) -> String {
    let mut line = format!(
        "{} {} {} {}",
        tail(&it.wamid),
        or_dash(&it.timestamp_ms),
        customer(&it.customer),
        content(&it.content)
    );
    if let Some(context) = &it.context {
        line.push_str(" | context");
        for (name, is_so) in [
            ("forwarded", context.is_forwarded),
            ("frequently_forwarded", context.is_frequently_forwarded),
            ("product", context.referred_product.is_some()),
        ] {
            if is_so {
                line.push_str(&format!(" {name}"));
            }
        }
        if let Some(id) = &context.message_id {
            line.push_str(&format!(" re={} by={}", tail(id), or_dash(&context.from)));
        }
    }
    if it.referral.is_some() {
        line.push_str(" | referral");
    }
    if let Some(group_id) = &it.group_id {
        line.push_str(&format!(" | group={group_id}"));
    }
    if !it.errors.is_empty() {
        line.push_str(&format!(" errors={:?}", codes(&it.errors)));
    }
    line
}

fn status(it: &Status) -> String {
    let mut line = format!(
        "status {} {} {} {}",
        tail(&it.wamid),
        it.status.as_wire(),
        or_dash(&it.timestamp_ms),
        customer(&it.recipient)
    );
    if let Some(opaque) = &it.biz_opaque_callback_data {
        line.push_str(&format!(" opaque={opaque}"));
    }
    if let Some(it) = &it.conversation {
        line.push_str(&format!(
            " conversation={} until={}",
            or_dash(&it.origin),
            or_dash(&it.expires_ms)
        ));
    }
    if let Some(it) = &it.pricing {
        let (model, kind, category) =
            (or_dash(&it.model), or_dash(&it.kind), or_dash(&it.category));
        line.push_str(&format!(
            " price={model}/{kind}/{category} billable={}",
            or_dash(&it.billable)
        ));
    }
    if !it.errors.is_empty() {
        line.push_str(&format!(" errors={:?}", codes(&it.errors)));
    }
    line
}

fn media(it: &Media) -> String {
    let mut line = format!("{} {}", it.kind.as_wire(), or_dash(&it.id));
    for (name, value) in [
        ("mime", &it.mime_type),
        ("sha256", &it.sha256),
        ("caption", &it.caption),
        ("filename", &it.filename),
    ] {
        if let Some(value) = value {
            line.push_str(&format!(" {name}={value:?}"));
        }
    }
    for (name, is_so) in
        [("url", it.url.is_some()), ("voice", it.is_voice), ("animated", it.is_animated)]
    {
        if is_so {
            line.push_str(&format!(" {name}"));
        }
    }
    line
}

/// The content as part of a line.
pub(crate) fn content(it: &Content) -> String {
    match it {
        Content::Text { body } => format!("text {body:?}"),
        Content::Media(it) => media(it),
        Content::Location(it) => {
            format!(
                "location {} {} {} {}",
                it.latitude,
                it.longitude,
                quoted(&it.name),
                quoted(&it.address)
            )
        }
        Content::Contacts(entries) => entries.iter().fold("contacts".to_owned(), |line, it| {
            let phones: Vec<_> = it.phones.iter().map(|it| or_dash(&it.wa_id)).collect();
            format!(
                "{line} {} {phones:?} origin={}",
                quoted(&it.formatted_name),
                or_dash(&it.origin)
            )
        }),
        Content::ButtonReply { id, title } => format!("button_reply {id} {title:?}"),
        Content::ListReply { id, title, description } => {
            format!("list_reply {id} {title:?} {}", quoted(description))
        }
        Content::FlowReply { name, body, response_json } => {
            format!("nfm_reply {} {} {}", or_dash(name), quoted(body), or_dash(response_json))
        }
        Content::Reaction { target, emoji } => {
            format!("reaction {} {}", tail(target), or_dash(emoji))
        }
        Content::Edit { target, content: inner } => {
            format!(
                "edit {} {}",
                tail(target),
                inner.as_ref().map_or_else(|| "-".to_owned(), |it| content(it))
            )
        }
        Content::Revoke { target } => format!("revoke {}", tail(target)),
        Content::System(it) => format!(
            "system {} {} phone={} bsuid={}",
            it.kind.as_wire(),
            quoted(&it.body),
            or_dash(&it.new_phone),
            or_dash(&it.new_bsuid)
        ),
        Content::Unsupported { codes, original_type } => {
            format!("unsupported {codes:?} {}", or_dash(original_type))
        }
        Content::Order(it) => it.items.iter().fold(
            format!("order {} {}", or_dash(&it.catalog_id), quoted(&it.text)),
            |line, it| {
                let (quantity, price) = (or_dash(&it.quantity), or_dash(&it.item_price));
                format!(
                    "{line} {quantity}x{} {price} {}",
                    it.product_retailer_id,
                    or_dash(&it.currency)
                )
            },
        ),
        other => format!("{other:?}"),
    }
}
