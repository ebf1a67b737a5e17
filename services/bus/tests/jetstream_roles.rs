//! `deploy/nats` on real servers: every role can do what it must and hears its own answers alone, only the trimmer purges,
//! only the operator changes streams; and connections, also those between servers, are encrypted by certificates of both
//! sides.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

#[path = "jetstream_roles/production.rs"]
mod production;

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{Client, ConnectOptions};
use bus::{
    Bus, Checkpoint, EntityId, PartName, PartPut, PartitionId, Position, ReadLimit, SavedPart,
    jetstream::{self, Auth, ClientCertificate, ConnectError, Level, Options, Tls},
};
use bytes::Bytes;
use futures::StreamExt;
use testkit::{
    certificates::Authority,
    nats::{NatsServer, ROLES, RoleKeys, Setup},
    temp_dir, wait_until,
};

const P0: PartitionId = PartitionId(0);
const WITHIN: Duration = Duration::from_secs(10);

/// Where answers to a role come.
fn inbox_prefix(role: &str) -> String {
    format!("_INBOX_{}", role.to_uppercase())
}

/// A certificate for loopback, in files of this name.
fn certificate(authority: &Authority, folder: &Path, name: &str) -> ClientCertificate {
    let pair = authority.issue(folder, name, &["localhost", "127.0.0.1"]).unwrap();
    ClientCertificate { certificate_file: pair.cert_file, key_file: pair.key_file }
}

/// Gives a server a certificate; the variables are `NATS_{kind}_CERT`, `_KEY` and `_CA`.
fn equip(authority: &Authority, setup: Setup, folder: &Path, kind: &str) -> Setup {
    let ClientCertificate { certificate_file, key_file } = certificate(authority, folder, kind);
    let ca_file = authority.write(folder, &format!("{kind}.ca")).unwrap();
    let files = [("CERT", certificate_file), ("KEY", key_file), ("CA", ca_file)];
    files.into_iter().fold(setup, |setup, (what, file)| {
        setup.with(&format!("NATS_{kind}_{what}"), &format!("\"{}\"", file.display()))
    })
}

struct Installation {
    server: NatsServer,
    seeds: tempfile::TempDir,
    keys: RoleKeys,
    tls: Tls,
}

/// A server with `setup` and a key for each role.
async fn installation(setup: Setup, seeds: tempfile::TempDir, tls: Tls) -> Installation {
    let keys = RoleKeys::create(seeds.path()).unwrap();
    let server = NatsServer::start_with(keys.known_to(setup)).await.unwrap();
    Installation { server, seeds, keys, tls }
}

impl Installation {
    async fn open() -> Self {
        installation(Setup::deployed(&["users.conf"]), temp_dir().unwrap(), Tls::default()).await
    }

    fn auth(&self, role: &str) -> Auth {
        Auth::NKey { seed_file: self.keys.seed_file(role) }
    }

    fn options(&self, role: &str) -> Options {
        Options {
            servers: vec![self.server.url()],
            partitions: 2,
            replicas: 1,
            allow_data_loss: true,
            auth: self.auth(role),
            inbox_prefix: inbox_prefix(role),
            tls: self.tls.clone(),
            ..Options::default()
        }
    }

    async fn bus(&self, role: &str) -> Bus {
        jetstream::connect(self.options(role)).await.unwrap()
    }

    /// A client of a role, and what the server complains of to it.
    async fn client(&self, role: &str) -> (Client, Arc<Mutex<Vec<String>>>) {
        let seed = fs::read_to_string(self.keys.seed_file(role)).unwrap();
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&complaints);
        let options = ConnectOptions::with_nkey(seed.trim().to_owned())
            .custom_inbox_prefix(inbox_prefix(role))
            .event_callback(move |event| {
                heard.lock().unwrap().push(event.to_string().to_lowercase());
                async {}
            });
        (options.connect(self.server.url()).await.unwrap(), complaints)
    }

    /// The server refuses that `role` publishes on `subject`.
    async fn refuses(&self, role: &str, subject: &str) {
        let (client, complaints) = self.client(role).await;
        client.publish(subject.to_owned(), Bytes::from_static(b"{}")).await.unwrap();
        client.flush().await.unwrap();
        complained(&complaints, role, "publish", subject).await;
    }

    /// The server refuses that `role` listens on `subject`.
    async fn refuses_to_tell(&self, role: &str, subject: &str) {
        let (client, complaints) = self.client(role).await;
        let _listening = client.subscribe(subject.to_owned()).await.unwrap();
        client.flush().await.unwrap();
        complained(&complaints, role, "subscription", subject).await;
    }
}

async fn complained(complaints: &Mutex<Vec<String>>, role: &str, act: &str, subject: &str) {
    let wanted = format!("permissions violation for {act} to \"{}\"", subject.to_lowercase());
    let heard = || complaints.lock().unwrap().iter().any(|said| said.contains(&wanted));
    let what = format!("a refusal of {act} to {subject} by {role}");
    wait_until(WITHIN, &what, heard).await.unwrap();
}

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn part() -> PartPut {
    let position = Position { generation: 0, seq: 1, index: 0 };
    let part = SavedPart { name: PartName::from("main"), position, bytes: Some(body("saved")) };
    PartPut { entity: EntityId { kind: 1, hash: [1; 16] }, part }
}

#[tokio::test]
async fn every_role_can_do_what_it_must() {
    let nats = Installation::open().await;
    jetstream::init(nats.options("operator")).await.unwrap();
    let report = jetstream::check(nats.options("operator")).await.unwrap();
    assert!(!report.findings.is_empty());

    let gateway = nats.bus("gateway").await;
    let entry = gateway.inbox.append(P0, body("entry")).await.unwrap();
    assert_eq!(gateway.inbox.last(P0).await.unwrap(), entry);
    gateway.signals.publish("inbound.1", body("one")).await.unwrap();

    let router = nats.bus("router").await;
    let read = router.inbox.read(P0, 0, ReadLimit::default()).await.unwrap();
    assert_eq!(read, [(entry, body("entry"))]);
    let first = router.log.append(P0, 0, body("record")).await.unwrap();
    let second = router.log.append(P0, first, body("more")).await.unwrap();
    router.states.put(P0, vec![part()]).await.unwrap();
    assert_eq!(router.states.load(P0, part().entity).await.unwrap(), [part().part]);
    router.leases.renew("router-0", body("here")).await.unwrap();

    let desk = nats.bus("desk").await;
    desk.leases.renew("desk-0", body("here")).await.unwrap();
    assert_eq!(desk.leases.list().await.unwrap().len(), 2);
    // May make no consumer, and asks for each.
    assert_eq!(gateway.leases.list().await.unwrap().len(), 2);
    desk.inbox.append(P0, body("command")).await.unwrap();
    let mut signals = desk.signals.subscribe("desk.>").await.unwrap();
    router.signals.publish("desk.0", body("offer")).await.unwrap();
    assert_eq!(signals.next().await.unwrap().unwrap().body, body("offer"));

    let archive = nats.bus("archive").await;
    let tail = archive.log.tail(P0, first, ReadLimit::default()).await.unwrap();
    assert_eq!(tail, [(second, body("more"))]);
    archive.leases.renew("archive:archive-1", body("works")).await.unwrap();
    assert!(archive.log.trim(P0, first).await.is_err(), "trimmed without the trimmer's key");
    let options = Options { trimmer: Some(nats.auth("trimmer")), ..nats.options("archive") };
    let trimming = jetstream::connect(options).await.unwrap();
    assert_eq!(trimming.log.trim(P0, first).await.unwrap(), 1);
    assert_eq!(trimming.inbox.trim(P0, entry).await.unwrap(), 1);
    assert_eq!(router.log.last(P0).await.unwrap(), Some((second, body("more"))));
}

#[tokio::test]
async fn only_the_trimmer_purges_and_only_the_operator_changes_streams() {
    let nats = Installation::open().await;
    jetstream::init(nats.options("operator")).await.unwrap();
    let router = nats.bus("router").await;
    router.log.append(P0, 0, body("record")).await.unwrap();
    for role in ROLES {
        for call in ["PURGE", "DELETE", "UPDATE", "CREATE", "MSG.DELETE", "SNAPSHOT", "RESTORE"] {
            let may = match call {
                "PURGE" => role == "trimmer",
                "MSG.DELETE" => false,
                _ => role == "operator",
            };
            if !may {
                nats.refuses(role, &format!("$JS.API.STREAM.{call}.TANDEM_LOG_0")).await;
            }
        }
        if role != "router" {
            nats.refuses(role, "tandem.log.0.0").await;
            nats.refuses(role, "tandem.state.0.0.checkpoint").await;
        }
    }
    nats.refuses("archive", "tandem.inbox.0.0").await;
    for stream in ["TANDEM_STATES_0", "TANDEM_LEASES", "TANDEM_LOG_32"] {
        nats.refuses("trimmer", &format!("$JS.API.STREAM.PURGE.{stream}")).await;
    }
    assert!(router.log.last(P0).await.unwrap().is_some());

    // What is refused above works for those who may.
    let (client, _) = nats.client("operator").await;
    let context = async_nats::jetstream::new(client);
    let stream = context.get_stream("TANDEM_LOG_0").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.description = Some("looked at".to_owned());
    context.update_stream(config).await.unwrap();
    context.delete_stream("TANDEM_STATES_1").await.unwrap();
}

/// The last of as many streams as there can be: it is not there, and whoever may not purge it would not be told.
#[tokio::test]
async fn the_trimmer_may_purge_every_inbox_and_log() {
    let nats = Installation::open().await;
    let (trimmer, _) = nats.client("trimmer").await;
    let last = chassis::config::Nats::STREAMS_MAX - 1;
    for stream in [format!("TANDEM_INBOX_{last}"), format!("TANDEM_LOG_{last}")] {
        let asked = trimmer.request(format!("$JS.API.STREAM.PURGE.{stream}"), Bytes::new()).await;
        let answer = String::from_utf8(asked.unwrap().payload.to_vec()).unwrap();
        assert!(answer.contains("stream not found"), "{stream}: {answer}");
    }
}

#[tokio::test]
async fn no_role_hears_the_answers_to_another() {
    let nats = Installation::open().await;
    for role in ROLES {
        nats.refuses_to_tell(role, "_INBOX.>").await;
        for other in ROLES.into_iter().filter(|other| *other != role) {
            nats.refuses_to_tell(role, &format!("{}.>", inbox_prefix(other))).await;
        }
    }
}

/// The servers check the subject of what a client publishes, not the one that it asks to be answered on. An answer comes into the
/// account of the roles, and there are no streams.
#[tokio::test]
async fn no_role_can_have_an_answer_stored() {
    let nats = Installation::open().await;
    jetstream::init(nats.options("operator")).await.unwrap();
    let router = nats.bus("router").await;
    let entry = router.inbox.append(P0, body("entry")).await.unwrap();
    let record = router.log.append(P0, 0, body("record")).await.unwrap();
    let position = Position { generation: 1, seq: record, index: 0 };
    let checkpoint = Checkpoint { position, bytes: body("checkpoint") };
    router.states.put_checkpoint(P0, checkpoint.clone()).await.unwrap();
    router.leases.renew("router-0", body("here")).await.unwrap();
    let lease = format!("tandem.lease.n{}", hex::encode("router-0"));
    let stored = ["tandem.inbox.0.0", "tandem.log.0.0", "tandem.state.0.0.checkpoint", &lease];
    for role in ROLES {
        let (client, _) = nats.client(role).await;
        let question = "$JS.API.STREAM.INFO.TANDEM_LOG_0";
        for subject in stored {
            let asked = client.publish_with_reply(question, subject.to_owned(), "".into());
            asked.await.unwrap();
        }
        // Is answered after those.
        client.request(question, "".into()).await.unwrap();
    }
    assert_eq!(router.inbox.last(P0).await.unwrap(), entry);
    assert_eq!(router.log.last(P0).await.unwrap(), Some((record, body("record"))));
    assert_eq!(router.states.checkpoint(P0).await.unwrap(), Some(checkpoint));
    assert_eq!(router.leases.list().await.unwrap()["router-0"].info, body("here"));
}

/// As in the configuration of somebody who gave the roles their subjects and left the streams where the roles are.
#[tokio::test]
async fn the_check_warns_of_roles_beside_the_streams() {
    let mut setup = Setup::alone("always");
    let one_account =
        "accounts { ONE { jetstream: enabled, users: [{ nkey: $NATS_NKEY_OPERATOR }] } }";
    setup.configuration.as_mut().unwrap().push_str(one_account);
    let nats = installation(setup, temp_dir().unwrap(), Tls::default()).await;
    let options = Options { monitor: vec![nats.server.monitor()], ..nats.options("operator") };
    let warned = |report: &jetstream::Report| {
        let warnings = report.only(Level::Warning).to_string();
        assert!(
            warnings.contains("signed in to the account ONE, in which the streams"),
            "{report}"
        );
    };
    warned(&jetstream::init(options.clone()).await.unwrap().check);
    warned(&jetstream::check(options).await.unwrap());
}

#[tokio::test]
async fn every_role_signals_its_own_topics_alone() {
    let nats = Installation::open().await;
    let (listener, _) = nats.client("router").await;
    let mut signals = listener.subscribe("tandem.signal.>").await.unwrap();
    listener.flush().await.unwrap();
    let topics: [(&str, &[&str]); 7] = [
        ("placement", &["router", "operator"]),
        ("sends.release", &["router", "desk"]),
        ("inbound.0", &["router", "gateway"]),
        ("echo.0", &["router", "gateway"]),
        ("applied.0", &["router", "archive"]),
        ("session.0", &["router"]),
        ("round-trip.0", &["router", "gateway", "desk", "archive"]),
    ];
    for (topic, may) in topics {
        let subject = format!("tandem.signal.{topic}");
        for role in ROLES {
            if !may.contains(&role) {
                nats.refuses(role, &subject).await;
                continue;
            }
            let (client, _) = nats.client(role).await;
            client.publish(subject.clone(), body(role)).await.unwrap();
            client.flush().await.unwrap();
            let heard = tokio::time::timeout(WITHIN, signals.next()).await.unwrap().unwrap();
            assert_eq!((heard.subject.as_str(), heard.payload), (subject.as_str(), body(role)));
        }
    }
}

#[tokio::test]
async fn a_wrong_or_missing_key_says_so() {
    let nats = Installation::open().await;
    let nowhere = Auth::NKey { seed_file: nats.seeds.path().join("nobody.seed") };
    let missing = jetstream::init(Options { auth: nowhere, ..nats.options("operator") }).await;
    assert!(matches!(missing, Err(ConnectError::Seed { .. })), "{missing:?}");
    let stranger = nats.seeds.path().join("stranger.seed");
    fs::write(&stranger, nkeys::KeyPair::new_user().seed().unwrap()).unwrap();
    let auth = Auth::NKey { seed_file: stranger };
    let refused = jetstream::init(Options { auth, ..nats.options("operator") }).await;
    assert!(matches!(refused, Err(ConnectError::Connect { .. })), "{refused:?}");
}

#[tokio::test]
async fn connections_are_encrypted_by_certificates_of_both_sides() {
    let folder = temp_dir().unwrap();
    let ours = Authority::new("ours").unwrap();
    let ca = ours.write(folder.path(), "ours").unwrap();
    let setup = equip(&ours, Setup::deployed(&["users.conf", "tls.conf"]), folder.path(), "TLS");
    let client = certificate(&ours, folder.path(), "client");
    let foreign = Authority::new("foreign").unwrap();
    let foreign_ca = foreign.write(folder.path(), "foreign").unwrap();
    let foreign_client = certificate(&foreign, folder.path(), "foreign-client");
    let good = Tls { required: true, server_ca: Some(ca), client: Some(client) };
    let nats = installation(setup, folder, good.clone()).await;

    jetstream::init(nats.options("operator")).await.unwrap();
    let bus = nats.bus("router").await;
    let first = bus.log.append(P0, 0, body("record")).await.unwrap();
    assert_eq!(bus.log.last(P0).await.unwrap(), Some((first, body("record"))));

    for (wrong, tls) in [
        ("no certificate of ours", Tls { client: None, ..good.clone() }),
        ("another authority's client", Tls { client: Some(foreign_client), ..good.clone() }),
        ("another authority's server", Tls { server_ca: Some(foreign_ca), ..good.clone() }),
        ("the system's authorities", Tls { server_ca: None, ..good }),
    ] {
        let refused = jetstream::connect(Options { tls, ..nats.options("router") }).await;
        assert!(matches!(refused, Err(ConnectError::Connect { .. })), "{wrong}: {refused:?}");
    }
}
