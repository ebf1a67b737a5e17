//! The little product: webhooks in, a bot that asks once, sends out, threads in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use api::v1::{Author, AuthorKind, Contact, Conversation, Delivery, Direction, Message};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::desk;
use crate::clock::Clock;
use crate::http;
use crate::sim::Sim;
use crate::task;
use crate::webhook;
use crate::world::{Agent, BusinessId, World};

/// A conversation with its thread.
#[derive(Clone, Default)]
pub(super) struct Talk {
    pub(super) conversation: Conversation,
    pub(super) messages: Vec<Message>,
    pub(super) asked: bool,
    pub(super) agent: Option<String>,
    pub(super) offered: bool,
}

pub(super) struct Product {
    pub(super) world: Arc<World>,
    graph: String,
    pub(super) talks: Mutex<BTreeMap<String, Talk>>,
    pub(super) sessions: Mutex<BTreeMap<String, mpsc::Sender<desk::Event>>>,
    sends: Mutex<u64>,
    offers: Mutex<u64>,
    clock: Clock,
    /// Shows any conversation to anyone who asks.
    pub(super) leaky: bool,
}

/// Starts it; gives the webhook's and the desk's addresses.
pub(super) async fn start(sim: &Sim, graph_url: &str, leaky: bool) -> (String, String) {
    let product = Arc::new(Product {
        world: Arc::clone(&sim.world),
        graph: graph_url.trim_start_matches("http://").to_owned(),
        talks: Mutex::default(),
        sessions: Mutex::default(),
        sends: Mutex::new(0),
        offers: Mutex::new(0),
        clock: sim.clock,
        leaky,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let edge = Arc::clone(&product);
    let serve = http::serve("fake-gateway", listener, move |request| {
        let product = Arc::clone(&edge);
        async move { Ok(http::json(product.on_webhook(request).await, &json!({}))) }
    });
    task::spawn("fake-gateway", serve);
    let desk_url = desk::start(product).await;
    (format!("http://{address}/webhook"), desk_url)
}

impl Product {
    async fn on_webhook(self: Arc<Self>, request: Request<Incoming>) -> u16 {
        let signature = request.headers()["x-hub-signature-256"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let signed = |(_, b): (BusinessId, &crate::world::Business)| {
            (webhook::signature(&b.app_secret, &body) == signature).then(|| b.waba_id.clone())
        };
        let Some(waba) = self.world.businesses.iter().find_map(signed) else { return 401 };
        let body: Value = serde_json::from_slice(&body).unwrap();
        for entry in body["entry"].as_array().unwrap() {
            assert_eq!(entry["id"], json!(waba), "signed by the app of this account");
            for change in entry["changes"].as_array().unwrap() {
                self.on_change(&change["value"]);
            }
        }
        200
    }

    fn on_change(self: &Arc<Self>, value: &Value) {
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let number = value["metadata"]["phone_number_id"].as_str().unwrap();
        for message in list("messages") {
            self.on_message(number, &message, AuthorKind::Customer, "from");
        }
        for echo in list("message_echoes") {
            self.on_message(number, &echo, AuthorKind::Phone, "to");
        }
        for status in list("statuses") {
            self.on_status(&status);
        }
    }

    fn on_message(self: &Arc<Self>, number: &str, message: &Value, author: AuthorKind, side: &str) {
        let user = message[format!("{side}_user_id")].as_str().unwrap().to_owned();
        let phone = message[side].as_str().unwrap_or_default().to_owned();
        let id = format!("{number}/{user}");
        let wamid = message["id"].as_str().unwrap();
        let kind = message["type"].as_str().unwrap();
        let body = &message[kind];
        let text = body["body"].as_str().or_else(|| body["caption"].as_str()).unwrap_or_default();
        let timestamp_s: i64 = message["timestamp"].as_str().unwrap().parse().unwrap();
        let mut talks = self.talks.lock().unwrap();
        let talk = talks.entry(id.clone()).or_default();
        talk.conversation.conversation_id = id.clone();
        talk.conversation.phone_number_id = number.to_owned();
        talk.conversation.contact = Some(Contact { phone, user_id: user, ..Contact::default() });
        if talk.messages.iter().any(|known| known.wamid == wamid) {
            return;
        }
        let message = Message {
            wamid: wamid.to_owned(),
            direction: Direction::Inbound.into(),
            author: Some(Author { kind: author.into(), agent_id: String::new() }),
            text: text.to_owned(),
            timestamp_ms: timestamp_s * 1_000,
            ..Message::default()
        };
        talk.messages.push(message.clone());
        let (asked, agent) = (talk.asked, talk.agent.clone());
        let offered = talk.offered;
        let keyword = matches!(text, "sales" | "help");
        talk.asked = true;
        talk.offered |= keyword;
        drop(talks);
        match (author, agent) {
            (AuthorKind::Customer, Some(agent)) => self.tell(&agent, desk::message(&id, message)),
            (AuthorKind::Customer, None) if keyword && !offered => self.offer(&id),
            (AuthorKind::Customer, None) if !asked => {
                self.send(&id, "sales or help?".to_owned(), AuthorKind::Bot);
            }
            _ => {}
        }
    }

    fn on_status(&self, status: &Value) {
        let opaque = status["biz_opaque_callback_data"].as_str().unwrap();
        let delivery = match status["status"].as_str().unwrap() {
            "sent" => Delivery::Sent,
            "delivered" => Delivery::Delivered,
            "read" => Delivery::Read,
            _ => Delivery::Failed,
        };
        let mut talks = self.talks.lock().unwrap();
        let mut messages = talks.values_mut().flat_map(|talk| &mut talk.messages);
        if let Some(message) = messages.find(|message| message.opaque_id == opaque) {
            message.wamid = status["id"].as_str().unwrap().to_owned();
            message.delivery = message.delivery.max(delivery.into());
        }
    }

    pub(super) fn tell(&self, agent: &str, event: desk::Event) {
        if let Some(session) = self.sessions.lock().unwrap().get(agent) {
            drop(session.try_send(event));
        }
    }

    /// An agent is there: whoever waits is offered, perhaps once more.
    pub(super) fn offer_to_newcomer(&self, agent: &Agent) {
        let talks = self.talks.lock().unwrap();
        let waits = |(_, talk): &(&String, &Talk)| talk.offered && talk.agent.is_none();
        let waiting: Vec<String> = talks.iter().filter(waits).map(|(id, _)| id.clone()).collect();
        drop(talks);
        for id in waiting {
            let number = id.split('/').next().unwrap();
            let number = self.world.number_by_meta_id(number).unwrap();
            if self.world.numbers[number].business == agent.business {
                self.offer_to(&agent.id, &id);
            }
        }
    }

    fn offer_to(&self, agent: &str, id: &str) {
        let mut offers = self.offers.lock().unwrap();
        *offers += 1;
        self.tell(agent, desk::offer(*offers, id));
    }

    /// Offers to any connected agent of the number's business.
    fn offer(&self, id: &str) {
        let number =
            id.split('/').next().and_then(|number| self.world.number_by_meta_id(number)).unwrap();
        let business = self.world.numbers[number].business;
        let connected = self.sessions.lock().unwrap().keys().cloned().collect::<Vec<_>>();
        let mut agents = self.world.agents.iter().map(|(_, agent)| agent);
        if let Some(agent) =
            agents.find(|agent| agent.business == business && connected.contains(&agent.id))
        {
            self.offer_to(&agent.id, id);
        }
    }

    /// Sends and gives the opaque id.
    pub(super) fn send(self: &Arc<Self>, id: &str, text: String, author: AuthorKind) -> String {
        let opaque = {
            let mut sends = self.sends.lock().unwrap();
            *sends += 1;
            format!("o-{sends}")
        };
        let (number, user) = id.split_once('/').unwrap();
        let row = self.world.number_by_meta_id(number).unwrap();
        let token = &self.world.businesses[self.world.numbers[row].business].token;
        let body = json!({"messaging_product": "whatsapp", "recipient": user, "type": "text",
            "text": {"body": text}, "biz_opaque_callback_data": opaque});
        let request = Request::post(format!("/v26.0/{number}/messages"))
            .header("host", &self.graph)
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let message = Message {
            direction: Direction::Outbound.into(),
            author: Some(Author { kind: author.into(), agent_id: String::new() }),
            text,
            delivery: Delivery::Pending.into(),
            timestamp_ms: i64::try_from((self.clock.epoch_us() + self.clock.now_us()) / 1_000)
                .unwrap(),
            opaque_id: opaque.clone(),
            ..Message::default()
        };
        self.talks.lock().unwrap().get_mut(id).unwrap().messages.push(message);
        let (product, sent) = (Arc::clone(self), opaque.clone());
        task::spawn("fake-send", async move {
            let answer = call(&product.graph, request).await;
            product.on_answer(&sent, answer);
        });
        opaque
    }

    fn on_answer(&self, opaque: &str, answer: Option<Value>) {
        let wamid = answer.and_then(|body| body["messages"][0]["id"].as_str().map(str::to_owned));
        let mut talks = self.talks.lock().unwrap();
        let mut messages = talks.values_mut().flat_map(|talk| &mut talk.messages);
        let message = messages.find(|message| message.opaque_id == opaque).unwrap();
        let delivery = if wamid.is_some() { Delivery::Accepted } else { Delivery::Failed };
        message.wamid = wamid.unwrap_or_default();
        message.delivery = message.delivery.max(delivery.into());
    }
}

async fn call(address: &str, request: Request<Full<Bytes>>) -> Option<Value> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    task::spawn("fake-connection", async move { drop(connection.await) });
    let response = sender.send_request(request).await.ok()?;
    serde_json::from_slice(&response.into_body().collect().await.ok()?.to_bytes()).ok()
}
