use super::*;

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
    let acceptor = tls_acceptor(&pair(), HTTP2).unwrap();
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
        let tls = Tls { cert_file: cert.clone(), key_file: key.clone() };
        let text = tls_acceptor(&tls, HTTP1).err().unwrap().to_string();
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
