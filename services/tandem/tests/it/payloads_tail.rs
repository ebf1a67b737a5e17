//! What integrators are told (`Events.Tail`) while the same webhooks come again and again.

use std::{collections::BTreeMap, time::Duration};

use api::v1::{
    Position, TailRequest, TailResponse, conversation_event::Event, events_client::EventsClient,
    tail_response,
};
use serde_json::{Value, json};
use testkit::wait_for;

use super::shop::{SECRET, Shop, TOKEN, as_meta_writes, now_s};

const MESSAGES: usize = 40;
const COPIES: usize = 3;

/// One customer per message, the price of an answer with it.
fn webhook(n: usize) -> Value {
    let (from, at) = (format!("121255{:05}", 70_000 + n), now_s().to_string());
    let message = json!({"from": from, "id": format!("wamid.tail-in-{n}"), "timestamp": at, "type": "text",
        "text": {"body": "hi"}});
    let status = json!({"id": format!("wamid.tail-out-{n}"), "status": "delivered", "timestamp": at,
        "recipient_id": from, "pricing": {"pricing_model": "PMP", "type": "regular", "category": "service"}});
    let value = json!({"messaging_product": "whatsapp", "messages": [message], "statuses": [status],
        "metadata": {"display_phone_number": "12125550100", "phone_number_id": "200000000000202"}});
    let change = json!({"field": "messages", "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "100000000000101", "changes": [change]}]})
}

/// Everything from these positions to what is the end now; at most `most`, as a connection that breaks.
async fn tail(shop: &Shop, from: Vec<Position>, most: usize) -> Vec<TailResponse> {
    let url = format!("http://{}", shop.product.addresses.desk);
    let mut client = EventsClient::connect(url).await.unwrap();
    let mut request = tonic::Request::new(TailRequest { from_position: from, stop_at_end: true });
    let bearer = format!("Bearer {TOKEN}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut stream = client.tail(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    while told.len() < most {
        let Some(event) = stream.message().await.unwrap() else { break };
        told.push(event);
    }
    told
}

/// "The same event is sent twice to integrators when traffic is fast": every webhook comes three times at once, and the
/// integrator's connection breaks every few events. Each message and each price is told once, in an order that can be
/// resumed.
#[tokio::test]
async fn complaint_33_integrators_are_told_everything_once() {
    let shop = Shop::open("tail").await;
    let webhooks: Vec<Value> = (0..MESSAGES).map(webhook).collect();
    let bodies: Vec<String> = webhooks.iter().map(as_meta_writes).collect();
    let posts = bodies.iter().flat_map(|body| std::iter::repeat_n(body.clone(), COPIES));
    let answers = futures::future::join_all(posts.map(|body| shop.post(Some(SECRET), body))).await;
    assert_eq!(answers, vec![200; MESSAGES * COPIES]);
    // An integrator that is told of every webhook as it comes in.
    let naive = answers.len();
    assert_eq!(naive, MESSAGES * COPIES, "the complaint");

    shop.until("every message", |all| all.len() == MESSAGES).await;
    let mut last: BTreeMap<u32, Position> = BTreeMap::new();
    let (mut messages, mut prices) = (BTreeMap::new(), BTreeMap::new());
    let followed = wait_for(Duration::from_secs(60), "every price told", async || {
        let told = tail(&shop, last.values().copied().collect(), 7).await;
        let at_end = told.is_empty();
        for response in told {
            let position = response.position.unwrap();
            let place = |at: &Position| (at.generation, at.sequence, at.index);
            if let Some(before) = last.insert(position.partition, position) {
                assert!(place(&before) < place(&position), "{before:?} {position:?}");
            }
            let Some(tail_response::Event::Conversation(event)) = response.event else { continue };
            match event.event {
                Some(Event::Message(message)) => {
                    *messages.entry(message.wamid).or_insert(0) += 1;
                }
                Some(Event::BillingRecorded(fact)) => {
                    *prices.entry(fact.message_id).or_insert(0) += 1;
                }
                _ => {}
            }
        }
        (at_end && prices.len() == MESSAGES).then_some(())
    });
    followed.await.unwrap();
    assert_eq!((messages.len(), prices.len()), (MESSAGES, MESSAGES));
    assert!(messages.values().chain(prices.values()).all(|times| *times == 1), "told twice");
    shop.close().await;
}
