use std::path::Path;
use std::sync::Arc;

use super::tls::read_chain;
use super::*;
use crate::config::Tls;

use rustls::pki_types::ServerName;
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

/// A server certificate for `localhost` of an authority made here, written below `dir`; and the authority.
fn issue(
    dir: &Path,
    authority: &rcgen::Issuer<'_, rcgen::KeyPair>,
) -> (rcgen::Certificate, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    (certificate, key)
}

fn authority(name: &str) -> (rcgen::Certificate, rcgen::Issuer<'static, rcgen::KeyPair>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let certificate = params.self_signed(&key).unwrap();
    (certificate, rcgen::Issuer::new(params, key))
}

type ClientPair = (rcgen::Certificate, rcgen::KeyPair);

/// Connects, and answers with the certificate that the server showed; an error when the server turned us away.
async fn shown(
    address: SocketAddr,
    trusted: &rcgen::Certificate,
    client: Option<&ClientPair>,
) -> std::io::Result<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
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

#[tokio::test]
async fn a_new_certificate_counts_without_a_restart_and_a_broken_one_does_not() {
    install_crypto_provider();
    let dir = tempfile::tempdir().unwrap();
    let (root, issuer) = authority("root");
    let (first, _) = issue(dir.path(), &issuer);
    let tls = Tls {
        cert_file: dir.path().join("cert.pem"),
        key_file: dir.path().join("key.pem"),
        client_ca_file: None,
    };
    let address = greeting(Acceptor::open(&tls, HTTP1).unwrap()).await;
    assert_eq!(shown(address, &root, None).await.unwrap(), first.der().to_vec());
    std::fs::write(dir.path().join("key.pem"), "no key").unwrap();
    let (second, _) = issue(dir.path(), &issuer);
    let renewed = async {
        while shown(address, &root, None).await.unwrap() != second.der().to_vec() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), renewed).await.unwrap();
    // Written badly: what was read before stays.
    std::fs::write(dir.path().join("cert.pem"), "no certificate").unwrap();
    assert_eq!(shown(address, &root, None).await.unwrap(), second.der().to_vec());
}

#[tokio::test]
async fn with_mutual_tls_only_clients_of_the_authority_come_in() {
    install_crypto_provider();
    let dir = tempfile::tempdir().unwrap();
    let (root, issuer) = authority("root");
    let (_, stranger) = authority("stranger");
    issue(dir.path(), &issuer);
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, root.pem()).unwrap();
    let tls = Tls {
        cert_file: dir.path().join("cert.pem"),
        key_file: dir.path().join("key.pem"),
        client_ca_file: Some(ca),
    };
    let address = greeting(Acceptor::open(&tls, HTTP2).unwrap()).await;
    let clients = tempfile::tempdir().unwrap();
    let known = issue(clients.path(), &issuer);
    let unknown = issue(clients.path(), &stranger);
    assert!(shown(address, &root, Some(&known)).await.is_ok());
    assert!(shown(address, &root, Some(&unknown)).await.is_err());
    assert!(shown(address, &root, None).await.is_err());
}

#[tokio::test]
async fn a_new_authority_of_clients_counts_without_a_restart() {
    install_crypto_provider();
    let (dir, clients) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (root, issuer) = authority("root");
    let (next_root, next_issuer) = authority("next");
    issue(dir.path(), &issuer);
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, root.pem()).unwrap();
    let tls = Tls {
        cert_file: dir.path().join("cert.pem"),
        key_file: dir.path().join("key.pem"),
        client_ca_file: Some(ca.clone()),
    };
    let address = greeting(Acceptor::open(&tls, HTTP2).unwrap()).await;
    let former = issue(clients.path(), &issuer);
    let newcomer = issue(clients.path(), &next_issuer);
    assert!(shown(address, &root, Some(&former)).await.is_ok());
    assert!(shown(address, &root, Some(&newcomer)).await.is_err());
    std::fs::write(&ca, next_root.pem()).unwrap();
    let renewed = async {
        while shown(address, &root, Some(&newcomer)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), renewed).await.unwrap();
    assert!(shown(address, &root, Some(&former)).await.is_err(), "it is of the former authority");
}
