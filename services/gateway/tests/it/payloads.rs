//! Recorded webhooks over HTTP with valid signatures: what INDEX.md says of them, as far as this edge decides it.

use std::time::Duration;

use domain::{
    content::ContentKind,
    conversation::{ConversationInput, StatusKind},
    persist,
};
use serde_json::Value;

use crate::fixture::{Fixture, SECRET};

fn payload(name: &str) -> Value {
    let path = format!("{}/../whatsapp/tests/payloads/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Meta's way of writing JSON: non-ASCII as \uXXXX, slashes escaped.
fn as_meta_writes(value: &Value) -> String {
    let mut out = String::new();
    for letter in value.to_string().chars() {
        match letter {
            '/' => out.push_str("\\/"),
            c if c.is_ascii() => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

async fn send(fixture: &Fixture, name: &str) {
    let value = payload(name);
    let posts = value.as_array().cloned().unwrap_or_else(|| vec![value]);
    for post in posts {
        let answer = fixture.post(SECRET, as_meta_writes(&post)).await;
        assert_eq!(answer.status(), 200, "{name}");
    }
}

async fn conversation_inputs(name: &str) -> (Fixture, Vec<ConversationInput>) {
    let fixture = Fixture::new().await;
    send(&fixture, name).await;
    let inputs = fixture.conversation_inputs();
    (fixture, inputs)
}

#[tokio::test]
async fn text_keeps_every_letter() {
    let (fixture, inputs) = conversation_inputs("in_text").await;
    let [ConversationInput::Inbound(inbound)] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!(inbound.kind, ContentKind::Text);
    assert_eq!(inbound.at_ms, 1_795_176_000_000);
    let content = fixture.open_content(&inbound.content);
    assert_eq!(content.text.as_deref(), Some("Hello, is my order 4711 ready? \u{f1} \u{1f600}"));
    let who = fixture.open_identity(&inbound.who);
    assert_eq!(who.phone.as_deref(), Some("12125550123"));
    assert_eq!(who.bsuid.as_deref(), Some("US.7043115920486377215"));
    assert!(inbound.paired.is_some(), "both identities were named");
}

#[tokio::test]
async fn a_hidden_number_is_reached_by_its_user_id() {
    let (fixture, inputs) = conversation_inputs("in_bsuid_only_no_phone").await;
    let [ConversationInput::Inbound(inbound)] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!(inbound.paired, None);
    assert_eq!(fixture.open_identity(&inbound.who).phone, None);
    let paired = Fixture::new().await;
    send(&paired, "in_text").await;
    assert_eq!(paired.inputs()[0].target, fixture.inputs()[0].target, "one customer, one address");
}

#[tokio::test]
async fn empty_strings_make_no_customer() {
    let (fixture, inputs) = conversation_inputs("in_bsuid_empty_string_phone").await;
    for input in &inputs {
        let ConversationInput::Inbound(inbound) = input else { panic!("{input:?}") };
        assert_eq!(fixture.open_identity(&inbound.who).phone, None);
        assert_eq!(inbound.paired, None);
    }
    assert!(!inputs.is_empty());
}

#[tokio::test]
async fn media_is_kept_by_reference() {
    let (fixture, inputs) = conversation_inputs("in_image_with_url").await;
    let [ConversationInput::Inbound(inbound)] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!(inbound.kind, ContentKind::Image);
    let raw = fixture.open_content(&inbound.content).raw_json.unwrap();
    let raw: Value = serde_json::from_str(&raw).unwrap();
    assert!(raw["image"]["id"].is_string() && raw["image"]["url"].is_string());
}

#[tokio::test]
async fn several_kinds_in_one_post_are_all_taken() {
    let (_, inputs) = conversation_inputs("in_document_location_contacts").await;
    let kinds: Vec<_> = inputs
        .iter()
        .map(|input| match input {
            ConversationInput::Inbound(inbound) => inbound.kind.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(kinds.contains(&ContentKind::Location) && kinds.contains(&ContentKind::Contacts));
}

#[tokio::test]
async fn unsupported_content_opens_a_conversation_with_a_placeholder() {
    let (_, inputs) = conversation_inputs("in_unsupported_131060_coexistence").await;
    let [ConversationInput::Inbound(inbound)] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!(inbound.kind, ContentKind::Unsupported { code: 131_060 });
}

#[tokio::test]
async fn an_echo_goes_to_the_customers_conversation() {
    let (fixture, inputs) = conversation_inputs("echo_text").await;
    let [ConversationInput::Echo(echo)] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!(echo.kind, ContentKind::Text);
    assert!(!echo.configured_automatic && echo.text_hash.is_some());
    assert!(fixture.open_content(&echo.content).text.is_some());
}

/// By every address that the webhook names; the app's own greeting silences nobody.
#[tokio::test]
async fn whom_the_phone_speaks_to_is_announced_to_the_door_of_its_number() {
    let fixture = Fixture::new().await;
    let mut signals = fixture.bus.signals.subscribe("echo.>").await.unwrap();
    let mut post = payload("echo_text");
    let echo = &mut post["entry"][0]["changes"][0]["value"]["message_echoes"][0];
    echo["id"] = "wamid.greeting".into();
    echo["text"]["body"] = "Welcome to the shop!".into();
    assert_eq!(fixture.post(SECRET, as_meta_writes(&post)).await.status(), 200);
    send(&fixture, "echo_text").await;
    let signal = tokio::time::timeout(Duration::from_secs(10), signals.next()).await.unwrap();
    let said = signal.unwrap().unwrap().body;
    let stored = fixture.inputs();
    let [greeting, echo] = stored.as_slice() else { panic!("{stored:?}") };
    assert_eq!(greeting.target, echo.target);
    let ConversationInput::Echo(spoken) = persist::decode(&echo.body).unwrap() else {
        panic!("{echo:?}")
    };
    let lower = spoken.paired.map(|address| address.hash.0);
    let addresses: Vec<u8> =
        [Some(echo.target.hash), lower].into_iter().flatten().flatten().collect();
    assert_eq!(said.as_ref(), addresses);
    let more = tokio::time::timeout(Duration::ZERO, signals.next()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn statuses_find_their_message_by_recipient_and_come_as_they_are() {
    let (_, inputs) = conversation_inputs("seq_status_out_of_order_and_duplicates").await;
    let statuses: Vec<_> = inputs
        .iter()
        .map(|input| match input {
            ConversationInput::Status(status) => status.status,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(statuses.contains(&StatusKind::Read) && statuses.contains(&StatusKind::Delivered));
    let (_, failed) = conversation_inputs("status_failed_131047_reengagement").await;
    let [ConversationInput::Status(status)] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!((status.status, status.error), (StatusKind::Failed, Some(131_047)));
}

#[tokio::test]
async fn a_redelivered_message_has_the_same_key() {
    let (fixture, _) = conversation_inputs("seq_duplicate_inbound_redelivery").await;
    let mut keys: Vec<_> = fixture.inputs().iter().map(|input| input.header.key).collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(all, 5, "twice alone, twice in a third POST, and a new one");
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn what_belongs_to_no_conversation_is_parked() {
    for (name, what) in [
        ("in_group_message", "group"),
        ("history_phase0_chunk1_with_media_placeholder", "history"),
        ("state_sync_add_and_edit", "state_sync"),
        ("account_update_restriction", "account_update"),
        ("history_declined_2593109_enveloped", "history_refused"),
        ("account_update_partner_added", "account_update"),
        ("template_status_paused", "message_template_status_update"),
        ("business_username_updates", "business_username_updates"),
        ("call_connect_user_initiated", "call"),
        ("in_user_action_link_click", "user_action"),
    ] {
        let (fixture, inputs) = conversation_inputs(name).await;
        assert_eq!(inputs, Vec::new(), "{name} reached a conversation");
        let parked = fixture.parked();
        let is_expected = |kind: &String| kind == what || kind == "history_progress";
        assert!(parked.iter().any(|kind| kind == what), "{name}: {parked:?}");
        assert!(parked.iter().all(is_expected), "{name}: {parked:?}");
    }
}

#[tokio::test]
async fn every_recorded_webhook_is_answered_200() {
    let folder = format!("{}/../whatsapp/tests/payloads", env!("CARGO_MANIFEST_DIR"));
    let mut sent = 0;
    let fixture = Fixture::new().await;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_webhook = path.extension().is_some_and(|e| e == "json")
            && !name.starts_with("api_")
            && !name.starts_with("es_");
        if is_webhook {
            send(&fixture, &name).await;
            sent += 1;
        }
    }
    assert!(sent > 60, "only {sent} files were found");
}
