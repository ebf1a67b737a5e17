//! Recorded webhooks of different kinds go in over HTTP, signed and escaped as Meta does, and do what their INDEX.md says, as
//! seen through the public API.

use api::v1::{
    AuthorKind, CommandId, Delivery, Direction, SendMessage, SendRequest, floor::Holder,
    send_message::Content,
};
use serde_json::Value;

use super::{
    conversations::Conversations,
    shop::{
        CLINIC_SECRET, CLINIC_TOKEN, RECORDED_S, SECRET, Shop, TOKEN, as_meta_writes, now_s,
        payload, payload_of_today, posts,
    },
};

const WINDOW_MS: i64 = 24 * 3_600_000;
const RECORDED_MS: i64 = RECORDED_S as i64 * 1_000;
const PHONE: &str = "12125550123";
const USER_ID: &str = "US.7043115920486377215";

/// in_text, in_bsuid_only_no_phone
#[tokio::test]
async fn a_text_keeps_every_letter_and_one_customer_has_one_conversation() {
    let shop = Shop::open("text").await;
    shop.deliver(&payload("in_text")).await;
    let (conversation, thread) = shop.only(1).await;
    let text = &thread[0];
    assert_eq!(text.text, "Hello, is my order 4711 ready? \u{f1} \u{1f600}");
    assert_eq!((text.kind.as_str(), text.direction()), ("text", Direction::Inbound));
    assert_eq!(text.author.as_ref().unwrap().kind(), AuthorKind::Customer);
    assert_eq!(text.timestamp_ms, RECORDED_MS);
    assert!(text.wamid.starts_with("wamid."));
    let contact = conversation.contact.clone().unwrap();
    assert_eq!((contact.phone.as_str(), contact.user_id.as_str()), (PHONE, USER_ID));
    assert_eq!(contact.name, "Ana Test");
    assert_eq!(conversation.phone_number_id, "200000000000202");
    assert_eq!(conversation.window_until_ms, RECORDED_MS + WINDOW_MS);
    assert_eq!(conversation.episode.unwrap().resolved_ms, 0);

    // The same person with a hidden number.
    shop.deliver(&payload("in_bsuid_only_no_phone")).await;
    let (same, thread) = shop.only(2).await;
    assert_eq!(same.conversation_id, conversation.conversation_id);
    assert!(thread.iter().any(|message| message.text == "Hi from a username user"));
    shop.close().await;
}

/// in_bsuid_only_no_phone, in_bsuid_empty_string_phone
#[tokio::test]
async fn a_hidden_number_is_answered_by_its_user_id() {
    let shop = Shop::open("hidden number").await;
    shop.deliver(&payload_of_today("in_bsuid_only_no_phone")).await;
    let (conversation, _) = shop.only(1).await;
    let contact = conversation.contact.clone().unwrap();
    assert_eq!((contact.phone.as_str(), contact.user_id.as_str()), ("", USER_ID));
    shop.graph.will_answer("wamid.answer-to-a-hidden-number");
    send(&shop, &conversation.conversation_id, 1, "Welcome").await;
    shop.until("the answer", |all| all[0].1.iter().any(|m| m.delivery() == Delivery::Accepted))
        .await;
    let calls = shop.graph.calls();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!((&calls[0]["recipient"], calls[0].get("to")), (&Value::from(USER_ID), None));
    shop.close().await;

    let shop = Shop::open("empty strings").await;
    shop.deliver(&payload("in_bsuid_empty_string_phone")).await;
    let all = shop.until("a conversation", |all| !all.is_empty()).await;
    for (conversation, _) in &all {
        let contact = conversation.contact.clone().unwrap();
        assert_eq!(contact.phone, "", "empty is absent");
        assert!(!contact.user_id.is_empty(), "a customer with key ''");
    }
    shop.close().await;
}

/// in_image_with_url, in_document_location_contacts, in_voice_note, in_interactive_button_reply
#[tokio::test]
async fn media_and_rich_content_are_kept_by_reference() {
    let shop = Shop::open("media").await;
    shop.deliver(&payload("in_image_with_url")).await;
    let (_, thread) = shop.only(1).await;
    assert_eq!(thread[0].kind, "image");
    let raw: Value = serde_json::from_str(&thread[0].raw_json).unwrap();
    assert!(raw["image"]["id"].is_string() && raw["image"]["url"].is_string(), "{raw:#}");
    for name in ["in_document_location_contacts", "in_voice_note", "in_interactive_button_reply"] {
        shop.deliver(&payload(name)).await;
    }
    let (_, thread) = shop.only(7).await;
    let kinds: Vec<&str> = thread.iter().map(|message| message.kind.as_str()).collect();
    for kind in ["image", "document", "location", "contacts", "audio", "interactive"] {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    shop.close().await;
}

/// seq_status_out_of_order_and_duplicates, seq_api_send_status_then_echo_same_wamid
#[tokio::test]
async fn statuses_never_go_back_and_the_echo_of_our_own_send_is_swallowed() {
    let shop = Shop::open("statuses").await;
    shop.deliver(&payload_of_today("in_text")).await;
    let (conversation, _) = shop.only(1).await;
    let statuses = payload("seq_status_out_of_order_and_duplicates");
    let wamid = statuses[0]["entry"][0]["changes"][0]["value"]["statuses"][0]["id"].as_str();
    shop.graph.will_answer(wamid.unwrap());
    send(&shop, &conversation.conversation_id, 1, "Yes, it is").await;
    shop.until("the send", |all| all[0].1.iter().any(|m| m.delivery() == Delivery::Accepted)).await;
    shop.deliver(&statuses).await;
    // The first of the statuses says read; those that it overtook still bring their times.
    let read = |m: &api::v1::Message| {
        let times = m.delivery_times.unwrap_or_default();
        m.delivery() == Delivery::Read && times.sent_ms > 0 && times.delivered_ms > 0
    };
    let all = shop.until("read", |all| all[0].1.iter().any(read)).await;
    let sent = all[0].1.iter().find(|message| read(message)).unwrap();
    let times = sent.delivery_times.unwrap();
    assert_eq!((sent.wamid.as_str(), sent.text.as_str()), (wamid.unwrap(), "Yes, it is"));
    assert_eq!((times.sent_ms, times.delivered_ms), (RECORDED_MS + 1_000, RECORDED_MS + 2_000));
    assert_eq!(times.read_ms, RECORDED_MS + 3_000);

    let sequence = payload_of_today("seq_api_send_status_then_echo_same_wamid");
    let value = &sequence[0]["entry"][0]["changes"][0]["value"];
    let second = value["statuses"][0]["id"].as_str().unwrap();
    assert_ne!(Some(second), wamid);
    shop.graph.will_answer(second);
    send(&shop, &conversation.conversation_id, 2, "Anything else?").await;
    let accepted = |all: &[(_, Vec<api::v1::Message>)]| all[0].1.iter().any(|m| m.wamid == second);
    shop.until("the second send", accepted).await;
    shop.deliver(&sequence).await;
    // What comes after the echo in the same inbox.
    shop.deliver(&payload_of_today("in_voice_note")).await;
    let (conversation, thread) = shop.only(4).await;
    let phone = thread.iter().filter(|m| m.author.as_ref().unwrap().kind() == AuthorKind::Phone);
    assert_eq!(phone.count(), 0, "our own send came back as the phone's: {thread:#?}");
    assert!(!matches!(conversation.floor.unwrap().holder, Some(Holder::Phone(_))));
    shop.close().await;
}

/// echo_text
#[tokio::test]
async fn a_phone_echo_joins_the_thread_takes_the_floor_and_opens_no_window() {
    let shop = Shop::open("echo").await;
    shop.deliver(&payload_of_today("echo_text")).await;
    let (conversation, thread) = shop.only(1).await;
    assert_eq!(thread[0].author.as_ref().unwrap().kind(), AuthorKind::Phone);
    assert_eq!(thread[0].direction(), Direction::Outbound);
    assert_eq!(thread[0].text, "We will call you in 5 minutes");
    assert_eq!(conversation.window_until_ms, 0);
    let floor = conversation.floor.unwrap();
    assert!(matches!(floor.holder, Some(Holder::Phone(_))), "{floor:?}");

    shop.deliver(&payload_of_today("in_text")).await;
    let (with_text, _) = shop.only(2).await;
    assert_eq!(with_text.conversation_id, conversation.conversation_id, "one customer");
    let until_ms = with_text.window_until_ms;
    let now_ms = i64::try_from(now_s()).unwrap() * 1_000;
    assert!((now_ms + WINDOW_MS - 60_000..=now_ms + WINDOW_MS).contains(&until_ms), "{until_ms}");
    shop.close().await;
}

/// seq_duplicate_inbound_redelivery
#[tokio::test]
async fn a_redelivered_message_stands_once() {
    let shop = Shop::open("duplicates").await;
    shop.deliver(&payload("seq_duplicate_inbound_redelivery")).await;
    shop.deliver(&payload("seq_duplicate_inbound_redelivery")).await;
    // What comes after them in the same inbox.
    shop.deliver(&payload("in_voice_note")).await;
    let (_, thread) = shop.only(3).await;
    let wamids: std::collections::BTreeSet<&str> =
        thread.iter().map(|message| message.wamid.as_str()).collect();
    assert_eq!(wamids.len(), 3);
    shop.close().await;
}

/// in_unsupported_131060_coexistence
#[tokio::test]
async fn a_message_without_content_opens_a_conversation() {
    let shop = Shop::open("131060").await;
    shop.deliver(&payload("in_unsupported_131060_coexistence")).await;
    let (conversation, thread) = shop.only(1).await;
    assert_eq!(thread[0].kind, "unsupported");
    let raw: Value = serde_json::from_str(&thread[0].raw_json).unwrap();
    assert_eq!(raw["errors"][0]["code"], 131_060);
    assert_eq!(conversation.episode.unwrap().resolved_ms, 0);
    assert_eq!(conversation.window_until_ms, RECORDED_MS + WINDOW_MS);
    shop.close().await;
}

/// seq_album_parallel_new_contact
#[tokio::test]
async fn an_album_sent_at_once_is_one_conversation() {
    let shop = Shop::open("album").await;
    let sequence = posts(&payload("seq_album_parallel_new_contact"));
    let all = sequence.iter().map(|post| shop.post(Some(SECRET), as_meta_writes(post)));
    assert_eq!(futures::future::join_all(all).await, vec![200; 5]);
    let (_, thread) = shop.only(5).await;
    assert!(thread.iter().all(|message| message.kind == "image"));
    shop.close().await;
}

/// in_group_message, history_phase0_chunk1_with_media_placeholder, state_sync_add_and_edit, call_connect_user_initiated
#[tokio::test]
async fn groups_and_history_reach_no_conversation() {
    let shop = Shop::open("no conversation").await;
    for name in [
        "in_group_message",
        "history_phase0_chunk1_with_media_placeholder",
        "history_media_followup_messages",
        "state_sync_add_and_edit",
        "account_update_restriction",
    ] {
        shop.deliver(&payload(name)).await;
    }
    // The group's author writes: whatever wrongly came to her came before it in the same inbox.
    shop.deliver(&payload("in_text")).await;
    let (conversation, thread) = shop.only(1).await;
    assert!(thread[0].text.starts_with("Hello, is my order"), "{thread:#?}");
    assert_eq!(conversation.window_until_ms, RECORDED_MS + WINDOW_MS);
    assert!(shop.graph.calls().is_empty(), "history made a bot speak");
    shop.close().await;
}

/// All of them.
#[tokio::test]
async fn no_recorded_webhook_is_answered_5xx_and_none_is_taken_unsigned() {
    let shop = Shop::open("all payloads").await;
    let folder = format!("{}/../whatsapp/tests/payloads", env!("CARGO_MANIFEST_DIR"));
    let mut sent = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".json") else { continue };
        if name.starts_with("api_") || name.starts_with("es_") {
            continue;
        }
        for post in posts(&payload(name)) {
            let body = as_meta_writes(&post);
            assert_eq!(shop.post(None, body.clone()).await, 401, "{name} unsigned");
            assert_eq!(shop.post(Some("wrong-secret"), body.clone()).await, 401, "{name}");
            assert_eq!(shop.post(Some(SECRET), body).await, 200, "{name}");
            sent += 1;
        }
    }
    assert!(sent > 70, "only {sent} webhooks were found");
    shop.until("conversations", |all| !all.is_empty()).await;
    assert!(shop.read(CLINIC_TOKEN).await.is_empty(), "the clinic sees conversations of the shop");
    shop.close().await;
}

/// Invariant 10: who signs may speak of its own numbers only.
#[tokio::test]
async fn another_businesss_signature_moves_nothing() {
    let shop = Shop::open("another business").await;
    let body = as_meta_writes(&payload("in_text"));
    let status = shop.post(Some(CLINIC_SECRET), body).await;
    assert!(status < 500, "{status}");
    // What comes after it in the same inbox.
    shop.deliver(&payload("in_voice_note")).await;
    let (_, thread) = shop.only(1).await;
    assert_eq!(thread[0].kind, "audio");
    assert!(shop.read(CLINIC_TOKEN).await.is_empty());
    shop.close().await;
}

async fn send(shop: &Shop, conversation_id: &str, number: u64, text: &str) {
    let mut api = Conversations::connect(shop.product.addresses.desk, TOKEN).await;
    let message = SendMessage {
        conversation_id: conversation_id.to_owned(),
        content: Some(Content::Text(text.to_owned())),
        take_floor: true,
        ..SendMessage::default()
    };
    let command_id = CommandId { client: "payload-test".to_owned(), number };
    let send = SendRequest { command_id: Some(command_id), message: Some(message) };
    let answer = api.send(send).await.unwrap();
    assert!(!answer.opaque_id.is_empty());
}
