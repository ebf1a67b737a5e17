//! Validation of a send request with the limits of whatsapp.md 4.1. A refused shape is the product's mistake.

use serde_json::Value;

use super::error::GraphError;
use super::interactive;

/// A request that Meta would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendRequest {
    pub(crate) to: Option<String>,
    pub(crate) recipient: Option<String>,
    pub(crate) kind: String,
    /// What the customer reads, as far as there is text.
    pub(crate) text: String,
    pub(crate) opaque: Option<String>,
}

/// What a valid body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Send(SendRequest),
    /// Mark as read, with or without a typing indicator.
    Read {
        wamid: String,
    },
}

type Checked<T = ()> = Result<T, GraphError>;

/// Checks a body.
pub(crate) fn validate(body: &[u8]) -> Checked<Request> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| GraphError::new(100, "The body is not valid JSON."))?;
    if body.get("messaging_product").and_then(Value::as_str) != Some("whatsapp") {
        return Err(GraphError::new(100, "messaging_product must be whatsapp."));
    }
    if body.get("status").is_some() {
        return read(&body);
    }
    if let Some(kind) = body.get("recipient_type") {
        one_of(kind, &["individual", "group"], "recipient_type")?;
    }
    let to = optional(&body, "to", 64)?;
    let recipient = optional(&body, "recipient", 160)?;
    if to.is_none() && recipient.is_none() {
        return Err(GraphError::new(131_008, "to or recipient is required."));
    }
    let opaque = optional(&body, "biz_opaque_callback_data", 512)?;
    let kind = optional(&body, "type", 64)?.unwrap_or_else(|| "text".to_owned());
    if let Some(context) = body.get("context") {
        required(context, "message_id", 512)?;
    }
    let Some(content) = body.get(&kind) else {
        return Err(GraphError::new(131_008, format!("{kind} is required.")));
    };
    let text = content_text(&kind, content)?;
    Ok(Request::Send(SendRequest { to, recipient, kind, text, opaque }))
}

fn read(body: &Value) -> Checked<Request> {
    if body.get("status").and_then(Value::as_str) != Some("read") {
        return Err(GraphError::new(131_009, "status must be read."));
    }
    if let Some(typing) = body.get("typing_indicator") {
        one_of(typing.get("type").unwrap_or(&Value::Null), &["text"], "typing_indicator.type")?;
    }
    Ok(Request::Read { wamid: required(body, "message_id", 512)? })
}

fn content_text(kind: &str, content: &Value) -> Checked<String> {
    match kind {
        "text" => required(content, "body", 4_096),
        "image" | "video" | "document" => {
            media(content)?;
            Ok(optional(content, "caption", 1_024)?.unwrap_or_default())
        }
        "audio" | "sticker" => {
            media(content)?;
            match content.get("caption") {
                Some(_) => Err(GraphError::new(100, format!("{kind} takes no caption."))),
                None => Ok(String::new()),
            }
        }
        "location" => location(content),
        "contacts" => contacts(content),
        "reaction" => {
            required(content, "message_id", 512)?;
            let emoji = content.get("emoji").and_then(Value::as_str);
            emoji
                .map(str::to_owned)
                .ok_or_else(|| GraphError::new(131_008, "reaction.emoji is required."))
        }
        "interactive" => interactive::check(content),
        "template" => {
            let language = content.get("language").unwrap_or(&Value::Null);
            required(language, "code", 16)?;
            required(content, "name", 512)
        }
        _ => Err(GraphError::new(100, "Unknown message type.")),
    }
}

fn media(content: &Value) -> Checked {
    let (id, link) = (optional(content, "id", 128)?, optional(content, "link", 2_048)?);
    match (id, link) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) => Err(GraphError::new(131_008, "Either id or link is required.")),
        (Some(_), Some(_)) => Err(GraphError::new(100, "Only one of id and link is allowed.")),
    }
}

fn location(content: &Value) -> Checked<String> {
    for (field, limit) in [("latitude", 90.0), ("longitude", 180.0)] {
        let number = content.get(field).and_then(|value| {
            value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
        });
        match number {
            None => return Err(GraphError::new(131_008, format!("location.{field} is required."))),
            Some(number) if number.abs() > limit => {
                return Err(GraphError::new(131_009, format!("location.{field} is out of range.")));
            }
            Some(_) => {}
        }
    }
    Ok(optional(content, "name", 1_000)?.unwrap_or_default())
}

fn contacts(content: &Value) -> Checked<String> {
    let Some(cards) = content.as_array().filter(|cards| !cards.is_empty()) else {
        return Err(GraphError::new(131_008, "contacts must be a non-empty array."));
    };
    for card in cards {
        let name = card.get("name").unwrap_or(&Value::Null);
        required(name, "formatted_name", 1_024)?;
        let parts = ["first_name", "last_name", "middle_name", "prefix", "suffix"];
        if !parts.iter().any(|part| name.get(part).is_some()) {
            return Err(GraphError::new(131_008, "contacts.name needs one more part."));
        }
    }
    Ok(String::new())
}

fn one_of(value: &Value, allowed: &[&str], field: &str) -> Checked {
    match value.as_str() {
        Some(text) if allowed.contains(&text) => Ok(()),
        _ => Err(GraphError::new(131_009, format!("{field} is not valid."))),
    }
}

/// A string that must be there, not empty, and not longer than `max` characters.
pub(super) fn required(object: &Value, field: &str, max: usize) -> Checked<String> {
    match optional(object, field, max)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(GraphError::new(131_008, format!("{field} is required."))),
    }
}

/// A string that may be absent.
pub(super) fn optional(object: &Value, field: &str, max: usize) -> Checked<Option<String>> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= max => Ok(Some(text.clone())),
        Some(Value::String(_)) => {
            Err(GraphError::new(131_009, format!("{field} is longer than {max}.")))
        }
        Some(_) => Err(GraphError::new(100, format!("{field} must be a string."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(body: &Value) -> Result<Request, u32> {
        validate(body.to_string().as_bytes()).map_err(|error| error.code)
    }

    fn with(kind: &str, content: Value) -> Value {
        let mut body = json!({"messaging_product": "whatsapp", "to": "15551000000", "type": kind});
        body[kind] = content;
        body
    }

    #[test]
    fn takes_what_meta_takes() {
        let good = [
            with("text", json!({"body": "x".repeat(4_096)})),
            with("image", json!({"id": "9", "caption": "c"})),
            with("document", json!({"link": "https://e.test/a.pdf", "filename": "a.pdf"})),
            with("location", json!({"latitude": 1.5, "longitude": -20})),
            with("contacts", json!([{"name": {"formatted_name": "A B", "first_name": "A"}}])),
            with("reaction", json!({"message_id": "wamid.x", "emoji": ""})),
            with("template", json!({"name": "hello", "language": {"code": "en_US"}})),
        ];
        for body in good {
            assert!(matches!(code(&body), Ok(Request::Send(_))), "{body}");
        }
        let read = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x",
            "typing_indicator": {"type": "text"}});
        assert_eq!(code(&read), Ok(Request::Read { wamid: "wamid.x".to_owned() }));
    }

    #[test]
    fn refuses_with_metas_codes() {
        let bad = [
            (json!([]), 100),
            (json!({"messaging_product": "sms", "to": "1", "text": {"body": "x"}}), 100),
            (
                json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": "x"}}),
                131_008,
            ),
            (json!({"messaging_product": "whatsapp", "to": 15, "text": {"body": "x"}}), 100),
            (with("text", json!({"body": "x".repeat(4_097)})), 131_009),
            (with("text", json!({"body": ""})), 131_008),
            (with("text", json!({"body": 7})), 100),
            (with("image", json!({})), 131_008),
            (with("image", json!({"id": "1", "link": "https://e.test"})), 100),
            (with("image", json!({"id": "1", "caption": "c".repeat(1_025)})), 131_009),
            (with("audio", json!({"id": "1", "caption": "c"})), 100),
            (with("location", json!({"latitude": 91, "longitude": 0})), 131_009),
            (with("location", json!({"latitude": 1})), 131_008),
            (with("contacts", json!([{"name": {"formatted_name": "A"}}])), 131_008),
            (with("reaction", json!({"message_id": "wamid.x"})), 131_008),
            (with("template", json!({"name": "hello"})), 131_008),
            (with("hologram", json!({})), 100),
            (
                json!({"messaging_product": "whatsapp", "status": "seen", "message_id": "m"}),
                131_009,
            ),
        ];
        for (body, expected) in bad {
            assert_eq!(code(&body), Err(expected), "{body}");
        }
        let mut long = with("text", json!({"body": "x"}));
        long["biz_opaque_callback_data"] = json!("o".repeat(513));
        assert_eq!(code(&long), Err(131_009));
        assert_eq!(validate(b"{").map_err(|error| error.code), Err(100));
    }
}
