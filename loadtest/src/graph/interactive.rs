//! Limits of interactive messages (whatsapp.md 4.1).

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::GraphError;
use super::validate::{optional, required};

type Checked<T = ()> = Result<T, GraphError>;

/// Checks the `interactive` object and gives the text of its body.
pub(super) fn check(content: &Value) -> Checked<String> {
    let kind = required(content, "type", 64)?;
    let action = content.get("action").unwrap_or(&Value::Null);
    let body_max = if kind == "button" { 1_024 } else { 4_096 };
    let text = required(content.get("body").unwrap_or(&Value::Null), "text", body_max)?;
    if let Some(footer) = content.get("footer") {
        required(footer, "text", 60)?;
    }
    if let Some(header) = content.get("header") {
        check_header(&kind, header)?;
    }
    match kind.as_str() {
        "button" => buttons(action)?,
        "list" => list(action)?,
        "cta_url" => {
            named(action, "cta_url")?;
            let parameters = action.get("parameters").unwrap_or(&Value::Null);
            required(parameters, "display_text", 20)?;
            required(parameters, "url", 2_048)?;
        }
        "flow" => {
            named(action, "flow")?;
            required(action.get("parameters").unwrap_or(&Value::Null), "flow_cta", 64)?;
        }
        "location_request_message" => named(action, "send_location")?,
        "request_contact_info" => named(action, "request_contact_info")?,
        _ => return Err(GraphError::new(131_009, "interactive.type is not valid.")),
    }
    Ok(text)
}

fn check_header(kind: &str, header: &Value) -> Checked {
    match (kind, required(header, "type", 16)?.as_str()) {
        (_, "text") => required(header, "text", 60).map(drop),
        ("list", _) => Err(GraphError::new(131_009, "A list takes a text header only.")),
        (_, "image" | "video" | "document") => Ok(()),
        _ => Err(GraphError::new(131_009, "header.type is not valid.")),
    }
}

fn named(action: &Value, name: &str) -> Checked {
    if required(action, "name", 64)? == name {
        return Ok(());
    }
    Err(GraphError::new(131_009, "action.name is not valid."))
}

fn items<'a>(object: &'a Value, field: &str, max: usize) -> Checked<&'a Vec<Value>> {
    let items = object.get(field).and_then(Value::as_array).filter(|items| !items.is_empty());
    match items {
        None => Err(GraphError::new(131_008, format!("{field} is required."))),
        Some(items) if items.len() > max => {
            Err(GraphError::new(131_009, format!("More than {max} {field}.")))
        }
        Some(items) => Ok(items),
    }
}

fn buttons(action: &Value) -> Checked {
    let mut titles = BTreeSet::new();
    for button in items(action, "buttons", 3)? {
        let reply = button.get("reply").unwrap_or(&Value::Null);
        required(reply, "id", 256)?;
        if !titles.insert(required(reply, "title", 20)?) {
            return Err(GraphError::new(131_009, "Button titles must be unique."));
        }
    }
    Ok(())
}

fn list(action: &Value) -> Checked {
    required(action, "button", 20)?;
    let (mut ids, mut rows) = (BTreeSet::new(), 0);
    for section in items(action, "sections", 10)? {
        optional(section, "title", 24)?;
        for row in items(section, "rows", 10)? {
            required(row, "title", 24)?;
            optional(row, "description", 72)?;
            ids.insert(required(row, "id", 200)?);
            rows += 1;
        }
    }
    if rows > 10 || ids.len() != rows {
        return Err(GraphError::new(131_009, "At most 10 rows with unique ids."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(content: &Value) -> Option<u32> {
        check(content).err().map(|error| error.code)
    }

    fn button(titles: &[&str]) -> Value {
        let buttons: Vec<Value> = titles
            .iter()
            .map(|title| json!({"type": "reply", "reply": {"id": title, "title": title}}))
            .collect();
        json!({"type": "button", "body": {"text": "?"}, "action": {"buttons": buttons}})
    }

    fn list_of(sections: usize, rows: usize) -> Value {
        let section = |s: usize| {
            let rows: Vec<Value> =
                (0..rows).map(|r| json!({"id": format!("{s}-{r}"), "title": "row"})).collect();
            json!({"title": "s", "rows": rows})
        };
        let sections: Vec<Value> = (0..sections).map(section).collect();
        json!({"type": "list", "body": {"text": "?"}, "action": {"button": "Choose", "sections": sections}})
    }

    #[test]
    fn buttons_and_lists_have_limits() {
        assert_eq!(code(&button(&["a", "b", "c"])), None);
        assert_eq!(code(&button(&["a", "b", "c", "d"])), Some(131_009));
        assert_eq!(code(&button(&["a", "a"])), Some(131_009));
        assert_eq!(code(&button(&["a title longer than twenty"])), Some(131_009));
        assert_eq!(code(&button(&[])), Some(131_008));
        assert_eq!(code(&list_of(2, 5)), None);
        assert_eq!(code(&list_of(3, 4)), Some(131_009));
        assert_eq!(code(&list_of(1, 11)), Some(131_009));
        let mut long = list_of(1, 1);
        long["action"]["button"] = json!("a button of more than 20");
        assert_eq!(code(&long), Some(131_009));
        long["action"]["button"] = json!("Choose");
        long["footer"] = json!({"text": "f".repeat(61)});
        assert_eq!(code(&long), Some(131_009));
        long["footer"] = json!({"text": "f"});
        long["header"] = json!({"type": "image"});
        assert_eq!(code(&long), Some(131_009));
        assert_eq!(code(&json!({"type": "list", "action": {}})), Some(131_008));
        assert_eq!(code(&json!({"type": "hologram", "body": {"text": "?"}})), Some(131_009));
    }
}
