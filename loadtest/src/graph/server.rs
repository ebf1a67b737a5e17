//! The Graph endpoint on loopback.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, Response};
use tokio::sync::oneshot;

use super::GraphError;
use crate::http::{self, Broken};
use crate::sabotage::Sabotage;
use crate::sim::{Reply, Sim};
use crate::task;

const BODY_MAX: usize = 1024 * 1024;

/// Serves until the process ends.
pub(crate) async fn serve(sim: Arc<Sim>, listener: tokio::net::TcpListener) {
    http::serve("graph", listener, move |request| {
        let sim = Arc::clone(&sim);
        async move { answer(sim, request).await }
    })
    .await;
}

/// A send call, read to its end.
struct Call {
    number: String,
    token: Option<String>,
    body: Bytes,
    arrived_us: u64,
}

async fn answer(
    sim: Arc<Sim>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Broken> {
    // The departure of the call is seen here, before the body is read.
    let arrived_us = sim.clock.now_us();
    let number = match path_number(request.uri().path()) {
        Some(number) if request.method() == Method::POST => number.to_owned(),
        _ => {
            let error = GraphError::new(100, "Unknown path or method.");
            return Ok(http::json(error.status, &error.body(0)));
        }
    };
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    let body =
        Limited::new(request.into_body(), BODY_MAX).collect().await.map_err(|_| Broken)?.to_bytes();
    let call = Call { number, token, body, arrived_us };
    let _unanswered = Unanswered::new(Arc::clone(&sim));
    let held = sim.with(|state, now_us| state.hold(&call.number, &call.body, now_us));
    let reply = match held {
        None => take(&sim, &call),
        Some(held) => take_later(Arc::clone(&sim), call, held).await?,
    };
    match reply {
        Reply::Answer { status, body, after_us } => {
            tokio::time::sleep(Duration::from_micros(after_us)).await;
            Ok(http::json(status, &body))
        }
        Reply::Close { after_us } => {
            tokio::time::sleep(Duration::from_micros(after_us)).await;
            Err(Broken)
        }
    }
}

fn take(sim: &Sim, call: &Call) -> Reply {
    sim.with(|state, _| {
        let token = call.token.as_deref();
        let reply = state.on_send(&call.number, token, &call.body, call.arrived_us);
        if state.proxy.strikes(Sabotage::Double) {
            state.on_send(&call.number, token, &call.body, call.arrived_us);
        }
        reply
    })
}

/// The proxy passes a held send on even when its caller has given up.
async fn take_later(
    sim: Arc<Sim>,
    mut call: Call,
    held: oneshot::Receiver<()>,
) -> Result<Reply, Broken> {
    let (sender, receiver) = oneshot::channel();
    task::spawn("held-send", async move {
        if held.await.is_ok() {
            call.arrived_us = sim.clock.now_us();
            drop(sender.send(take(&sim, &call)));
        }
    });
    receiver.await.map_err(|_| Broken)
}

/// `/{version}/{phone_number_id}/messages`.
fn path_number(path: &str) -> Option<&str> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let (version, number, edge) = (parts.next()?, parts.next()?, parts.next()?);
    let known = version.starts_with('v') && edge == "messages" && parts.next().is_none();
    known.then_some(number)
}

/// Counts a call as unanswered until it is dropped: answered, or its caller is gone.
struct Unanswered(Arc<Sim>);

impl Unanswered {
    fn new(sim: Arc<Sim>) -> Self {
        sim.with(|state, _| state.sends_unanswered += 1);
        Self(sim)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.with(|state, _| state.sends_unanswered = state.sends_unanswered.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::path_number;

    #[test]
    fn only_the_send_path_leads_to_a_number() {
        assert_eq!(path_number("/v26.0/200/messages"), Some("200"));
        for other in
            ["/v26.0/200", "/200/messages", "/v26.0/200/messages/1", "/v26.0/200/media", ""]
        {
            assert_eq!(path_number(other), None, "{other}");
        }
    }
}
