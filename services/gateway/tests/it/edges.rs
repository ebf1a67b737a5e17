//! Handshake, signatures, limits, failures of the store, businesses kept apart.

use std::time::Duration;

use bus::sim::Faults;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{CLINIC_SECRET, Fixture, SECRET, SECRET_OLD, limits, sign, text_webhook};

const SHOP: &str = "200000000000202";
const CLINIC: &str = "200000000000303";

#[tokio::test]
async fn the_handshake_answers_the_bare_challenge_to_the_right_token_only() {
    let fixture = Fixture::new().await;
    let get = async |path: &str| {
        let answer = fixture.http.get(fixture.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token";
    assert_eq!(get(&format!("/webhook?{query}=shop-verify")).await, (200, "1158201444".to_owned()));
    assert_eq!(get(&format!("/webhook/shop?{query}=shop-verify")).await.0, 200);
    assert_eq!(get(&format!("/webhook/clinic?{query}=shop-verify")).await.0, 403);
    assert_eq!(get(&format!("/webhook?{query}=wrong")).await.0, 403);
    assert_eq!(
        get("/webhook?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=shop-verify").await.0,
        403
    );
    assert_eq!(get("/webhook").await.0, 403);
    assert_eq!(get("/else").await.0, 404);
}

#[tokio::test]
async fn either_live_secret_signs_and_no_other() {
    let fixture = Fixture::new().await;
    let body = text_webhook(SHOP, "wamid.1", "hello");
    assert_eq!(fixture.post(SECRET_OLD, body.clone()).await.status(), 200);
    assert_eq!(fixture.post(SECRET, body.clone()).await.status(), 200);
    assert_eq!(fixture.post("somebody-elses-secret-0123456789", body.clone()).await.status(), 401);
    let unsigned =
        fixture.http.post(fixture.url("/webhook")).body(body.clone()).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    let upper = sign(SECRET, body.as_bytes()).replace("sha256=", "SHA256=");
    let odd = fixture.http.post(fixture.url("/webhook")).header("X-Hub-Signature-256", upper);
    assert_eq!(odd.body(body).send().await.unwrap().status(), 401);
    assert_eq!(fixture.conversation_inputs().len(), 2, "a refused POST changes nothing");
}

#[tokio::test]
async fn the_signature_is_over_the_bytes_as_meta_escapes_them() {
    let fixture = Fixture::new().await;
    let body = text_webhook(SHOP, "wamid.1", "caf\u{e9} / 1");
    let escaped = body.replace('\u{e9}', "\\u00e9").replace('/', "\\/");
    assert_eq!(fixture.post(SECRET, escaped).await.status(), 200);
    let inputs = fixture.conversation_inputs();
    let domain::conversation::ConversationInput::Inbound(inbound) = &inputs[0] else {
        panic!("{inputs:?}");
    };
    assert_eq!(fixture.open_content(&inbound.content).text.as_deref(), Some("caf\u{e9} / 1"));
}

#[tokio::test]
async fn a_secret_reaches_its_own_business_only() {
    let fixture = Fixture::new().await;
    // The clinic's secret signs a message that claims the shop's number: acknowledged, and nothing happens.
    assert_eq!(
        fixture.post(CLINIC_SECRET, text_webhook(SHOP, "wamid.1", "hi")).await.status(),
        200
    );
    assert_eq!(fixture.inputs().len(), 0);
    assert_eq!(
        fixture.post(CLINIC_SECRET, text_webhook(CLINIC, "wamid.2", "hi")).await.status(),
        200
    );
    let inputs = fixture.inputs();
    assert_eq!(inputs.len(), 1);
    assert_eq!(inputs[0].header.business.0, "clinic");
    let path = "/webhook/shop";
    assert_eq!(
        fixture.post_to(path, CLINIC_SECRET, text_webhook(CLINIC, "wamid.3", "hi")).await.status(),
        401
    );
}

#[tokio::test]
async fn bodies_have_a_size_and_a_form() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.post(SECRET, "not json").await.status(), 400);
    assert_eq!(fixture.post(SECRET, "[1,2]").await.status(), 400);
    assert_eq!(fixture.post(SECRET, "{}").await.status(), 200);
    assert_eq!(fixture.post(SECRET, vec![b' '; 5 * 1024 * 1024]).await.status(), 413);
    // Meta sends up to 3 MB (whatsapp.md 1.5).
    let large = text_webhook(SHOP, "wamid.1", &"x".repeat(3 * 1024 * 1024));
    assert_eq!(fixture.post(SECRET, large).await.status(), 200);
    assert_eq!(fixture.conversation_inputs().len(), 1);
    assert!(fixture.parked().len() > 60, "the large object is kept in pieces");
}

#[tokio::test]
async fn a_client_that_dawdles_is_cut_off() {
    let limits = limits();
    let quick = gateway::Limits {
        header: Duration::from_millis(300),
        body: Duration::from_millis(300),
        ..limits
    };
    let fixture = Fixture::with(quick, Duration::from_secs(10)).await;
    let bound = Duration::from_secs(10);
    let mut head = tokio::net::TcpStream::connect(fixture.address).await.unwrap();
    head.write_all(b"POST /webhook HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A closed connection, with or without 408 before it.
    tokio::time::timeout(bound, head.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
    let mut body = tokio::net::TcpStream::connect(fixture.address).await.unwrap();
    body.write_all(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        .await
        .unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(bound, body.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    // And a client that does not is served.
    assert_eq!(fixture.post(SECRET, text_webhook(SHOP, "wamid.1", "hi")).await.status(), 200);
}

#[tokio::test]
async fn a_full_or_silent_store_is_503_and_the_repetition_is_taken() {
    let fixture = Fixture::with(limits(), Duration::from_millis(300)).await;
    let body = text_webhook(SHOP, "wamid.1", "hi");
    fixture.sim.set_faults(Faults { full: 1.0, ..Faults::default() });
    let full = fixture.post(SECRET, body.clone()).await;
    assert_eq!(full.status(), 503);
    assert!(full.headers().contains_key("retry-after"));
    fixture.sim.set_faults(Faults { lost: 1.0, give_up_ms: 60_000, ..Faults::default() });
    assert_eq!(fixture.post(SECRET, body.clone()).await.status(), 503);
    assert_eq!(fixture.inputs().len(), 0);
    fixture.sim.set_faults(Faults::default());
    assert_eq!(fixture.post(SECRET, body).await.status(), 200);
    assert_eq!(fixture.inputs().len(), 1);
}

#[tokio::test]
async fn inbound_messages_are_announced_to_the_door_of_their_number() {
    let fixture = Fixture::new().await;
    let mut signals = fixture.bus.signals.subscribe("inbound.>").await.unwrap();
    assert_eq!(fixture.post(SECRET, text_webhook(SHOP, "wamid.1", "hi")).await.status(), 200);
    let signal = tokio::time::timeout(Duration::from_secs(10), signals.next()).await.unwrap();
    assert_eq!(signal.unwrap().unwrap().body.as_ref(), 1_u32.to_be_bytes());
}

/// A send whose outcome is unknown is sent again when its status does not come: statuses do not stand in the line of what
/// floods.
#[tokio::test]
async fn a_status_passes_its_business_own_flood() {
    let fixture = Fixture::with(limits(), Duration::from_millis(300)).await;
    let quiet = text_webhook(CLINIC, "wamid.quiet", "hi");
    assert_eq!(fixture.post(CLINIC_SECRET, quiet).await.status(), 200);
    // Nobody decides here, so what is stored stays under way for a second.
    let floods = async |n: u32| {
        let mut body: Value =
            serde_json::from_str(&text_webhook(SHOP, &format!("wamid.{n}"), "hi")).unwrap();
        let messages = &mut body["entry"][0]["changes"][0]["value"]["messages"];
        let one = messages[0].clone();
        *messages = (0..200)
            .map(|m| {
                let mut one = one.clone();
                one["id"] = format!("wamid.{n}.{m}").into();
                one
            })
            .collect();
        assert_eq!(fixture.post(SECRET, body.to_string()).await.status(), 200);
        fixture.post(SECRET, text_webhook(SHOP, &format!("wamid.{n}.last"), "hi")).await.status()
            == 503
    };
    let mut held = false;
    for n in 0..20 {
        held = floods(n).await;
        if held {
            break;
        }
    }
    assert!(held, "a flood is not held");
    let status = serde_json::json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "100000000000101", "changes": [{"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "12125550100", "phone_number_id": SHOP},
            "statuses": [{"id": "wamid.sent", "status": "sent", "timestamp": "1795176000",
                "recipient_id": "12125550123"}]
        }}]}]
    });
    assert_eq!(fixture.post(SECRET, status.to_string()).await.status(), 200);
}
