//! Webhooks over TLS.

use std::time::Duration;

use chassis::{
    config::Tls,
    listener::{Acceptor, HTTP1},
};
use reqwest::{Certificate, Client, Identity, StatusCode};
use testkit::certificates::{Authority, Pair};

use crate::fixture::{Fixture, SECRET, limits, sign, text_webhook};

const SHOP: &str = "200000000000202";

/// A gateway for `localhost` with a certificate of `authority`, which judges clients by `clients` where that is given.
async fn serving(authority: &Authority, clients: Option<&Authority>) -> Fixture {
    let dir = testkit::temp_dir().unwrap();
    let pair = authority.issue(dir.path(), "server", &["localhost"]).unwrap();
    let client_ca_file = clients.map(|clients| clients.write(dir.path(), "clients").unwrap());
    let tls = Tls { cert_file: pair.cert_file, key_file: pair.key_file, client_ca_file };
    let acceptor = Acceptor::open(&tls, HTTP1).unwrap();
    Fixture::over(limits(), Duration::from_secs(10), Some(acceptor)).await
}

/// A client that knows the gateway by its name alone.
fn client(fixture: &Fixture, trusted: &Authority, shown: Option<&Pair>) -> Client {
    let certificate = Certificate::from_pem(trusted.pem().as_bytes()).unwrap();
    let mut builder = Client::builder()
        .no_proxy()
        .tls_certs_only([certificate])
        .resolve("localhost", fixture.address);
    if let Some(pair) = shown {
        let (certificate, key) = pair.read().unwrap();
        builder = builder.identity(Identity::from_pem((key + &certificate).as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

async fn post(fixture: &Fixture, client: &Client, secret: &str) -> reqwest::Result<StatusCode> {
    let body = text_webhook(SHOP, "wamid.1", "hello");
    let url = format!("https://localhost:{}/webhook", fixture.address.port());
    let signature = sign(secret, body.as_bytes());
    let request = client.post(url).header("X-Hub-Signature-256", signature).body(body);
    Ok(request.send().await?.status())
}

#[tokio::test]
async fn a_signed_webhook_is_taken_over_tls_and_in_no_other_way() {
    let authority = Authority::new("ours").unwrap();
    let fixture = serving(&authority, None).await;
    let trusting = client(&fixture, &authority, None);
    assert_eq!(post(&fixture, &trusting, SECRET).await.unwrap(), 200);
    assert_eq!(post(&fixture, &trusting, "nobody's-secret-0123456789abcdef").await.unwrap(), 401);
    assert_eq!(fixture.conversation_inputs().len(), 1);
    let other = client(&fixture, &Authority::new("another").unwrap(), None);
    assert!(post(&fixture, &other, SECRET).await.unwrap_err().is_connect());
    let body = text_webhook(SHOP, "wamid.2", "hello");
    let signature = sign(SECRET, body.as_bytes());
    let plain = fixture.http.post(fixture.url("/webhook")).header("X-Hub-Signature-256", signature);
    assert!(plain.body(body).send().await.is_err(), "taken in plain text");
    assert_eq!(fixture.conversation_inputs().len(), 1);
}

#[tokio::test]
async fn with_mutual_tls_a_signature_alone_is_not_enough() {
    let (authority, clients) =
        (Authority::new("ours").unwrap(), Authority::new("clients").unwrap());
    let fixture = serving(&authority, Some(&clients)).await;
    let dir = testkit::temp_dir().unwrap();
    let known = clients.issue(dir.path(), "known", &["proxy"]).unwrap();
    let stranger = authority.issue(dir.path(), "stranger", &["proxy"]).unwrap();
    for shown in [None, Some(&stranger)] {
        let client = client(&fixture, &authority, shown);
        assert!(post(&fixture, &client, SECRET).await.is_err(), "{shown:?}");
    }
    assert!(fixture.inputs().is_empty());
    let client = client(&fixture, &authority, Some(&known));
    assert_eq!(post(&fixture, &client, SECRET).await.unwrap(), 200);
}
