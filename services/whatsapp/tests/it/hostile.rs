//! Bodies meant to hurt: each costs itself only, and a bounded amount.

use serde_json::{Value, json};
use whatsapp::webhook::{Item, Kind, ParseError, Part, Reason, parse};

use crate::kinds::post;

fn good(id: &str) -> Value {
    json!({"from": "12125550123", "id": id, "timestamp": "1795176000", "type": "text", "text": {"body": id}})
}

fn inbound(items: &[Item]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| match &item.kind {
            Kind::Inbound(message) => Some(message.wamid.as_str()),
            _ => None,
        })
        .collect()
}

/// Two good messages with `raw` between them, put together as text so that anything can stand
/// there.
fn between(raw: &str) -> Vec<Item> {
    let marker = "\"MARKER\"";
    let body = post("messages", json!({"messages": [good("wamid.1"), "MARKER", good("wamid.2")]}))
        .to_string();
    parse(body.replace(marker, raw).as_bytes()).unwrap()
}

fn reasons(items: &[Item]) -> Vec<(Part, Reason)> {
    items
        .iter()
        .filter_map(|item| match &item.kind {
            Kind::Malformed(it) => Some((it.what, it.reason)),
            _ => None,
        })
        .collect()
}

#[test]
fn only_what_is_no_json_object_is_refused_whole() {
    for (body, expected) in [
        ("", None),
        ("{", None),
        ("{\"a\":1} x", None),
        ("hello", None),
        ("{'a':1}", None),
        ("[]", Some(ParseError::NotAnObject)),
        ("null", Some(ParseError::NotAnObject)),
        ("7", Some(ParseError::NotAnObject)),
        ("\"text\"", Some(ParseError::NotAnObject)),
    ] {
        let error = parse(body.as_bytes()).unwrap_err();
        match expected {
            Some(expected) => assert_eq!(error, expected, "{body}"),
            None => assert!(matches!(error, ParseError::NotJson { .. }), "{body}"),
        }
    }
    let error = parse(b"{\"secret\":\"+1 212 555 0123\",}").unwrap_err();
    assert!(!error.to_string().contains("555"), "an error never quotes the body");
}

#[test]
fn a_bad_message_never_spoils_its_neighbours() {
    for (raw, reason) in [
        ("null", Reason::NotAnObject),
        ("7", Reason::NotAnObject),
        ("\"text\"", Reason::NotAnObject),
        ("[]", Reason::NotAnObject),
        ("{}", Reason::NoSender),
        (r#"{"id":"wamid.X"}"#, Reason::NoSender),
        (r#"{"from":"12125550123"}"#, Reason::NoId),
        (r#"{"from":"12125550123","id":""}"#, Reason::NoId),
        (r#"{"from":"12125550123","id":{}}"#, Reason::NoId),
        (r#"{"from":"no digits","id":"wamid.X"}"#, Reason::NoSender),
        (r#"{"from":[],"id":"wamid.X"}"#, Reason::NoSender),
    ] {
        let items = between(raw);
        assert_eq!(inbound(&items), ["wamid.1", "wamid.2"], "{raw}");
        assert_eq!(reasons(&items), [(Part::Message, reason)], "{raw}");
        let Kind::Malformed(it) = &items[1].kind else { panic!("{raw}") };
        assert_eq!(it.raw.as_ref().unwrap().as_str(), raw, "its JSON is kept");
    }
}

#[test]
fn odd_but_readable_messages_are_read() {
    for raw in [
        r#"{"from":"12125550123","id":"wamid.X","type":"text","text":{"body":"half \ud83d emoji"}}"#,
        r#"{"from":"12125550123","id":"wamid.X","type":"text","text":{"body":"x","n":1e999}}"#,
        r#"{"from":"1","from":"12125550123","id":"wamid.X","type":"text","text":{"body":"x"}}"#,
        r#"{"\u0066rom":"12125550123","i\u0064":"wamid.X","type":"te\u0078t","text":{"body":"x"}}"#,
        r#"{"from":"12125550123","id":"wamid.X","type":"text","text":{"body":"x"},"\ud800":1}"#,
    ] {
        assert_eq!(inbound(&between(raw)), ["wamid.1", "wamid.X", "wamid.2"], "{raw}");
    }
}

#[test]
fn bytes_that_are_no_utf8_cost_a_character() {
    let mut body = post("messages", json!({"messages": [good("wamid.1"), good("wamid.2")]}))
        .to_string()
        .into_bytes();
    let place = body.windows(7).position(|bytes| bytes == b"wamid.2").unwrap();
    let text =
        place + body[place..].windows(7).skip(1).position(|bytes| bytes == b"wamid.2").unwrap() + 1;
    body[text] = 0xff;
    let items = parse(&body).unwrap();
    assert_eq!(inbound(&items).len(), 2);
    let mut marked = vec![0xef, 0xbb, 0xbf];
    marked.extend_from_slice(
        post("messages", json!({"messages": [good("wamid.1")]})).to_string().as_bytes(),
    );
    assert_eq!(inbound(&parse(&marked).unwrap()), ["wamid.1"], "a byte-order mark is skipped");
}

#[test]
fn depth_costs_only_what_holds_it() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let message = format!(r#"{{"from":"12125550123","id":"wamid.X","type":"text","text":{deep}}}"#);
    assert_eq!(inbound(&between(&message)), ["wamid.1", "wamid.X", "wamid.2"]);
    let edits = 30_000;
    let nested = format!(
        r#"{{"from":"12125550123","id":"wamid.X","type":"edit","edit":{}1{}}}"#,
        r#"{"original_message_id":"w","message":{"type":"edit","edit":"#.repeat(edits),
        "}}".repeat(edits)
    );
    assert_eq!(inbound(&between(&nested)), ["wamid.1", "wamid.X", "wamid.2"]);
}

#[test]
fn a_long_id_is_no_id() {
    let id = "w".repeat(100_000);
    let items =
        between(&format!(r#"{{"from":"12125550123","id":"{id}","type":"request_welcome"}}"#));
    assert_eq!(reasons(&items), [(Part::Message, Reason::NoId)]);
    let items =
        between(&format!(r#"{{"from_user_id":"{id}","id":"wamid.X","type":"request_welcome"}}"#));
    assert_eq!(reasons(&items), [(Part::Message, Reason::NoSender)]);
}

#[test]
fn a_million_bad_elements_become_a_thousand_items_and_a_count() {
    let count = 1_000_000;
    let body = format!(
        r#"{{"entry":[{{"changes":[{{"field":"messages","value":{{"messages":[{}{}]}}}}]}}]}}"#,
        "1,".repeat(count),
        good("wamid.1")
    );
    let items = parse(body.as_bytes()).unwrap();
    assert_eq!(items.len(), 1000 + 1 + 1);
    assert_eq!(inbound(&items), ["wamid.1"], "the good one at the end is found");
    let Kind::Malformed(last) = &items.last().unwrap().kind else { panic!("no count") };
    assert_eq!(last.reason, Reason::TooMany(count - 1000));
}

#[test]
fn bad_entries_and_changes_never_spoil_their_neighbours() {
    let whole = post("messages", json!({"messages": [good("wamid.1")]}));
    let entry = &whole["entry"][0];
    let change = &entry["changes"][0];
    for bad in [
        json!(null),
        json!(1),
        json!("x"),
        json!([]),
        json!({}),
        json!({"changes": 1}),
        json!({"changes": []}),
    ] {
        let body = json!({"entry": [entry, bad, entry]}).to_string();
        let items = parse(body.as_bytes()).unwrap();
        assert_eq!((inbound(&items).len(), reasons(&items).len()), (2, 1), "{bad}");
    }
    for bad in [
        json!(null),
        json!(1),
        json!({}),
        json!({"field": "messages"}),
        json!({"field": "messages", "value": []}),
    ] {
        let body = json!({"entry": [{"id": "A", "changes": [change, bad, change]}]}).to_string();
        let items = parse(body.as_bytes()).unwrap();
        assert_eq!(
            (inbound(&items).len(), reasons(&items)),
            (2, vec![(Part::Change, Reason::NotAnObject)]),
            "{bad}"
        );
    }
    for bad in [json!(1), json!("x"), json!(true)] {
        let items = parse(json!({"entry": bad}).to_string().as_bytes()).unwrap();
        assert_eq!(reasons(&items), [(Part::Envelope, Reason::NotAList)], "{bad}");
        let value = post(
            "messages",
            json!({"messages": [good("wamid.1")], "statuses": bad, "history": bad, "contacts": bad}),
        );
        let items = parse(value.to_string().as_bytes()).unwrap();
        assert_eq!(inbound(&items), ["wamid.1"]);
        assert_eq!(
            reasons(&items),
            [(Part::Status, Reason::NotAList), (Part::History, Reason::NotAList)],
            "{bad}"
        );
    }
}

#[test]
fn bad_statuses_and_history_items() {
    let good_status = json!({"id": "wamid.S", "status": "sent"});
    for (bad, reason) in [
        (json!({}), Reason::NoId),
        (json!({"id": "wamid.S"}), Reason::NoStatus),
        (json!({"id": "wamid.S", "status": {}}), Reason::NoStatus),
        (json!([]), Reason::NotAnObject),
    ] {
        let body =
            post("messages", json!({"statuses": [good_status, bad, good_status]})).to_string();
        let items = parse(body.as_bytes()).unwrap();
        let good = items.iter().filter(|item| matches!(item.kind, Kind::Status(_))).count();
        assert_eq!((good, reasons(&items)), (2, vec![(Part::Status, reason)]), "{bad}");
    }
    let thread = json!({"id": "12125550123", "messages": [good("wamid.1")]});
    for bad in [json!(1), json!({"messages": 1}), json!({"messages": [1]})] {
        let body =
            post("history", json!({"history": [{"threads": [thread, bad, thread]}]})).to_string();
        let items = parse(body.as_bytes()).unwrap();
        let good = items.iter().filter(|item| matches!(item.kind, Kind::History(_))).count();
        assert_eq!((good, reasons(&items).len()), (2, 1), "{bad}");
    }
}

/// Matching each message with each contact would take minutes here.
#[test]
fn thousands_of_people_in_one_post() {
    let count = 20_000_u64;
    let phone = |n: u64| (12_125_000_000 + n).to_string();
    let contacts: Vec<_> = (0..count)
        .map(|n| json!({"wa_id": phone(n), "profile": {"name": n.to_string()}}))
        .collect();
    let messages: Vec<_> = (0..count)
        .rev()
        .map(|n| json!({"from": phone(n), "id": format!("wamid.{n}"), "type": "request_welcome"}))
        .collect();
    let body = post("messages", json!({"contacts": contacts, "messages": messages})).to_string();
    let items = parse(body.as_bytes()).unwrap();
    assert_eq!(items.len(), messages.len());
    for item in items {
        let Kind::Inbound(message) = item.kind else { panic!("not inbound") };
        assert_eq!(message.customer.profile_name.as_deref(), message.wamid.strip_prefix("wamid."));
    }
}
