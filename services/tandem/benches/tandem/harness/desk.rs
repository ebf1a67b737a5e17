//! Programs and agents over gRPC.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use api::v1::{
    AcceptOffer, AssignRequest, AuthorKind, CommandId, Conversation, DeskRequest, Heartbeat,
    ListConversationsRequest, OfferDelivered, OutboundLane, OutboundMessage, Presence, Resolve,
    SendMessage, SendRequest, SignIn, SubmitRequest,
    agent_desk_client::AgentDeskClient,
    conversations_client::ConversationsClient,
    desk_event::Event,
    desk_request::Request as Ask,
    outbound_client::OutboundClient,
    outbound_message::{Content as Said, To},
    send_message::Content,
};
use chassis::{
    clock::Clock,
    task::{self, AbortOnDrop, TaskKind},
};
use futures::{StreamExt as _, stream};
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{programs, world::World};

/// Requests of a program under way at once.
const AT_ONCE: usize = 64;
/// Longest a read model may take for what was written to it.
const LISTED_WITHIN: Duration = Duration::from_secs(60);
/// Messages of one `Outbound.Submit`.
const SUBMITTED: u32 = 100;
/// What agents' replies begin with; the rest makes each its own.
pub(crate) const REPLY: &str = "it left this morning and is with you tomorrow";

fn bearer(token: &str) -> MetadataValue<Ascii> {
    format!("Bearer {token}").parse().unwrap()
}

async fn connect(world: &World) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", world.desk()));
    endpoint.unwrap().connect().await.unwrap()
}

/// The conversation id of every customer, by customer.
pub(crate) async fn conversations(world: &World) -> BTreeMap<String, Conversation> {
    let channel = connect(world).await;
    let mut found = BTreeMap::new();
    for business in 0..world.shape.businesses {
        let mut client = ConversationsClient::new(channel.clone());
        let (bearer, mut page_token) = (bearer(&programs::api_token(business)), String::new());
        loop {
            let listing =
                ListConversationsRequest { page_size: 500, page_token, ..Default::default() };
            let mut request = Request::new(listing);
            request.metadata_mut().insert("authorization", bearer.clone());
            let page = client.list(request).await.unwrap().into_inner();
            for conversation in page.conversations {
                let phone = conversation.contact.as_ref().unwrap().phone.clone();
                found.insert(phone, conversation);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    found
}

/// As [`conversations`], once customers `0..customers`, who all wrote before, are among them: a read model may stand still for a
/// while and still have something to do.
async fn conversations_of(world: &World, customers: u32) -> BTreeMap<String, Conversation> {
    let all = async || {
        let found = conversations(world).await;
        let is_there = |customer| found.contains_key(&super::webhook::phone(customer));
        (0..customers).all(is_there).then_some(found)
    };
    testkit::wait_for(LISTED_WITHIN, "every customer in the read model", all).await.unwrap()
}

/// Gives customers `0..customers` to the agents of their business, one after the other, as a supervisor does. Each must have
/// written before.
pub(crate) async fn assign_all(world: &World, customers: u32) {
    let (channel, all) = (connect(world).await, conversations_of(world, customers).await);
    let assign = |customer: u32| {
        let mut client = ConversationsClient::new(channel.clone());
        let conversation_id = all[&super::webhook::phone(customer)].conversation_id.clone();
        let business = customer % world.shape.businesses;
        let agent = customer / world.shape.businesses % world.shape.agents;
        let command_id = CommandId { client: format!("assign{customer}"), number: 1 };
        let mut request = Request::new(AssignRequest {
            command_id: Some(command_id),
            conversation_id,
            agent_id: programs::agent_id(agent),
            ..Default::default()
        });
        let token = bearer(&programs::api_token(business));
        request.metadata_mut().insert("authorization", token);
        async move { drop(client.assign(request).await.unwrap()) }
    };
    stream::iter(0..customers).map(assign).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    world.until_still().await;
}

/// A program sends `sends` texts at `rate` per second, its customers one after the other.
pub(crate) async fn send_all(world: &World, customers: u32, sends: u32, rate: u32) {
    let (channel, all) = (connect(world).await, conversations_of(world, customers).await);
    let begun_us = world.clock.boot_us();
    let send = |n: u32| {
        let mut client = ConversationsClient::new(channel.clone());
        let customer = n % customers;
        let conversation_id = all[&super::webhook::phone(customer)].conversation_id.clone();
        let message = SendMessage {
            conversation_id,
            content: Some(Content::Text("your parcel is on its way".to_owned())),
            ..SendMessage::default()
        };
        let command_id = CommandId { client: format!("send{customer}"), number: u64::from(n) + 1 };
        let mut request = Request::new(SendRequest {
            command_id: Some(command_id),
            message: Some(message),
            ..Default::default()
        });
        let token = bearer(&programs::api_token(customer % world.shape.businesses));
        request.metadata_mut().insert("authorization", token);
        let due_us = begun_us + super::poster::offset_us(usize::try_from(n).unwrap(), rate);
        let clock = world.clock.clone();
        async move {
            let wait_us = due_us.saturating_sub(clock.boot_us());
            tokio::time::sleep(Duration::from_micros(wait_us)).await;
            drop(client.send(request).await.unwrap());
        }
    };
    stream::iter(0..sends).map(send).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// A program submits a campaign to `customers`, round and round, as fast as the number has room for it, until it is dropped.
pub(crate) async fn submit_campaign(world: &World, customers: std::ops::Range<u32>) {
    let mut client = OutboundClient::new(connect(world).await);
    let not_after_ms = i64::try_from(world.clock.wall_ms() + 3_600_000).unwrap();
    let mut to = customers.clone().cycle();
    for n in 0_u32.. {
        let message = |m: u32| OutboundMessage {
            key: format!("campaign-{n}-{m}"),
            lane: OutboundLane::Campaign.into(),
            not_after_ms,
            to: Some(To::Phone(super::webhook::phone(to.next().unwrap()))),
            content: Some(Said::Text("our winter sale begins today".to_owned())),
        };
        let messages: Vec<_> = (0..SUBMITTED).map(message).collect();
        let phone_number_id = programs::phone_number_id(0, 0);
        loop {
            let asked = SubmitRequest {
                phone_number_id: phone_number_id.clone(),
                messages: messages.clone(),
                ..Default::default()
            };
            let mut request = Request::new(asked);
            request.metadata_mut().insert("authorization", bearer(&programs::api_token(0)));
            match client.submit(request).await {
                Ok(_) => break,
                Err(status) if status.code() == Code::ResourceExhausted => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(status) => panic!("a campaign was refused: {status}"),
            }
        }
    }
}

/// What agents do with what they are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// Answers every customer's message with a text.
    pub(crate) replies: bool,
    /// Accepts offers and resolves what it accepted at once.
    pub(crate) resolves: bool,
}

/// What came of the agents' work.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Streams that ended.
    pub(crate) broken: AtomicU64,
    pub(crate) replies: AtomicU64,
    /// Refusals by what they said.
    pub(crate) refused: Mutex<BTreeMap<String, u64>>,
    /// Conversation and when its offer came, microseconds of the boot clock.
    pub(crate) offers: Mutex<Vec<(String, u64)>>,
    /// Text and when the reply was asked for, microseconds of the boot clock.
    pub(crate) asked: Mutex<Vec<(String, u64)>>,
}

/// All agents of a world, signed in; they leave when dropped.
pub(crate) struct Agents {
    pub(crate) seen: Arc<Seen>,
    _tasks: Vec<AbortOnDrop<()>>,
}

impl Agents {
    /// From an agent's command to the call at the Graph API, of those given since `from_us`; and how many never left.
    pub(crate) fn reply_us(&self, world: &World, from_us: u64) -> (Histogram<u64>, u32) {
        let departed = world.graph.replies();
        let (mut took_us, mut missing) = (super::poster::histogram(), 0);
        let asked = self.seen.asked.lock().unwrap();
        for (text, asked_us) in asked.iter().filter(|(_, at_us)| *at_us >= from_us) {
            match departed.get(text) {
                Some(at_us) => took_us.saturating_record(at_us.saturating_sub(*asked_us)),
                None => missing += 1,
            }
        }
        (took_us, missing)
    }

    /// Prints what became of their commands so far.
    pub(crate) fn tell(&self) {
        let asked = self.seen.asked.lock().unwrap().len();
        let replies = self.seen.replies.load(Ordering::Relaxed);
        let broken = self.seen.broken.load(Ordering::Relaxed);
        let refused = self.seen.refused.lock().unwrap();
        println!(
            "replies asked for {asked}, taken on {replies}, refused {refused:?}; streams broken {broken}"
        );
    }

    pub(crate) async fn sign_in(world: &World, habits: Habits) -> Self {
        let seen: Arc<Seen> = Arc::default();
        let mut tasks = Vec::new();
        for business in 0..world.shape.businesses {
            // Agents of one office share a connection, as behind a proxy.
            let channel = connect(world).await;
            for agent in 0..world.shape.agents {
                let (signed_in, ready) = tokio::sync::oneshot::channel();
                let token = programs::agent_token(business, agent);
                let agent = Agent {
                    client: format!("bench-{business}-{agent}-{}", world.clock.boot_us()),
                    habits,
                    seen: Arc::clone(&seen),
                    clock: world.clock.clone(),
                    commands: 0,
                };
                let work = agent.work(channel.clone(), token, signed_in);
                tasks.push(task::spawn_abort_on_drop(TaskKind::Connection, "agent", work));
                ready.await.unwrap();
            }
        }
        Self { seen, _tasks: tasks }
    }
}

struct Agent {
    client: String,
    habits: Habits,
    seen: Arc<Seen>,
    clock: Clock,
    commands: u64,
}

impl Agent {
    /// Works until it is dropped; signs in again when the stream breaks.
    async fn work(
        mut self,
        channel: Channel,
        token: String,
        signed_in: tokio::sync::oneshot::Sender<()>,
    ) {
        let mut signed_in = Some(signed_in);
        loop {
            let ended = self.session(channel.clone(), &token, &mut signed_in).await;
            self.seen.broken.fetch_add(1, Ordering::Relaxed);
            println!("an agent's stream ended: {ended}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// One stream, to its end.
    async fn session(
        &mut self,
        channel: Channel,
        token: &str,
        signed_in: &mut Option<tokio::sync::oneshot::Sender<()>>,
    ) -> String {
        let (asks, receiver) = mpsc::channel(4096);
        let sign_in = Ask::SignIn(SignIn { presence: Presence::Available.into() });
        asks.send(plain(sign_in)).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(receiver));
        request.metadata_mut().insert("authorization", bearer(token));
        let mut client = AgentDeskClient::new(channel);
        let mut events = match client.session(request).await {
            Ok(events) => events.into_inner(),
            Err(status) => return status.to_string(),
        };
        let mut heartbeat = tokio::time::interval(Duration::from_secs(5));
        loop {
            let event = tokio::select! {
                event = events.message() => match event {
                    Ok(Some(event)) => event,
                    Ok(None) => return "closed".to_owned(),
                    Err(status) => return status.to_string(),
                },
                _ = heartbeat.tick() => {
                    if asks.send(plain(Ask::Heartbeat(Heartbeat {}))).await.is_err() {
                        return "closed".to_owned();
                    }
                    continue;
                }
            };
            if matches!(event.event, Some(Event::Snapshot(_)))
                && let Some(signed_in) = signed_in.take()
            {
                // Who waited for it may have given up.
                let _ = signed_in.send(());
            }
            for ask in self.on_event(event.event) {
                if asks.send(ask).await.is_err() {
                    return "closed".to_owned();
                }
            }
        }
    }

    fn on_event(&mut self, event: Option<Event>) -> Vec<DeskRequest> {
        match event {
            Some(Event::Offered(offer)) => {
                let now_us = self.clock.boot_us();
                self.seen.offers.lock().unwrap().push((offer.conversation_id, now_us));
                let delivered = OfferDelivered { offer_id: offer.offer_id.clone() };
                let accept = Ask::AcceptOffer(AcceptOffer { offer_id: offer.offer_id });
                vec![plain(Ask::OfferDelivered(delivered)), self.command(accept)]
            }
            Some(Event::Assigned(assigned)) if self.habits.resolves => {
                let conversation_id = assigned.conversation_id;
                vec![self.command(Ask::Resolve(Resolve { conversation_id, ..Default::default() }))]
            }
            Some(Event::Message(told)) => {
                let author = told.message.and_then(|message| message.author);
                if author.is_none_or(|author| author.kind() != AuthorKind::Customer) {
                    return Vec::new();
                }
                if !self.habits.replies {
                    return Vec::new();
                }
                let text = format!("{REPLY} ({}/{})", self.client, self.commands);
                self.seen.asked.lock().unwrap().push((text.clone(), self.clock.boot_us()));
                vec![self.command(Ask::Send(SendMessage {
                    conversation_id: told.conversation_id,
                    content: Some(Content::Text(text)),
                    ..SendMessage::default()
                }))]
            }
            Some(Event::CommandResult(result)) => {
                use api::v1::command_result::Result as R;
                match result.result {
                    Some(R::SendTaken(_)) => {
                        self.seen.replies.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(R::Refused(why)) => {
                        *self.seen.refused.lock().unwrap().entry(why.text).or_default() += 1;
                    }
                    _ => {}
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn command(&mut self, request: Ask) -> DeskRequest {
        self.commands += 1;
        let command_id = CommandId { client: self.client.clone(), number: self.commands };
        DeskRequest { command_id: Some(command_id), request: Some(request) }
    }
}

fn plain(request: Ask) -> DeskRequest {
    DeskRequest { command_id: None, request: Some(request) }
}
