//! The control endpoint: how the one who started the simulator steers it.
//!
//! | Call | Body or query | Answer |
//! |---|---|---|
//! | `POST /start` | `{"webhook_url", "desk_url"}` | starts customers and agents |
//! | `POST /product` | the same; after a restart of the product | |
//! | `POST /pause`, `/resume` | | customers stop and go on |
//! | `POST /knobs` | any of the faults | all faults as they are now |
//! | `GET /inflight` | | what is on its way at this moment |
//! | `POST /settle` | `?timeout_ms=` | waits for rest, judges, gives the report |
//! | `GET /report` | | the report so far |
//! | `POST /stop` | | ends the process |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::http::{self, Broken};
use crate::report::{in_flight, report};
use crate::settle::{Judged, settle};
use crate::sim::Sim;

const BODY_MAX: usize = 64 * 1024;
const SETTLE_MS: u64 = 60_000;
const SETTLE_MS_MAX: u64 = 600_000;

/// What the control endpoint steers.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) sim: Arc<Sim>,
    pub(crate) stop: Notify,
    judged: Mutex<Option<Judged>>,
}

/// Where the product is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    webhook_url: Option<String>,
    desk_url: Option<String>,
}

impl Control {
    pub(crate) fn new(sim: Arc<Sim>) -> Arc<Self> {
        Arc::new(Self { sim, stop: Notify::new(), judged: Mutex::new(None) })
    }

    fn judged(&self) -> Option<Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_judged(&self, judged: Option<Judged>) {
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = judged;
    }

    fn talk(&self, talking: bool) -> Value {
        if talking {
            self.set_judged(None);
        }
        self.sim.with(|state, now_us| state.talk(talking, now_us));
        json!({"ok": true})
    }

    fn product(&self, body: &[u8]) -> Result<Value, String> {
        let product: Product = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let webhook = product.webhook_url.map(|url| webhook_uri(&url)).transpose()?;
        self.sim.product(webhook, product.desk_url);
        Ok(json!({"ok": true}))
    }

    fn knobs(&self, body: &[u8]) -> Result<Value, String> {
        let patch: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        self.sim.with(|state, _| {
            state.faults = state.faults.patched(&patch).map_err(|error| error.to_string())?;
            serde_json::to_value(&state.faults).map_err(|error| error.to_string())
        })
    }

    async fn settle(&self, query: Option<&str>) -> Value {
        let asked = query
            .and_then(|query| query.strip_prefix("timeout_ms="))
            .and_then(|ms| ms.parse().ok());
        let timeout_ms = asked.unwrap_or(SETTLE_MS).min(SETTLE_MS_MAX);
        let judged = settle(&self.sim, Duration::from_millis(timeout_ms)).await;
        self.set_judged(Some(judged));
        json!(report(&self.sim, self.judged().as_ref()))
    }

    async fn call(&self, method: &Method, uri: &Uri, body: &[u8]) -> (u16, Value) {
        let result = match (method, uri.path()) {
            (&Method::POST, "/start") => self.product(body).inspect(|_| drop(self.talk(true))),
            (&Method::POST, "/product") => self.product(body),
            (&Method::POST, "/pause") => Ok(self.talk(false)),
            (&Method::POST, "/resume") => Ok(self.talk(true)),
            (&Method::POST, "/knobs") => self.knobs(body),
            (&Method::GET, "/inflight") => Ok(json!(in_flight(&self.sim))),
            (&Method::POST, "/settle") => Ok(self.settle(uri.query()).await),
            (&Method::GET, "/report") => Ok(json!(report(&self.sim, self.judged().as_ref()))),
            (&Method::POST, "/stop") => {
                self.stop.notify_one();
                Ok(json!({"ok": true}))
            }
            (_, path) => return (404, json!({"error": format!("no such call: {method} {path}")})),
        };
        match result {
            Ok(value) => (200, value),
            Err(error) => (400, json!({"error": error})),
        }
    }
}

/// A webhook address the simulator will post to: plain HTTP.
pub(crate) fn webhook_uri(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("webhook_url {url}: {error}"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(_)) => Ok(uri),
        _ => Err(format!("webhook_url {url}: expected http://host:port/path")),
    }
}

/// Serves until the process ends.
pub(crate) async fn serve(control: Arc<Control>, listener: tokio::net::TcpListener) {
    http::serve("control", listener, move |request| answer(Arc::clone(&control), request)).await;
}

async fn answer(
    control: Arc<Control>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Broken> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await.map_err(|_| Broken)?.to_bytes();
    let (status, value) = control.call(&parts.method, &parts.uri, &body).await;
    Ok(http::json(status, &value))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn call(
        control: &Control,
        method: Method,
        path: &'static str,
        body: &str,
    ) -> (u16, Value) {
        control.call(&method, &Uri::from_static(path), body.as_bytes()).await
    }

    #[tokio::test]
    async fn every_call_does_what_the_table_says() {
        let control = Control::new(Sim::new(crate::fixture::scenario(), None));
        let post = |path, body| call(&control, Method::POST, path, body);
        let product =
            r#"{"webhook_url": "http://127.0.0.1:1/webhook", "desk_url": "http://127.0.0.1:2"}"#;
        assert_eq!(post("/start", product).await.0, 200);
        assert!(control.sim.with(|state, _| state.talking && state.target.webhook.is_some()));
        assert_eq!(control.sim.desk.borrow().as_deref(), Some("http://127.0.0.1:2"));
        post("/pause", "").await;
        assert!(!control.sim.with(|state, _| state.talking));
        assert_eq!(post("/knobs", r#"{"http_5xx": 0.25}"#).await.1["http_5xx"], 0.25);
        assert_eq!(post("/knobs", r#"{"no_such": 1}"#).await.0, 400);
        for bad in
            [r#"{"webhook_url": "https://x/"}"#, r#"{"webhook_url": "/x"}"#, "{", r#"{"url": 1}"#]
        {
            assert_eq!(post("/product", bad).await.0, 400, "{bad}");
        }
        let (status, in_flight) = call(&control, Method::GET, "/inflight", "").await;
        assert_eq!((status, &in_flight["webhooks_unanswered"]), (200, &json!(0)));
        let (_, report) = call(&control, Method::GET, "/report", "").await;
        assert_eq!((&report["judged"], &report["lost"]), (&json!(false), &json!(0)));
        assert_eq!(post("/nonsense", "").await.0, 404);
        post("/stop", "").await;
        control.stop.notified().await;
    }

    #[tokio::test]
    async fn a_product_that_cannot_be_asked_is_not_settled() {
        let control = Control::new(Sim::new(crate::fixture::scenario(), None));
        let (_, report) = call(&control, Method::POST, "/settle?timeout_ms=50", "").await;
        assert_eq!((&report["judged"], &report["rest"]["settled"]), (&json!(false), &json!(false)));
        assert!(report["rest"]["still_open"][0].as_str().unwrap().contains("address"));
    }
}
