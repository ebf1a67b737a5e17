//! Three servers as they run in production: keys, certificates, copies, `fsync`.

use std::{path::Path, sync::Arc, time::Duration};

use bus::{
    PartitionId,
    jetstream::{self, Auth, ClientCertificate, Level, Options, Tls},
};
use testkit::{
    certificates::Authority,
    nats::{NatsCluster, RoleKeys, Setup},
    temp_dir, wait_for,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use super::{body, certificate, equip, inbox_prefix};

/// Longer than elections take (4 to 9 s), several times.
const WITHIN: Duration = Duration::from_secs(60);

/// Whether whoever shows this certificate is greeted where servers meet.
async fn is_greeted(port: u16, ca_file: &Path, shown: Option<&ClientCertificate>) -> bool {
    let certificates =
        |file: &Path| CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(ca_file));
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(shown) => {
            let key = PrivateKeyDer::from_pem_file(&shown.key_file).unwrap();
            let chain = certificates(&shown.certificate_file).collect();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let route = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let route = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), route).await;
    let Ok(route) = route else { return false };
    let mut greeting = String::new();
    let read = timeout(WITHIN, BufReader::new(route).read_line(&mut greeting)).await.unwrap();
    read.is_ok() && greeting.starts_with("INFO ")
}

#[tokio::test]
async fn the_production_configuration_keeps_strangers_out_and_passes_the_check() {
    let folder = temp_dir().unwrap();
    let (clients, servers) =
        (Authority::new("clients").unwrap(), Authority::new("servers").unwrap());
    let setup = equip(&clients, Setup::default(), folder.path(), "TLS");
    let setup = equip(&servers, setup, folder.path(), "ROUTES");
    let keys = RoleKeys::create(folder.path()).unwrap();
    let cluster = NatsCluster::start_production(&keys.known_to(setup)).await.unwrap();
    chassis::listener::install_crypto_provider();
    let ca = servers.write(folder.path(), "servers").unwrap();
    let client = certificate(&clients, folder.path(), "client");
    let server = certificate(&servers, folder.path(), "server");
    for port in cluster.route_ports() {
        assert!(is_greeted(port, &ca, Some(&server)).await);
        assert!(!is_greeted(port, &ca, None).await, "a server without a certificate joins");
        assert!(!is_greeted(port, &ca, Some(&client)).await, "a client joins as a server");
    }

    let server_ca = Some(clients.write(folder.path(), "clients").unwrap());
    let tls = Tls { required: true, server_ca, client: Some(client) };
    let options = |role: &str| Options {
        servers: cluster.urls(),
        monitor: cluster.monitors(),
        partitions: 2,
        streams: 1,
        auth: Auth::NKey { seed_file: keys.seed_file(role) },
        inbox_prefix: inbox_prefix(role),
        tls: tls.clone(),
        ..Options::default()
    };
    let init = async || jetstream::init(options("operator")).await.ok();
    let created = wait_for(WITHIN, "the streams", init).await.unwrap().check.to_string();
    assert_eq!(
        created.matches("writes to the disk before it acknowledges").count(),
        3,
        "{created}"
    );
    assert!(created.contains("nobody signs in to the account TANDEM_STREAMS"), "{created}");
    let unknown = Options { monitor: Vec::new(), ..options("operator") };
    let report = jetstream::check(unknown).await.unwrap();
    let refused = report.only(Level::Refused).to_string();
    assert_eq!(refused.matches("it is not known when server").count(), 3, "{report}");

    let router = jetstream::connect(options("router")).await.unwrap();
    let first = router.log.append(PartitionId(0), 0, body("record")).await.unwrap();
    let last = router.log.last(PartitionId(0)).await.unwrap();
    assert_eq!(last, Some((first, body("record"))));
}
