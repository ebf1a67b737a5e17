//! Workers that carry webhooks to the product, each on its own keep-alive connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::sim::{Outcome, Post, Sim};
use crate::task;

/// How long Meta waits for an answer is not documented; this is what others report.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// POSTs under way at once.
pub(crate) const WORKERS: usize = 48;

/// Posts what becomes ready, until the process ends.
pub(crate) async fn work(sim: Arc<Sim>) {
    let mut connection: Option<(u64, SendRequest<Full<Bytes>>)> = None;
    loop {
        match sim.posts.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return,
        }
        let Some(post) = sim.with(|state, now_us| state.begin_post(now_us)) else { continue };
        let began_us = sim.clock.now_us();
        let kept = connection
            .take()
            .filter(|(version, sender)| *version == post.target.version && !sender.is_closed());
        let (status, kept) = perform(&post, kept.map(|(_, sender)| sender)).await;
        connection = kept.map(|sender| (post.target.version, sender));
        let outcome = match status {
            Some(StatusCode::OK) => Outcome::Acked { took_us: sim.clock.now_us() - began_us },
            Some(_) => Outcome::Refused,
            None => Outcome::Unreachable,
        };
        sim.with(|state, now_us| state.end_post(post.delivery, outcome, now_us));
    }
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
