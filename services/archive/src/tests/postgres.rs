//! What only a database that others share can do: differ from SQLite, be raced for, go away.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use bus::{Bus, PartitionId, Position, sqlite};
use chassis::{clock::Clock, health::Health, task::Shutdown};
use domain::{
    BusinessId, CommandId,
    content::ContentKind,
    conversation::{
        CommandAnswer, ConversationEvent, Pricing, ResolvedBy, RoutingAct, SendOutcome, StatusKind,
    },
};
use tempfile::TempDir;
use testkit::{Link, postgres::PostgresServer};

use super::{
    projector::{dense, dense_step},
    support::*,
    tables::{Kind, Tables, execute, options, postgres, schema},
};
use crate::{
    Applied, Archive, ArchiveError, PostgresOptions, PostgresRepository, PostgresTls, Projector,
    Repository,
};

pub(super) const BOUND: Duration = Duration::from_secs(40);

/// Numbers that repeat.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn small(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).unwrap()
    }

    fn at_ms(&mut self) -> u64 {
        match self.below(40) {
            0 => u64::MAX,
            1 => 0,
            n => n * 1_000,
        }
    }

    /// An event of the conversation `who`, among few messages and requests, so that they meet.
    pub(super) fn event(&mut self, who: u8) -> ConversationEvent {
        let (n, at_ms) = (1 + self.small(12), self.at_ms());
        let request = request(1 + self.small(3), 1 + self.below(4));
        let item = item(who, u32::from(self.small(2)));
        match self.below(20) {
            0..3 => inbound(n, at_ms, "hi"),
            3..5 => echo(n, at_ms, "from the phone"),
            5..7 => asked(request, at_ms, "answer"),
            7..9 => accepted(request, n, at_ms),
            9 => ended(request, self.outcome()),
            10..14 => {
                let statuses =
                    [StatusKind::Sent, StatusKind::Delivered, StatusKind::Read, StatusKind::Failed];
                let request = (self.below(2) == 0).then_some(request);
                status(n, request, statuses[usize::from(self.small(4))], at_ms)
            }
            14 => forwarding((who + 1 + self.small(2)).min(9)),
            15 => self.routing(item, at_ms),
            16 => ConversationEvent::CommandAnswered {
                id: CommandId { client: hash(7), n: 1 + self.below(2) },
                answer: CommandAnswer::Sent { request },
            },
            17 => ConversationEvent::BillingRecorded {
                message: message(n),
                request: None,
                pricing: Pricing {
                    kind: Some(["regular", "free"][usize::from(self.small(2))].to_owned()),
                    billable: Some(self.below(2) == 0),
                    ..Pricing::default()
                },
                at_ms,
            },
            18 => ConversationEvent::EchoAutomatic { message: message(n) },
            _ => self.other(at_ms),
        }
    }

    fn outcome(&mut self) -> SendOutcome {
        match self.below(3) {
            0 => SendOutcome::Unknown,
            1 => SendOutcome::Cancelled,
            _ => SendOutcome::Failed { code: 131_047, told: "closed".to_owned() },
        }
    }

    fn routing(&mut self, item: domain::ItemId, at_ms: u64) -> ConversationEvent {
        match self.below(4) {
            0 => ConversationEvent::ItemWanted {
                item,
                version: 1,
                queue: "sales".into(),
                since_ms: at_ms,
            },
            1 => ConversationEvent::ItemEnded { item, at_ms },
            _ => ConversationEvent::ItemAssigned { item, agent: "ana".into(), at_ms },
        }
    }

    fn other(&mut self, at_ms: u64) -> ConversationEvent {
        let n = u32::from(self.small(3));
        let act =
            |act| ConversationEvent::RoutingActed { act, by: None, from: None, note: None, at_ms };
        match self.below(8) {
            0 => identity(Some("5511"), None),
            1 => ConversationEvent::EpisodeOpened { n, at_ms },
            2 => ConversationEvent::EpisodeResolved { n, by: ResolvedBy::Api, at_ms },
            3 => ConversationEvent::NoteAdded {
                n: n.into(),
                agent: None,
                content: content(0, "note"),
                at_ms,
            },
            4 => ConversationEvent::WindowMoved { until_ms: at_ms },
            5 => act(RoutingAct::Snooze { until_ms: at_ms }),
            6 => act(RoutingAct::Vip { vip: self.below(2) == 0 }),
            _ => ConversationEvent::BillingWindowMoved {
                category: "utility".to_owned(),
                until_ms: at_ms,
            },
        }
    }
}

/// The same history leaves the same rows, however it is cut into batches and transactions.
#[tokio::test]
async fn a_history_leaves_the_same_rows_as_in_sqlite() {
    let (sqlite, postgres) = (Model::new(Kind::Sqlite).await, Model::new(Kind::Postgres).await);
    for seed in 0..12 {
        sqlite.repository.clear().await.unwrap();
        postgres.repository.clear().await.unwrap();
        let mut dice = Dice(seed);
        let mut logs = [Log::new(0), Log::new(1)];
        let mut done = [0, 0];
        for _ in 0..12 {
            for (log, residue) in logs.iter_mut().zip(0_u8..) {
                for _ in 0..dice.below(6) {
                    // A conversation lives in one partition.
                    let who = 1 + residue + 2 * dice.small(4);
                    let events: Vec<_> = (0..=dice.below(3)).map(|_| dice.event(who)).collect();
                    let business = if dice.below(5) == 0 { "bank" } else { SHOP };
                    log.step_of(business, who, &events);
                }
            }
            let mut batches = Vec::new();
            for (log, done) in logs.iter().zip(&mut done) {
                if log.records.len() > *done {
                    batches.push(sqlite.batch(log.partition, &log.records[*done..]).await);
                    *done = log.records.len();
                }
            }
            for batch in &batches {
                assert_eq!(sqlite.repository.apply(batch.clone()).await.unwrap(), Applied::Done);
            }
            // At once, so that they share a transaction.
            let applied = batches.into_iter().map(|batch| postgres.repository.apply(batch));
            for applied in futures::future::join_all(applied).await {
                assert_eq!(applied.unwrap(), Applied::Done);
            }
            assert_same(&postgres.dump().await, &sqlite.dump().await, &seed);
            assert_same(&sqlite.dump().await, &postgres.dump().await, &seed);
        }
    }
}

struct World {
    bus: Bus,
    log: Log,
    _dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options =
            sqlite::Options { partitions: 1, min_free_bytes: 0, ..sqlite::Options::default() };
        let bus = sqlite::open(&dir.path().join("bus"), options).unwrap();
        Self { bus, log: dense(0), _dir: dir }
    }

    /// Appends some messages; answers where the log ends.
    async fn write(&mut self, from: u8, count: u8) -> Position {
        for n in from..from + count {
            dense_step(&mut self.log, 1, &[inbound(n, u64::from(n), &n.to_string())]);
        }
        let partition = self.log.partition;
        let mut seq = self.bus.log.last(partition).await.unwrap().map_or(0, |(seq, _)| seq);
        for (_, bytes) in self.log.records.drain(..) {
            seq = self.bus.log.append(partition, seq, bytes).await.unwrap();
        }
        Position { generation: 1, seq, index: 0 }
    }
}

fn follow(bus: &Bus, repository: Arc<dyn Repository>) -> (Projector, Health, Shutdown) {
    let projector = Projector::new(bus.clone(), repository, Clock::system());
    let (health, shutdown) = (Health::new(), Shutdown::new());
    projector.start(&shutdown, &health);
    (projector, health, shutdown)
}

#[tokio::test]
async fn the_projection_goes_on_by_itself_when_the_database_is_back() {
    let mut server = PostgresServer::start().await.unwrap();
    let repository = postgres(&server.url("postgres"));
    let mut world = World::new();
    let (projector, health, shutdown) = follow(&world.bus, Arc::new(repository.clone()));
    let archive = projector.archive(sealer()).with_wait(BOUND);
    let shop = BusinessId::from(SHOP);
    let mut last = world.write(1, 5).await;
    assert!(archive.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
    for round in 1..4_u8 {
        server.kill().unwrap();
        last = world.write(1 + round * 10, 5).await;
        let noticed = || health.not_ready().values().any(|why| why.contains("cannot be reached"));
        testkit::wait_until(BOUND, "the projection to say it waits", noticed).await.unwrap();
        let refused = archive.conversation(&shop, hash(1), None).await;
        assert!(matches!(refused, Err(ArchiveError::Unreachable(_))), "{refused:?}");
        server.restart().await.unwrap();
        assert!(archive.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
        testkit::wait_until(BOUND, "ready", || health.is_ready()).await.unwrap();
    }
    let read = archive.messages(&shop, hash(1), None, 99, None).await.unwrap();
    assert_eq!(read.value.unwrap().0.len(), 20);
    assert_eq!(repository.cursor(PartitionId(0)).await.unwrap().unwrap().seq, last.seq);
    shutdown.drain(BOUND).await.unwrap();
}

/// What was applied when a query waited for it is there when the server comes back, before anybody applies it again.
#[tokio::test]
async fn a_crash_of_the_database_takes_nothing_back() {
    let mut server = PostgresServer::start().await.unwrap();
    let link = Link::to(server.port()).await.unwrap();
    let mut world = World::new();
    let (projector, health, shutdown) =
        follow(&world.bus, Arc::new(postgres(&through(&link, &server))));
    let archive = projector.archive(sealer()).with_wait(BOUND);
    for round in 0..5_u8 {
        let last = world.write(1 + round * 5, 5).await;
        assert!(archive.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
        link.cut();
        server.restart().await.unwrap();
        let stored = postgres(&server.url("postgres")).cursor(PartitionId(0)).await.unwrap();
        assert_eq!(stored.unwrap().seq, last.seq, "round {round}");
        link.heal();
    }
    shutdown.drain(BOUND).await.unwrap();
}

/// A standby that lagged behind takes the server's place, and nobody writes any more: everything comes again all the same, and
/// until then no query is told that it is there.
#[tokio::test]
async fn what_a_standby_lacks_is_applied_again_though_nothing_more_is_written() {
    let mut server = PostgresServer::start().await.unwrap();
    let (near, url) = (Link::to(server.port()).await.unwrap(), server.url("postgres"));
    let mut world = World::new();
    let (projector, health, shutdown) =
        follow(&world.bus, Arc::new(postgres(&through(&near, &server))));
    let archive = projector.archive(sealer()).with_wait(BOUND);
    // As a desk reads what the archive projects.
    let desk = || Archive::follow(&world.bus, Arc::new(postgres(&url)), sealer(), &shutdown);
    let (desk, patient) = (desk().with_wait(Duration::from_millis(50)), desk().with_wait(BOUND));
    let before = world.write(1, 5).await;
    assert!(archive.reach(PartitionId(0), before).await, "{:?}", health.not_ready());
    server.kill().unwrap();
    let lagging = server.data_dir().with_file_name("lagging");
    copy(&server.data_dir(), &lagging);
    server.restart().await.unwrap();
    let last = world.write(11, 5).await;
    assert!(archive.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
    assert!(patient.reach(PartitionId(0), last).await);
    near.cut();
    server.kill().unwrap();
    std::fs::remove_dir_all(server.data_dir()).unwrap();
    std::fs::rename(&lagging, server.data_dir()).unwrap();
    server.restart().await.unwrap();
    let (shop, at_least) = (BusinessId::from(SHOP), Some((PartitionId(0), last)));
    let asked = async || desk.messages(&shop, hash(1), None, 99, at_least).await.ok();
    let read = testkit::wait_for(BOUND, "an answer", asked).await.unwrap();
    assert_eq!((read.stale, read.value.unwrap().0.len()), (true, 5));
    near.heal();
    assert!(patient.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
    let read = patient.messages(&shop, hash(1), None, 99, at_least).await.unwrap();
    assert_eq!((read.stale, read.value.unwrap().0.len()), (false, 10));
    shutdown.drain(BOUND).await.unwrap();
}

fn through(link: &Link, server: &PostgresServer) -> String {
    server.url("postgres").replace(&server.port().to_string(), &link.port().to_string())
}

/// With owners and modes.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success(), "{copied}");
}

#[tokio::test]
async fn a_process_starts_without_its_database_and_serves_once_it_is_there() {
    let mut server = PostgresServer::start().await.unwrap();
    server.kill().unwrap();
    let repository = postgres(&server.url("postgres"));
    let mut world = World::new();
    let last = world.write(1, 3).await;
    let (projector, health, shutdown) = follow(&world.bus, Arc::new(repository));
    let noticed = || health.not_ready().values().any(|why| why.contains("cannot be reached"));
    testkit::wait_until(BOUND, "the projection to say it waits", noticed).await.unwrap();
    server.restart().await.unwrap();
    let archive = projector.archive(sealer()).with_wait(BOUND);
    assert!(archive.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
    shutdown.drain(BOUND).await.unwrap();
}

/// It holds its connections and says nothing: nobody waits for it for ever, and nothing is applied twice.
#[tokio::test]
async fn a_database_that_stands_still_is_given_up_in_time() {
    let server = PostgresServer::start().await.unwrap();
    let timeout = Duration::from_millis(400);
    let options = PostgresOptions { timeout, ..options(&server.url("postgres")) };
    // The first statements of a cold server may take longer than that.
    drop(postgres(&options.url).dump().await.unwrap());
    let repository = PostgresRepository::new(&options, sealer().fingerprint()).unwrap();
    let mut world = World::new();
    let first = world.write(1, 3).await;
    let (projector, health, shutdown) = follow(&world.bus, Arc::new(repository));
    let archive = projector.archive(sealer()).with_wait(BOUND);
    assert!(archive.reach(PartitionId(0), first).await, "{:?}", health.not_ready());
    server.pause().unwrap();
    let last = world.write(11, 3).await;
    let shop = BusinessId::from(SHOP);
    let asked = tokio::time::timeout(BOUND, archive.conversation(&shop, hash(1), None));
    let refused = asked.await.unwrap();
    assert!(matches!(refused, Err(ArchiveError::Unreachable(_))), "{refused:?}");
    let noticed = || health.not_ready().values().any(|why| why.contains("did not answer"));
    testkit::wait_until(BOUND, "the projection to say it waits", noticed).await.unwrap();
    server.resume().unwrap();
    assert!(archive.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
    let patient = postgres(&options.url);
    let thread = patient.thread(&shop, hash(1), 0, 99).await.unwrap();
    assert_eq!(thread.unwrap().rows.len(), 6);
    shutdown.drain(BOUND).await.unwrap();
}

/// Several processes project the same logs into the same tables: each batch is applied by one of them.
#[tokio::test]
async fn processes_that_race_apply_everything_once() {
    let tables = Tables::new(Kind::Postgres).await;
    let mut world = World::new();
    let processes: Vec<_> =
        (0..3).map(|_| follow(&world.bus, tables.reopen().repository())).collect();
    let mut last = Position::default();
    for round in 0..12_u8 {
        last = world.write(1 + round * 5, 5).await;
    }
    for (projector, health, _) in &processes {
        let archive = projector.archive(sealer()).with_wait(BOUND);
        assert!(archive.reach(PartitionId(0), last).await, "{:?}", health.not_ready());
    }
    let alone = Tables::new(Kind::Sqlite).await;
    crate::rebuild(&world.bus, alone.repository(), Clock::system(), None).await.unwrap();
    assert_same(&tables.dump().await, &alone.dump().await, &"raced");
    for (_, _, shutdown) in &processes {
        shutdown.drain(BOUND).await.unwrap();
    }
}

#[tokio::test]
async fn tables_of_a_newer_build_or_another_installation_are_refused_by_name() {
    let server = PostgresServer::shared().await.unwrap();
    let url = schema(&server).await;
    postgres(&url).dump().await.unwrap();
    let other = PostgresRepository::new(&options(&url), [9; 8]).unwrap();
    let refused = other.cursor(PartitionId(0)).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::ForeignDatabase { .. }), "{refused:?}");
    assert!(refused.to_string().contains("another installation"), "{refused}");
    execute(&url, "INSERT INTO tandem_schema (version) VALUES (99)").await;
    let refused = postgres(&url).cursor(PartitionId(0)).await.unwrap_err().to_string();
    assert!(refused.contains("version 99") && refused.contains("newer build"), "{refused}");
}

#[tokio::test]
async fn several_processes_make_the_tables_at_once() {
    let server = PostgresServer::shared().await.unwrap();
    let url = schema(&server).await;
    let opened: Vec<_> = (0..5).map(|_| postgres(&url)).collect();
    let asked = opened.iter().map(|repository| repository.cursor(PartitionId(0)));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.unwrap(), None);
    }
}

/// Meta, or whoever writes in its name, chooses the names of kinds and categories.
#[tokio::test]
async fn a_character_that_postgres_does_not_store_stops_nothing() {
    let model = Model::new(Kind::Postgres).await;
    let mut log = Log::new(0);
    let ConversationEvent::MessageRecorded(mut record) = inbound(1, 10, "hi") else {
        unreachable!("it is one")
    };
    record.kind = ContentKind::Other("new\0kind".to_owned());
    let category = "a\0b".to_owned();
    let moved = ConversationEvent::BillingWindowMoved { category, until_ms: 5 };
    let told = SendOutcome::Failed { code: 1, told: "\0".to_owned() };
    let sent = request(1, 1);
    log.step(
        1,
        &[
            ConversationEvent::MessageRecorded(record),
            moved,
            asked(sent, 9, "x"),
            ended(sent, told),
        ],
    );
    model.apply_log(&log).await;
    let kinds: Vec<_> = model.thread(1).await.into_iter().map(|view| view.row.kind).collect();
    assert_eq!(kinds[1], ContentKind::Other("new\u{fffd}kind".to_owned()));
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_and_nothing_shows_the_password() {
    let shown = |url: &str| {
        let options = options(url);
        let refused = PostgresRepository::new(&options, [1; 8]).map(drop);
        format!(
            "{options:?} {}",
            refused.map_or_else(|error| error.to_string(), |()| "fine".into())
        )
    };
    for (url, says) in [
        ("postgres://u:hunter2@localhost/db?sslmode=require", "archive.postgres.tls"),
        ("postgres://u:hunter2@localhost:port/db", "cannot be read"),
        ("postgres://u:hunter2@localhost/db?colour=red", "cannot be read"),
        ("postgres://u:hunter2@localhost/db", "fine"),
    ] {
        let shown = shown(url);
        assert!(shown.contains(says) && !shown.contains("hunter2"), "{shown}");
    }
    // A wrong password, an unknown database: what the server says, without the URL.
    let server = PostgresServer::shared().await.unwrap();
    let url = server.url("nowhere").replace("tandem@", "tandem:hunter2@");
    let refused = postgres(&url).cursor(PartitionId(0)).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("\"nowhere\" does not exist") && !text.contains("hunter2"), "{text}");
    let ca_file = Some("/does/not/exist.pem".into());
    let options = PostgresOptions { tls: PostgresTls::Verify { ca_file }, ..options(&url) };
    let refused = PostgresRepository::new(&options, [1; 8]).map(drop).unwrap_err();
    assert!(refused.to_string().contains("exist.pem"), "{refused}");
}

#[tokio::test]
async fn the_connection_is_encrypted_and_the_servers_certificate_checked() {
    let mut server = PostgresServer::start().await.unwrap();
    let fixtures = testkit::repository_root().join("services/chassis/tests/fixtures");
    let certificate = fixtures.join("test-only.cert.pem");
    for (from, to) in [("test-only.cert.pem", "server.crt"), ("test-only.key.pem", "server.key")] {
        let to = server.data_dir().join(to);
        std::fs::copy(fixtures.join(from), &to).unwrap();
        server.own(&to).unwrap();
    }
    let file = |name: &str| server.data_dir().join(name);
    std::fs::write(file("postgresql.auto.conf"), "ssl = on\n").unwrap();
    std::fs::write(file("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
    server.restart().await.unwrap();
    // The certificate is one for this name.
    let by_name = server.url("postgres").replace("127.0.0.1", "localhost");
    let asked = async |url: &str, tls: PostgresTls| {
        let options = PostgresOptions { tls, ..options(url) };
        let repository = PostgresRepository::new(&options, sealer().fingerprint()).unwrap();
        repository.cursor(PartitionId(0)).await.map_err(|error| error.to_string())
    };
    let verify = || PostgresTls::Verify { ca_file: Some(certificate.clone()) };
    assert_eq!(asked(&by_name, verify()).await, Ok(None));
    let of_another = asked(&server.url("postgres"), verify()).await.unwrap_err();
    assert!(of_another.contains("certificate"), "{of_another}");
    let in_the_clear = asked(&by_name, PostgresTls::Off).await.unwrap_err();
    assert!(in_the_clear.contains("no encryption"), "{in_the_clear}");
}
