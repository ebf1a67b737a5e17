//! A small installation moves between buses with other numbers of partitions. What it decided, what is due later, what is
//! under way and what nobody has decided yet must each be there once, and it must go on.

mod dealing;
mod toy;

use std::time::Duration;

use bus::{
    Bus, Cause, FormatLevel, PartitionId, Record,
    jetstream::{self, Options},
};
use testkit::nats::NatsServer;

use super::{Moved, Mover, Standing, TransferError, release, standing, transfer};
use crate::{Random, format_level, store_format_level};
use toy::{Command, add, append, command, embedded, entity, node, pay, total};

/// Accounts of the installation.
const ACCOUNTS: u64 = 12;
/// What an account gains when its timer fires.
const FIRED: u64 = 1_000;
const LATER_MS: u64 = 6_000;

fn mover() -> Mover {
    let now_ms = chassis::clock::Clock::system().wall_ms();
    let (node, random) = ("operator".to_owned(), Random::system());
    Mover { node, now_ms, random, news: Vec::new() }
}

/// What each account holds once everything is decided.
fn expected(n: u64) -> u64 {
    let paid_by_predecessor = (n + ACCOUNTS - 1) % ACCOUNTS + 1;
    let undecided = if n < 4 { 100 } else { 0 };
    let fired = if n == 0 { FIRED } else { 0 };
    10 + paid_by_predecessor + undecided + fired
}

/// Every account is opened and pays its successor; account 0 has a timer.
async fn fill(bus: &Bus) {
    for n in 0..ACCOUNTS {
        append(bus, add(n, n, 10)).await;
        append(bus, pay(100 + n, n, (n + 1) % ACCOUNTS, n + 1)).await;
    }
    let due_ms = mover().now_ms + LATER_MS;
    append(bus, command(200, entity(0), &Command::WakeAt(due_ms), Cause::Command)).await;
    // The replies say that everything before them is decided.
    for n in 0..ACCOUNTS {
        total(bus, 300 + n, n).await;
    }
}

/// What nobody decides before the move; keys of the source are repeated.
async fn append_undecided(bus: &Bus) {
    for n in 0..4 {
        append(bus, add(400 + n, n, 100)).await;
        append(bus, add(n, n, 10)).await;
    }
}

/// Serves the bus, and waits until every account holds what it should.
async fn assert_arrived(bus: &Bus, keys: u64) {
    let node = node(bus).await;
    for n in 0..ACCOUNTS {
        let mut found = 0;
        for attempt in 0..300 {
            found = total(bus, keys + attempt * ACCOUNTS + n, n).await;
            if found == expected(n) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(found, expected(n), "account {n}");
    }
    node.stop(Duration::from_secs(30)).await.unwrap();
}

async fn generations(bus: &Bus) -> Vec<u32> {
    let mut generations = Vec::new();
    for partition in (0..bus.partitions).map(PartitionId) {
        let (_, last) = bus.log.last(partition).await.unwrap().unwrap();
        generations.push(Record::decode_head(&last).unwrap().generation);
    }
    generations
}

async fn moved(source: &Bus, target: &Bus, generation: u32) -> Moved {
    let moved = transfer(source, target, &mover()).await.unwrap();
    assert_eq!(moved.generation, generation);
    assert_eq!(generations(target).await, vec![generation; usize::from(target.partitions)]);
    assert_eq!(standing(target).await.unwrap(), Standing::Held);
    let levels = [format_level(source).await.unwrap(), format_level(target).await.unwrap()];
    assert_eq!(levels[0], levels[1], "what is carried was written at the source's level");
    moved
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_stopped_in_order_goes_on_in_more_partitions_and_in_fewer() {
    let (_source_dir, source) = embedded(3);
    let owner = node(&source).await;
    fill(&source).await;
    store_format_level(&source, FormatLevel::KNOWN).await.unwrap();
    owner.stop(Duration::from_secs(30)).await.unwrap();
    append_undecided(&source).await;

    let (_more_dir, more) = embedded(5);
    let first = moved(&source, &more, 2).await;
    // Eight inputs that nobody read, and what the payments left under way.
    assert!(first.inputs >= 8 && first.parts >= ACCOUNTS && first.timers == 1, "{first:?}");
    assert_arrived(&more, 1_000).await;
    let refused = transfer(&source, &more, &mover()).await;
    assert!(matches!(refused, Err(TransferError::NotEmpty { .. })), "{refused:?}");
    release(&more).await.unwrap();
    assert_eq!(standing(&more).await.unwrap(), Standing::Free);

    let (_fewer_dir, fewer) = embedded(2);
    moved(&more, &fewer, 3).await;
    assert_arrived(&fewer, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_killed_owner_that_no_part_holds_arrive_and_are_saved() {
    let (_source_dir, source) = embedded(3);
    let owner = node(&source).await;
    fill(&source).await;
    owner.kill();
    // What it had sent lands before anybody looks.
    drop(owner.stop(Duration::from_secs(10)).await);
    append_undecided(&source).await;
    let (_target_dir, target) = embedded(4);
    let moved = moved(&source, &target, 2).await;
    assert_eq!((moved.unsaved, moved.parts), (ACCOUNTS, 0));
    assert_arrived(&target, 1_000).await;
    // Stopped in order, its owner has saved what it was given as events.
    let parts = target.states.load(entity(1).partition(4), entity(1)).await.unwrap();
    assert_eq!(parts.len(), 1, "{parts:?}");
    assert_arrived(&target, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_moves_into_a_cluster_and_out_of_it_again() {
    let (_source_dir, source) = embedded(3);
    let owner = node(&source).await;
    fill(&source).await;
    owner.stop(Duration::from_secs(30)).await.unwrap();
    append_undecided(&source).await;
    let server = NatsServer::start().await.unwrap();
    let options = Options {
        servers: vec![server.url()],
        partitions: 8,
        replicas: 1,
        allow_data_loss: true,
        ..Options::default()
    };
    jetstream::init(options.clone()).await.unwrap();
    let cluster = jetstream::connect(options).await.unwrap();
    moved(&source, &cluster, 2).await;
    assert_arrived(&cluster, 1_000).await;
    let (_backup_dir, backup) = embedded(8);
    moved(&cluster, &backup, 3).await;
    assert_arrived(&backup, 100_000).await;
}

/// A log that says it goes on where a history ends is not taken for a whole one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_record_names_the_last_one_of_its_history() {
    let (_source_dir, source) = embedded(1);
    let owner = node(&source).await;
    total(&source, 1, 1).await;
    owner.stop(Duration::from_secs(30)).await.unwrap();
    let (_target_dir, target) = embedded(2);
    moved(&source, &target, 2).await;
    let (last, _) = source.log.last(PartitionId(0)).await.unwrap().unwrap();
    let mut previous = Vec::new();
    for partition in [PartitionId(0), PartitionId(1)] {
        let (_, record) = target.log.last(partition).await.unwrap().unwrap();
        previous.push(Record::decode_head(&record).unwrap().previous_seq);
    }
    assert_eq!(previous, [last, 0]);
}
