//! Webhook bodies (whatsapp.md 1.1, 2.1 to 2.4, 3.6).

use serde_json::{Map, Value, json};

use crate::graph::GraphError;
use crate::judge::Progress;
use crate::world::{ChatId, NumberId, World};

/// What a customer or a phone wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Text(String),
    Image { caption: String },
    Location { name: String },
    Reaction { target: String, emoji: String },
}

impl Content {
    /// The words in it.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Image { caption: text } | Self::Location { name: text } => {
                text
            }
            Self::Reaction { emoji, .. } => emoji,
        }
    }

    /// Whether a thread must show those words as they are.
    pub(crate) fn plain(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Image { .. })
    }

    fn typed(&self, wamid: &str) -> (&'static str, Value) {
        match self {
            Self::Text(body) => ("text", json!({"body": body})),
            Self::Image { caption } => {
                let media = media_id(wamid);
                let url = format!(
                    "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid={media}"
                );
                let sha = "i1zE337sfTKngU7KSvBHrjOy1SNCZncVaC4ZwlsLn6o=";
                let image = json!({"id": media, "mime_type": "image/jpeg", "sha256": sha, "url": url,
                    "caption": caption});
                ("image", image)
            }
            Self::Location { name } => {
                ("location", json!({"latitude": 52.52, "longitude": 13.405, "name": name}))
            }
            Self::Reaction { target, emoji } => {
                ("reaction", json!({"message_id": target, "emoji": emoji}))
            }
        }
    }
}

/// One thing Meta reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) chat: ChatId,
    pub(crate) wamid: String,
    pub(crate) ts_s: i64,
    pub(crate) what: What,
    /// The customer's number is left out although it is known elsewhere.
    pub(crate) hide_phone: bool,
    pub(crate) hide_profile: bool,
}

/// Kinds of report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Message(Content),
    Echo(Content),
    Status { progress: Progress, opaque: Option<String>, error: Option<GraphError> },
}

/// One POST body with all `updates`, each reported as if it belonged to the number named with it (which is its own, unless the
/// simulator is told to misbehave).
pub(crate) fn body(world: &World, updates: &[(NumberId, &Update)]) -> Value {
    let mut numbers: Vec<NumberId> = updates.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let entries: Vec<Value> = numbers
        .into_iter()
        .map(|number| {
            let own = updates.iter().filter(|(of, _)| *of == number).map(|(_, update)| *update);
            entry(world, number, &own.collect::<Vec<_>>())
        })
        .collect();
    json!({"object": "whatsapp_business_account", "entry": entries})
}

fn entry(world: &World, number: NumberId, updates: &[&Update]) -> Value {
    let mut echoes = Vec::new();
    let mut messages = Vec::new();
    let mut statuses = Vec::new();
    let mut contacts = Vec::new();
    let mut changes = Vec::new();
    for update in updates {
        match &update.what {
            What::Message(content) => messages.push(message(world, update, content)),
            What::Status { progress, opaque, error } => {
                statuses.push(status(world, update, *progress, opaque.as_deref(), error.as_ref()));
                if error.is_some() {
                    continue;
                }
            }
            What::Echo(content) => {
                echoes.push(echo(world, number, update, content));
                continue;
            }
        }
        contacts.push(contact(world, update));
    }
    if !messages.is_empty() || !statuses.is_empty() {
        let parts = [("contacts", contacts), ("messages", messages), ("statuses", statuses)];
        changes.push(change(world, number, "messages", parts));
    }
    if !echoes.is_empty() {
        let parts =
            [("message_echoes", echoes), ("contacts", Vec::new()), ("statuses", Vec::new())];
        changes.push(change(world, number, "smb_message_echoes", parts));
    }
    let business = world.numbers[number].business;
    json!({"id": world.businesses[business].waba_id, "changes": changes})
}

fn change(world: &World, number: NumberId, field: &str, parts: [(&str, Vec<Value>); 3]) -> Value {
    let number = &world.numbers[number];
    let mut value = Map::new();
    value.insert("messaging_product".to_owned(), json!("whatsapp"));
    let metadata =
        json!({"display_phone_number": number.display, "phone_number_id": number.phone_number_id});
    value.insert("metadata".to_owned(), metadata);
    for (name, items) in parts.into_iter().filter(|(_, items)| !items.is_empty()) {
        value.insert(name.to_owned(), Value::Array(items));
    }
    json!({"field": field, "value": value})
}

/// The phone, unless it is hidden; the BSUID always.
fn phone<'a>(world: &'a World, update: &Update) -> Option<&'a str> {
    let customer = &world.customers[update.chat];
    (!customer.hidden && !update.hide_phone).then_some(customer.phone.as_str())
}

fn contact(world: &World, update: &Update) -> Value {
    let customer = &world.customers[update.chat];
    let mut contact = json!({"user_id": customer.bsuid});
    put(&mut contact, "wa_id", phone(world, update).map(Value::from));
    if !update.hide_profile {
        put(&mut contact, "profile", Some(json!({"name": customer.name})));
    }
    contact
}

fn message(world: &World, update: &Update, content: &Content) -> Value {
    let (kind, object) = content.typed(&update.wamid);
    let mut message = json!({"from_user_id": world.customers[update.chat].bsuid, "id": update.wamid,
        "timestamp": update.ts_s.to_string(), "type": kind});
    put(&mut message, "from", phone(world, update).map(Value::from));
    put(&mut message, kind, Some(object));
    message
}

fn echo(world: &World, number: NumberId, update: &Update, content: &Content) -> Value {
    let (kind, object) = content.typed(&update.wamid);
    let mut echo = json!({"from": world.numbers[number].display, "id": update.wamid, "type": kind,
        "to_user_id": world.customers[update.chat].bsuid, "timestamp": update.ts_s.to_string()});
    put(&mut echo, "to", phone(world, update).map(Value::from));
    put(&mut echo, kind, Some(object));
    echo
}

fn status(
    world: &World,
    update: &Update,
    progress: Progress,
    opaque: Option<&str>,
    error: Option<&GraphError>,
) -> Value {
    let name = match progress {
        Progress::Sent => "sent",
        Progress::Delivered => "delivered",
        Progress::Read => "read",
        Progress::Failed => "failed",
    };
    let mut status = json!({"id": update.wamid, "status": name, "timestamp": update.ts_s.to_string(),
        "recipient_user_id": world.customers[update.chat].bsuid});
    put(&mut status, "recipient_id", phone(world, update).map(Value::from));
    put(&mut status, "biz_opaque_callback_data", opaque.map(Value::from));
    put(&mut status, "errors", error.map(|error| json!([error.in_status()])));
    if progress == Progress::Delivered {
        let pricing = json!({"billable": false, "pricing_model": "PMP", "category": "service",
            "type": "free_customer_service"});
        put(&mut status, "pricing", Some(pricing));
    }
    status
}

fn put(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), value);
    }
}

/// Media ids are decimal; one that follows from the message's id needs no table.
fn media_id(wamid: &str) -> String {
    let sum = wamid.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 100_000_000_000);
    (900_000_000_000_000 + sum).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Key;

    fn update(chat: usize, what: What) -> Update {
        let chat = ChatId::from_row(chat);
        Update {
            chat,
            wamid: format!("wamid.{what:?}"),
            ts_s: 9,
            what,
            hide_phone: false,
            hide_profile: false,
        }
    }

    #[test]
    fn one_post_may_hold_several_entries_and_kinds() {
        let world = World::build(&crate::fixture::scenario());
        let number = |row| NumberId::from_row(row);
        let text = update(0, What::Message(Content::Text("hi".to_owned())));
        let echo = update(0, What::Echo(Content::Text("from the phone".to_owned())));
        let sent = What::Status {
            progress: Progress::Delivered,
            opaque: Some("o".to_owned()),
            error: None,
        };
        let status = update(5, sent);
        let body = body(&world, &[(number(0), &text), (number(1), &status), (number(0), &echo)]);
        let entries = body["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        let messages = &entries[0]["changes"][0]["value"];
        assert_eq!(messages["messages"][0]["text"]["body"], "hi");
        assert_eq!(messages["metadata"]["phone_number_id"], "200000000000202");
        assert_eq!(entries[0]["changes"][1]["field"], "smb_message_echoes");
        assert_eq!(entries[0]["changes"][1]["value"]["message_echoes"][0]["from"], "15550000100");
        let status = &entries[1]["changes"][0]["value"]["statuses"][0];
        assert_eq!(status["biz_opaque_callback_data"], "o");
        assert_eq!(status["pricing"]["billable"], false);
    }

    #[test]
    fn a_hidden_number_appears_nowhere() {
        let world = World::build(&crate::fixture::scenario());
        let hidden =
            Update { hide_phone: true, ..update(0, What::Message(Content::Text("hi".to_owned()))) };
        let customer = &world.customers[hidden.chat];
        let text = body(&world, &[(NumberId::from_row(0), &hidden)]).to_string();
        assert!(!text.contains(&customer.phone) && text.contains(&customer.bsuid));
    }

    #[test]
    fn a_failed_status_carries_the_error_and_no_contact() {
        let world = World::build(&crate::fixture::scenario());
        let error = Some(GraphError::new(131_047, "late"));
        let failed = update(0, What::Status { progress: Progress::Failed, opaque: None, error });
        let body = body(&world, &[(NumberId::from_row(0), &failed)]);
        let value = &body["entry"][0]["changes"][0]["value"];
        assert_eq!(value["statuses"][0]["errors"][0]["code"], 131_047);
        assert!(value.get("contacts").is_none());
    }
}
