//! The bus on a real NATS server (one per test) against the conformance suite.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside a test function")]

#[path = "jetstream/leases.rs"]
mod leases;

use bus::{
    AppendError, Bus, LogAppendError, PartitionId, ReadLimit,
    conformance::PARTITIONS,
    jetstream::{self, Auth, ConnectError, Level, Options},
};
use bytes::Bytes;
use testkit::nats::{NatsServer, Setup};

fn options(server: &NatsServer) -> Options {
    Options {
        servers: vec![server.url()],
        partitions: PARTITIONS,
        // Small, so that the suite also reads what memory no longer holds.
        recent_bytes: 64 * 1024,
        replicas: 1,
        allow_data_loss: true,
        trimmer: Some(Auth::None),
        ..Options::default()
    }
}

/// A server with the streams of an installation.
async fn created() -> NatsServer {
    let server = NatsServer::start().await.unwrap();
    jetstream::init(options(&server)).await.unwrap();
    server
}

async fn make() -> (Bus, NatsServer) {
    let server = created().await;
    (jetstream::connect(options(&server)).await.unwrap(), server)
}

bus::conformance_suite!(#[tokio::test], make);

const P0: PartitionId = PartitionId(0);

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn nothing_is_created_but_by_init() {
    let server = NatsServer::start().await.unwrap();
    let said = jetstream::connect(options(&server)).await.unwrap_err().to_string();
    assert!(said.contains("run `tandem cluster init`"), "{said}");
    let report = jetstream::check(options(&server)).await.unwrap();
    assert_eq!(report.worst(), Level::Refused);
    assert!(report.to_string().contains("tandem cluster init"), "{report}");

    let first = jetstream::init(options(&server)).await.unwrap();
    // Inbox, log and states of four streams each, and the leases.
    assert_eq!((first.created.len(), first.existing.len()), (13, 0), "{first:?}");
    let again = jetstream::init(options(&server)).await.unwrap();
    assert_eq!((again.created.len(), again.existing.len()), (0, 13), "{again:?}");
    assert_eq!(again.check.worst(), Level::Warning, "{}", again.check);
    jetstream::connect(options(&server)).await.unwrap();
}

#[tokio::test]
async fn a_single_copy_is_refused_unless_loss_is_allowed() {
    let server = NatsServer::start().await.unwrap();
    let careful = Options { allow_data_loss: false, ..options(&server) };
    let said = jetstream::init(careful.clone()).await.unwrap_err().to_string();
    assert!(said.contains("allow_data_loss"), "{said}");
    jetstream::init(options(&server)).await.unwrap();
    let refused = jetstream::connect(careful.clone()).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
    assert_eq!(jetstream::check(careful).await.unwrap().worst(), Level::Refused);
    let three = Options { replicas: 3, prefix: "three".to_owned(), ..options(&server) };
    let said = jetstream::init(three).await.unwrap_err().to_string();
    assert!(said.contains("3 copies are configured, 1 servers with JetStream answered"), "{said}");
}

#[tokio::test]
async fn other_numbers_and_a_changed_stream_are_refused() {
    let server = created().await;
    let other = Options { partitions: PARTITIONS + 1, ..options(&server) };
    for said in [
        jetstream::connect(other.clone()).await.unwrap_err().to_string(),
        jetstream::init(other).await.unwrap_err().to_string(),
    ] {
        assert!(said.contains("4 partitions") && said.contains("5 are configured"), "{said}");
    }
    let other = Options { streams: 2, ..options(&server) };
    let said = jetstream::connect(other).await.unwrap_err().to_string();
    assert!(said.contains("4 streams") && said.contains("2 are configured"), "{said}");

    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let mut config = context.get_stream("TANDEM_LOG_0").await.unwrap().cached_info().config.clone();
    config.max_bytes = 1_000_000;
    context.update_stream(config).await.unwrap();
    let refused = jetstream::connect(options(&server)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
    assert!(refused.to_string().contains("TANDEM_LOG_0 has a size limit"), "{refused}");
    context.delete_stream("TANDEM_STATES_1").await.unwrap();
    let report = jetstream::check(options(&server)).await.unwrap().to_string();
    assert!(report.contains("TANDEM_STATES_1 does not exist"), "{report}");
}

#[tokio::test]
async fn a_server_is_asked_when_it_writes_to_the_disk_and_refused_where_that_is_late() {
    for (policy, expected) in [
        ("always", ["ok: server ", " writes to the disk before it acknowledges"]),
        ("2m", ["refused: server ", " writes to the disk up to 120s after it acknowledged"]),
    ] {
        let server = NatsServer::start_with(Setup::alone(policy)).await.unwrap();
        let careful = Options { allow_data_loss: false, ..options(&server) };
        let asked = Options { monitor: vec![server.monitor()], ..careful.clone() };
        let says = |report: &str| {
            report.lines().any(|line| expected.iter().all(|part| line.contains(part)))
        };
        let report = jetstream::check(asked.clone()).await.unwrap().to_string();
        assert!(says(&report), "{report}");
        let refused = jetstream::init(asked).await.unwrap_err().to_string();
        assert_eq!(says(&refused), policy == "2m", "{refused}");
        for monitor in [Vec::new(), vec!["http://127.0.0.1:1".to_owned()]] {
            let wrong = monitor.len();
            let not_asked = Options { monitor, ..careful.clone() };
            let report = jetstream::check(not_asked.clone()).await.unwrap().to_string();
            assert!(report.contains("refused: it is not known when server"), "{report}");
            assert_eq!(report.matches("127.0.0.1:1 does not tell").count(), wrong, "{report}");
            let refused = jetstream::init(not_asked).await.unwrap_err().to_string();
            assert!(refused.contains("it is not known when server"), "{refused}");
        }
    }
}

#[tokio::test]
async fn states_and_leases_cannot_be_purged_by_anybody() {
    let (bus, server) = make().await;
    bus.leases.renew("router-0", body("here")).await.unwrap();
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    for (stream, denied) in
        [("TANDEM_STATES_0", true), ("TANDEM_LEASES", true), ("TANDEM_LOG_0", false)]
    {
        let purged = context.get_stream(stream).await.unwrap().purge().await;
        assert_eq!(purged.is_err(), denied, "{stream}: {purged:?}");
    }
    assert_eq!(bus.leases.list().await.unwrap().len(), 1);
}

/// A purge up to sequence 1 has no limit for the servers: the only entry must stay all the same.
#[tokio::test]
async fn the_first_entry_is_never_trimmed_alone() {
    let (bus, _server) = make().await;
    let first = bus.log.append(P0, 0, body("first")).await.unwrap();
    assert_eq!(first, 1);
    for through in [0, 1, 100] {
        assert_eq!(bus.log.trim(P0, through).await.unwrap(), 0, "through {through}");
    }
    assert_eq!(bus.log.last(P0).await.unwrap(), Some((first, body("first"))));
}

#[tokio::test]
async fn without_a_trimmer_nothing_is_trimmed() {
    let server = created().await;
    let bus = jetstream::connect(Options { trimmer: None, ..options(&server) }).await.unwrap();
    bus.log.append(P0, 0, body("record")).await.unwrap();
    let said = bus.log.trim(P0, 1).await.unwrap_err().to_string();
    assert!(said.contains("credentials for trimming"), "{said}");
}

#[tokio::test]
async fn two_installations_share_servers_without_meeting() {
    let server = created().await;
    let one = jetstream::connect(options(&server)).await.unwrap();
    let two = Options { prefix: "other".to_owned(), partitions: 1, ..options(&server) };
    jetstream::init(two.clone()).await.unwrap();
    let two = jetstream::connect(two).await.unwrap();
    one.log.append(P0, 0, body("one")).await.unwrap();
    assert_eq!(two.log.last(P0).await.unwrap(), None);
    two.log.append(P0, 0, body("two")).await.unwrap();
    assert_eq!(one.log.last(P0).await.unwrap().unwrap().1, body("one"));
}

/// Two processes' worth of connections: the later owner's record fences the earlier one's.
#[tokio::test]
async fn the_log_fences_over_connections() {
    let server = created().await;
    let old = jetstream::connect(options(&server)).await.unwrap();
    let new = jetstream::connect(options(&server)).await.unwrap();
    let first = old.log.append(P0, 0, body("epoch 1")).await.unwrap();
    let second = new.log.append(P0, first, body("epoch 2")).await.unwrap();
    let fenced = old.log.append(P0, first, body("late")).await;
    assert!(matches!(fenced, Err(LogAppendError::Conflict)), "{fenced:?}");
    assert_eq!(old.log.last(P0).await.unwrap(), Some((second, body("epoch 2"))));
}

/// SIGSTOP of the server between request and answer: the append is unknown, and writing resolves it.
#[tokio::test]
async fn an_unanswered_append_is_unknown_until_it_is_sent_again() {
    let server = created().await;
    let bus = jetstream::connect(options(&server)).await.unwrap();
    let first = bus.log.append(P0, 0, body("first")).await.unwrap();
    server.pause().unwrap();
    let (record, input) = tokio::join!(
        bus.log.append(P0, first, body("second")),
        bus.inbox.append(P0, body("input"))
    );
    assert!(matches!(record, Err(LogAppendError::Unknown(_))), "{record:?}");
    assert!(matches!(input, Err(AppendError::Unknown(_))), "{input:?}");
    server.resume().unwrap();
    loop {
        match bus.log.append(P0, first, body("second")).await {
            // Neither the first attempt nor one of the later ones was lost on the way.
            Ok(_) | Err(LogAppendError::Conflict) => break,
            Err(LogAppendError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let all = bus.log.read(P0, 0, ReadLimit::default()).await.unwrap();
    let bodies: Vec<_> = all.into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [body("first"), body("second")]);
}

async fn until_appended(bus: &Bus, text: &str) -> u64 {
    loop {
        match bus.inbox.append(P0, body(text)).await {
            Ok(seq) => return seq,
            Err(AppendError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// A SIGKILL takes the consumers with it; waiting reads go on, and nothing stored is lost.
#[tokio::test]
async fn waiting_reads_go_on_over_a_killed_server() {
    let mut server = created().await;
    let bus = jetstream::connect(options(&server)).await.unwrap();
    let mut last = 0;
    for round in 0..3 {
        let text = format!("round {round}");
        let (read, seq) = tokio::join!(bus.inbox.read(P0, last, ReadLimit::default()), async {
            if round > 0 {
                server.restart().await.unwrap();
            }
            until_appended(&bus, &text).await
        });
        let read = read.unwrap();
        assert!(read.iter().all(|(_, found)| *found == body(&text)), "{read:?}");
        assert!(read.iter().any(|(found, _)| *found <= seq), "{read:?}");
        last = seq;
    }
    let log = bus.log.append(P0, 0, body("record")).await.unwrap();
    drop(bus);
    server.restart().await.unwrap();
    let bus = jetstream::connect(options(&server)).await.unwrap();
    assert_eq!(bus.inbox.last(P0).await.unwrap(), last);
    assert_eq!(bus.log.last(P0).await.unwrap(), Some((log, body("record"))));
}
