//! The client against real sockets: what it says it knows must be what the server saw.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use whatsapp::errors::ErrorClass;
use whatsapp::graph::request::{self, OutboundContent, OutboundMessage, Recipient};
use whatsapp::graph::{
    BuildError, CallResult, GraphClient, GraphConfig, NotSentWhy, SendCall, SendResult, UnknownWhy,
};

const OK: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"12125550123","wa_id":"12125550123"}],"messages":[{"id":"wamid.TEST","message_status":"accepted"}]}"#;
const PNID: &str = "200000000000202";
const LONG: Duration = Duration::from_secs(20);

fn client(base_url: &str) -> GraphClient {
    // The second test to come here finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    GraphClient::new(&GraphConfig { base_url: base_url.to_owned(), ..GraphConfig::default() })
        .unwrap()
}

fn body() -> Bytes {
    let message = OutboundMessage {
        to: Recipient::Phone("12125550123".to_owned()),
        content: OutboundContent::Text { body: "Hello ñ".to_owned(), preview_url: false },
        reply_to: None,
        biz_opaque_callback_data: Some("own-id".to_owned()),
    };
    message.to_body().unwrap()
}

fn call<F>(hard_limit: Duration, before_first_byte: F) -> SendCall<'static, F> {
    SendCall {
        phone_number_id: PNID,
        token: "secret-token",
        body: body(),
        hard_limit,
        before_first_byte,
    }
}

async fn send(base_url: &str, hard_limit: Duration) -> SendResult {
    client(base_url).send_message(call(hard_limit, || true)).await
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    (listener, base_url)
}

/// What a server saw of one request.
#[derive(Debug, Clone)]
struct Seen {
    path: String,
    authorization: String,
    content_length: String,
    body: Bytes,
}

/// A server answering every request with the same answer; it stops when dropped.
struct Server {
    base_url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

async fn answering(
    status: u16,
    answer: &'static str,
    headers: &'static [(&'static str, &'static str)],
) -> Server {
    let (listener, base_url) = listener().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    let log = Arc::clone(&seen);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    respond(request, Arc::clone(&log), status, answer, headers)
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Server { base_url, seen, _tasks: tasks }
}

async fn respond(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<Seen>>>,
    status: u16,
    answer: &'static str,
    headers: &'static [(&'static str, &'static str)],
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let (path, authorization, content_length) =
        (request.uri().path().to_owned(), header("authorization"), header("content-length"));
    let body = request.into_body().collect().await?.to_bytes();
    log.lock().unwrap().push(Seen { path, authorization, content_length, body });
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Full::new(Bytes::from_static(answer.as_bytes()))).unwrap())
}

/// Reads until the head and the announced body are there.
async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while !read.ends_with(&body()) {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    read
}

#[tokio::test]
async fn accepted() {
    let server = answering(200, OK, &[]).await;
    let SendResult::Accepted(it) = send(&server.base_url, LONG).await else {
        panic!("not accepted")
    };
    assert_eq!((it.wamid.as_str(), it.message_status.as_deref()), ("wamid.TEST", Some("accepted")));
    assert_eq!(it.wa_id.as_deref(), Some("12125550123"));
    let seen = server.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/v26.0/200000000000202/messages");
    assert_eq!(seen[0].authorization, "Bearer secret-token");
    assert_eq!(seen[0].content_length, body().len().to_string());
    assert_eq!(seen[0].body, body());
}

#[tokio::test]
async fn error_object_is_a_refusal_with_its_class() {
    let answer = r#"{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"error_data":{"messaging_product":"whatsapp","details":"throughput"},"fbtrace_id":"A1"}}"#;
    let server = answering(400, answer, &[("retry-after", "7")]).await;
    let result = send(&server.base_url, LONG).await;
    assert_eq!(result.verdict().unwrap().class, ErrorClass::Throttled);
    let SendResult::Refused(it) = result else { panic!("not refused") };
    assert_eq!((it.http, it.code, it.details.as_deref()), (400, Some(130_429), Some("throughput")));
    assert_eq!((it.fbtrace_id.as_deref(), it.retry_after_ms), (Some("A1"), Some(7000)));
}

#[tokio::test]
async fn server_error_without_error_object_is_unknown() {
    let server = answering(503, "<html>busy</html>", &[]).await;
    let result = send(&server.base_url, LONG).await;
    assert_eq!(result, CallResult::Unknown(UnknownWhy::HttpStatus(503)));
    assert_eq!(result.verdict().unwrap().class, ErrorClass::Reconcile);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = answering(307, "", &[("location", "/v26.0/elsewhere")]).await;
    assert_eq!(
        send(&server.base_url, LONG).await,
        CallResult::Unknown(UnknownWhy::HttpStatus(307))
    );
    assert_eq!(server.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn no_answer_within_the_limit_is_unknown() {
    let (listener, base_url) = listener().await;
    let calling = send(&base_url, Duration::from_millis(300));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        (request, stream)
    };
    let (result, (request, _still_open)) = tokio::join!(calling, server);
    assert!(request.ends_with(&body()), "the request had left in full");
    assert_eq!(result, CallResult::Unknown(UnknownWhy::Timeout));
}

#[tokio::test]
async fn closed_port_is_not_sent_and_the_hook_is_not_asked() {
    let (listener, base_url) = listener().await;
    drop(listener);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let hook = move || counter.fetch_add(1, Ordering::SeqCst) == 0;
    let result = client(&base_url).send_message(call(LONG, hook)).await;
    assert_eq!(result, CallResult::NotSent(NotSentWhy::Connect));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn connection_lost_before_the_answer_is_unknown() {
    let (listener, base_url) = listener().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
    };
    let (result, ()) = tokio::join!(send(&base_url, LONG), server);
    assert_eq!(result, CallResult::Unknown(UnknownWhy::ConnectionLost));
}

#[tokio::test]
async fn connection_lost_in_the_middle_of_the_answer_is_unknown() {
    let (listener, base_url) = listener().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", OK.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&OK.as_bytes()[..20]).await.unwrap();
        stream.flush().await.unwrap();
    };
    let (result, ()) = tokio::join!(send(&base_url, LONG), server);
    assert_eq!(result, CallResult::Unknown(UnknownWhy::ConnectionLost));
}

#[tokio::test]
async fn endless_answer_is_cut() {
    let (listener, base_url) = listener().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
        let blanks = [b' '; 64 * 1024];
        while stream.write_all(&blanks).await.is_ok() {}
    };
    let (result, ()) = tokio::join!(send(&base_url, LONG), server);
    assert_eq!(result, CallResult::Unknown(UnknownWhy::AnswerTooLong));
}

#[tokio::test]
async fn refused_by_the_hook_not_one_byte_leaves() {
    let (listener, base_url) = listener().await;
    let client = client(&base_url);
    let calling = client.send_message(call(LONG, || false));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        read
    };
    let (result, read) = tokio::join!(calling, server);
    assert_eq!(result, CallResult::NotSent(NotSentWhy::NotStarted));
    assert_eq!(String::from_utf8_lossy(&read), "", "nothing was written");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_not_sent() {
    let (listener, base_url) = listener().await;
    let base_url = base_url.replace("http://", "https://");
    let client = client(&base_url);
    let calling = client.send_message(call(Duration::from_millis(300), || true));
    let (result, _silent) = tokio::join!(calling, async { listener.accept().await.unwrap() });
    assert_eq!(result, CallResult::NotSent(NotSentWhy::ConnectTimeout));
}

#[tokio::test]
async fn a_kept_connection_closed_by_the_server_costs_no_second_send() {
    let (listener, base_url) = listener().await;
    let client = client(&base_url);
    let asked = Arc::new(AtomicUsize::new(0));
    let hook = || {
        let asked = Arc::clone(&asked);
        move || {
            asked.fetch_add(1, Ordering::SeqCst);
            true
        }
    };
    let answer = |stream: TcpStream| async {
        let mut stream = stream;
        let request = read_request(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{OK}", OK.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    };
    for round in 1..=3 {
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream).await
        };
        let (result, request) = tokio::join!(client.send_message(call(LONG, hook())), serving);
        assert!(matches!(result, CallResult::Accepted(_)), "round {round}: {result:?}");
        assert!(request.ends_with(&body()));
        assert_eq!(asked.load(Ordering::SeqCst), round, "asked once per call");
    }
}

#[tokio::test]
async fn connections_are_reused() {
    let (listener, base_url) = listener().await;
    let client = client(&base_url);
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            read_request(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{OK}", OK.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    let calls = async {
        let first = client.send_message(call(LONG, || true)).await;
        let second = client.send_message(call(LONG, || true)).await;
        (first, second)
    };
    let ((first, second), ()) = tokio::join!(calls, server);
    assert!(matches!((first, second), (CallResult::Accepted(_), CallResult::Accepted(_))));
}

#[tokio::test]
async fn mark_read_succeeds_without_a_message_id() {
    let server = answering(200, r#"{"success":true}"#, &[]).await;
    let call = SendCall { body: request::mark_read("wamid.A", true), ..call(LONG, || true) };
    assert_eq!(client(&server.base_url).mark_read(call).await, CallResult::Accepted(()));
}

#[tokio::test]
async fn what_cannot_be_a_request_is_not_sent() {
    let server = answering(200, OK, &[]).await;
    let client = client(&server.base_url);
    let elsewhere = SendCall { phone_number_id: "../1/other", ..call(LONG, || true) };
    assert_eq!(client.send_message(elsewhere).await, CallResult::NotSent(NotSentWhy::BadRequest));
    let injected = SendCall { token: "a\r\nx: y", ..call(LONG, || true) };
    assert_eq!(client.send_message(injected).await, CallResult::NotSent(NotSentWhy::BadRequest));
    assert!(server.seen.lock().unwrap().is_empty());
}

#[test]
fn unusable_addresses_are_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (base_url, version) in [
        ("graph.facebook.com", "v26.0"),
        ("ftp://x", "v26.0"),
        ("http://x", "v/1"),
        ("http://x", ""),
    ] {
        let config = GraphConfig {
            base_url: base_url.to_owned(),
            version: version.to_owned(),
            ..GraphConfig::default()
        };
        assert!(
            matches!(GraphClient::new(&config), Err(BuildError::Address(_))),
            "{base_url} {version}"
        );
    }
    assert!(GraphClient::new(&GraphConfig::default()).is_ok());
}
