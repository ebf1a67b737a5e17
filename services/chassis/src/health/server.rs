//! The admin listener: three small pages, one request per connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Health;
use crate::config::Admin;
use crate::listener::{self, ListenError};
use crate::task::{self, AbortOnDrop, Shutdown, TaskKind};

/// Probes and scrapers are few; more than this at once is a mistake or an attack.
const CONNECTIONS_MAX: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Reading, answering and closing together.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// After a failed accept (no file descriptors left): long enough not to spin, short enough for a
/// probe.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// A bound admin listener that does not answer yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
}

struct Pages<R> {
    health: Health,
    shutdown: Shutdown,
    render_metrics: R,
}

impl AdminServer {
    /// Binds the address of `[admin]`.
    ///
    /// # Errors
    /// If the address is not loopback and not allowed to be otherwise, or cannot be bound.
    pub async fn bind(admin: &Admin) -> Result<Self, ListenError> {
        let address = admin.listen;
        let listener = listener::bind("admin", address, false, admin.insecure_listen).await?;
        let address = listener.local_addr().map_err(|source| ListenError::Bind {
            listener: "admin",
            address,
            source,
        })?;
        Ok(Self { listener, address })
    }

    /// The address it is bound to, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the returned value is dropped. It goes on while `shutdown` drains, so that
    /// probes see the process alive and not ready; hold it until the very end.
    pub fn serve<R>(self, health: Health, shutdown: Shutdown, render_metrics: R) -> AbortOnDrop<()>
    where
        R: Fn() -> String + Send + Sync + 'static,
    {
        let pages = Arc::new(Pages { health, shutdown, render_metrics });
        task::spawn_abort_on_drop(TaskKind::Listener, "admin listener", async move {
            let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            loop {
                // The semaphore is never closed, so this always yields a permit.
                let permit = permits.clone().acquire_owned().await.ok();
                let stream = match self.listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "admin listener cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let pages = pages.clone();
                task::spawn(TaskKind::Connection, "admin connection", async move {
                    let _permit = permit;
                    converse(stream, pages).await;
                })
                .detach();
            }
        })
    }
}

async fn converse<R: Fn() -> String + Send + Sync>(stream: TcpStream, pages: Arc<Pages<R>>) {
    let service = service_fn(move |request| {
        let pages = pages.clone();
        async move { Ok::<_, Infallible>(pages.answer(&request)) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin connection ended early"),
        Err(_) => tracing::debug!("admin connection took too long"),
    }
}

impl<R: Fn() -> String> Pages<R> {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
        }
        match request.uri().path() {
            "/healthz" => page(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.readiness(),
            "/metrics" => page(StatusCode::OK, PROMETHEUS, (self.render_metrics)()),
            _ => page(StatusCode::NOT_FOUND, TEXT, "try /healthz, /readyz or /metrics\n"),
        }
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        let mut not_ready = self.health.not_ready();
        if self.shutdown.has_begun() {
            not_ready.insert("process".to_owned(), "stopping".to_owned());
        }
        let ready = not_ready.is_empty();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut body = serde_json::json!({ "ready": ready, "not_ready": not_ready });
        let warnings = self.health.warnings();
        if let Some(body) = body.as_object_mut().filter(|_| !warnings.is_empty()) {
            body.insert("warnings".to_owned(), serde_json::json!(warnings));
        }
        page(status, JSON, format!("{body}\n"))
    }
}

fn page(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
