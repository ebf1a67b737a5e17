//! One installation in one process: two businesses, a desk on a free port, a read model, logs written by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use api::v1::{
    self, DeskEvent, DeskRequest, SignIn, agent_desk_client::AgentDeskClient,
    channel_client::ChannelClient, conversations_client::ConversationsClient, desk_event::Event,
    desk_request, events_client::EventsClient, outbound_client::OutboundClient,
};
use archive::{Projector, Repository, sqlite::SqliteRepository};
use bus::{
    Bus, Cause, Event as LogEvent, FormatLevel, Header, Incarnation, Key, PartName, PartitionId,
    Position, Record, RecordBody, RecordHead, Step, Steps, sqlite,
};
use chassis::{clock::Clock, health::Health, listener::Acceptor, seal::Sealer, task::Shutdown};
use domain::{
    AgentId, BusinessId, EntityKind, Hash16, MessageId, Sealed,
    content::{Content, ContentKind},
    conversation::{Author, ConversationEvent, Direction, MessageRecord, Via},
    naming, persist,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, metadata::MetadataValue, transport::Channel};

use super::entities::Entities;
use crate::{
    AdminParts, BusinessContext, ChannelContext, Desk, DeskContext, DeskParts, Operator, Options,
    TokenSource,
};

const BOUND: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub(super) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, future).await.expect("it did not happen in time")
}

pub(super) struct World {
    pub(super) bus: Bus,
    pub(super) entities: Entities,
    pub(super) shutdown: Shutdown,
    pub(super) dir: TempDir,
    pub(super) address: SocketAddr,
    channel: Channel,
    projector: Projector,
    heads: Mutex<BTreeMap<PartitionId, (u64, RecordHead)>>,
}

pub(super) fn token(who: &str) -> String {
    format!("{who}-token-0123456789")
}

pub(super) fn sealer() -> Sealer {
    Sealer::from_key([7; 32])
}

pub(super) fn seal(business: &str, content: &Content) -> Sealed {
    let sealed = sealer().seal(business.as_bytes(), &persist::encode(content).unwrap());
    Sealed { key_id: sealed.key_id, bytes: sealed.bytes }
}

pub(super) fn hash(n: u8) -> Hash16 {
    Hash16([n; 16])
}

pub(super) fn id(n: u8) -> String {
    hash(n).to_string()
}

pub(super) fn inbound_record(business: &str, n: u8, at_ms: u64, text: &str) -> MessageRecord {
    let content = Content {
        wamid: Some(format!("wamid.{n:03}")),
        text: Some(text.to_owned()),
        ..Content::default()
    };
    MessageRecord {
        message: MessageId(hash(n)),
        direction: Direction::In,
        author: Author::Customer,
        kind: ContentKind::Text,
        at_ms,
        content: seal(business, &content),
        target: None,
        episode: Some(1),
    }
}

pub(super) fn inbound(business: &str, n: u8, at_ms: u64, text: &str) -> ConversationEvent {
    ConversationEvent::MessageRecorded(inbound_record(business, n, at_ms, text))
}

fn tokens(dir: &TempDir) -> Vec<TokenSource> {
    let shop = dir.path().join("shop");
    std::fs::create_dir(&shop).unwrap();
    for who in ["ana", "bo", "sue"] {
        std::fs::write(shop.join(format!("{who}.token")), token(who)).unwrap();
    }
    std::fs::write(shop.join("business.token"), token("shop")).unwrap();
    let of_shop = TokenSource {
        business: "shop".into(),
        agents: BTreeSet::from(["ana".into(), "bo".into(), "sue".into()]),
        supervisors: BTreeSet::from(["sue".into()]),
        dir: Some(shop),
        channel_tokens: BTreeMap::from([("web".to_owned(), token("web"))]),
        ..TokenSource::default()
    };
    let of_bank = TokenSource {
        business: "bank".into(),
        agents: BTreeSet::from(["eve".into()]),
        agent_tokens: BTreeMap::from([("eve".into(), token("eve"))]),
        business_token: Some(token("bank")),
        channel_tokens: BTreeMap::from([("web".to_owned(), token("bankweb"))]),
        ..TokenSource::default()
    };
    vec![of_shop, of_bank]
}

/// The web chat of a business.
pub(super) fn web_channel(business: &str) -> ChannelContext {
    let sealer = sealer();
    let keyed = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let id = BusinessId::from(business);
    let account = naming::channel_account(&id, "web");
    let via = Via {
        number: naming::number_id(&keyed, &account),
        workspace: naming::workspace_id(&keyed, &id, "main"),
    };
    ChannelContext { account, via, rate_per_second: 1_000 }
}

/// An operator that only says that it was asked.
struct Asked;

#[tonic::async_trait]
impl Operator for Asked {
    async fn status(&self) -> Result<v1::StatusResponse, Status> {
        Ok(v1::StatusResponse { segments: true, ..v1::StatusResponse::default() })
    }

    async fn backup(&self, _: PathBuf, _: bool) -> Result<v1::BackupResponse, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn format_levels(&self) -> Result<(FormatLevel, FormatLevel), Status> {
        Ok((FormatLevel::FIRST, FormatLevel(2)))
    }

    fn holds_sends(&self) -> bool {
        false
    }

    async fn release_sends(&self) -> Result<(), Status> {
        Ok(())
    }
}

fn admin_parts() -> AdminParts {
    AdminParts { token: token("operator"), operator: Arc::new(Asked) }
}

fn context() -> DeskContext {
    let sealer = sealer();
    let keyed = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let business = |name: &str, agents: &[&str]| {
        let id = BusinessId::from(name);
        let context = BusinessContext {
            workspace: naming::workspace_id(&keyed, &id, "main"),
            agents: agents.iter().map(|agent| AgentId::from(*agent)).collect(),
            queues: BTreeSet::from(["sales".into(), "billing".into()]),
            numbers: BTreeMap::from([(hash(200), "1055".to_owned())]),
            channels: BTreeMap::from([("web".to_owned(), web_channel(name))]),
        };
        (id, context)
    };
    DeskContext {
        node: "node-1".to_owned(),
        businesses: BTreeMap::from([
            business("shop", &["ana", "bo", "sue"]),
            business("bank", &["eve"]),
        ]),
    }
}

/// What a world may have otherwise.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) options: Options,
    /// Keeps the read model, instead of a file of the world's.
    pub(super) repository: Option<Arc<dyn Repository>>,
    /// Of the desk; the world's own channel has none.
    pub(super) tls: Option<Acceptor>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        Self::open(Setup { options, ..Setup::default() }).await
    }

    pub(super) async fn open(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store =
            sqlite::Options { partitions: 2, min_free_bytes: 0, ..sqlite::Options::default() };
        let bus = sqlite::open(&dir.path().join("bus"), store).unwrap();
        let repository = setup.repository.unwrap_or_else(|| {
            let path = dir.path().join("archive.sqlite");
            Arc::new(SqliteRepository::open(&path, sealer().fingerprint()).unwrap())
        });
        let (shutdown, health) = (Shutdown::new(), Health::new());
        let projector = Projector::new(bus.clone(), repository, Clock::system());
        projector.start(&shutdown, &health);
        let parts = DeskParts {
            bus: bus.clone(),
            archive: projector.archive(sealer()),
            segments: None,
            sealer: sealer(),
            clock: Clock::system(),
            context: context(),
            tokens: tokens(&dir),
            options: setup.options,
            admin: Some(admin_parts()),
            touch: health.component("desk"),
        };
        let desk = Desk::start(parts, &shutdown).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let is_plain = setup.tls.is_none();
        let serving = desk.serve(listener, setup.tls);
        shutdown.spawn_fallible(chassis::task::TaskKind::Listener, "desk", serving).detach();
        let channel = match is_plain {
            true => endpoint.connect().await.unwrap(),
            false => endpoint.connect_lazy(),
        };
        let entities = Entities::start(&bus);
        let heads = Mutex::default();
        Self { bus, entities, shutdown, dir, address, channel, projector, heads }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(super) fn platform(&self) -> ChannelClient<Channel> {
        ChannelClient::new(self.channel())
    }

    pub(super) fn conversations(&self) -> ConversationsClient<Channel> {
        ConversationsClient::new(self.channel())
    }

    pub(super) fn outbound(&self) -> OutboundClient<Channel> {
        OutboundClient::new(self.channel())
    }

    pub(super) fn events(&self) -> EventsClient<Channel> {
        EventsClient::new(self.channel())
    }

    /// A session of an agent that has sent its sign-in.
    pub(super) async fn session(&self, who: &str) -> Session {
        let session = self.stream(who, self.channel()).await.unwrap();
        session.ask(desk_request::Request::SignIn(SignIn { presence: 0 })).await;
        session
    }

    /// A stream on which nothing was sent yet.
    pub(super) async fn stream(&self, who: &str, channel: Channel) -> Result<Session, Status> {
        let (requests, receiver) = mpsc::channel(512);
        let request = as_(who, ReceiverStream::new(receiver));
        let events = bounded(AgentDeskClient::new(channel).session(request)).await?.into_inner();
        Ok(Session { requests, events, number: 0 })
    }

    /// Decides events of a conversation by hand and waits until the read model has them.
    pub(super) async fn decide(
        &self,
        business: &str,
        who: u8,
        events: &[ConversationEvent],
    ) -> Position {
        let partition = partition_of(who);
        let position = self.append(partition, vec![step(business, who, events)]).await;
        self.reach(partition, position).await;
        position
    }

    pub(super) async fn reach(&self, partition: PartitionId, position: Position) {
        let archive = self.projector.archive(sealer()).with_wait(BOUND);
        assert!(archive.reach(partition, position).await);
    }

    /// Appends a record with these steps.
    pub(super) async fn append(&self, partition: PartitionId, steps: Vec<Step>) -> Position {
        if !self.heads.lock().unwrap().contains_key(&partition) {
            let body = RecordBody::Epoch { node: "node-1".to_owned(), now_ms: 1 };
            self.append_body(partition, body).await;
        }
        self.append_body(partition, RecordBody::Steps(Steps { steps, ..Steps::default() })).await
    }

    async fn append_body(&self, partition: PartitionId, body: RecordBody) -> Position {
        let incarnation = Incarnation([5; 16]);
        let first = RecordHead { generation: 1, epoch: 1, incarnation, number: 0, previous_seq: 0 };
        let (last, head) =
            self.heads.lock().unwrap().get(&partition).copied().unwrap_or((0, first));
        let bytes = Record::new(head, body).encode().unwrap();
        let seq = self.bus.log.append(partition, last, bytes).await.unwrap();
        let next = RecordHead { number: head.number + 1, previous_seq: seq, ..head };
        self.heads.lock().unwrap().insert(partition, (seq, next));
        Position { generation: 1, seq, index: 0 }
    }
}

pub(super) fn partition_of(who: u8) -> PartitionId {
    let id = bus::EntityId { kind: EntityKind::Conversation.code(), hash: [who; 16] };
    id.partition(2)
}

pub(super) fn step(business: &str, who: u8, events: &[ConversationEvent]) -> Step {
    let events = events.iter().map(|event| LogEvent {
        part: PartName::from("conversation"),
        body: persist::encode(event).unwrap().into(),
    });
    Step {
        header: Header {
            key: Key([0; 16]),
            business: bus::BusinessId(business.to_owned()),
            cause: Cause::Webhook,
            trace: None,
            received_ms: 1,
        },
        entity: bus::EntityId { kind: EntityKind::Conversation.code(), hash: [who; 16] },
        place: None,
        now_ms: 1_000,
        events: events.collect(),
        messages: Vec::new(),
        wake_ms: None,
        dead_letter: None,
    }
}

/// A request in the name of somebody.
pub(super) fn as_<T>(who: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer: MetadataValue<_> = format!("Bearer {}", token(who)).parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

pub(super) fn command(number: u64) -> Option<v1::CommandId> {
    Some(v1::CommandId { client: "client-a".to_owned(), number })
}

/// The client's end of a session.
pub(super) struct Session {
    pub(super) requests: mpsc::Sender<DeskRequest>,
    pub(super) events: Streaming<DeskEvent>,
    /// Last change seen.
    pub(super) number: u64,
}

impl Session {
    pub(super) async fn ask(&self, request: desk_request::Request) {
        self.ask_with(None, request).await;
    }

    pub(super) async fn ask_with(&self, id: Option<v1::CommandId>, request: desk_request::Request) {
        let request = DeskRequest { command_id: id, request: Some(request) };
        bounded(self.requests.send(request)).await.unwrap();
    }

    /// The next event that is no heartbeat, or how the stream ended.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Status> {
        loop {
            let Some(event) = bounded(self.events.message()).await? else { return Ok(None) };
            if event.number > 0 {
                self.number = event.number;
            }
            match event.event {
                Some(Event::Heartbeat(_)) => {}
                event => return Ok(event),
            }
        }
    }

    pub(super) async fn event(&mut self) -> Event {
        self.next().await.unwrap().expect("the stream ended")
    }

    pub(super) async fn snapshot(&mut self) -> v1::Snapshot {
        match self.event().await {
            Event::Snapshot(snapshot) => snapshot,
            other => panic!("not a snapshot: {other:?}"),
        }
    }

    /// The answer to a command.
    pub(super) async fn answer(&mut self) -> (v1::CommandId, v1::command_result::Result) {
        match self.event().await {
            Event::CommandResult(result) => (result.command_id.unwrap(), result.result.unwrap()),
            other => panic!("not an answer: {other:?}"),
        }
    }

    pub(super) async fn refusal(&mut self) -> (v1::RefusalReason, String) {
        match self.answer().await.1 {
            v1::command_result::Result::Refused(refused) => (refused.reason(), refused.text),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// How the stream ends; what is still queued is read.
    pub(super) async fn end(&mut self) -> Option<Status> {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }
}
