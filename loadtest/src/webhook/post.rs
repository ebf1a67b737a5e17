//! Carries webhooks to the product over keep-alive connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::sim::{Outcome, Post, Sim};
use crate::task;

/// How long Meta waits for an answer is not documented; this is what others report.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Connections nobody uses at the moment, with the version of the target that they lead to; the last one used goes first.
type Idle = Mutex<Vec<(u64, SendRequest<Full<Bytes>>)>>;

/// Posts what becomes ready, `traffic.webhooks_at_once` at a time, until the process ends.
pub(crate) async fn post_all(sim: Arc<Sim>) {
    let places = Arc::new(Semaphore::new(sim.scenario.traffic.webhooks_at_once));
    let idle = Arc::new(Idle::default());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match sim.posts.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return,
        }
        let Some(post) = sim.with(|state, now_us| state.begin_post(now_us)) else { continue };
        let (sim, idle) = (Arc::clone(&sim), Arc::clone(&idle));
        task::spawn("webhook", async move {
            carry(&sim, &idle, &post).await;
            drop(place);
        });
    }
}

async fn carry(sim: &Sim, idle: &Idle, post: &Post) {
    let began_us = sim.clock.now_us();
    let (status, kept) = perform(post, take(idle, post.target.version)).await;
    if let Some(sender) = kept {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((post.target.version, sender));
    }
    let outcome = match status {
        Some(StatusCode::OK) => Outcome::Acked { took_us: sim.clock.now_us() - began_us },
        Some(_) => Outcome::Refused,
        None => Outcome::Unreachable,
    };
    sim.with(|state, now_us| state.end_post(post.delivery, outcome, now_us));
}

/// An open connection to the target as it is now; what leads elsewhere or was closed is dropped.
fn take(idle: &Idle, version: u64) -> Option<SendRequest<Full<Bytes>>> {
    let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some((led_to, sender)) = idle.pop() {
        if led_to == version && !sender.is_closed() {
            return Some(sender);
        }
    }
    None
}

/// Sends and reads the whole answer. Gives the status, and the connection if it can be used again.
async fn perform(
    post: &Post,
    kept: Option<SendRequest<Full<Bytes>>>,
) -> (Option<StatusCode>, Option<SendRequest<Full<Bytes>>>) {
    let fresh = match kept {
        Some(sender) => Some(sender),
        None => timeout(CONNECT_MAX, connect(&post.uri)).await.ok().flatten(),
    };
    let (Some(mut sender), Some(request)) = (fresh, request(post)) else { return (None, None) };
    let exchange = async {
        sender.ready().await.ok()?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        response.into_body().collect().await.ok()?;
        Some(status)
    };
    match timeout(ANSWER_MAX, exchange).await.ok().flatten() {
        Some(status) => (Some(status), Some(sender)),
        None => (None, None),
    }
}

fn request(post: &Post) -> Option<Request<Full<Bytes>>> {
    let host = post.uri.authority()?.as_str();
    let path = post.uri.path_and_query().map_or("/", |path| path.as_str());
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, "facebookexternalua")
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header("x-hub-signature-256", &post.signature)
        .body(Full::new(post.body.clone()))
        .ok()
}

async fn connect(uri: &Uri) -> Option<SendRequest<Full<Bytes>>> {
    let address = (uri.host()?.to_owned(), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    task::spawn("webhook-connection", async move {
        // How it ended shows at the sender.
        drop(connection.await);
    });
    Some(sender)
}
