//! One request to one answer: handshake on GET, signed webhooks on POST, on `/webhook` or `/webhook/{business}`.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bus::{AppendError, Bus, Input, PartitionId};
use bytes::Bytes;
use chassis::{clock::Clock, failpoint, seal::Sealer};
use http_body_util::Full;
use hyper::{Method, Response, StatusCode, header, http::request::Parts};

use crate::{
    directory::Directory,
    intake::{self, Intake},
    metrics,
    server::plain,
    translate::{self, Translation},
    turns::{Refused, Turns},
};

/// Longest challenge that is echoed.
const CHALLENGE_BYTES_MAX: usize = 256;

/// Answers webhooks.
pub struct Handler {
    directory: Arc<Directory>,
    sealer: Arc<Sealer>,
    bus: Bus,
    intake: Intake,
    turns: Turns,
    clock: Clock,
    append_timeout: Duration,
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler")
            .field("append_timeout", &self.append_timeout)
            .finish_non_exhaustive()
    }
}

impl Handler {
    /// A handler that appends to `bus`, and answers 503 when a POST is not durable within `append_timeout`. While businesses
    /// compete, at most `waiting_max` POSTs wait for their business' turn. Must be made within a tokio runtime.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        sealer: Arc<Sealer>,
        bus: Bus,
        clock: Clock,
        append_timeout: Duration,
        waiting_max: usize,
    ) -> Self {
        let intake = Intake::start(&bus, append_timeout);
        let turns = Turns::start(&bus, &clock, waiting_max);
        Self { directory, sealer, bus, intake, turns, clock, append_timeout }
    }

    /// The answer to one request with its whole body.
    pub(crate) async fn handle(&self, head: &Parts, body: Bytes) -> Response<Full<Bytes>> {
        let Some(business) = business_of(head.uri.path()) else {
            return plain(StatusCode::NOT_FOUND, "webhooks are taken on /webhook");
        };
        match head.method {
            Method::GET => self.handshake(business, head.uri.query().unwrap_or_default()),
            Method::POST => self.post(business, head, body).await,
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "GET for the handshake, POST for webhooks"),
        }
    }

    /// Meta's verification handshake: the bare challenge, if mode and token are right (whatsapp.md 1.3).
    fn handshake(&self, business: Option<&str>, query: &str) -> Response<Full<Bytes>> {
        let (mut mode, mut token, mut challenge) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "hub.mode" => mode = Some(value),
                "hub.verify_token" => token = Some(value),
                "hub.challenge" => challenge = Some(value),
                _ => {}
            }
        }
        let known = self.directory.knows_verify_token(business, token.as_deref().unwrap_or(""));
        match challenge {
            Some(challenge)
                if known
                    && mode.as_deref() == Some("subscribe")
                    && challenge.len() <= CHALLENGE_BYTES_MAX =>
            {
                plain(StatusCode::OK, challenge.into_owned())
            }
            _ => {
                plain(StatusCode::FORBIDDEN, "hub.mode, hub.verify_token or hub.challenge is wrong")
            }
        }
    }

    async fn post(
        &self,
        business: Option<&str>,
        head: &Parts,
        body: Bytes,
    ) -> Response<Full<Bytes>> {
        let begun_us = self.clock.boot_us();
        let (result, response) = self.accept(business, head, body).await;
        metrics::post(result);
        let elapsed = Duration::from_micros(self.clock.boot_us().saturating_sub(begun_us));
        metrics::answered(elapsed.as_secs_f64());
        response
    }

    async fn accept(
        &self,
        business: Option<&str>,
        head: &Parts,
        body: Bytes,
    ) -> (&'static str, Response<Full<Bytes>>) {
        let signature = head.headers.get(whatsapp::signature::HEADER).map(|h| h.as_bytes());
        let signers = match self.directory.signers(business, signature, &body) {
            Ok(signers) => signers,
            Err(error) => {
                return ("unsigned", plain(StatusCode::UNAUTHORIZED, error.to_string()));
            }
        };
        // The parser is fuzzed and must not panic; should it all the same, one bad body stays one bad answer.
        let parsed = std::panic::catch_unwind(AssertUnwindSafe(|| whatsapp::webhook::parse(&body)));
        let items = match parsed {
            Ok(Ok(items)) => items,
            Ok(Err(error)) => {
                return ("malformed", plain(StatusCode::BAD_REQUEST, error.to_string()));
            }
            Err(_) => {
                return ("malformed", plain(StatusCode::BAD_REQUEST, "the body cannot be read"));
            }
        };
        let now_ms = self.clock.wall_ms();
        let translation = match translate::translate(
            &items,
            &signers,
            &self.directory,
            &self.sealer,
            self.bus.partitions,
            now_ms,
        ) {
            Ok(translation) => translation,
            Err(error) => {
                tracing::error!(%error, "a webhook could not be encoded");
                return ("unavailable", unavailable("the webhook could not be stored"));
            }
        };
        self.store(translation).await
    }

    async fn store(&self, translation: Translation) -> (&'static str, Response<Full<Bytes>>) {
        let Translation { by_partition, inbound, echoes, begins_work } = translation;
        let append = self.append(by_partition, begins_work);
        let stored = tokio::time::timeout(self.append_timeout, append).await;
        match stored {
            Ok(Ok(())) => {
                failpoint::hit("append|200");
                intake::announce(&self.bus, &inbound, &echoes).await;
                ("accepted", plain(StatusCode::OK, "ok"))
            }
            Ok(Err(NotStored::Busy)) => {
                ("busy", unavailable("more webhooks come in than are decided"))
            }
            Ok(Err(NotStored::Append(AppendError::Full(_)))) => {
                ("full", unavailable("the store is full"))
            }
            Ok(Err(NotStored::Append(_))) => {
                ("unavailable", unavailable("the store does not answer"))
            }
            Err(_) => ("timeout", unavailable("the store took too long")),
        }
    }

    /// Appends everything when it is its business' turn.
    async fn append(
        &self,
        by_partition: BTreeMap<PartitionId, Vec<Input>>,
        begins_work: bool,
    ) -> Result<(), NotStored> {
        // What shares a POST shares a turn: Meta batches by account, so it is one business' in practice.
        let first =
            by_partition.values().flatten().next().map(|input| input.header.business.clone());
        let Some(business) = first else { return Ok(()) };
        let inputs = by_partition.values().map(Vec::len).sum();
        let turn = if begins_work {
            Some(self.turns.take(&business, inputs).await.map_err(|Refused| NotStored::Busy)?)
        } else {
            None
        };
        self.intake.append_all(by_partition, turn).await.map_err(NotStored::Append)
    }
}

/// Why a POST is not durable, or not known to be.
enum NotStored {
    /// Its business has more waiting than any other, and there is no more room to wait.
    Busy,
    /// The store.
    Append(AppendError),
}

/// 503 with the wish to be asked again: Meta retries whatever is not 200.
fn unavailable(text: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
    response
}

/// `/webhook` → any business; `/webhook/{business}` → that one; anything else → `None`.
fn business_of(path: &str) -> Option<Option<&str>> {
    let rest = path.strip_prefix("/webhook")?;
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Some(None),
        None => None,
        Some("") => Some(None),
        Some(business) if !business.contains('/') => Some(Some(business)),
        Some(_) => None,
    }
}
