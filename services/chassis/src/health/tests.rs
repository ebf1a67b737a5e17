use super::*;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::Admin;
use crate::task::{AbortOnDrop, Shutdown};

const BOUND: Duration = Duration::from_secs(30);

struct Served {
    address: SocketAddr,
    health: Health,
    shutdown: Shutdown,
    _server: AbortOnDrop<()>,
}

async fn serve() -> Served {
    let admin = Admin { listen: "127.0.0.1:0".parse().unwrap(), ..Admin::default() };
    let server = AdminServer::bind(&admin).await.unwrap();
    let (address, health, shutdown) = (server.address(), Health::new(), Shutdown::new());
    let metrics = || "tandem_x_total 1\n".to_owned();
    let server = server.serve(health.clone(), shutdown.clone(), metrics);
    Served { address, health, shutdown, _server: server }
}

/// Status line and body of one request, over a plain socket.
async fn request(address: SocketAddr, line: &str) -> (String, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("{line} HTTP/1.1\r\nhost: test\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(BOUND, exchange).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn readiness_follows_the_components_and_the_shutdown() {
    let served = serve().await;
    let store = served.health.component("store");
    let graph = served.health.component("graph");
    graph.ready();
    let ask = || request(served.address, "GET /readyz");

    let (status, body) = ask().await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body, "{\"not_ready\":{\"store\":\"starting\"},\"ready\":false}\n");
    store.ready();
    let (status, body) = ask().await;
    assert_eq!((&*status, &*body), ("HTTP/1.1 200 OK", "{\"not_ready\":{},\"ready\":true}\n"));
    graph.not_ready("disk full");
    assert!(ask().await.1.contains("\"graph\":\"disk full\""));
    assert!(!served.health.is_ready());
    graph.remove();
    assert!(served.health.is_ready());
    // A warning is shown and changes nothing.
    served.health.warn("disk", Some("12 MiB are left".to_owned()));
    let (status, body) = ask().await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("\"warnings\":{\"disk\":\"12 MiB are left\"}"), "{body}");
    served.health.warn("disk", None);
    assert!(!ask().await.1.contains("warnings"));

    served.shutdown.begin();
    let (status, body) = ask().await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert!(body.contains("\"process\":\"stopping\""), "{body}");
    assert_eq!(request(served.address, "GET /healthz").await.0, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn pages_are_those_three_and_read_only() {
    let served = serve().await;
    let cases = [
        ("GET /metrics", "200 OK", "tandem_x_total 1\n"),
        ("GET /healthz", "200 OK", "ok\n"),
        ("HEAD /healthz", "200 OK", ""),
        ("POST /healthz", "405 Method Not Allowed", "only GET\n"),
        ("GET /secrets", "404 Not Found", "try /healthz, /readyz or /metrics\n"),
    ];
    for (line, status, body) in cases {
        let found = request(served.address, line).await;
        assert_eq!(found, (format!("HTTP/1.1 {status}"), body.to_owned()), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_its_head_is_let_go() {
    let served = serve().await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    // Paused time runs ahead to the server's deadline as soon as nothing else can happen.
    let ended = tokio::time::timeout(BOUND, slow.read_to_end(&mut rest)).await;
    assert!(matches!(ended, Ok(Ok(_))), "{ended:?}");
}

#[tokio::test]
async fn the_admin_listener_keeps_the_loopback_rule() {
    let admin = Admin { listen: "0.0.0.0:0".parse().unwrap(), ..Admin::default() };
    let text = AdminServer::bind(&admin).await.unwrap_err().to_string();
    assert!(text.starts_with("the admin listener: 0.0.0.0:0 can be reached"), "{text}");
    let allowed = Admin { insecure_listen: true, ..admin };
    assert!(AdminServer::bind(&allowed).await.is_ok());
}
