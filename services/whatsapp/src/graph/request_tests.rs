//! Bodies as section 4.1 shows them, and its limits, each from both sides.

use serde_json::{Value, json};

use super::*;
use crate::graph::contacts::Entry;
use crate::graph::interactive::Flow;
use crate::graph::template::{
    ButtonParameter, ButtonValue, HeaderParameter, Parameter, ParameterValue, Template,
};

fn message(content: OutboundContent) -> OutboundMessage {
    OutboundMessage {
        to: Recipient::Phone("12125550123".to_owned()),
        content,
        reply_to: None,
        biz_opaque_callback_data: None,
    }
}

fn text(body: &str) -> OutboundMessage {
    message(OutboundContent::Text { body: body.to_owned(), preview_url: false })
}

fn media(kind: MediaKind) -> OutboundMedia {
    OutboundMedia {
        kind,
        source: MediaSource::Id("900000000000001".to_owned()),
        caption: None,
        filename: None,
        is_voice: false,
    }
}

fn body_of(message: &OutboundMessage) -> Value {
    serde_json::from_slice(&message.to_body().unwrap()).unwrap()
}

fn content_of(content: OutboundContent) -> Value {
    let type_name = content.type_name();
    let mut body = body_of(&message(content));
    assert_eq!(body["type"], type_name);
    body[type_name].take()
}

fn button(id: &str, title: &str) -> Button {
    Button { id: id.to_owned(), title: title.to_owned() }
}

fn buttons(buttons: Vec<Button>) -> OutboundContent {
    OutboundContent::Buttons { header: None, body: "Well?".to_owned(), footer: None, buttons }
}

fn row(id: usize) -> Row {
    Row { id: format!("row-{id}"), title: "Row".to_owned(), description: None }
}

fn list(sections: Vec<Section>) -> OutboundContent {
    OutboundContent::List {
        header: Some("Times".to_owned()),
        body: "When?".to_owned(),
        footer: None,
        button: "Choose".to_owned(),
        sections,
    }
}

fn section(title: Option<&str>, rows: Vec<Row>) -> Section {
    Section { title: title.map(str::to_owned), rows }
}

fn template() -> Template {
    Template {
        name: "order_ready".to_owned(),
        language: "en_US".to_owned(),
        header: None,
        body: Vec::new(),
        buttons: Vec::new(),
    }
}

#[test]
fn text_with_everything_around_it() {
    let mut message = text("Hello");
    message.reply_to = Some("wamid.A".to_owned());
    message.biz_opaque_callback_data = Some("own-id-0001".to_owned());
    assert_eq!(
        body_of(&message),
        json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "12125550123",
            "type": "text", "text": {"body": "Hello", "preview_url": false},
            "context": {"message_id": "wamid.A"}, "biz_opaque_callback_data": "own-id-0001"
        })
    );
}

#[test]
fn a_bsuid_goes_to_recipient_and_never_to_to() {
    let mut message = text("Hello");
    message.to = Recipient::Bsuid("US.7043115920486377215".to_owned());
    let body = body_of(&message);
    assert_eq!(body["recipient"], "US.7043115920486377215");
    assert!(body.get("to").is_none());
    message.to = Recipient::Phone("US.7043115920486377215".to_owned());
    assert_eq!(message.validate(), Err(Invalid::Phone));
    message.to = Recipient::Bsuid("12125550123".to_owned());
    assert_eq!(message.validate(), Err(Invalid::Bsuid));
}

#[test]
fn media_reaction_and_place() {
    let mut document = media(MediaKind::Document);
    document.caption = Some("Bill".to_owned());
    document.filename = Some("bill.pdf".to_owned());
    assert_eq!(
        content_of(OutboundContent::Media(document)),
        json!({"id": "900000000000001", "caption": "Bill", "filename": "bill.pdf"})
    );
    let mut voice = media(MediaKind::Audio);
    voice.source = MediaSource::Link("https://example.invalid/a.ogg".to_owned());
    voice.is_voice = true;
    assert_eq!(
        content_of(OutboundContent::Media(voice)),
        json!({"link": "https://example.invalid/a.ogg", "voice": true})
    );
    let taken_back = OutboundContent::Reaction { message_id: "wamid.A".to_owned(), emoji: None };
    assert_eq!(content_of(taken_back), json!({"message_id": "wamid.A", "emoji": ""}));
    let place = OutboundContent::Location {
        latitude: 1.5,
        longitude: -2.5,
        name: Some("Shop".to_owned()),
        address: None,
    };
    assert_eq!(content_of(place), json!({"latitude": 1.5, "longitude": -2.5, "name": "Shop"}));
}

#[test]
fn interactive_bodies() {
    assert_eq!(
        content_of(buttons(vec![button("yes", "Yes")])),
        json!({"type": "button", "body": {"text": "Well?"},
               "action": {"buttons": [{"type": "reply", "reply": {"id": "yes", "title": "Yes"}}]}})
    );
    assert_eq!(
        content_of(list(vec![section(Some("Morning"), vec![row(1)])])),
        json!({"type": "list", "header": {"type": "text", "text": "Times"}, "body": {"text": "When?"},
               "action": {"button": "Choose", "sections": [
                   {"title": "Morning", "rows": [{"id": "row-1", "title": "Row"}]}]}})
    );
}

#[test]
fn template_with_all_its_parameters() {
    let named = |name: &str, text: &str| Parameter {
        name: Some(name.to_owned()),
        value: ParameterValue::Text(text.to_owned()),
    };
    let filled = Template {
        header: Some(HeaderParameter::Media(media(MediaKind::Image))),
        body: vec![named("order", "4711")],
        buttons: vec![ButtonParameter {
            index: 0,
            value: ButtonValue::QuickReply("UNSUB".to_owned()),
        }],
        ..template()
    };
    assert_eq!(
        content_of(OutboundContent::Template(filled)),
        json!({"name": "order_ready", "language": {"code": "en_US"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"id": "900000000000001"}}]},
            {"type": "body", "parameters": [{"type": "text", "parameter_name": "order", "text": "4711"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "UNSUB"}]}]})
    );
    assert_eq!(
        content_of(OutboundContent::Template(template())),
        json!({"name": "order_ready", "language": {"code": "en_US"}})
    );
}

#[test]
fn mark_read_with_and_without_typing() {
    let read = |typing| serde_json::from_slice::<Value>(&mark_read("wamid.A", typing)).unwrap();
    let plain = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"});
    assert_eq!(read(false), plain);
    assert_eq!(read(true)["typing_indicator"], json!({"type": "text"}));
}

#[test]
fn lengths_count_characters_and_stop_at_the_limit() {
    assert_eq!(text(&"ñ".repeat(4096)).validate(), Ok(()));
    let too_long = Invalid::TooLong { what: "the text", length: 4097, limit: 4096 };
    assert_eq!(text(&"ñ".repeat(4097)).validate(), Err(too_long.clone()));
    assert_eq!(too_long.to_string(), "the text has 4097 characters, 4096 are allowed");
    assert_eq!(text(" \n").validate(), Err(Invalid::Empty("the text")));
    let mut message = text("x");
    message.biz_opaque_callback_data = Some("x".repeat(512));
    assert_eq!(message.validate(), Ok(()));
    message.biz_opaque_callback_data = Some("x".repeat(513));
    assert!(matches!(message.validate(), Err(Invalid::TooLong { limit: 512, .. })));
}

fn refusal(content: OutboundContent) -> Invalid {
    message(content).validate().unwrap_err()
}

#[test]
fn limits_of_buttons() {
    let many = |count: usize| {
        buttons((0..count).map(|n| button(&format!("{n}"), &format!("B{n}"))).collect())
    };
    assert_eq!(message(many(3)).validate(), Ok(()));
    assert_eq!(refusal(many(4)), Invalid::Count { what: "buttons", count: 4, limit: 3 });
    assert_eq!(refusal(many(0)), Invalid::Count { what: "buttons", count: 0, limit: 3 });
    assert_eq!(
        message(buttons(vec![button(&"i".repeat(256), &"t".repeat(20))])).validate(),
        Ok(())
    );
    assert!(matches!(
        refusal(buttons(vec![button("a", &"t".repeat(21))])),
        Invalid::TooLong { limit: 20, .. }
    ));
    assert!(matches!(
        refusal(buttons(vec![button(&"i".repeat(257), "T")])),
        Invalid::TooLong { limit: 256, .. }
    ));
    assert_eq!(
        refusal(buttons(vec![button("a", "T"), button("b", "T")])),
        Invalid::Repeated("button titles")
    );
    assert_eq!(
        refusal(buttons(vec![button("a", "T"), button("a", "U")])),
        Invalid::Repeated("button ids")
    );
    let with_header = |header| OutboundContent::Buttons {
        header: Some(header),
        body: "Well?".to_owned(),
        footer: Some("f".repeat(60)),
        buttons: vec![button("a", "T")],
    };
    assert_eq!(message(with_header(Header::Text("h".repeat(60)))).validate(), Ok(()));
    assert!(matches!(
        refusal(with_header(Header::Text("h".repeat(61)))),
        Invalid::TooLong { limit: 60, .. }
    ));
    assert_eq!(message(with_header(Header::Media(media(MediaKind::Video)))).validate(), Ok(()));
    assert!(matches!(
        refusal(with_header(Header::Media(media(MediaKind::Sticker)))),
        Invalid::NotAllowed(_)
    ));
}

#[test]
fn limits_of_lists() {
    let rows = |from: usize, count: usize| (from..from + count).map(row).collect::<Vec<_>>();
    assert_eq!(message(list(vec![section(None, rows(0, 10))])).validate(), Ok(()));
    assert_eq!(
        refusal(list(vec![section(None, rows(0, 11))])),
        Invalid::Count { what: "rows", count: 11, limit: 10 }
    );
    let over_two = vec![section(Some("a"), rows(0, 6)), section(Some("b"), rows(6, 5))];
    assert_eq!(refusal(list(over_two)), Invalid::Count { what: "rows", count: 11, limit: 10 });
    assert_eq!(refusal(list(Vec::new())), Invalid::Count { what: "sections", count: 0, limit: 10 });
    let untitled = vec![section(Some("a"), rows(0, 1)), section(None, rows(1, 1))];
    assert_eq!(refusal(list(untitled)), Invalid::Empty("a section's title"));
    let with_empty = vec![section(Some("a"), rows(0, 1)), section(Some("b"), Vec::new())];
    assert!(matches!(
        refusal(list(with_empty)),
        Invalid::Count { what: "rows of a section", count: 0, .. }
    ));
    let twice = vec![section(None, vec![row(1), row(1)])];
    assert_eq!(refusal(list(twice)), Invalid::Repeated("row ids"));
    for (id, title, description, ok) in
        [(200, 24, 72, true), (201, 1, 1, false), (1, 25, 1, false), (1, 1, 73, false)]
    {
        let row = Row {
            id: "i".repeat(id),
            title: "t".repeat(title),
            description: Some("d".repeat(description)),
        };
        assert_eq!(
            message(list(vec![section(None, vec![row])])).validate().is_ok(),
            ok,
            "{id} {title} {description}"
        );
    }
}

#[test]
fn what_a_kind_cannot_have() {
    let mut sticker = media(MediaKind::Sticker);
    sticker.caption = Some("x".to_owned());
    let mut image = media(MediaKind::Image);
    image.filename = Some("x.jpg".to_owned());
    let mut video = media(MediaKind::Video);
    video.is_voice = true;
    let mut link = media(MediaKind::Image);
    link.source = MediaSource::Link("file:///etc/passwd".to_owned());
    for file in [sticker, image, video, link] {
        assert!(matches!(refusal(OutboundContent::Media(file)), Invalid::NotAllowed(_)));
    }
    let mut captioned = media(MediaKind::Image);
    captioned.caption = Some("c".repeat(1025));
    assert!(matches!(
        refusal(OutboundContent::Media(captioned)),
        Invalid::TooLong { limit: 1024, .. }
    ));
    for content in [
        OutboundContent::Reaction {
            message_id: "wamid.A".to_owned(),
            emoji: Some("👍".to_owned()),
        },
        OutboundContent::Template(template()),
    ] {
        let mut reply = message(content);
        assert_eq!(reply.validate(), Ok(()));
        reply.reply_to = Some("wamid.B".to_owned());
        assert!(matches!(reply.validate(), Err(Invalid::NotAllowed(_))));
    }
    let shouting = Template { name: "Order-Ready".to_owned(), ..template() };
    assert!(matches!(refusal(OutboundContent::Template(shouting)), Invalid::NotAllowed(_)));
    let nowhere =
        OutboundContent::Location { latitude: 91.0, longitude: 0.0, name: None, address: None };
    assert!(matches!(refusal(nowhere), Invalid::NotAllowed(_)));
}

fn ask(header: Option<Header>, ask: Ask) -> OutboundContent {
    OutboundContent::Ask { header, body: "Well?".to_owned(), footer: None, ask }
}

fn form() -> Flow {
    Flow { id: Some("1".to_owned()), cta: "Book".to_owned(), ..Flow::default() }
}

#[test]
fn interactive_messages_with_one_action() {
    let link = Ask::Link { display_text: "Shop".to_owned(), url: "https://e.test".to_owned() };
    assert_eq!(
        content_of(ask(None, link)),
        json!({"type": "cta_url", "body": {"text": "Well?"}, "action": {"name": "cta_url",
            "parameters": {"display_text": "Shop", "url": "https://e.test"}}})
    );
    let flow = Flow {
        token: Some("t".to_owned()),
        action: Some("navigate".to_owned()),
        action_payload_json: Some(r#"{"screen":"A"}"#.to_owned()),
        ..form()
    };
    assert_eq!(
        content_of(ask(Some(Header::Text("Form".to_owned())), Ask::Flow(flow)))["action"],
        json!({"name": "flow", "parameters": {"flow_message_version": "3", "flow_id": "1",
            "flow_cta": "Book", "flow_token": "t", "flow_action": "navigate",
            "flow_action_payload": {"screen": "A"}}})
    );
    let location = content_of(ask(None, Ask::Location));
    assert_eq!(location["type"], "location_request_message");
    assert_eq!(location["action"], json!({"name": "send_location"}));
    let contact = content_of(ask(None, Ask::Contact));
    assert_eq!(contact["action"], json!({"name": "request_contact_info"}));
}

#[test]
fn limits_of_interactive_messages_with_one_action() {
    let link = |title: usize, url: &str| {
        ask(None, Ask::Link { display_text: "t".repeat(title), url: url.to_owned() })
    };
    assert_eq!(message(link(20, "http://e.test")).validate(), Ok(()));
    assert!(matches!(refusal(link(21, "http://e.test")), Invalid::TooLong { limit: 20, .. }));
    assert!(matches!(refusal(link(1, "javascript:x")), Invalid::NotAllowed(_)));
    let headed = ask(Some(Header::Text("h".to_owned())), Ask::Location);
    assert!(matches!(refusal(headed), Invalid::NotAllowed(_)));
    let both = Flow { name: Some("n".to_owned()), ..form() };
    let neither = Flow { id: None, ..form() };
    let broken = Flow { action_payload_json: Some("[]".to_owned()), ..form() };
    for flow in [both, neither, broken] {
        assert!(matches!(refusal(ask(None, Ask::Flow(flow))), Invalid::NotAllowed(_)));
    }
}

#[test]
fn contact_cards() {
    let card = Card {
        formatted_name: "Ana B".to_owned(),
        name_parts: vec![("first_name", "Ana".to_owned())],
        entries: vec![Entry {
            list: "phones",
            fields: vec![("phone", "+1".to_owned()), ("type", "WORK".to_owned())],
        }],
        organisation: vec![("company", "Shop".to_owned())],
        birthday: None,
    };
    assert_eq!(
        content_of(OutboundContent::Contacts(vec![card.clone()])),
        json!([{"name": {"formatted_name": "Ana B", "first_name": "Ana"},
            "phones": [{"phone": "+1", "type": "WORK"}], "org": {"company": "Shop"}}])
    );
    let nameless = Card { name_parts: Vec::new(), ..card };
    assert!(matches!(refusal(OutboundContent::Contacts(vec![nameless])), Invalid::Empty(_)));
    assert!(matches!(refusal(OutboundContent::Contacts(Vec::new())), Invalid::Count { .. }));
}

#[test]
fn every_kind_of_template_parameter() {
    let money = ParameterValue::Currency {
        code: "EUR".to_owned(),
        amount_1000: 12_500,
        fallback: "12.50 EUR".to_owned(),
    };
    let body = |value| Parameter { name: None, value };
    let filled = Template {
        header: Some(HeaderParameter::Location {
            latitude: 1.5,
            longitude: 2.0,
            name: Some("Shop".to_owned()),
            address: None,
        }),
        body: vec![body(money), body(ParameterValue::DateTime("1 May".to_owned()))],
        buttons: vec![ButtonParameter { index: 1, value: ButtonValue::FlowToken("t".to_owned()) }],
        ..template()
    };
    assert_eq!(
        content_of(OutboundContent::Template(filled.clone()))["components"],
        json!([
            {"type": "header", "parameters": [{"type": "location",
                "location": {"latitude": 1.5, "longitude": 2.0, "name": "Shop"}}]},
            {"type": "body", "parameters": [
                {"type": "currency", "currency": {"fallback_value": "12.50 EUR", "code": "EUR", "amount_1000": 12500}},
                {"type": "date_time", "date_time": {"fallback_value": "1 May"}}]},
            {"type": "button", "sub_type": "flow", "index": "1",
                "parameters": [{"type": "action", "action": {"flow_token": "t"}}]}])
    );
    let text = |name: Option<&str>, text: &str| Parameter {
        name: name.map(str::to_owned),
        value: ParameterValue::Text(text.to_owned()),
    };
    let with_body = |body| OutboundContent::Template(Template { body, ..template() });
    for wrong in ["a\nb", "a\tb", "a     b"] {
        assert!(matches!(refusal(with_body(vec![text(None, wrong)])), Invalid::NotAllowed(_)));
    }
    let mixed = with_body(vec![text(None, "a"), text(Some("n"), "b")]);
    assert!(matches!(refusal(mixed), Invalid::NotAllowed(_)));
    let twice = Template { buttons: vec![filled.buttons[0].clone(); 2], ..filled };
    assert_eq!(refusal(OutboundContent::Template(twice)), Invalid::Repeated("button indexes"));
}
