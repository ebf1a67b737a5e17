//! How Postgres finds what a batch names: statements are planned while tables are small or empty, and the tables grow.

use bus::{PartitionId, RecordBody, Steps};
use domain::{
    Hash16, MessageId, RequestId,
    conversation::{ConversationEvent, MessageRecord, StatusKind},
};
use testkit::postgres::PostgresServer;

use super::{
    postgres::{BOUND, Dice},
    support::*,
    tables::{Kind, connected, postgres},
};
use crate::{
    Applied, Repository,
    postgres::apply::{TURN, TURN_SETTINGS},
};

/// How the tables of a database were read so far.
#[derive(Debug)]
struct Reads {
    /// Tables that were read from end to end, with how many rows.
    from_end_to_end: Vec<(String, i64)>,
    /// Indexes of the larger tables: how often each was asked, and how many entries it answered with.
    by_index: Vec<(String, i64, i64)>,
}

impl Reads {
    fn asked(&self) -> i64 {
        self.by_index.iter().map(|(_, asked, _)| asked).sum()
    }

    fn entries(&self) -> i64 {
        self.by_index.iter().map(|(.., entries)| entries).sum()
    }
}

async fn reads(url: &str) -> Reads {
    connected(url, async |client| {
        // A connection tells its counts when it ends.
        let others = "SELECT count(*) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let alone = async || {
            let others: i64 = client.query_one(others, &[]).await.unwrap().get(0);
            (others == 0).then_some(())
        };
        testkit::wait_for(BOUND, "the projection's connections to end", alone).await.unwrap();
        // The making of an index reads a table, too, while it is empty.
        let sequential =
            "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables WHERE seq_tup_read > 0";
        let sequential = client.query(sequential, &[]).await.unwrap();
        let indexes = "SELECT indexrelname::text, idx_scan, idx_tup_read FROM pg_stat_user_indexes
            WHERE idx_scan > 0 AND relname NOT IN ('installation', 'positions')";
        let indexes = client.query(indexes, &[]).await.unwrap();
        Reads {
            from_end_to_end: sequential.iter().map(|row| (row.get(0), row.get(1))).collect(),
            by_index: indexes.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
        }
    })
    .await
}

/// Applies to an empty database what each of `turns` writes into a log, one batch a turn, and tells what that read.
async fn reads_of(turns: usize, mut write: impl FnMut(&mut Log, usize)) -> Reads {
    let server = PostgresServer::start().await.unwrap();
    let url = server.url("postgres");
    let (mut log, mut done) = (Log::new(0), 0);
    let scratch = Model::new(Kind::Sqlite).await;
    let repository = postgres(&url);
    for turn in 0..turns {
        write(&mut log, turn);
        let batch = scratch.batch(log.partition, &log.records[done..]).await;
        done = log.records.len();
        assert_eq!(scratch.repository.apply(batch.clone()).await.unwrap(), Applied::Done);
        assert_eq!(repository.apply(batch).await.unwrap(), Applied::Done);
    }
    drop(repository);
    reads(&url).await
}

/// Statements are planned while the tables are small, when reading all of them looks cheap; the tables grow, the plans stay.
#[tokio::test]
async fn the_projection_finds_its_rows_by_indexes_from_the_first_one() {
    let mut dice = Dice(7);
    let reads = reads_of(20, |log, _| {
        for _ in 0..4 {
            let events: Vec<_> = (0..3).map(|_| dice.event(1)).collect();
            log.step_of(SHOP, 1, &events);
        }
    })
    .await;
    assert!(reads.asked() >= 20, "the statements were not seen: {reads:?}");
    // The one row of the installation, and the versions of the tables, are all there is of theirs.
    let small = ["installation", "tandem_schema"];
    let large: Vec<_> = reads
        .from_end_to_end
        .iter()
        .filter(|(table, _)| !small.contains(&table.as_str()))
        .collect();
    assert!(large.is_empty(), "{large:?}");
}

/// What a customer of this number wrote, and what he was answered.
fn exchange(customer: u32) -> Vec<ConversationEvent> {
    let (message, request) = (MessageId(wide(customer)), wide_request(customer));
    let ConversationEvent::MessageRecorded(record) = inbound(1, 1, "hi") else { unreachable!() };
    vec![
        ConversationEvent::MessageRecorded(MessageRecord { message, ..record }),
        asked(request, 2, "hello"),
    ]
}

fn seen(customer: u32) -> ConversationEvent {
    ConversationEvent::StatusMerged {
        message: MessageId(wide(customer)),
        request: Some(wide_request(customer)),
        status: StatusKind::Read,
        at_ms: 3,
        error: None,
        content: wamid(1),
    }
}

fn wide(number: u32) -> Hash16 {
    let mut hash = [9; 16];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    Hash16(hash)
}

fn wide_request(customer: u32) -> RequestId {
    RequestId { conversation: wide(customer), n: 1 }
}

fn wide_step(customer: u32, events: &[ConversationEvent]) -> bus::Step {
    let entity = bus::EntityId { kind: 1, hash: wide(customer).0 };
    bus::Step { entity, ..step(SHOP, 0, events) }
}

/// An index that begins with the business answers all conversations of it where it is taken in place of the one that names the
/// conversation. Plans that were made while the tables were empty, and kept, took it.
#[tokio::test]
async fn the_projection_reads_no_more_of_a_business_than_a_batch_names() {
    let (customers, turns) = (2_000, 20);
    let reads = reads_of(turns, |log, turn| {
        let turn = u32::try_from(turn).unwrap();
        let steps = match turn {
            0 => (0..customers).map(|customer| wide_step(customer, &exchange(customer))).collect(),
            turn => vec![wide_step(turn, &[seen(turn)])],
        };
        log.push(RecordBody::Steps(Steps { steps, ..Steps::default() }));
    })
    .await;
    assert!(reads.asked() >= i64::from(customers), "the statements were not seen: {reads:?}");
    // Each turn names one conversation, one message, one request and one status, and some are read to be written, too.
    let bound = 20 * i64::try_from(turns).unwrap();
    assert!(reads.entries() <= bound, "{reads:?}");
}

/// The cost that stands for "never", of a table that has no index, is above the one from which the server compiles a statement.
#[tokio::test]
async fn no_statement_is_compiled_for_a_single_run() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.url("postgres");
    // Makes the tables.
    postgres(&url).cursor(PartitionId(0)).await.unwrap();
    connected(&url, async |client| {
        let compiles = async |settings: &str| {
            client.batch_execute(&format!("BEGIN; {settings}")).await.unwrap();
            let plan = client.query(&format!("EXPLAIN {TURN}"), &[]).await.unwrap();
            client.batch_execute("ROLLBACK").await.unwrap();
            plan.iter().any(|line| line.get::<_, &str>(0).starts_with("JIT"))
        };
        assert!(!compiles(TURN_SETTINGS).await);
        let can_compile: bool =
            client.query_one("SELECT pg_jit_available()", &[]).await.unwrap().get(0);
        let naive = TURN_SETTINGS.replace("SET LOCAL jit = off;", "");
        assert_eq!(compiles(&naive).await, can_compile);
    })
    .await;
}
