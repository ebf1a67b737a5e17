//! `deploy/nats/users.conf` and `tls.conf` on a real server: every role can do what it must, only the trimmer
//! purges, only the operator changes streams; and connections are encrypted by certificates of both sides.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{Client, ConnectOptions};
use bus::{
    Bus, EntityId, PartName, PartPut, PartitionId, Position, ReadLimit, SavedPart,
    jetstream::{self, Auth, ClientCertificate, ConnectError, Options, Tls},
};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use testkit::{
    nats::{NatsServer, ROLES, RoleKeys, Setup},
    temp_dir, wait_until,
};

const P0: PartitionId = PartitionId(0);
const WITHIN: Duration = Duration::from_secs(10);

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
        let options =
            ConnectOptions::with_nkey(seed.trim().to_owned()).event_callback(move |event| {
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
        let wanted = format!("permissions violation for publish to \"{}\"", subject.to_lowercase());
        let heard = || complaints.lock().unwrap().iter().any(|said| said.contains(&wanted));
        let what = format!("a refusal of {subject} by {role}");
        wait_until(WITHIN, &what, heard).await.unwrap();
    }
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
    desk.inbox.append(P0, body("command")).await.unwrap();
    let mut signals = desk.signals.subscribe("desk.>").await.unwrap();
    router.signals.publish("desk.0", body("offer")).await.unwrap();
    assert_eq!(signals.next().await.unwrap().unwrap().body, body("offer"));

    let archive = nats.bus("archive").await;
    let tail = archive.log.tail(P0, first, ReadLimit::default()).await.unwrap();
    assert_eq!(tail, [(second, body("more"))]);
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

/// An authority that signs certificates for loopback, and writes them as PEM files.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn ca_file(&self, folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(format!("{name}.ca.pem"));
        fs::write(&file, &self.pem).unwrap();
        file
    }

    fn certificate(&self, folder: &Path, name: &str) -> ClientCertificate {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let certificate_file = folder.join(format!("{name}.pem"));
        let key_file = folder.join(format!("{name}.key.pem"));
        fs::write(&certificate_file, signed.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        ClientCertificate { certificate_file, key_file }
    }
}

#[tokio::test]
async fn connections_are_encrypted_by_certificates_of_both_sides() {
    let folder = temp_dir().unwrap();
    let ours = Authority::new();
    let server = ours.certificate(folder.path(), "server");
    let ca = ours.ca_file(folder.path(), "ours");
    let quoted = |path: &Path| format!("\"{}\"", path.display());
    let setup = Setup::deployed(&["users.conf", "tls.conf"])
        .with("NATS_TLS_CERT", &quoted(&server.certificate_file))
        .with("NATS_TLS_KEY", &quoted(&server.key_file))
        .with("NATS_TLS_CA", &quoted(&ca));
    let client = ours.certificate(folder.path(), "client");
    let foreign = Authority::new();
    let (foreign_ca, foreign_client) = (
        foreign.ca_file(folder.path(), "foreign"),
        foreign.certificate(folder.path(), "foreign-client"),
    );
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
