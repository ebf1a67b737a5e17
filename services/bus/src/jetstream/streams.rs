//! The streams: created once, checked at every start, never changed from here.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{
        self, Context, ErrorCode,
        context::GetStreamErrorKind,
        stream::{Config, RetentionPolicy, StorageType},
    },
};

use super::{
    ANSWER_WITHIN, ConnectError, Options,
    names::{Names, Table},
};

/// Key of the partition count in a stream's metadata.
const PARTITIONS_KEY: &str = "tandem-partitions";
/// A lease nobody renewed for a day belongs to a node that is long gone.
const LEASE_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A JetStream context whose requests keep our deadline.
pub(super) fn context(client: &Client) -> Context {
    jetstream::ContextBuilder::new().timeout(ANSWER_WITHIN).build(client.clone())
}

pub(super) async fn open_all(
    client: &Client,
    names: &Names,
    options: &Options,
) -> Result<(), ConnectError> {
    let context = context(client);
    for config in configs(names, options) {
        open(&context, config, options.partitions).await?;
    }
    Ok(())
}

fn configs(names: &Names, options: &Options) -> [Config; 4] {
    let stream = |name: String, subjects: Vec<String>| Config {
        name,
        subjects,
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        num_replicas: options.replicas,
        // Nothing is discarded by age, number or size.
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        // Any replica may answer a direct get, late.
        allow_direct: false,
        metadata: [(PARTITIONS_KEY.to_owned(), options.partitions.to_string())].into(),
        ..Config::default()
    };
    let entries = |table| stream(names.stream(table), vec![names.entries(table)]);
    // Only the last message of a subject counts: the saved part, the newest renewal.
    let last_only =
        |name, subjects| Config { max_messages_per_subject: 1, ..stream(name, subjects) };
    [
        entries(Table::Inbox),
        entries(Table::Log),
        last_only(names.states_stream(), names.states()),
        Config { max_age: LEASE_AGE_MAX, ..last_only(names.leases_stream(), vec![names.leases()]) },
    ]
}

async fn open(context: &Context, wanted: Config, partitions: u16) -> Result<(), ConnectError> {
    let failed = |why: String| ConnectError::Stream { stream: wanted.name.clone(), why };
    let found = match context.get_stream(&wanted.name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(refusal)
                if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                // Another node may create it now too; the servers take the same settings twice.
                let created = context.create_stream(wanted.clone()).await;
                created.map_err(|error| failed(error.to_string()))?.cached_info().config.clone()
            }
            _ => return Err(failed(error.to_string())),
        },
    };
    check(&found, &wanted, partitions)
}

fn check(found: &Config, wanted: &Config, partitions: u16) -> Result<(), ConnectError> {
    let stream = found.name.clone();
    let losing = [
        ("another age limit", found.max_age != wanted.max_age),
        ("a size limit", found.max_bytes > 0),
        ("a limit of messages", found.max_messages > 0),
        (
            "another limit of messages per subject",
            found.max_messages_per_subject.max(0) != wanted.max_messages_per_subject.max(0),
        ),
        ("direct get on", found.allow_direct),
        ("memory storage", found.storage != StorageType::File),
        ("another retention", found.retention != RetentionPolicy::Limits),
        ("other subjects", found.subjects != wanted.subjects),
    ];
    if let Some((setting, _)) = losing.iter().find(|(_, differs)| *differs) {
        return Err(ConnectError::Foreign { stream, setting: (*setting).to_owned() });
    }
    match found.metadata.get(PARTITIONS_KEY) {
        Some(stored) if *stored == partitions.to_string() => Ok(()),
        Some(stored) => {
            Err(ConnectError::Partitions { stream, stored: stored.clone(), configured: partitions })
        }
        None => Err(ConnectError::Foreign { stream, setting: "no partition count".to_owned() }),
    }
}
