//! The streams: created once, by `init`, and looked at by everyone else.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{
        self, Context, ErrorCode,
        response::Response,
        stream::{Compression, Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
};
use bytes::Bytes;
use chassis::clock::Clock;
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    ANSWER_WITHIN, ConnectError, Options,
    names::{Names, Table},
};

/// Keys of a stream's metadata.
pub(super) const PARTITIONS_KEY: &str = "tandem-partitions";
pub(super) const STREAMS_KEY: &str = "tandem-streams";
/// A lease nobody renewed for a day belongs to a node that is long gone.
pub(super) const LEASE_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The servers' own default; no message of ours has an id that would need it.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// A JetStream context whose requests keep our deadline.
pub(super) fn context(client: &Client) -> Context {
    jetstream::ContextBuilder::new().timeout(ANSWER_WITHIN).build(client.clone())
}

/// Partitions and streams that an installation was created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) partitions: u16,
    pub(super) streams: u16,
}

impl Layout {
    /// As a stream tells it; `None` where it is not one of ours.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let number = |key: &str| config.metadata.get(key)?.parse().ok();
        Some(Self { partitions: number(PARTITIONS_KEY)?, streams: number(STREAMS_KEY)? })
    }

    /// Checks it against what is configured.
    pub(super) fn check(self, options: &Options) -> Result<Self, ConnectError> {
        let differs =
            |what, stored, configured| Err(ConnectError::Layout { what, stored, configured });
        if self.partitions != options.partitions {
            return differs("partitions", self.partitions, options.partitions);
        }
        if options.streams != 0 && self.streams != options.streams_at_creation() {
            return differs("streams", self.streams, options.streams);
        }
        Ok(self)
    }
}

/// A stream as the servers describe it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) config: Config,
    /// The leader's clock less ours, and by how much that may be wrong; milliseconds.
    pub(super) clock_ahead_ms: Option<(i64, i64)>,
    /// Copies that are out of reach or behind.
    pub(super) lagging: Vec<String>,
}

#[derive(Deserialize)]
struct Info {
    config: Config,
    cluster: Option<Cluster>,
    ts: Option<String>,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    replicas: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    name: String,
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Looks a stream up; `None` where there is none of that name.
pub(super) async fn describe(
    client: &Client,
    stream: &str,
) -> Result<Option<Described>, ConnectError> {
    let failed = |why: String| ConnectError::Stream { stream: stream.to_owned(), why };
    let clock = Clock::system();
    let (asked_ms, asked_boot_ms) = (clock.wall_ms(), clock.boot_ms());
    let request = client.request(format!("$JS.API.STREAM.INFO.{stream}"), Bytes::new());
    let answer = timeout(ANSWER_WITHIN, request)
        .await
        .map_err(|_| failed("no answer in time (may this user ask for it, and does it sign in as its own role?)".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    let took_ms = signed(clock.boot_ms().saturating_sub(asked_boot_ms));
    let found = serde_json::from_slice::<Response<Info>>(&answer.payload);
    let info = match found.map_err(|error| failed(error.to_string()))? {
        Response::Ok(info) => info,
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            return Ok(None);
        }
        Response::Err { error } => return Err(failed(error.to_string())),
    };
    let theirs_ms = info.ts.and_then(|ts| ts.parse::<jiff::Timestamp>().ok());
    let clock_ahead_ms = theirs_ms
        .map(|theirs| (theirs.as_millisecond() - signed(asked_ms) - took_ms / 2, took_ms / 2 + 1));
    let replicas = info.cluster.map(|cluster| cluster.replicas).unwrap_or_default();
    let lagging = replicas.into_iter().filter(|peer| peer.offline || !peer.current);
    let lagging = lagging.map(|peer| peer.name).collect();
    Ok(Some(Described { config: info.config, clock_ahead_ms, lagging }))
}

/// Every stream of an installation. The leases come last: where they are, the others are.
pub(super) fn configs(names: &Names, partitions: u16, replicas: usize) -> Vec<Config> {
    let stream = |name: String, subjects: String| Config {
        name,
        subjects: vec![subjects],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        num_replicas: replicas,
        // Nothing is discarded by age, number or size; should a limit ever be set, it refuses.
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        discard: DiscardPolicy::New,
        // Any replica may answer a direct get, late.
        allow_direct: false,
        duplicate_window: DUPLICATE_WINDOW,
        compression: Some(Compression::None),
        // Nobody removes a message from the middle of a log.
        deny_delete: true,
        metadata: [
            (PARTITIONS_KEY.to_owned(), partitions.to_string()),
            (STREAMS_KEY.to_owned(), names.streams().to_string()),
        ]
        .into(),
        ..Config::default()
    };
    // Only the last message of a subject counts: the bucket as it is, the newest renewal. Nothing of them is trimmed.
    let last_only = |name, subjects| Config {
        max_messages_per_subject: 1,
        deny_purge: true,
        ..stream(name, subjects)
    };
    let entries =
        |table, number| stream(names.numbered_stream(table, number), names.entries(table, number));
    let mut all = Vec::new();
    for number in 0..names.streams() {
        all.push(entries(Table::Inbox, number));
        all.push(entries(Table::Log, number));
        all.push(last_only(names.numbered_states_stream(number), names.states(number)));
    }
    let leases = last_only(names.leases_stream(), names.leases());
    // A lease that is too old goes, and the oldest ones where there is no room.
    all.push(Config { max_age: LEASE_AGE_MAX, discard: DiscardPolicy::Old, ..leases });
    all
}

/// Creates a stream; the servers take the same settings twice.
pub(super) async fn create(context: &Context, wanted: Config) -> Result<(), ConnectError> {
    let name = wanted.name.clone();
    let failed = |why: String| ConnectError::Stream { stream: name.clone(), why };
    let created = timeout(ANSWER_WITHIN * 2, context.create_stream(wanted)).await;
    let created = created.map_err(|_| failed("no answer in time".to_owned()))?;
    created.map(drop).map_err(|error| failed(error.to_string()))
}
