//! Shapes no payload file shows: other spellings, other places, other years.

use serde_json::{Value, json};
use whatsapp::webhook::content::Content;
use whatsapp::webhook::field::Field;
use whatsapp::webhook::{Kind, parse};

use crate::describe;

const NUMBER: &str = "200000000000202";

/// A POST of one change on a messaging field.
pub(crate) fn post(field: &str, mut value: Value) -> Value {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({"display_phone_number": "12125550100", "phone_number_id": NUMBER});
    json!({"object": "whatsapp_business_account",
           "entry": [{"id": "100000000000101", "changes": [{"field": field, "value": value}]}]})
}

fn lines(post: &Value) -> Vec<String> {
    let skip = format!("number:{NUMBER} ");
    let lines = describe::lines(post.to_string().as_bytes()).into_iter();
    lines.map(|line| line.strip_prefix(&skip).map(str::to_owned).unwrap_or(line)).collect()
}

fn of(field: &str, value: Value) -> Vec<String> {
    lines(&post(field, value))
}

fn message(more: Value) -> Value {
    let mut message =
        json!({"from": "12125550123", "id": "wamid.AAAAAA", "timestamp": "1795176000"});
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn text() -> Value {
    message(json!({"type": "text", "text": {"body": "x"}}))
}

fn content_of(more: Value) -> Content {
    let body = post("messages", json!({"messages": [message(more)]})).to_string();
    match parse(body.as_bytes()).unwrap().remove(0).kind {
        Kind::Inbound(message) => message.content,
        other => panic!("{other:?}"),
    }
}

#[test]
fn senders_in_all_their_forms() {
    for (sender, expected) in [
        (json!({"from": "+1 (212) 555-0123"}), "12125550123/-/-"),
        (json!({"from": 12_125_550_123_u64}), "12125550123/-/-"),
        (json!({"from": "US.704"}), "-/US.704/-"),
        (json!({"from": "US.704", "from_user_id": "US.704"}), "-/US.704/-"),
        (json!({"from": null, "from_user_id": "US.704"}), "-/US.704/-"),
        (json!({"from": "", "from_user_id": "US.704", "from_parent_user_id": ""}), "-/US.704/-"),
        (json!({"from": "12125550123", "from_user_id": ""}), "12125550123/-/-"),
    ] {
        let mut message = text();
        for (key, value) in sender.as_object().unwrap() {
            message[key] = value.clone();
        }
        assert_eq!(
            of("messages", json!({"messages": [message]})),
            [format!("messages inbound AAAAAA 1795176000000 {expected} text \"x\"")],
            "{sender}"
        );
    }
}

#[test]
fn contacts_fill_what_the_message_leaves_out() {
    let hidden = message(json!({"from": null, "type": "request_welcome"}));
    for (contacts, from, expected) in [
        (
            json!([{"profile": {"name": "Ana"}, "wa_id": "12125550123", "user_id": "US.1"}]),
            "12125550123",
            "12125550123/US.1/Ana",
        ),
        (json!([{"wa_id": "12125550123", "user_id": "US.1"}]), "12125550123", "12125550123/US.1/-"),
        (
            json!([{"profile": {"name": "Caio"}, "wa_id": "551187654321", "user_id": "BR.1"}]),
            "5511987654321",
            "5511987654321/BR.1/Caio",
        ),
        (
            json!([{"profile": {"name": "Other"}, "wa_id": "12125550199", "user_id": "US.9"}]),
            "12125550123",
            "12125550123/-/-",
        ),
        (json!([{"profile": {"name": "Ana"}}]), "12125550123", "12125550123/-/Ana"),
        (
            json!([{"profile": null, "wa_id": ""}, {"profile": {"name": "Ana"}, "wa_id": "12125550123"}]),
            "12125550123",
            "12125550123/-/Ana",
        ),
        (json!("nonsense"), "12125550123", "12125550123/-/-"),
        (json!([1, null, {"profile": 7}]), "12125550123", "12125550123/-/-"),
        (json!([{"profile": {"name": "Ana"}, "wa_id": "US.1"}]), "", "-/US.1/Ana"),
    ] {
        let mut message = hidden.clone();
        message["from"] = json!(from);
        assert_eq!(
            of("messages", json!({"contacts": contacts, "messages": [message]})),
            [format!("messages inbound AAAAAA 1795176000000 {expected} RequestWelcome")],
            "{contacts}"
        );
    }
    // With two messages, one contact proves nothing about the one without a sender.
    let contacts = json!([{"wa_id": "12125550123"}]);
    let two = of("messages", json!({"contacts": contacts, "messages": [text(), hidden]}));
    assert_eq!(two[1], "messages malformed Message NoSender");
}

#[test]
fn times_in_all_their_forms() {
    for (timestamp, expected) in [
        (json!("1795176000"), "1795176000000"),
        (json!(1_795_176_000), "1795176000000"),
        (json!(1_795_176_000_123_u64), "1795176000123"),
        (json!("1795176000123"), "1795176000123"),
        (json!("soon"), "-"),
        (json!(null), "-"),
        (json!(-5), "-"),
    ] {
        let mut message = text();
        message["timestamp"] = timestamp.clone();
        let expected = format!("messages inbound AAAAAA {expected} 12125550123/-/- text \"x\"");
        assert_eq!(of("messages", json!({"messages": [message]})), [expected], "{timestamp}");
    }
}

#[test]
fn contents_no_file_shows() {
    let media = |kind: &str| {
        content_of(json!({"type": kind, kind: {"id": 17, "mime_type": "x/y"}})).label()
    };
    assert_eq!([media("video"), media("sticker"), media("audio")], ["video", "sticker", "audio"]);
    let pressed = content_of(json!({"type": "button", "button": {"payload": "P", "text": "Stop"}}));
    assert_eq!((pressed.text_for_bot(), pressed.choice_id()), (Some("Stop"), Some("P")));
    let chosen = content_of(
        json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "r1", "title": ""}}}),
    );
    assert_eq!((chosen.text_for_bot(), chosen.choice_id()), (Some("r1"), Some("r1")));
    let call = json!({"type": "call_permission_reply", "call_permission_reply": {"response": "reject", "expiration_timestamp": 1_795_176_000}});
    assert_eq!(
        content_of(json!({"type": "interactive", "interactive": call})),
        Content::CallPermissionReply { accepted: Some(false), expires_ms: Some(1_795_176_000_000) }
    );
    let changed = json!({"type": "user_changed_user_id", "body": "b", "user_id": "US.2", "parent_user_id": "US.ENT.2"});
    let Content::System(notice) = content_of(json!({"type": "system", "system": changed})) else {
        panic!()
    };
    assert_eq!(
        (notice.new_bsuid.as_deref(), notice.new_parent_bsuid.as_deref()),
        (Some("US.2"), Some("US.ENT.2"))
    );
    let edit = json!({"original_message_id": "wamid.OLD", "message": {"type": "image", "image": {"id": "1", "caption": "c"}}});
    assert_eq!(
        describe::content(&content_of(json!({"type": "edit", "edit": edit}))),
        "edit id.OLD image 1 caption=\"c\""
    );
    let revoked =
        content_of(json!({"type": "revoke", "revoke": {"original_message_id": "wamid.OLD"}}));
    assert_eq!(revoked, Content::Revoke { target: "wamid.OLD".to_owned() });
    let untyped = content_of(json!({"text": {"body": "no type"}}));
    assert_eq!(untyped.text_for_bot(), Some("no type"));
}

#[test]
fn what_cannot_be_typed_is_still_a_customer_writing() {
    for (more, label) in [
        (json!({"type": "poll_creation", "poll_creation": {"q": 1}}), "unknown"),
        (json!({"type": "unknown", "errors": [{"code": 131_051}]}), "unknown"),
        (json!({"type": "interactive", "errors": [{"code": 131_000}]}), "incomplete"),
        (
            json!({"type": "interactive", "interactive": {"type": "new_reply", "new_reply": {}}}),
            "unknown",
        ),
        (json!({"type": "interactive", "interactive": {}}), "incomplete"),
        (json!({"type": "text"}), "incomplete"),
        (json!({"type": "text", "text": "bare"}), "incomplete"),
        (json!({"type": "text", "text": {"body": null}}), "incomplete"),
        (json!({"type": "image", "image": {}}), "incomplete"),
        (json!({"type": "location", "location": {"latitude": "x", "longitude": 1}}), "incomplete"),
        (json!({"type": "contacts", "contacts": []}), "incomplete"),
        (json!({"type": "reaction", "reaction": {"emoji": "x"}}), "incomplete"),
        (json!({"type": "edit", "edit": {}}), "incomplete"),
        (json!({"type": 7}), "unknown"),
        (json!({"type": null}), "unknown"),
        (json!({}), "unknown"),
    ] {
        assert_eq!(content_of(more.clone()).label(), label, "{more}");
    }
}

#[test]
fn text_for_bots_is_what_was_typed_or_chosen() {
    for (more, expected) in [
        (json!({"type": "text", "text": {"body": "hello"}}), Some("hello")),
        (json!({"type": "text", "text": {"body": " \n"}}), None),
        (json!({"type": "text", "text": {"body": 4711}}), Some("4711")),
        (json!({"type": "image", "image": {"id": "1", "caption": "look"}}), Some("look")),
        (json!({"type": "image", "image": {"id": "1"}}), None),
        (json!({"type": "button", "button": {"payload": "P"}}), Some("P")),
        (json!({"type": "order", "order": {"catalog_id": "1", "text": "today"}}), Some("today")),
        (json!({"type": "reaction", "reaction": {"message_id": "w", "emoji": "x"}}), None),
        (
            json!({"type": "system", "system": {"body": "changed", "type": "user_changed_number"}}),
            None,
        ),
        (
            json!({"type": "edit", "edit": {"original_message_id": "w", "message": {"type": "text", "text": {"body": "x"}}}}),
            None,
        ),
    ] {
        assert_eq!(content_of(more.clone()).text_for_bot(), expected, "{more}");
    }
}

#[test]
fn several_arrays_of_one_value_are_all_read() {
    let value = json!({
        "contacts": [{"wa_id": "12125550123", "user_id": "US.1"}],
        "messages": [text()],
        "statuses": [{"id": "wamid.S", "status": "READ", "timestamp": "1795176000", "recipient_id": "12125550123"}],
        "errors": [{"code": 131_000, "title": "Unsupported webhook payload"}],
        "brand_new_list": [{"x": 1}],
    });
    assert_eq!(
        of("messages", value),
        [
            "messages inbound AAAAAA 1795176000000 12125550123/US.1/- text \"x\"",
            "messages status amid.S read 1795176000000 12125550123/US.1/-",
            "messages errors [131000]",
            "messages other brand_new_list",
        ]
    );
}

#[test]
fn never_taken_for_a_customer_writing_one_to_one() {
    let echo = json!({"from": "12125550100", "to": "12125550123", "id": "wamid.E", "type": "text", "text": {"body": "x"}});
    for (field, value, expected) in [
        (
            "standby",
            json!({"standby": {"messages": [text()]}}),
            "standby aside Standby inbound AAAAAA",
        ),
        ("standby", json!({"messages": [text()]}), "standby aside Standby inbound AAAAAA"),
        (
            "standby",
            json!({"standby": [{"message_echoes": [echo]}]}),
            "standby aside Standby echo amid.E",
        ),
        ("messages", json!({"messages": [echo]}), "messages echo amid.E"),
        ("history", json!({"messages": [text()]}), "history history media AAAAAA"),
        ("messaging_handovers", json!({"messages": [text()]}), "messaging_handovers other -"),
        ("group_lifecycle_update", json!({"messages": [text()]}), "group_lifecycle_update other -"),
        ("field_of_2027", json!({"messages": [text()]}), "unknown other -"),
        ("messages", json!({"standby": {"messages": [text()]}}), "messages other standby"),
        ("messages", json!({"user_actions": [{"action_type": "x"}]}), "messages action x"),
        ("messages", json!({"groups": [{"id": "g"}]}), "messages other groups"),
    ] {
        let lines = of(field, value);
        assert_eq!(lines.len(), 1, "{field}: {lines:?}");
        assert!(lines[0].starts_with(expected), "{field}: {lines:?}");
    }
    let mut own = text();
    own["from"] = json!("+1 212-555-0100");
    assert_eq!(
        of("messages", json!({"messages": [own]})),
        ["messages malformed Message NoRecipient"]
    );
}

#[test]
fn groups_and_calls_among_statuses() {
    let status = |more: Value| {
        let mut status = json!({"id": "wamid.S", "status": "delivered", "timestamp": "1795176000"});
        for (key, value) in more.as_object().unwrap() {
            status[key] = value.clone();
        }
        of("messages", json!({"statuses": [status]})).remove(0)
    };
    let group = json!({"recipient_type": "group", "recipient_id": "Y2Fw", "recipient_participant_id": "12125550123"});
    assert_eq!(
        status(group),
        "messages aside Group status amid.S delivered 1795176000000 12125550123/-/-"
    );
    assert_eq!(status(json!({"type": "call"})), "messages call status amid.S delivered -/-/-");
    assert_eq!(
        status(json!({"id": "wacid.C"})),
        "messages call status wacid.C delivered -/-/-".replace("wacid.C", "acid.C")
    );
    assert_eq!(
        status(json!({"type": "payment", "status": "failed"})),
        "messages other statuses/payment"
    );
    assert_eq!(
        status(json!({"recipient_id": "US.1"})),
        "messages status amid.S delivered 1795176000000 -/US.1/-"
    );
    assert_eq!(
        status(json!({"status": "warned"})),
        "messages status amid.S warned 1795176000000 -/-/-"
    );
    let priced =
        json!({"pricing": {"category": "authentication-international", "pricing_model": "PMP"}});
    assert_eq!(
        status(priced),
        "messages status amid.S delivered 1795176000000 -/-/- price=PMP/-/authentication_international billable=-"
    );
}

#[test]
fn echoes_without_a_phone() {
    let echo = |more: Value| {
        let mut echo = json!({"from": "12125550100", "id": "wamid.E", "timestamp": "1795176000", "type": "text", "text": {"body": "x"}});
        for (key, value) in more.as_object().unwrap() {
            echo[key] = value.clone();
        }
        echo
    };
    let of_one = |value: Value| of("smb_message_echoes", value).remove(0);
    let hidden = echo(json!({"to_user_id": "US.1"}));
    assert_eq!(
        of_one(json!({"message_echoes": [hidden]})),
        "smb_message_echoes echo amid.E 1795176000000 -/US.1/- text \"x\""
    );
    let contacts = json!([{"user_id": "US.1", "profile": {"username": "ana"}}]);
    assert_eq!(
        of_one(json!({"message_echoes": [echo(json!({}))], "contacts": contacts})),
        "smb_message_echoes echo amid.E 1795176000000 -/US.1/- @ana text \"x\""
    );
    assert_eq!(
        of_one(json!({"message_echoes": [echo(json!({}))]})),
        "smb_message_echoes malformed Echo NoRecipient"
    );
    let unsupported =
        echo(json!({"to": "12125550123", "type": "unsupported", "errors": [{"code": "131051"}]}));
    assert_eq!(
        of_one(json!({"message_echoes": [unsupported]})),
        "smb_message_echoes echo amid.E 1795176000000 12125550123/-/- unsupported [131051] - errors=[131051]"
    );
}

#[test]
fn directions_of_history() {
    let item = |more: Value| {
        let mut item = json!({"id": "wamid.H", "timestamp": "1795176000", "type": "text", "text": {"body": "x"}});
        for (key, value) in more.as_object().unwrap() {
            item[key] = value.clone();
        }
        item
    };
    let read = |thread: Value, more: Value| {
        let mut thread = thread;
        thread["messages"] = json!([item(more)]);
        of("history", json!({"history": [{"threads": [thread]}]})).remove(0)
    };
    let hidden = json!({"context": {"user_id": "US.1", "username": "ana"}});
    let known = json!({"id": "12125550123"});
    for (thread, more, expected) in [
        (
            &known,
            json!({"from": "12125550100"}),
            "history history out - phase=- chunk=- -% amid.H 1795176000000 12125550123/-/- text",
        ),
        (
            &known,
            json!({"from": "12125550123"}),
            "history history in - phase=- chunk=- -% amid.H 1795176000000 12125550123/-/- text",
        ),
        (&known, json!({"to": "12125550123"}), "history history out"),
        (&known, json!({}), "history malformed HistoryMessage NoSender"),
        (
            &hidden,
            json!({"from": "12125550100"}),
            "history history out - phase=- chunk=- -% amid.H 1795176000000 -/US.1/- @ana text",
        ),
        (
            &hidden,
            json!({"from_user_id": "US.1"}),
            "history history in - phase=- chunk=- -% amid.H 1795176000000 -/US.1/- @ana text",
        ),
        (
            &hidden,
            json!({"from": "12125550123", "from_user_id": "US.1"}),
            "history history in - phase=- chunk=- -% amid.H 1795176000000 12125550123/US.1/- @ana text",
        ),
        (
            &json!({}),
            json!({"from": "12125550123"}),
            "history history in - phase=- chunk=- -% amid.H 1795176000000 12125550123/-/- text",
        ),
        (
            &json!({}),
            json!({"from": "12125550100"}),
            "history malformed HistoryMessage NoRecipient",
        ),
        (&known, json!({"from": "12125550123", "group_id": "g"}), "history aside Group inbound"),
    ] {
        let line = read(thread.clone(), more.clone());
        assert!(line.starts_with(expected), "{thread} {more}\n{line}\n{expected}");
    }
}

#[test]
fn events_about_people() {
    let update = json!({"wa_id": "12125550123", "user_id": {"previous": "US.1", "current": "US.2"}, "timestamp": 1_795_176_000});
    assert_eq!(
        of("user_id_update", json!({"user_id_update": [update]})),
        ["user_id_update user id 12125550123 US.1 -> US.2"]
    );
    let nobody = json!({"user_id": {"previous": "US.1"}});
    assert_eq!(
        of("user_id_update", json!({"user_id_update": [nobody]})),
        ["user_id_update malformed UserIdUpdate NoIdentity"]
    );
    let removed = json!({"type": "contact", "action": "remove", "contact": {"phone_number": "12125550123"}, "metadata": {"timestamp": "1795176000"}});
    assert_eq!(
        of(
            "smb_app_state_sync",
            json!({"state_sync": [removed, {"type": "label", "label": {}}, {"type": "contact", "contact": {}}]})
        ),
        [
            "smb_app_state_sync sync remove 12125550123/-/- - - 1795176000000",
            "smb_app_state_sync other state_sync/label",
            "smb_app_state_sync malformed StateSync NoIdentity",
        ]
    );
    let resume = json!({"user_id": "US.1", "category": "marketing_messages", "value": "resume", "timestamp": 1_795_176_000});
    assert_eq!(
        of("user_preferences", json!({"user_preferences": [resume]})),
        ["user_preferences preference -/US.1/- marketing_messages resume 1795176000000"]
    );
    let ended = json!({"id": "wacid.C", "event": "terminate", "status": ["Failed", "Completed"]});
    assert_eq!(
        of("calls", json!({"calls": [ended]})),
        ["calls call acid.C terminate by_user=- Failed - -/-/-"]
    );
}

#[test]
fn envelopes_in_all_their_forms() {
    let whole = post("messages", json!({"messages": [text()]}));
    let expected = lines(&whole);
    let entry = &whole["entry"][0];
    let change = &entry["changes"][0];
    let value = &change["value"];
    for bare in [entry, change, value] {
        assert_eq!(lines(bare), expected, "{bare}");
    }
    assert_eq!(lines(&json!({"entry": entry})), expected, "an object where a list belongs");
    let mut inside = value.clone();
    inside["field"] = json!("messages");
    assert_eq!(
        lines(&json!({"entry": [{"changes": [{"value": inside}]}]})),
        expected,
        "the field inside the value"
    );
    assert_eq!(
        lines(&json!({"entry": [{"changes": [{"value": value}]}]})),
        expected,
        "no field at all"
    );
    let declined = json!({"metadata": {"phone_number_id": NUMBER}, "history": [{"errors": [{"code": 2_593_109}]}]});
    assert_eq!(lines(&declined), ["history history refused [2593109]"], "as Meta prints it");
    assert!(lines(&json!({"object": "whatsapp_business_account", "entry": []})).is_empty());
    assert_eq!(lines(&json!({})), ["- unknown malformed Envelope NothingInIt"]);
}

#[test]
fn where_items_belong() {
    let route = |post: &Value| parse(post.to_string().as_bytes()).unwrap().remove(0).route;
    let handover = json!({"entry": [{"id": "A", "changes": [{"field": "messaging_handovers",
        "value": {"recipient": {"phone_number_id": NUMBER, "display_phone_number": "12125550100"}}}]}]});
    assert_eq!(route(&handover).phone_number_id.as_deref(), Some(NUMBER));
    let quality = json!({"entry": [{"id": "A", "time": 1_795_176_000, "changes": [{"field": "phone_number_quality_update",
        "value": {"display_phone_number": "+1 212-555-0100", "event": "FLAGGED"}}]}]});
    let it = route(&quality);
    assert_eq!(
        (it.display_phone_number.as_deref(), it.waba_id.as_deref()),
        (Some("12125550100"), Some("A"))
    );
    assert_eq!(
        (it.entry_time_ms, it.field),
        (Some(1_795_176_000_000), Field::PhoneNumberQualityUpdate)
    );
    let unknown = route(&post("field_of_2027", json!({})));
    assert_eq!(
        (unknown.field, unknown.field_name.as_deref()),
        (Field::Unknown, Some("field_of_2027"))
    );
    for field in Field::KNOWN {
        assert_eq!(Field::from_name(field.label()), *field);
    }
    assert_eq!(Field::KNOWN.len(), 32);
}

#[test]
fn dashboard_samples_open_nothing() {
    let sample = json!({"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "16505551111", "phone_number_id": "123456123"},
        "contacts": [{"profile": {"name": "test user name"}, "wa_id": "16315551181"}],
        "messages": [{"from": "16315551181", "id": "ABGGFlA5Fpa", "timestamp": "1504902988", "type": "text", "text": {"body": "this is a text message"}}]}}]}]});
    let line = describe::lines(sample.to_string().as_bytes()).remove(0);
    assert!(line.starts_with("number:123456123 messages sample inbound"), "{line}");
    // Each of the signs is enough alone.
    let mut only_number = text();
    only_number["from"] = json!("16315551181");
    let mut only_route = post("messages", json!({"messages": [text()]}));
    only_route["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] =
        json!("123456123");
    let mut only_account = post("account_update", json!({"event": "VERIFIED_ACCOUNT"}));
    only_account["entry"][0]["id"] = json!("0");
    for post in [post("messages", json!({"messages": [only_number]})), only_route, only_account] {
        let items = parse(post.to_string().as_bytes()).unwrap();
        assert!(items.iter().all(|item| matches!(item.kind, Kind::Sample(_))), "{post}");
    }
}
