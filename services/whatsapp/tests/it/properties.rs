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
    "entry",
    "changes",
    "value",
    "field",
    "id",
    "time",
    "metadata",
    "phone_number_id",
    "display_phone_number",
    "messages",
    "statuses",
    "contacts",
    "errors",
    "message_echoes",
    "history",
    "threads",
    "state_sync",
    "calls",
    "user_preferences",
    "user_id_update",
    "user_actions",
    "standby",
    "from",
    "from_user_id",
    "to",
    "to_user_id",
    "wa_id",
    "user_id",
    "timestamp",
    "type",
    "text",
    "body",
    "image",
    "interactive",
    "edit",
    "message",
    "context",
    "status",
    "code",
    "group_id",
];
/// Words that mean something.
const WORDS: [&str; 12] = [
    "text",
    "image",
    "edit",
    "interactive",
    "12125550123",
    "12125550100",
    "US.1",
    "wamid.R",
    "1795176000",
    "messages",
    "standby",
    "",
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
        let key =
            prop_oneof![4 => select(KEYS.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((key, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
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

/// JSON pointers to every place in a tree, the tree itself first.
fn places(tree: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut next = 0;
    while let Some(here) = all.get(next).cloned() {
        next += 1;
        match tree.pointer(&here) {
            Some(Value::Array(items)) => {
                all.extend((0..items.len()).map(|index| format!("{here}/{index}")))
            }
            Some(Value::Object(members)) => {
                all.extend(members.keys().map(|key| format!("{here}/{key}")))
            }
            _ => {}
        }
    }
    all
}

/// The tree with something else in one place.
fn replaced(mut tree: Value, place: Index, with: Value) -> Value {
    let places = places(&tree);
    if let Some(here) = tree.pointer_mut(&places[place.index(places.len())]) {
        *here = with;
    }
    tree
}

/// One webhook of the payload files.
fn payload() -> impl Strategy<Value = Value> {
    let posts: Vec<String> = webhook_names().iter().flat_map(|name| posts_of(name)).collect();
    select(posts).prop_map(|post| serde_json::from_str(&post).unwrap())
}

/// What a kind of array holds in the payload files, with the array's name.
fn element() -> impl Strategy<Value = (&'static str, Value)> {
    let of = |name: &str, key: &'static str| {
        let value = json_of(name)["entry"][0]["changes"][0]["value"][key].take();
        value.as_array().unwrap().iter().map(|element| (key, element.clone())).collect::<Vec<_>>()
    };
    let messages = webhook_names()
        .into_iter()
        .filter(|name| name.starts_with("in_") && !name.contains("user_action"));
    let mut elements: Vec<_> = messages.flat_map(|name| of(&name, "messages")).collect();
    let statuses = webhook_names().into_iter().filter(|name| name.starts_with("status_"));
    elements.extend(statuses.flat_map(|name| of(&name, "statuses")));
    elements.extend(of("echo_edit.json", "message_echoes"));
    elements.extend(of("state_sync_add_and_edit.json", "state_sync"));
    elements.extend(of("call_terminate.json", "calls"));
    elements.extend(of("user_preferences_stop.json", "user_preferences"));
    select(elements)
}

/// Reads it and looks at everything an item can say.
fn read(body: &[u8]) -> Vec<String> {
    parse(body).map(|items| items.iter().map(describe::item).collect()).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(body in vec(any::<u8>(), 0..512)) {
        read(&body);
    }

    #[test]
    fn arbitrary_json_is_never_refused_when_it_is_an_object(tree in arbitrary_json()) {
        let body = tree.to_string();
        let parsed = parse(body.as_bytes());
        prop_assert_eq!(parsed.is_ok(), tree.is_object());
        read(body.as_bytes());
    }

    #[test]
    fn arbitrary_values_of_every_field_give_an_item(value in arbitrary_json(), field in select(Field::KNOWN.to_vec())) {
        let body = json!({"entry": [{"id": "A", "changes": [{"field": field.label(), "value": value}]}]}).to_string();
        let lines = read(body.as_bytes());
        prop_assert!(!lines.is_empty(), "nothing is dropped in silence");
    }

    #[test]
    fn payloads_with_broken_bytes(
        post in payload(),
        edits in vec((any::<Index>(), any::<u8>()), 1..8),
        cut in any::<Option<Index>>(),
    ) {
        let mut body = post.to_string().into_bytes();
        for (place, byte) in edits {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        read(&body);
    }

    #[test]
    fn payloads_with_something_else_in_one_place(post in payload(), place in any::<Index>(), with in arbitrary_json()) {
        read(replaced(post, place, with).to_string().as_bytes());
    }

    #[test]
    fn a_broken_entry_or_change_loses_no_neighbour(post in payload(), place in any::<Index>(), with in arbitrary_json()) {
        let broken = replaced(post["entry"][0].clone(), place, with.clone());
        let whole = |id| crate::kinds::post("messages", json!({"messages": [good(id)]}))["entry"][0].clone();
        let entries = json!({"entry": [whole("wamid.GOOD1"), broken, whole("wamid.GOOD2")]}).to_string();
        let items = parse(entries.as_bytes()).unwrap();
        prop_assert_eq!(found(&items), ["wamid.GOOD1", "wamid.GOOD2"]);

        let broken = replaced(post["entry"][0]["changes"][0].clone(), place, with);
        let whole = |id| whole(id)["changes"][0].clone();
        let changes = json!({"entry": [{"id": "A", "changes": [whole("wamid.GOOD1"), broken, whole("wamid.GOOD2")]}]});
        let items = parse(changes.to_string().as_bytes()).unwrap();
        prop_assert_eq!(found(&items), ["wamid.GOOD1", "wamid.GOOD2"]);
    }

    #[test]
    fn a_broken_element_loses_no_neighbour_and_is_one_item(
        (key, element) in element(),
        place in any::<Index>(),
        with in arbitrary_json(),
    ) {
        let broken = replaced(element, place, with);
        let mut value = json!({"messages": [good("wamid.GOOD1"), good("wamid.GOOD2")]});
        match value[key].as_array_mut() {
            Some(list) => list.insert(1, broken),
            None => value[key] = json!([broken]),
        }
        let items = parse(post("messages", value).to_string().as_bytes()).unwrap();
        prop_assert_eq!(found(&items), ["wamid.GOOD1", "wamid.GOOD2"]);
        prop_assert_eq!(items.len(), 3);
    }

    #[test]
    fn arbitrary_elements_lose_no_neighbour_and_are_one_item_each(elements in vec(arbitrary_json(), 0..8)) {
        let mut list = vec![good("wamid.GOOD1")];
        let count = elements.len();
        list.extend(elements);
        list.push(good("wamid.GOOD2"));
        let items = parse(post("messages", json!({"messages": list})).to_string().as_bytes()).unwrap();
        prop_assert_eq!(found(&items), ["wamid.GOOD1", "wamid.GOOD2"]);
        prop_assert_eq!(items.len(), count + 2);
    }
}
