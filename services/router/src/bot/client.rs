//! One configured external bot: its connection, and how much is asked of it at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use api::{
    convert::SAYS_MAX,
    v1::{TurnRequest, TurnResponse, bot_client::BotClient, turn_response::Step},
};
use chassis::config::{Business, ExternalBot};
use domain::QueueId;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::BotError;
use crate::rules::queues_of;

/// Turns under way at once: what one HTTP/2 connection of a usual gRPC server carries without complaint.
pub(super) const UNDER_WAY_MAX: usize = 64;
/// Largest message of a bot: a text of the most characters, a list, or fields, with room.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// Steps read of one answer: one more than it may have, so that too many are noticed.
const STEPS_MAX: usize = SAYS_MAX + 2;
/// How long connecting may take; the bot is then unavailable.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A connection whose other end has gone without a word is noticed so soon.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A bot.
pub(super) struct Client {
    grpc: BotClient<Channel>,
    bearer: MetadataValue<Ascii>,
    room: Semaphore,
    /// How long a turn may take.
    pub(super) deadline: Duration,
    /// The queues it may hand over to.
    pub(super) queues: BTreeSet<QueueId>,
}

impl Client {
    fn new(business: &Business, bot: &ExternalBot) -> Result<Self, BotError> {
        let id = || business.id.clone();
        let channel = channel_to(&bot.endpoint)
            .map_err(|source| BotError::Endpoint { business: id(), source })?;
        let bearer = format!("Bearer {}", bot.token.expose()).parse();
        Ok(Self {
            grpc: BotClient::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX),
            bearer: bearer.map_err(|_| BotError::Token { business: id() })?,
            room: Semaphore::new(UNDER_WAY_MAX),
            deadline: Duration::from_millis(bot.deadline_ms),
            queues: queues_of(business),
        })
    }

    /// Waits until another turn may be under way. `None`: nothing bounds it any more, which never happens.
    pub(super) async fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.room.acquire().await.ok()
    }

    /// Asks once, and reads the stream to the step that ends the turn, or to its end.
    pub(super) async fn turn(&self, request: TurnRequest) -> Result<Vec<Step>, Status> {
        let mut request = Request::new(request);
        request.set_timeout(self.deadline);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        let mut stream = self.grpc.clone().turn(request).await?.into_inner();
        let mut steps = Vec::new();
        while let Some(TurnResponse { step }) = stream.message().await? {
            let Some(step) = step else { continue };
            let ends = !matches!(step, Step::Say(_));
            steps.push(step);
            if ends || steps.len() >= STEPS_MAX {
                break;
            }
        }
        Ok(steps)
    }
}

fn channel_to(endpoint: &str) -> Result<Channel, tonic::transport::Error> {
    let mut to = Endpoint::from_shared(endpoint.to_owned())?
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .tcp_nodelay(true);
    if endpoint.starts_with("https://") {
        to = to.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    Ok(to.connect_lazy())
}

/// The bots as they are read: numbers with the same section share one.
#[derive(Default)]
pub(super) struct Clients {
    known: BTreeMap<(String, String, String, u64), Arc<Client>>,
}

impl Clients {
    pub(super) fn of(
        &mut self,
        business: &Business,
        bot: &ExternalBot,
    ) -> Result<Arc<Client>, BotError> {
        let token = bot.token.expose().to_owned();
        let key = (business.id.clone(), bot.endpoint.clone(), token, bot.deadline_ms);
        if let Some(known) = self.known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let client = Arc::new(Client::new(business, bot)?);
        self.known.insert(key, Arc::clone(&client));
        Ok(client)
    }
}
