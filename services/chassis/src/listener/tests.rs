use std::path::Path;
use std::sync::Arc;

use super::tls::read_chain;
use super::*;
use crate::config::Tls;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use testkit::certificates::{Authority, Pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A self-signed pair for `localhost`, made for this test alone (openssl, 2020 to 2120).
fn pair() -> Tls {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    Tls {
        cert_file: fixtures.join("test-only.cert.pem"),
        key_file: fixtures.join("test-only.key.pem"),
        client_ca_file: None,
    }
}

#[test]
fn exposure_table() {
    let cases = [
        ("127.0.0.1:1", false, false, true),
        ("127.8.0.1:1", false, false, true),
        ("[::1]:1", false, false, true),
        ("[::ffff:127.0.0.1]:1", false, false, true),
        ("0.0.0.0:1", false, false, false),
        ("[::]:1", false, false, false),
        ("192.168.1.2:1", false, false, false),
        ("[::ffff:10.0.0.1]:1", false, false, false),
        ("0.0.0.0:1", true, false, true),
        ("0.0.0.0:1", false, true, true),
    ];
    for (address, tls, insecure, allowed) in cases {
        let outcome = check_exposure(address.parse().unwrap(), tls, insecure);
        assert_eq!(outcome.is_ok(), allowed, "{address} tls={tls} insecure={insecure}");
    }
}

#[tokio::test]
async fn a_taken_address_is_named_with_the_key_to_change() {
    let first = bind("desk", "127.0.0.1:0".parse().unwrap(), false, false).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = bind("desk", address, false, false).await.unwrap_err();
    let expected = format!(
        "the desk listener: {address} is in use; stop the process that holds it or set desk.listen to \
         another port"
    );
    assert_eq!(error.to_string(), expected);
    let exposed = bind("desk", "0.0.0.0:0".parse().unwrap(), false, false).await;
    assert!(matches!(exposed, Err(ListenError::Exposed { listener: "desk", .. })));
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_speaks_tls() {
    install_crypto_provider();
    install_crypto_provider();
    let acceptor = Acceptor::open(&pair(), HTTP2).unwrap();
    let listener = bind("gateway", "127.0.0.1:0".parse().unwrap(), true, false).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = crate::task::spawn(crate::task::TaskKind::Connection, "tls test", async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await
    });

    let mut roots = rustls::RootCertStore::empty();
    for certificate in read_chain(&pair().cert_file).unwrap() {
        roots.add(certificate).unwrap();
    }
    // Taken from the process: proves that `install_crypto_provider` did its work.
    let mut client =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "hello");
    assert!(server.await.unwrap().is_ok());
}

#[test]
fn unusable_files_are_named() {
    let good = pair();
    let tmp = tempfile::tempdir().unwrap();
    let empty = tmp.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = tmp.path().join("missing.pem");
    let cases = [
        (&missing, &good.key_file, "missing.pem as certificate chain"),
        (&good.cert_file, &missing, "missing.pem as private key"),
        (&empty, &good.key_file, "empty.pem holds no certificate"),
        (&good.cert_file, &empty, "empty.pem as private key"),
        (&good.cert_file, &good.cert_file, "test-only.cert.pem as private key"),
    ];
    for (cert, key, expected) in cases {
        let tls = Tls { cert_file: cert.clone(), key_file: key.clone(), client_ca_file: None };
        let text = Acceptor::open(&tls, HTTP1).err().unwrap().to_string();
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// Issues a certificate for `localhost` into `dir`, where the server of [`settings`] finds it.
fn issue(authority: &Authority, dir: &Path) -> Pair {
    authority.issue(dir, "server", &["localhost"]).unwrap()
}

/// A server with a new certificate of `authority` in `dir`, which takes only the clients of `clients` where that is given.
fn settings(authority: &Authority, clients: Option<&Authority>, dir: &Path) -> Tls {
    let Pair { cert_file, key_file } = issue(authority, dir);
    let client_ca_file = clients.map(|clients| clients.write(dir, "clients").unwrap());
    Tls { cert_file, key_file, client_ca_file }
}

fn certificate(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&pair.cert_file).unwrap()
}

/// Connects, and answers with the certificate that the server showed; an error when the server turned us away.
async fn shown(
    address: SocketAddr,
    trusted: &Authority,
    client: Option<&Pair>,
) -> std::io::Result<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_file(&pair.key_file).unwrap();
            builder.with_client_auth_cert(vec![certificate(pair)], key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    // A client of TLS 1.3 learns that it was turned away only when it reads.
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    assert_eq!(said, "hello");
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain.first().map(|certificate| certificate.to_vec()).unwrap_or_default())
}

async fn greeting(acceptor: Acceptor) -> SocketAddr {
    let listener = bind("gateway", "127.0.0.1:0".parse().unwrap(), true, false).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                drop(stream.write_all(b"hello").await);
                drop(stream.shutdown().await);
            }
        }
    };
    crate::task::spawn(crate::task::TaskKind::Listener, "tls test", serve).detach();
    address
}

/// New files are looked at from time to time.
async fn reloaded(is_seen: impl AsyncFnMut() -> Option<()>) {
    let bound = std::time::Duration::from_secs(30);
    testkit::wait_for(bound, "the new files to count", is_seen).await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_counts_without_a_restart_and_a_broken_one_does_not() {
    install_crypto_provider();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let tls = settings(&authority, None, dir.path());
    let first = CertificateDer::from_pem_file(&tls.cert_file).unwrap();
    let address = greeting(Acceptor::open(&tls, HTTP1).unwrap()).await;
    assert_eq!(shown(address, &authority, None).await.unwrap(), first.to_vec());
    std::fs::write(&tls.key_file, "no key").unwrap();
    let second = certificate(&issue(&authority, dir.path())).to_vec();
    let now = async || shown(address, &authority, None).await.unwrap();
    reloaded(async || (now().await == second).then_some(())).await;
    // Written badly: what was read before stays.
    std::fs::write(&tls.cert_file, "no certificate").unwrap();
    assert_eq!(now().await, second);
}

#[tokio::test]
async fn with_mutual_tls_only_clients_of_the_authority_come_in() {
    install_crypto_provider();
    let (dir, clients) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = Authority::new("ours").unwrap();
    let tls = settings(&authority, Some(&authority), dir.path());
    let address = greeting(Acceptor::open(&tls, HTTP2).unwrap()).await;
    let known = authority.issue(clients.path(), "known", &["localhost"]).unwrap();
    let another = Authority::new("another").unwrap();
    let stranger = another.issue(clients.path(), "stranger", &["localhost"]).unwrap();
    assert!(shown(address, &authority, Some(&known)).await.is_ok());
    assert!(shown(address, &authority, Some(&stranger)).await.is_err());
    assert!(shown(address, &authority, None).await.is_err());
}

#[tokio::test]
async fn a_new_authority_of_clients_counts_without_a_restart() {
    install_crypto_provider();
    let (dir, clients) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = Authority::new("ours").unwrap();
    let next = Authority::new("next").unwrap();
    let tls = settings(&authority, Some(&authority), dir.path());
    let address = greeting(Acceptor::open(&tls, HTTP2).unwrap()).await;
    let former = authority.issue(clients.path(), "former", &["localhost"]).unwrap();
    let newcomer = next.issue(clients.path(), "newcomer", &["localhost"]).unwrap();
    assert!(shown(address, &authority, Some(&former)).await.is_ok());
    assert!(shown(address, &authority, Some(&newcomer)).await.is_err());
    next.write(dir.path(), "clients").unwrap();
    reloaded(async || shown(address, &authority, Some(&newcomer)).await.ok().map(drop)).await;
    let refused = shown(address, &authority, Some(&former)).await;
    assert!(refused.is_err(), "it is of the former authority");
}
