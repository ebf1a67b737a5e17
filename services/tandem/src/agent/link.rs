//! The connection to the desk: opened, kept alive, opened again. A command keeps its id until it is answered, however often the
//! connection breaks, so that it is carried out once.
//!
//! The desk numbers what changes but tells capacity and exact deadlines only in a snapshot: the link asks for one shortly after
//! every change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use api::v1::{
    CommandId, Delivery, DeskEvent, DeskRequest, Heartbeat, OfferDelivered, Position, Presence,
    Resync, SignIn, agent_desk_client::AgentDeskClient, command_result,
    conversations_client::ConversationsClient, desk_event::Event, desk_request::Request as Ask,
};
use chassis::task::{self, AbortOnDrop, TaskKind};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::history::{self, History};
use crate::desk_client::{said, with_causes};

/// The server counts a session as lost after 25 s.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// Without any event, heartbeats included, the connection counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(3);
/// Changes that come together share a snapshot.
const REFRESH_AFTER: Duration = Duration::from_millis(250);
/// Requests and news under way; a person makes a handful.
const ROOM: usize = 256;

/// Where the desk is and who signs in.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) desk: String,
    pub(super) token: String,
    pub(super) agent: String,
    /// Where the address begins with `https`.
    pub(super) tls: Option<ClientTlsConfig>,
}

impl Door {
    fn endpoint(&self) -> Result<Endpoint, String> {
        let wrong = |error| format!("{} is no address: {error}", self.desk);
        let endpoint = Endpoint::from_shared(self.desk.clone()).map_err(wrong)?;
        let Some(tls) = self.tls.clone() else { return Ok(endpoint) };
        let unusable = |error| format!("the certificate cannot be used: {}", with_causes(&error));
        endpoint.tls_config(tls).map_err(unusable)
    }
}

/// What the link tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// The connection is gone and will be opened again.
    Lost(String),
    /// It will not be: the token is wrong, or a newer connection took over.
    Over(String),
    /// From the desk.
    Event(Box<DeskEvent>),
    /// The answer to a command, told once.
    Answered(Box<Ask>, Option<command_result::Result>),
    /// What was said before, of a conversation offered or assigned.
    History(Box<History>),
}

/// A running link. Ends when dropped.
pub(super) struct Link {
    commands: mpsc::Sender<Ask>,
    pub(super) news: mpsc::Receiver<News>,
    _running: AbortOnDrop<()>,
}

impl Link {
    /// Begins to connect.
    pub(super) fn open(door: Door) -> anyhow::Result<Self> {
        let (commands, asked) = mpsc::channel(ROOM);
        let (told, news) = mpsc::channel(ROOM);
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).context("no randomness")?;
        let client = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut keeper = Keeper {
            door,
            client,
            known: false,
            number: 0,
            unanswered: BTreeMap::new(),
            asked,
            told,
        };
        let running = task::spawn_abort_on_drop(TaskKind::Follower, "desk link", async move {
            keeper.run().await;
        });
        Ok(Self { commands, news, _running: running })
    }

    /// Asks the desk for something; the answer comes as news.
    pub(super) async fn ask(&self, ask: Ask) -> anyhow::Result<()> {
        self.commands.send(ask).await.ok().context("the desk is gone")
    }
}

struct Keeper {
    door: Door,
    /// Our name towards the desk, for the ids of commands.
    client: String,
    /// It was signed in before: a new connection leaves the presence as it is.
    known: bool,
    number: u64,
    unanswered: BTreeMap<u64, Ask>,
    asked: mpsc::Receiver<Ask>,
    told: mpsc::Sender<News>,
}

/// Why a session ended.
enum End {
    Broken(String),
    Over(String),
}

struct Session {
    requests: mpsc::Sender<DeskRequest>,
    events: Streaming<DeskEvent>,
    conversations: ConversationsClient<Channel>,
    bearer: MetadataValue<Ascii>,
    last_number: u64,
    /// Something changed that only a snapshot tells.
    stale: bool,
    /// Snapshots asked for because of that and not here yet.
    refreshes: usize,
    /// Conversations whose history need not be read again.
    read: BTreeSet<String>,
}

impl Keeper {
    async fn run(&mut self) {
        let mut pause = RETRY_FIRST;
        loop {
            let end = match self.open().await {
                Ok(mut session) => {
                    pause = RETRY_FIRST;
                    self.serve(&mut session).await
                }
                Err(end) => end,
            };
            let news = match end {
                End::Over(why) => {
                    self.tell(News::Over(why)).await;
                    return;
                }
                End::Broken(why) => News::Lost(why),
            };
            self.tell(news).await;
            if self.told.is_closed() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Nobody listens any more: then the link is being dropped.
    async fn tell(&self, news: News) {
        let _ = self.told.send(news).await;
    }

    async fn open(&self) -> Result<Session, End> {
        let broken = |error: &dyn std::fmt::Display| End::Broken(format!("no connection: {error}"));
        let bearer: MetadataValue<Ascii> = format!("Bearer {}", self.door.token)
            .parse()
            .map_err(|_| End::Over("the token has characters that no token has".to_owned()))?;
        let channel = self
            .door
            .endpoint()
            .map_err(End::Over)?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .connect()
            .await
            .map_err(|error| broken(&with_causes(&error)))?;
        let (requests, receiver) = mpsc::channel(ROOM);
        let presence = if self.known { Presence::Unspecified } else { Presence::Available };
        let sign_in = Ask::SignIn(SignIn { presence: presence.into() });
        requests.send(plain(sign_in)).await.map_err(|error| broken(&error))?;
        let mut request = Request::new(ReceiverStream::new(receiver));
        request.metadata_mut().insert("authorization", bearer.clone());
        let mut desk = AgentDeskClient::new(channel.clone());
        let events = match tokio::time::timeout(SILENCE_MAX, desk.session(request)).await {
            Err(_) => return Err(End::Broken("the desk does not answer".to_owned())),
            Ok(Err(status)) => return Err(ended(&status)),
            Ok(Ok(answer)) => answer.into_inner(),
        };
        let conversations = ConversationsClient::new(channel);
        Ok(Session {
            requests,
            events,
            conversations,
            bearer,
            last_number: 0,
            stale: false,
            refreshes: 0,
            read: BTreeSet::new(),
        })
    }

    async fn serve(&mut self, session: &mut Session) -> End {
        let mut heartbeat = tokio::time::interval(HEARTBEAT_EVERY);
        let mut refresh = tokio::time::interval(REFRESH_AFTER);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut signed_in = false;
        loop {
            let result = tokio::select! {
                event = tokio::time::timeout(SILENCE_MAX, session.events.message()) => match event {
                    Err(_) => return End::Broken("the desk fell silent".to_owned()),
                    Ok(Err(status)) => return ended(&status),
                    Ok(Ok(None)) => return End::Broken("the desk closed the connection".to_owned()),
                    Ok(Ok(Some(event))) => {
                        let snapshot = matches!(event.event, Some(Event::Snapshot(_)));
                        let first = snapshot && !std::mem::replace(&mut signed_in, true);
                        self.known |= first;
                        // The presence of the sign-in counts after its snapshot.
                        session.stale |= first;
                        if changes_more(&event) && !std::mem::replace(&mut session.stale, true) {
                            refresh.reset();
                        }
                        self.on_event(session, event, first).await
                    }
                },
                ask = self.asked.recv(), if signed_in => match ask {
                    None => return End::Over("signed out".to_owned()),
                    Some(ask) => self.command(session, ask).await,
                },
                _ = refresh.tick(), if session.stale => session.refresh().await,
                _ = heartbeat.tick() => session.send(plain(Ask::Heartbeat(Heartbeat {}))).await,
            };
            if let Err(end) = result {
                return end;
            }
        }
    }

    async fn command(&mut self, session: &Session, ask: Ask) -> Result<(), End> {
        self.number += 1;
        self.unanswered.insert(self.number, ask.clone());
        session.send(self.request(self.number, ask)).await
    }

    fn request(&self, number: u64, ask: Ask) -> DeskRequest {
        let command_id = Some(CommandId { client: self.client.clone(), number });
        DeskRequest { command_id, request: Some(ask) }
    }

    async fn on_event(
        &mut self,
        session: &mut Session,
        event: DeskEvent,
        first: bool,
    ) -> Result<(), End> {
        session.check_number(&event).await?;
        let conversations = session.histories_due(&event);
        match &event.event {
            Some(Event::CommandResult(result)) => {
                let own = result.command_id.as_ref().filter(|id| id.client == self.client);
                // A repeated answer: the first one was told.
                let asked = own.and_then(|id| self.unanswered.remove(&id.number));
                let Some(asked) = asked else { return Ok(()) };
                match &asked {
                    Ask::Note(note) => session.read_again(&note.conversation_id),
                    Ask::SetPresence(_) => session.stale = true,
                    _ => {}
                }
                self.tell(News::Answered(Box::new(asked), result.result.clone())).await;
            }
            Some(Event::Heartbeat(_)) => return Ok(()),
            Some(Event::Replaced(_)) => {
                return Err(End::Over("another connection of the same agent took over".to_owned()));
            }
            _ => self.tell(News::Event(Box::new(event.clone()))).await,
        }
        for conversation in conversations {
            if let Some(history) = session.history(&conversation, event.position).await {
                self.tell(News::History(Box::new(history))).await;
            }
        }
        for offer_id in offers_in(&event) {
            let delivered = Ask::OfferDelivered(OfferDelivered { offer_id });
            session.send(plain(delivered)).await?;
        }
        if first {
            for (number, ask) in &self.unanswered {
                session.send(self.request(*number, ask.clone())).await?;
            }
        }
        Ok(())
    }
}

impl Session {
    async fn send(&self, request: DeskRequest) -> Result<(), End> {
        let gone = |_| End::Broken("the desk closed the connection".to_owned());
        self.requests.send(request).await.map_err(gone)
    }

    /// A gap in the numbers means that something was missed: a snapshot mends it.
    async fn check_number(&mut self, event: &DeskEvent) -> Result<(), End> {
        let seen = match &event.event {
            Some(Event::Heartbeat(heartbeat)) => heartbeat.last_number,
            _ => event.number,
        };
        let expected = if event.number > 0 { self.last_number + 1 } else { self.last_number };
        let gap = self.last_number > 0 && seen > expected;
        self.last_number = self.last_number.max(seen);
        if gap { self.send(plain(Ask::Resync(Resync {}))).await } else { Ok(()) }
    }

    async fn refresh(&mut self) -> Result<(), End> {
        self.stale = false;
        self.refreshes += 1;
        self.send(plain(Ask::Resync(Resync {}))).await
    }

    /// With the next snapshot: what is told may be ahead of what can be read.
    fn read_again(&mut self, id: &str) {
        self.stale = true;
        self.read.remove(id);
    }

    /// Conversations whose history is read now. A snapshot that was not asked for because of a change means that something of any
    /// of them may have been missed.
    fn histories_due(&mut self, event: &DeskEvent) -> Vec<String> {
        if let Some(Event::DeliveryChanged(changed)) = &event.event
            && changed.delivery() == Delivery::Failed
            && changed.error_text.is_empty()
        {
            // Why stands in the thread.
            self.read_again(&changed.conversation_id);
        }
        let mut conversations = conversations_in(event);
        if !matches!(event.event, Some(Event::Snapshot(_))) {
            conversations.iter().for_each(|id| self.read_again(id));
            return conversations;
        }
        if self.refreshes > 0 {
            self.refreshes -= 1;
            conversations.retain(|id| !self.read.contains(id));
        }
        self.read.extend(conversations.iter().cloned());
        conversations
    }

    async fn history(&mut self, id: &str, position: Option<Position>) -> Option<History> {
        history::read(&mut self.conversations, &self.bearer, id, position).await
    }
}

fn plain(request: Ask) -> DeskRequest {
    DeskRequest { command_id: None, request: Some(request) }
}

fn offers_in(event: &DeskEvent) -> Vec<String> {
    match &event.event {
        Some(Event::Offered(offer)) => vec![offer.offer_id.clone()],
        Some(Event::Snapshot(snapshot)) => {
            snapshot.offers.iter().map(|offer| offer.offer_id.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// Conversations of which the event does not tell all.
fn conversations_in(event: &DeskEvent) -> Vec<String> {
    match &event.event {
        Some(Event::Offered(offer)) => vec![offer.conversation_id.clone()],
        Some(Event::Assigned(assigned)) => vec![assigned.conversation_id.clone()],
        Some(Event::Snapshot(snapshot)) => {
            let offered = snapshot.offers.iter().map(|offer| offer.conversation_id.clone());
            let assigned = snapshot.assigned.iter().map(|one| one.conversation_id.clone());
            let wrap_ups = snapshot.wrap_ups.iter().map(|one| one.conversation_id.clone());
            offered.chain(assigned).chain(wrap_ups).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether capacity, presence or a deadline are others now.
fn changes_more(event: &DeskEvent) -> bool {
    matches!(
        event.event,
        Some(
            Event::Offered(_)
                | Event::OfferEnded(_)
                | Event::Assigned(_)
                | Event::Unassigned(_)
                | Event::WrapUpBegan(_)
                | Event::WrapUpEnded(_)
        )
    )
}

fn ended(status: &tonic::Status) -> End {
    use tonic::Code;
    let text = format!("{:?}: {}", status.code(), said(status));
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument => End::Over(text),
        _ => End::Broken(text),
    }
}
