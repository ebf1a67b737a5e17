//! Webhooks of kinds and spellings that no recorded file has, written from what Meta documents and what was seen: each is
//! answered 200, and becomes what it means, or is kept without moving anything.

use domain::{
    EntityKind,
    content::{ContentKind, detail::Detail},
    conversation::{Change, ChangeKind, ConversationInput},
    persist,
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, SECRET};

const CUSTOMER: &str = "12125550123";
const USER_ID: &str = "US.7043115920486377215";

fn change(field: &str, rest: Value) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12125550100", "phone_number_id": "200000000000202"},
    });
    for (key, part) in rest.as_object().unwrap() {
        value[key] = part.clone();
    }
    json!({"field": field, "value": value})
}

fn post(changes: &[Value]) -> Value {
    let entry = json!({"id": "100000000000101", "changes": changes});
    json!({"object": "whatsapp_business_account", "entry": [entry]})
}

fn of(message: Value) -> Value {
    let mut whole = json!({"from": CUSTOMER, "id": "wamid.v1", "timestamp": "1795176000"});
    for (key, part) in message.as_object().unwrap() {
        whole[key] = part.clone();
    }
    whole
}

fn message(message: Value) -> Value {
    post(&[change("messages", json!({"messages": [of(message)]}))])
}

fn text(body: &str) -> Value {
    json!({"type": "text", "text": {"body": body}})
}

async fn sent(body: &Value) -> Fixture {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.post(SECRET, body.to_string()).await.status(), 200, "{body:#}");
    fixture
}

fn inbounds(fixture: &Fixture) -> Vec<domain::conversation::Inbound> {
    let inputs = fixture.conversation_inputs().into_iter().filter_map(|input| match input {
        ConversationInput::Inbound(inbound) => Some(inbound),
        _ => None,
    });
    inputs.collect()
}

/// The changes of address, each with the address it is told to.
fn changes(fixture: &Fixture) -> Vec<([u8; 16], Change)> {
    let inputs = fixture.inputs().into_iter();
    let of_conversations = inputs.filter(|i| i.target.kind == EntityKind::Conversation.code());
    let told = of_conversations.filter_map(|input| match persist::decode(&input.body).unwrap() {
        ConversationInput::Changed(change) => Some((input.target.hash, change)),
        _ => None,
    });
    told.collect()
}

fn only<T: std::fmt::Debug>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// A content, its kind, and the line that a person reads.
type Case = (Value, ContentKind, &'static str);

fn what_customers_write() -> Vec<Case> {
    vec![
        (text("hi"), ContentKind::Text, "hi"),
        (
            json!({"type": "image", "image": {"id": "1", "caption": "look"}}),
            ContentKind::Image,
            "look",
        ),
        (json!({"type": "video", "video": {"id": "1"}}), ContentKind::Video, "Video"),
        (
            json!({"type": "audio", "audio": {"id": "1", "voice": true}}),
            ContentKind::Audio,
            "Voice note",
        ),
        (
            json!({"type": "document", "document": {"id": "1", "filename": "a.pdf"}}),
            ContentKind::Document,
            "Document: a.pdf",
        ),
        (
            json!({"type": "sticker", "sticker": {"id": "1", "animated": true}}),
            ContentKind::Sticker,
            "Sticker",
        ),
        (
            json!({"type": "location", "location": {"latitude": 1.5, "longitude": -2, "name": "Shop"}}),
            ContentKind::Location,
            "Location: Shop (1.5, -2)",
        ),
        (
            json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Bo"}}]}),
            ContentKind::Contacts,
            "Contacts: Bo",
        ),
        (
            json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "b", "title": "Yes"}}}),
            ContentKind::Interactive,
            "Yes",
        ),
        (
            json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "r", "title": "Row"}}}),
            ContentKind::Interactive,
            "Row",
        ),
        (
            json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "[1]"}}}),
            ContentKind::Interactive,
            "Form filled in: Sent",
        ),
        (
            json!({"type": "interactive", "interactive": {"type": "call_permission_reply", "call_permission_reply": {"response": "accept"}}}),
            ContentKind::Interactive,
            "Calls allowed",
        ),
        (
            json!({"type": "button", "button": {"payload": "P", "text": "Stop"}}),
            ContentKind::Button,
            "Stop",
        ),
    ]
}

fn what_else_comes() -> Vec<Case> {
    let unsupported = |code| ContentKind::Unsupported { code };
    let other = |name: &str| ContentKind::Other(name.to_owned());
    vec![
        (
            json!({"type": "reaction", "reaction": {"message_id": "wamid.t", "emoji": "x"}}),
            ContentKind::Reaction,
            "Reaction: x",
        ),
        (
            json!({"type": "reaction", "reaction": {"message_id": "wamid.t", "emoji": ""}}),
            ContentKind::Reaction,
            "Reaction taken back",
        ),
        (
            json!({"type": "order", "order": {"catalog_id": "1", "product_items": [{"product_retailer_id": "a", "quantity": 2}]}}),
            ContentKind::Order,
            "Order: 2 × a",
        ),
        (
            json!({"type": "system", "system": {"type": "customer_identity_changed", "body": "New code"}}),
            ContentKind::System,
            "Notice: New code",
        ),
        (
            json!({"type": "edit", "edit": {"original_message_id": "wamid.t", "message": text("new")}}),
            ContentKind::Edit,
            "Edited: new",
        ),
        (
            json!({"type": "revoke", "revoke": {"original_message_id": "wamid.t"}}),
            ContentKind::Revoke,
            "Message deleted",
        ),
        (
            json!({"type": "unsupported", "errors": [{"code": 131_051}], "unsupported": {"type": "poll"}}),
            unsupported(131_051),
            "Message that cannot be shown: poll",
        ),
        (
            json!({"type": "unsupported", "errors": [{"code": 131_060}]}),
            unsupported(131_060),
            "Message that only the phone can show: look at the phone",
        ),
        (json!({"type": "request_welcome"}), other("request_welcome"), "Chat opened"),
        (
            json!({"type": "hologram", "hologram": {"id": "1"}}),
            other("hologram"),
            "Unknown kind of message: hologram",
        ),
        (json!({"type": "text"}), other("incomplete"), "Empty message: text"),
        (
            json!({"type": "interactive", "interactive": {"type": "new_reply"}}),
            other("interactive/new_reply"),
            "Unknown kind of message: interactive/new_reply",
        ),
    ]
}

/// Each content: its kind, and the line that a person reads.
#[tokio::test]
async fn every_kind_of_content_has_a_kind_and_a_line() {
    for (wire, kind, line) in what_customers_write().into_iter().chain(what_else_comes()) {
        let fixture = sent(&message(wire.clone())).await;
        let inbound = only(inbounds(&fixture));
        assert_eq!(inbound.kind, kind, "{wire}");
        let content = fixture.open_content(&inbound.content);
        assert_eq!(content.readable(), Some(line), "{wire}");
        if kind != ContentKind::Text {
            let raw: Value = serde_json::from_str(content.raw_json.as_deref().unwrap()).unwrap();
            assert_eq!(raw["type"], wire["type"], "the object as it came is kept");
        }
    }
}

/// Only what the customer typed or chose is an answer to a bot.
#[tokio::test]
async fn descriptions_are_not_taken_for_what_the_customer_said() {
    let wire = json!({"type": "edit", "edit": {"original_message_id": "wamid.t", "message": text("agent")}});
    let fixture = sent(&message(wire)).await;
    let content = fixture.open_content(&inbounds(&fixture)[0].content);
    assert_eq!(content.text, None);
    assert_eq!(content.detail, Some(Detail::Edit { text: Some("agent".to_owned()) }));
}

#[tokio::test]
async fn media_are_typed_with_all_their_metadata() {
    let audio = json!({"id": "9", "mime_type": "audio/ogg; codecs=opus", "sha256": "YWJj", "voice": true,
        "url": "https://lookaside.example.invalid/9"});
    let fixture = sent(&message(json!({"type": "audio", "audio": audio}))).await;
    let content = fixture.open_content(&inbounds(&fixture)[0].content);
    let Some(Detail::Media(media)) = content.detail else { panic!("{content:?}") };
    assert_eq!(media.id.as_deref(), Some("9"));
    assert_eq!(media.mime_type.as_deref(), Some("audio/ogg; codecs=opus"));
    assert_eq!(media.sha256.as_deref(), Some("YWJj"));
    assert_eq!(media.url.as_deref(), Some("https://lookaside.example.invalid/9"));
    assert!(media.is_voice && !media.is_animated);
}

/// How senders and times may be spelled: all of them are the one customer at the one time.
#[tokio::test]
async fn odd_spellings_of_senders_and_times() {
    let plain = sent(&message(text("hi"))).await;
    let (address, usual) = (plain.inputs()[0].target, inbounds(&plain).remove(0));
    let odd = [
        json!({"from": "+1 (212) 555-0123"}),
        json!({"timestamp": 1_795_176_000}),
        json!({"timestamp": 1_795_176_000_000_u64}),
        json!({"timestamp": "1795176000000"}),
        json!({"timestamp": 1_795_176_000.0}),
    ];
    for part in odd {
        let mut wire = text("hi");
        for (key, value) in part.as_object().unwrap() {
            wire[key] = value.clone();
        }
        let fixture = sent(&message(wire)).await;
        assert_eq!(fixture.inputs()[0].target, address, "{part}");
        assert_eq!(inbounds(&fixture)[0].at_ms, usual.at_ms, "{part}");
    }
    // A user id in the place of the number, and people without a profile, without a number, as `null`.
    let by_id = change(
        "messages",
        json!({"messages": [of(json!({"from_user_id": USER_ID, "from": "",
        "type": "text", "text": {"body": "hi"}}))]}),
    );
    let address = sent(&post(&[by_id])).await.inputs()[0].target;
    for (from, contacts) in [
        (json!(USER_ID), json!([])),
        (json!(USER_ID), json!([{"wa_id": USER_ID}])),
        (Value::Null, json!([{"user_id": USER_ID}])),
        (json!(""), json!([{"wa_id": null, "user_id": USER_ID, "profile": {}}])),
    ] {
        let mut wire = of(text("hi"));
        wire["from"] = from;
        let body = post(&[change("messages", json!({"messages": [wire], "contacts": contacts}))]);
        let fixture = sent(&body).await;
        assert_eq!(fixture.inputs()[0].target, address, "{body:#}");
    }
}

/// One part that cannot be read takes nothing else down, wherever it stands.
#[tokio::test]
async fn bad_parts_are_kept_and_their_neighbours_taken() {
    let good = |n: u32| {
        let mut wire = of(text("hi"));
        wire["id"] = format!("wamid.good{n}").into();
        wire
    };
    let status = json!({"id": "wamid.s", "status": "read", "timestamp": "1795176000", "recipient_id": CUSTOMER});
    let body = json!({"entry": [
        42,
        {"id": "100000000000101", "changes": [
            change("messages", json!({
                "messages": [good(1), {"type": "text"}, 7, {"id": "wamid.x", "type": "text"}, good(2)],
                "statuses": [status, {"id": "wamid.s"}, null],
                "errors": [{"code": 131_000, "title": "Something went wrong"}],
            })),
            {"field": "messages", "value": "nothing"},
            change("a_field_of_2027", json!({"news": [1]})),
            change("messages", json!({"messages": [good(3)], "a_list_of_2027": [{"x": 1}]})),
        ]},
        {"id": "100000000000101", "changes": [change("messages", json!({"messages": [good(4)]}))]},
    ], "object": "whatsapp_business_account"});
    let fixture = sent(&body).await;
    assert_eq!(inbounds(&fixture).len(), 4);
    assert_eq!(fixture.conversation_inputs().len(), 5, "and one status");
    let mut parked = fixture.parked();
    parked.sort();
    parked.dedup();
    assert_eq!(parked, ["errors", "malformed", "other", "unknown"]);
}

/// What belongs to no one-to-one conversation, or to no feature yet: kept under a name, and nothing else.
#[tokio::test]
async fn what_moves_nothing_is_kept_by_name() {
    let group = json!({"group_id": "g1", "type": "text", "text": {"body": "hi"}});
    let to_group = json!({"id": "wamid.s", "status": "read", "timestamp": "1", "recipient_id": "g1",
        "recipient_type": "group", "recipient_participant_id": CUSTOMER});
    let click = json!({"action_type": "marketing_messages_link_click", "timestamp": "1795176000"});
    let call = json!({"id": "wacid.1", "event": "connect", "direction": "USER_INITIATED", "from": CUSTOMER, "timestamp": "1"});
    let chunk = json!({"metadata": {"phase": 0, "chunk_order": 1, "progress": 10}, "threads": [{"id": CUSTOMER,
        "messages": [{"from": CUSTOMER, "id": "wamid.h", "timestamp": "1", "type": "text", "text": {"body": "old"},
            "history_context": {"status": "READ"}}]}]});
    let declined = json!({"errors": [{"code": 2_593_109, "title": "History sync is turned off"}]});
    let contact = json!({"type": "contact", "action": "add", "contact": {"full_name": "Bo", "phone_number": CUSTOMER},
        "metadata": {"timestamp": "1"}});
    let in_standby = json!({"standby": {"messages": [of(text("theirs"))]}});
    let mut table = vec![
        (change("messages", json!({"messages": [of(group)]})), vec!["group"]),
        (change("messages", json!({"statuses": [to_group]})), vec!["group"]),
        (change("messages", json!({"user_actions": [click]})), vec!["user_action"]),
        (change("calls", json!({"calls": [call]})), vec!["call"]),
        (change("history", json!({"history": [chunk]})), vec!["history", "history_progress"]),
        (change("history", json!({"history": [declined]})), vec!["history_refused"]),
        (change("history", json!({"messages": [of(text("a file"))]})), vec!["history_media"]),
        (change("smb_app_state_sync", json!({"state_sync": [contact]})), vec!["state_sync"]),
        (change("standby", in_standby), vec!["standby"]),
        (change("standby", json!({"messages": [of(text("theirs"))]})), vec!["standby"]),
        (change("messages", json!({"errors": [{"code": 131_000}]})), vec!["errors"]),
        (
            json!({"field": "account_update", "value": {"event": "NEW_IN_2027"}}),
            vec!["account_update"],
        ),
    ];
    for field in [
        "flows",
        "security",
        "message_template_status_update",
        "account_alerts",
        "group_status_update",
    ] {
        table.push((json!({"field": field, "value": {"event": "X"}}), vec![field]));
    }
    for (wire, expected) in table {
        let fixture = sent(&post(std::slice::from_ref(&wire))).await;
        assert_eq!(fixture.conversation_inputs(), [], "{wire} reached a conversation");
        let mut parked = fixture.parked();
        parked.sort();
        assert_eq!(parked, expected, "{wire}");
    }
}

/// Samples of the dashboard are dropped, whatever they claim to be.
#[tokio::test]
async fn the_dashboards_samples_are_dropped() {
    let mut sample = of(text("this is a text message"));
    sample["from"] = "16315551181".into();
    let fixture = sent(&post(&[change("messages", json!({"messages": [sample]}))])).await;
    assert_eq!(fixture.inputs().len(), 0);
    let value = json!({"metadata": {"display_phone_number": "16505551111", "phone_number_id": "123456123"},
        "messages": [of(text("hi"))]});
    let body = json!({"entry": [{"id": "0", "changes": [{"field": "messages", "value": value}]}]});
    assert_eq!(sent(&body).await.inputs().len(), 0);
}

/// Prices and billing windows, however they are spelled.
#[tokio::test]
async fn prices_are_normalised() {
    let status = |pricing: Value, conversation: Value| {
        let whole = json!({"id": "wamid.s", "status": "sent", "timestamp": "1795176000", "recipient_id": CUSTOMER,
            "pricing": pricing, "conversation": conversation});
        post(&[change("messages", json!({"statuses": [whole]}))])
    };
    let facts = async |pricing: Value, conversation: Value| {
        let fixture = sent(&status(pricing, conversation)).await;
        let ConversationInput::Status(status) = only(fixture.conversation_inputs()) else {
            panic!("no status")
        };
        (status.pricing, status.window)
    };
    for category in [
        "authentication-international",
        "authentication_international",
        "Authentication-International",
    ] {
        let pricing = json!({"billable": true, "pricing_model": "PMP", "type": "REGULAR", "category": category});
        let (pricing, window) = facts(pricing, Value::Null).await;
        let pricing = pricing.unwrap();
        assert_eq!(pricing.category.as_deref(), Some("authentication_international"));
        assert_eq!(
            (pricing.model.as_deref(), pricing.kind.as_deref()),
            (Some("pmp"), Some("regular"))
        );
        assert_eq!((pricing.is_charged(), window), (Some(true), None));
    }
    let (pricing, _) = facts(
        json!({"type": "regular", "category": "service", "subtype": "paid_exempt"}),
        Value::Null,
    )
    .await;
    assert_eq!(pricing.unwrap().is_charged(), Some(false));
    let (pricing, window) = facts(
        json!({}),
        json!({"id": "c", "origin": {"type": "utility"},
        "expiration_timestamp": 1_795_262_400_u64}),
    )
    .await;
    assert_eq!(pricing, None);
    let window = window.unwrap();
    assert_eq!((window.category.as_str(), window.until_ms), ("utility", 1_795_262_400_000));
    let (_, window) = facts(Value::Null, json!({"id": "c", "origin": {"type": "utility"}})).await;
    assert_eq!(window, None, "an end that is not told is no window");
}

/// Changes of number and user id, told in the chat or by the field.
#[tokio::test]
async fn changes_of_address_go_to_the_old_address() {
    let address_of = async |part: Value| {
        let mut wire = of(text("hi"));
        for (key, value) in part.as_object().unwrap() {
            wire[key] = value.clone();
        }
        sent(&post(&[change("messages", json!({"messages": [wire]}))])).await.inputs()[0]
            .target
            .hash
    };
    let old = address_of(json!({})).await;
    let new = address_of(json!({"from": "12125550124"})).await;
    let moved = json!({"type": "system", "system": {"type": "user_changed_number", "wa_id": "12125550124", "body": "b"}});
    let fixture = sent(&message(moved)).await;
    assert_eq!(inbounds(&fixture)[0].kind, ContentKind::System, "it stands in the thread");
    let (target, change_of_number) = only(changes(&fixture));
    assert_eq!((target, change_of_number.other.hash.0), (old, new));
    assert_eq!(change_of_number.kind, ChangeKind::Number);
    let who = fixture.open_identity(&change_of_number.who);
    assert_eq!(who.phone.as_deref(), Some("12125550124"));

    let old = address_of(json!({"from": null, "from_user_id": USER_ID})).await;
    let new = address_of(json!({"from": null, "from_user_id": "US.2"})).await;
    let by_field = change(
        "user_id_update",
        json!({"user_id_update": [{"detail": "d", "timestamp": 1_795_176_000,
        "user_id": {"previous": USER_ID, "current": "US.2"}}]}),
    );
    let in_chat = change(
        "messages",
        json!({"messages": [of(json!({"from": null, "from_user_id": USER_ID,
        "type": "system", "system": {"type": "user_changed_user_id", "user_id": "US.2"}}))]}),
    );
    for wire in [by_field, in_chat] {
        let fixture = sent(&post(&[wire])).await;
        let (target, change) = only(changes(&fixture));
        assert_eq!((target, change.other.hash.0, change.kind), (old, new, ChangeKind::UserId));
    }
}

/// A wish about marketing reaches the conversation; other categories are kept only.
#[tokio::test]
async fn wishes_about_marketing() {
    for (value, category, expected) in [
        ("stop", "marketing_messages", Some(false)),
        ("resume", "marketing_messages", Some(true)),
        ("signup", "marketing_messages", Some(true)),
        ("sometimes", "marketing_messages", None),
        ("stop", "service_messages", None),
    ] {
        let wish = json!({"wa_id": CUSTOMER, "detail": "d", "category": category, "value": value, "timestamp": 1_795_176_000});
        let body = post(&[change("user_preferences", json!({"user_preferences": [wish]}))]);
        let fixture = sent(&body).await;
        assert_eq!(fixture.parked(), ["user_preferences"]);
        let allowed: Vec<bool> = fixture
            .conversation_inputs()
            .iter()
            .map(|input| match input {
                ConversationInput::Preference(preference) => preference.allowed,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(allowed, Vec::from_iter(expected), "{value} {category}");
    }
}

/// An edit that bears its target's own id is another message, and each edit another one.
#[tokio::test]
async fn an_edit_under_its_targets_id_is_no_repeat_of_it() {
    let edit = |timestamp: &str| {
        let mut wire = of(
            json!({"type": "edit", "edit": {"original_message_id": "wamid.v1", "message": text("new")}}),
        );
        wire["timestamp"] = timestamp.into();
        wire
    };
    let all = [of(text("old")), edit("1795176001"), edit("1795176002"), edit("1795176001")];
    let fixture = sent(&post(&[change("messages", json!({"messages": all}))])).await;
    let inbounds = inbounds(&fixture);
    let mut messages: Vec<_> = inbounds.iter().map(|inbound| inbound.message).collect();
    assert_eq!(inbounds[1].target, Some(messages[0]));
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), 3);
    let mut keys: Vec<_> = fixture.inputs().iter().map(|input| input.header.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
}
