//! How fast a history is projected into each kind of read model, and what it costs.
//!
//! `cargo bench -p archive --bench projection [-- MESSAGES]`. The history: conversations of 8 partitions, in turn a customer's
//! message and an answer with its acceptance and three statuses; batches of 256 steps, each partition's next one when the
//! one before is applied. Both are durable as in production: SQLite `synchronous=NORMAL`, Postgres with `fsync`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench fails by panicking and prints what it found"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use archive::{
    Applied, Batch, DecodedStep, PostgresOptions, PostgresRepository, PostgresTls, Repository,
    SqliteRepository, chain::Cursor,
};
use bus::{EntityId, Incarnation, PartitionId, Position};
use domain::{
    BusinessId, EntityKind, Hash16, MessageId, RequestId, Sealed,
    content::ContentKind,
    conversation::{
        Author, ConversationEvent as Event, Direction, MessageRecord, SendOutcome, SendRecord,
        StatusKind,
    },
    number::Lane,
};
use rustix::time::{ClockId, clock_gettime};
use testkit::postgres::PostgresServer;

const PARTITIONS: u16 = 8;
const CONVERSATIONS: u64 = 20_000;
const STEPS_PER_BATCH: usize = 256;
/// What the product sets.
const PACE: Duration = Duration::from_millis(25);
const SEALED_BYTES: usize = 220;

fn hash(kind: u8, n: u64) -> Hash16 {
    let mut bytes = [kind; 16];
    // As a keyed hash is: spread.
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    bytes.iter_mut().zip(spread.iter().chain(&n.to_be_bytes())).for_each(|(to, from)| *to = *from);
    Hash16(bytes)
}

fn sealed(n: u64) -> Sealed {
    let bytes =
        (0..SEALED_BYTES).map(|i| n.to_le_bytes()[i % 8] ^ u8::try_from(i).unwrap()).collect();
    Sealed { key_id: 1, bytes }
}

/// The steps of message `n` of a history, in its conversation.
fn steps(n: u64) -> Vec<Vec<Event>> {
    let at_ms = 1_000_000 + n * 10;
    let conversation = hash(1, n / 2 % CONVERSATIONS);
    let message = MessageId(hash(2, n));
    if n % 2 == 0 {
        let record = MessageRecord {
            message,
            direction: Direction::In,
            author: Author::Customer,
            kind: ContentKind::Text,
            at_ms,
            content: sealed(n),
            target: None,
            episode: Some(1),
        };
        let window = Event::WindowMoved { until_ms: at_ms + 86_400_000 };
        return vec![vec![Event::MessageRecorded(record), window]];
    }
    let request = RequestId { conversation, n };
    let asked = SendRecord {
        request,
        author: Author::Agent("ana".into()),
        lane: Lane::Agent,
        kind: ContentKind::Text,
        at_ms,
        content: sealed(n),
        not_after_ms: at_ms + 60_000,
        episode: Some(1),
    };
    let outcome = SendOutcome::Accepted { message, wamid: sealed(n), at_ms, repeated: false };
    let status = |status| Event::StatusMerged {
        message,
        request: Some(request),
        status,
        at_ms,
        error: None,
        content: sealed(n),
    };
    vec![
        vec![Event::SendRequested(asked)],
        vec![Event::SendResolved { request, outcome, at_ms }],
        vec![status(StatusKind::Sent)],
        vec![status(StatusKind::Delivered)],
        vec![status(StatusKind::Read)],
    ]
}

fn history(partition: u16, messages: u64) -> Vec<Batch> {
    let mut all: Vec<DecodedStep> = Vec::new();
    for n in 0..messages {
        if n / 2 % CONVERSATIONS % u64::from(PARTITIONS) != u64::from(partition) {
            continue;
        }
        for events in steps(n) {
            let seq = u64::try_from(all.len() / STEPS_PER_BATCH).unwrap() + 1;
            all.push(DecodedStep {
                position: Position {
                    generation: 1,
                    seq,
                    index: u32::try_from(all.len() % STEPS_PER_BATCH).unwrap(),
                },
                business: BusinessId::from("shop"),
                entity: EntityId {
                    kind: EntityKind::Conversation.code(),
                    hash: hash(1, n / 2 % CONVERSATIONS).0,
                },
                now_ms: 1_000_000 + n * 10,
                events,
                dead_letter: None,
                replays: None,
            });
        }
    }
    let cursor = |seq| Cursor {
        seq,
        generation: 1,
        epoch: 1,
        incarnation: Incarnation([1; 16]),
        number: seq,
    };
    let chunks = (1..).zip(all.chunks(STEPS_PER_BATCH));
    let batch = |(seq, steps): (u64, &[DecodedStep])| Batch {
        partition: PartitionId(partition),
        after: (seq > 1).then(|| cursor(seq - 1)),
        last: cursor(seq),
        records: 1,
        steps: steps.to_vec(),
    };
    chunks.map(batch).collect()
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

async fn project(repository: Arc<dyn Repository>, messages: u64) -> (Duration, Duration) {
    let histories: Vec<Vec<Batch>> =
        (0..PARTITIONS).map(|partition| history(partition, messages)).collect();
    let (begun, cpu_before) = (Instant::now(), cpu());
    let mut followers = Vec::new();
    for batches in histories {
        let repository = Arc::clone(&repository);
        followers.push(tokio::spawn(async move {
            for batch in batches {
                assert_eq!(repository.apply(batch).await.unwrap(), Applied::Done);
            }
        }));
    }
    for follower in followers {
        follower.await.unwrap();
    }
    (begun.elapsed(), cpu() - cpu_before)
}

fn print(name: &str, messages: u64, took: Duration, own: Duration, server: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
    let rate = messages as f64 / took.as_secs_f64();
    let us = |time: Duration| time.as_micros() / u128::from(messages);
    println!(
        "{name}: {rate:.0} messages/s, {} µs of CPU a message in the process, {} µs in the server",
        us(own),
        us(server)
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let given = std::env::args().skip(1).find_map(|given| given.parse().ok());
    let messages: u64 = given.unwrap_or(200_000);
    let dir = tempfile::tempdir().unwrap();
    let sqlite = SqliteRepository::open(&dir.path().join("archive.sqlite"), [1; 8]).unwrap();
    let sqlite = sqlite.with_pace(PACE);
    let (took, own) = project(Arc::new(sqlite), messages).await;
    print("SQLite", messages, took, own, Duration::ZERO);

    let settings = ["fsync = on", "shared_buffers = '256MB'", "max_wal_size = '4GB'"];
    let server = PostgresServer::start_with(&settings).await.unwrap();
    let options = PostgresOptions {
        url: server.url("postgres"),
        pool_size: 4,
        tls: PostgresTls::UnlessLocal,
        timeout: Duration::from_secs(60),
    };
    let postgres = PostgresRepository::new(&options, [1; 8]).unwrap().with_pace(PACE);
    let before = server.cpu();
    let (took, own) = project(Arc::new(postgres.clone()), messages).await;
    print("Postgres", messages, took, own, server.cpu().saturating_sub(before));
}
