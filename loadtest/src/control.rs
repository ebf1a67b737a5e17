//! The control endpoint: how the one who started the simulator steers it.
//!
//! | Call | Body or query | Answer |
//! |---|---|---|
//! | `POST /start` | `{"webhook_url", "desk_url"}` | starts customers and agents |
//! | `POST /product` | the same; after a restart of the product | |
//! | `POST /pause`, `/resume` | | customers stop and go on |
//! | `POST /storm` | `{"factor", "seconds"}` | customers write so many times more for so long |
//! | `POST /phones` | `{"silent"}` | the owners of phones answer nothing, or do again |
//! | `POST /say` | `{"who", "customer", "number", "text"}` | one message by hand; gives its `place` |
//! | `POST /chat` | `{"customer", "number", "after"}` | what is on the customer's screen |
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

use crate::hand;
use crate::http::{self, Broken};
use crate::report::{in_flight, report};
use crate::settle::{Judged, settle};
use crate::sim::Sim;

const BODY_MAX: usize = 64 * 1024;
const SETTLE_MS: u64 = 60_000;
const SETTLE_MS_MAX: u64 = 600_000;
/// A storm is at most so strong and so long.
const FACTOR_MAX: f64 = 1_000.0;
const SECONDS_MAX: f64 = 3_600.0;

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storm {
    factor: f64,
    seconds: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phones {
    silent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chat {
    customer: String,
    number: Option<String>,
    after: Option<usize>,
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
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

    fn storm(&self, body: &[u8]) -> Result<Value, String> {
        let Storm { factor, seconds } = parse(body)?;
        let sensible =
            (0.1..=FACTOR_MAX).contains(&factor) && (0.0..=SECONDS_MAX).contains(&seconds);
        if !sensible {
            return Err(format!("factor is 0.1 to {FACTOR_MAX}, seconds 0 to {SECONDS_MAX}"));
        }
        let span = Duration::from_secs_f64(seconds);
        self.sim.with(|state, now_us| state.storm(factor, span, now_us));
        Ok(json!({"ok": true}))
    }

    fn phones(&self, body: &[u8]) -> Result<Value, String> {
        let Phones { silent } = parse(body)?;
        self.sim.with(|state, _| state.phones_silent = silent);
        Ok(json!({"ok": true}))
    }

    fn say(&self, body: &[u8]) -> Result<Value, String> {
        hand::say(&self.sim, &parse(body)?).map(|place| json!({"place": place}))
    }

    fn chat(&self, body: &[u8]) -> Result<Value, String> {
        let chat: Chat = parse(body)?;
        let lines = hand::chat(&self.sim, &chat.customer, chat.number.as_deref(), chat.after)?;
        Ok(json!({"lines": lines}))
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
            (&Method::POST, "/storm") => self.storm(body),
            (&Method::POST, "/phones") => self.phones(body),
            (&Method::POST, "/say") => self.say(body),
            (&Method::POST, "/chat") => self.chat(body),
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
        assert_eq!(post("/storm", r#"{"factor": 10, "seconds": 60}"#).await.0, 200);
        assert_eq!(post("/phones", r#"{"silent": true}"#).await.0, 200);
        for (path, bad) in [
            ("/storm", r#"{"factor": 0, "seconds": 1}"#),
            ("/storm", "{}"),
            ("/phones", r#"{"loud": true}"#),
            ("/say", r#"{"who": "nobody", "customer": "1", "text": "x"}"#),
            ("/chat", r#"{"customer": "1"}"#),
        ] {
            assert_eq!(post(path, bad).await.0, 400, "{path} {bad}");
        }
        let (_, report) = call(&control, Method::GET, "/report", "").await;
        assert_eq!(report["world"]["storm_factor"], 10.0);
        assert_eq!(report["world"]["phones_silent"], true);
        assert_eq!(report["numbers"][0]["rate_per_s"], 20);
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
