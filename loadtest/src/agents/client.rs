//! An agent's connection: opens the stream, opens it again when it breaks, and keeps the brain supplied.

use std::sync::Arc;
use std::time::Duration;

use api::v1::agent_desk_client::AgentDeskClient;
use api::v1::desk_event::Event;
use api::v1::desk_request::Request as Ask;
use api::v1::{
    AuthorKind, DeskEvent, DeskRequest, Heartbeat, Offer, OfferEnd, Position, Presence, Resync,
    SignIn, Snapshot,
};
use rand::Rng;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

use super::{bearer, directory};
use crate::sim::Sim;
use crate::table::Key;
use crate::world::AgentId;

use super::brain::Brain;

/// Requests under way to the product: an agent has a handful.
const REQUESTS_MAX: usize = 256;
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Without any event for so long the connection counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_millis(500);

/// One agent's life.
pub(super) async fn live(sim: Arc<Sim>, agent: AgentId) {
    let client =
        sim.with(|state, _| format!("sim-{:016x}-{}", state.rng.random::<u64>(), agent.row()));
    let mut brain = Brain::new(agent, client);
    let mut desk = sim.desk.subscribe();
    let behaviour = &sim.scenario.desk;
    let mut wait_ms = behaviour.reconnect_ms;
    loop {
        let address = desk.borrow_and_update().clone();
        let Some(address) = address else {
            if desk.changed().await.is_err() {
                return;
            }
            continue;
        };
        if let Some(mut session) = Session::open(&sim, agent, &address).await {
            wait_ms = behaviour.reconnect_ms;
            let moved = tokio::select! {
                _ = session.run(&mut brain) => false,
                _ = desk.changed() => true,
            };
            sim.with(|state, _| state.on_signed_in(agent, false));
            if moved {
                continue;
            }
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        wait_ms = (wait_ms * 2).min(behaviour.reconnect_max_ms);
    }
}

/// One open stream.
struct Session<'a> {
    sim: &'a Sim,
    agent: AgentId,
    token: &'a str,
    channel: Channel,
    requests: mpsc::Sender<DeskRequest>,
    events: Streaming<DeskEvent>,
    last_number: u64,
}

/// The session is over.
struct Over;

impl<'a> Session<'a> {
    async fn open(sim: &'a Sim, agent: AgentId, address: &str) -> Option<Self> {
        let token = sim.world.agents[agent].token.as_str();
        let endpoint = Endpoint::from_shared(address.to_owned()).ok()?;
        let channel = endpoint
            .connect_timeout(Duration::from_secs(2))
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .connect()
            .await
            .ok()?;
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let sign_in = Ask::SignIn(SignIn { presence: Presence::Available.into() });
        requests.send(plain(sign_in)).await.ok()?;
        let mut request = Request::new(ReceiverStream::new(receiver));
        request.metadata_mut().insert("authorization", bearer(token)?);
        let mut client = AgentDeskClient::new(channel.clone());
        let connect = client.session(request);
        let events = tokio::time::timeout(SILENCE_MAX, connect).await.ok()?.ok()?.into_inner();
        Some(Self { sim, agent, token, channel, requests, events, last_number: 0 })
    }

    async fn run(&mut self, brain: &mut Brain) -> Result<(), Over> {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        let mut signed_in = false;
        loop {
            let now_us = self.sim.clock.now_us();
            let due =
                brain.next_us().map_or(IDLE, |at| Duration::from_micros(at.saturating_sub(now_us)));
            tokio::select! {
                event = tokio::time::timeout(SILENCE_MAX, self.events.message()) => {
                    let event = event.map_err(|_| Over)?.map_err(|_| Over)?.ok_or(Over)?;
                    let is_snapshot = matches!(event.event, Some(Event::Snapshot(_)));
                    self.on_event(brain, event).await?;
                    if is_snapshot && !std::mem::replace(&mut signed_in, true) {
                        self.sim.with(|state, _| state.on_signed_in(self.agent, true));
                        for request in brain.unanswered() {
                            self.send(request).await?;
                        }
                    }
                }
                () = tokio::time::sleep(due), if signed_in => {
                    for request in brain.act(self.sim, self.sim.clock.now_us()) {
                        self.send(request).await?;
                    }
                }
                _ = heartbeat.tick() => self.send(plain(Ask::Heartbeat(Heartbeat {}))).await?,
            }
        }
    }

    async fn send(&self, request: DeskRequest) -> Result<(), Over> {
        self.requests.send(request).await.map_err(|_| Over)
    }

    async fn on_event(&mut self, brain: &mut Brain, event: DeskEvent) -> Result<(), Over> {
        let received_us = self.sim.clock.now_us();
        if event.number > 0 {
            self.on_number(event.number).await?;
        }
        let position = event.position;
        match event.event {
            Some(Event::Snapshot(snapshot)) => {
                self.on_snapshot(brain, snapshot, position, received_us).await?
            }
            Some(Event::Offered(offer)) => {
                self.on_offer(brain, offer, position, received_us).await?
            }
            Some(Event::OfferEnded(ended)) if ended.end() == OfferEnd::Missed => {
                brain.on_missed(self.sim);
            }
            Some(Event::Assigned(assigned)) => {
                self.learn(brain, &assigned.conversation_id, position).await;
                brain.on_assigned(self.sim, &assigned.conversation_id);
            }
            Some(Event::Unassigned(gone)) => brain.on_unassigned(self.sim, &gone.conversation_id),
            Some(Event::EpisodeResolved(gone)) => {
                brain.on_episode_resolved(self.sim, &gone.conversation_id);
            }
            Some(Event::Message(joined)) => {
                let message = joined.message.unwrap_or_default();
                self.sim.with(|state, _| state.on_seen(self.agent, &message.wamid));
                if message.author.is_some_and(|author| author.kind() == AuthorKind::Customer) {
                    brain.on_customer_message(self.sim, &joined.conversation_id);
                }
            }
            Some(Event::CommandResult(result)) => brain.on_result(self.sim, result),
            Some(Event::Heartbeat(heartbeat)) if heartbeat.last_number > self.last_number => {
                self.last_number = heartbeat.last_number;
                self.send(plain(Ask::Resync(Resync {}))).await?;
            }
            Some(Event::Replaced(_)) => return Err(Over),
            _ => {}
        }
        Ok(())
    }

    /// A gap in the numbers means that something was missed.
    async fn on_number(&mut self, number: u64) -> Result<(), Over> {
        let gap = self.last_number > 0 && number != self.last_number + 1;
        self.last_number = number;
        if gap { self.send(plain(Ask::Resync(Resync {}))).await } else { Ok(()) }
    }

    async fn on_snapshot(
        &self,
        brain: &mut Brain,
        snapshot: Snapshot,
        position: Option<Position>,
        received_us: u64,
    ) -> Result<(), Over> {
        let assigned: Vec<String> =
            snapshot.assigned.into_iter().map(|one| one.conversation_id).collect();
        for conversation in &assigned {
            self.learn(brain, conversation, position).await;
        }
        brain.on_snapshot(self.sim, &assigned);
        for offer in snapshot.offers {
            self.on_offer(brain, offer, position, received_us).await?;
        }
        Ok(())
    }

    async fn on_offer(
        &self,
        brain: &mut Brain,
        offer: Offer,
        position: Option<Position>,
        received_us: u64,
    ) -> Result<(), Over> {
        self.learn(brain, &offer.conversation_id, position).await;
        let chat = brain.knows(&offer.conversation_id);
        if chat.is_some_and(|chat| self.sim.with(|state, _| state.proxy.forgets(chat))) {
            return Ok(());
        }
        let request = brain.on_offer(self.sim, offer.offer_id, offer.conversation_id, received_us);
        self.send(request).await
    }

    async fn learn(&self, brain: &mut Brain, conversation: &str, position: Option<Position>) {
        if brain.knows(conversation).is_some() {
            return;
        }
        let found =
            directory::find(self.sim, &self.channel, self.token, conversation, position).await;
        if let Some(chat) = found {
            brain.learn(conversation, chat);
        }
    }
}

fn plain(request: Ask) -> DeskRequest {
    DeskRequest { command_id: None, request: Some(request) }
}
