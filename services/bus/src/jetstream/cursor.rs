//! A position in one subject of a stream, or in several: a consumer that carries entries here, and the watch over it.
//!
//! The consumer pulls in rounds. Each delivery carries its number; a missing number, silence without a
//! heartbeat, or any status that is not the plain end of a round means that something was lost
//! with a server or a connection: the cursor ends, and whoever reads makes a new one where it stood.

use std::time::Duration;

use async_nats::{
    Client, Message, StatusCode, Subscriber,
    jetstream::{
        Context,
        consumer::{AckPolicy, DeliverPolicy, pull},
    },
};
use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{ANSWER_WITHIN, publish::wall_ms, streams};

/// Messages and bytes of one round.
const ROUND_MESSAGES: usize = 256;
const ROUND_BYTES: usize = 4 * 1024 * 1024;
const ROUND_LASTS: Duration = Duration::from_secs(5);
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// Two heartbeats missed.
const SILENCE_MAX: Duration = Duration::from_millis(2_500);
/// A consumer on another server may be made before ours knows the way to it: asked too early, nobody answers.
const UNKNOWN_ROUNDS_MAX: u64 = 20;
const UNKNOWN_PAUSE: Duration = Duration::from_millis(50);
/// After this long without a round the servers forget the consumer.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// One entry as it was delivered.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) body: Bytes,
    /// When it was stored, by the leader's wall clock.
    pub(super) stored_ms: Option<u64>,
    /// Entries of the subject behind this one, as the consumer's server knew then.
    pub(super) pending: u64,
}

#[derive(Debug)]
pub(super) enum Next {
    Entry(Entry),
    /// A heartbeat: there is nothing now.
    Idle,
}

/// The cursor is of no use any more.
#[derive(Debug, thiserror::Error)]
#[error("the consumer is lost: {0}")]
pub(super) struct Lost(String);

pub(super) fn lost(why: impl ToString) -> Lost {
    Lost(why.to_string())
}

/// A request for one round, as the servers read it (durations in nanoseconds).
#[derive(Serialize)]
struct Round {
    batch: usize,
    max_bytes: usize,
    expires: u64,
    idle_heartbeat: u64,
}

pub(super) struct Cursor {
    client: Client,
    context: Context,
    next_subject: String,
    inbox: String,
    deliveries: Subscriber,
    rounds: u64,
    /// Messages that the round may still bring.
    credit: usize,
    delivered: u64,
    position: u64,
    put_back: Option<Entry>,
}

impl Cursor {
    /// A cursor on `subject` of `stream`, behind sequence `after`.
    pub(super) async fn open(
        client: &Client,
        stream: &str,
        subject: &str,
        after: u64,
    ) -> Result<Self, Lost> {
        let context = streams::context(client);
        let config = pull::Config {
            filter_subject: subject.to_owned(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let created = context.create_consumer_on_stream(config, stream);
        let consumer = timeout(ANSWER_WITHIN, created).await.map_err(lost)?.map_err(lost)?;
        let name = &consumer.cached_info().name;
        let inbox = client.new_inbox();
        let subscribed = timeout(ANSWER_WITHIN, client.subscribe(format!("{inbox}.*")));
        let deliveries = subscribed.await.map_err(lost)?.map_err(lost)?;
        Ok(Self {
            client: client.clone(),
            next_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            context,
            inbox,
            deliveries,
            rounds: 0,
            credit: 0,
            delivered: 0,
            position: after,
            put_back: None,
        })
    }

    /// Sequence behind which the next entry comes.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Gives the last entry back; `before` is the position before it.
    pub(super) fn put_back(&mut self, entry: Entry, before: u64) {
        self.position = before;
        self.put_back = Some(entry);
    }

    /// The next entry, or `Idle` after a heartbeat. A call that is given up leaves the cursor usable.
    pub(super) async fn next(&mut self) -> Result<Next, Lost> {
        if let Some(entry) = self.put_back.take() {
            self.position = entry.seq;
            return Ok(Next::Entry(entry));
        }
        loop {
            if self.credit == 0 {
                self.start_round().await?;
            }
            let silence = || Lost(format!("nothing came for {SILENCE_MAX:?}"));
            let delivery = timeout(SILENCE_MAX, self.deliveries.next()).await;
            let delivery = delivery.map_err(|_| silence())?;
            let delivery = delivery.ok_or_else(|| lost("the subscription ended"))?;
            match delivery.status {
                None | Some(StatusCode::OK) => return self.take(delivery).map(Next::Entry),
                Some(StatusCode::IDLE_HEARTBEAT) => return Ok(Next::Idle),
                Some(StatusCode::NO_RESPONDERS) if self.may_be_unknown() => {
                    self.credit = 0;
                    sleep(UNKNOWN_PAUSE).await;
                }
                Some(status) => self.on_status(status, &delivery)?,
            }
        }
    }

    /// Whether nobody has answered yet, and the consumer is too young to be called lost for it.
    fn may_be_unknown(&self) -> bool {
        self.delivered == 0 && self.rounds <= UNKNOWN_ROUNDS_MAX
    }

    async fn start_round(&mut self) -> Result<(), Lost> {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let round = Round {
            batch: ROUND_MESSAGES,
            max_bytes: ROUND_BYTES,
            expires: nanoseconds(ROUND_LASTS),
            idle_heartbeat: nanoseconds(HEARTBEAT_EVERY),
        };
        let payload = serde_json::to_vec(&round).map_err(lost)?;
        let reply = format!("{}.{}", self.inbox, self.rounds + 1);
        let sent = self.client.publish_with_reply(self.next_subject.clone(), reply, payload.into());
        timeout(ANSWER_WITHIN, sent).await.map_err(lost)?.map_err(lost)?;
        self.rounds += 1;
        self.credit = ROUND_MESSAGES;
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<Entry, Lost> {
        let message = async_nats::jetstream::Message { message, context: self.context.clone() };
        let info = message.info().map_err(lost)?;
        if info.consumer_sequence != self.delivered + 1 || info.stream_sequence <= self.position {
            return Err(Lost(format!(
                "delivery {} after {}, sequence {} after {}",
                info.consumer_sequence, self.delivered, info.stream_sequence, self.position
            )));
        }
        let (seq, pending) = (info.stream_sequence, info.pending);
        let stored_ms = wall_ms(info.published);
        self.delivered += 1;
        self.position = seq;
        self.credit = self.credit.saturating_sub(1);
        Ok(Entry { seq, body: message.message.payload, stored_ms, pending })
    }

    fn on_status(&mut self, status: StatusCode, delivery: &Message) -> Result<(), Lost> {
        if delivery.subject.as_str() != format!("{}.{}", self.inbox, self.rounds) {
            // The end of an earlier round, of which everything was delivered.
            return Ok(());
        }
        let description = delivery.description.as_deref().unwrap_or_default();
        let round_is_full = status == StatusCode::REQUEST_TERMINATED
            && (description.starts_with("Batch Completed")
                || description.starts_with("Message Size Exceeds"));
        if round_is_full || status == StatusCode::TIMEOUT || status == StatusCode::NOT_FOUND {
            self.credit = 0;
            return Ok(());
        }
        Err(Lost(format!("status {status} {description}")))
    }
}
