//! The HTTP server: sockets, limits of connections, header, body and time. Knows nothing of webhooks.
//!
//! hyper's header timeout works only with a timer installed (hyper#3178), so one is.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::{
    listener::Acceptor,
    task::{Shutdown, TaskKind},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    time::timeout,
};

use crate::{handler::Handler, metrics};

/// Time a client has for the TLS handshake.
const TLS_HANDSHAKE: Duration = Duration::from_secs(5);
/// Pause after the operating system refuses to hand out a connection (out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of the listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body, bytes.
    pub body_bytes: usize,
    /// Time for a request's head.
    pub header: Duration,
    /// Time for its body.
    pub body: Duration,
    /// Connections at once.
    pub connections: usize,
}

/// A bound listener; the port is known before anything is served.
pub struct Server {
    listener: TcpListener,
    tls: Option<Acceptor>,
    limits: Limits,
    handler: Arc<Handler>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Server {
    /// A server on an already bound listener (see `chassis::listener` for the rule on exposure).
    #[must_use]
    pub fn new(
        listener: TcpListener,
        tls: Option<Acceptor>,
        limits: Limits,
        handler: Arc<Handler>,
    ) -> Self {
        Self { listener, tls, limits, handler }
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until shutdown begins, then lets running requests end.
    pub async fn run(self, shutdown: Shutdown) {
        let permits = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = shutdown.begun() => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let connection = Connection {
                limits: self.limits,
                handler: Arc::clone(&self.handler),
                shutdown: shutdown.clone(),
            };
            let tls = self.tls.clone();
            shutdown
                .spawn(TaskKind::Connection, "webhook connection", async move {
                    let _permit = permit;
                    match tls {
                        None => connection.serve(stream).await,
                        Some(tls) => match timeout(TLS_HANDSHAKE, tls.accept(stream)).await {
                            Ok(Ok(stream)) => connection.serve(stream).await,
                            Ok(Err(_)) | Err(_) => metrics::tls_refused(),
                        },
                    }
                })
                .detach();
        }
    }
}

struct Connection {
    limits: Limits,
    handler: Arc<Handler>,
    shutdown: Shutdown,
}

impl Connection {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let limits = self.limits;
        let handler = self.handler;
        let service = service_fn(move |request| {
            let handler = Arc::clone(&handler);
            async move { Ok::<_, std::convert::Infallible>(answer(&handler, limits, request).await) }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.header).max_headers(64);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.begun() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
    }
}

async fn answer(
    handler: &Handler,
    limits: Limits,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > u64::try_from(limits.body_bytes).unwrap_or(u64::MAX) {
        return too_large(limits);
    }
    let collected = timeout(limits.body, Limited::new(body, limits.body_bytes).collect()).await;
    let body = match collected {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(limits),
        Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the body could not be read"),
        Err(_) => return closing(plain(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    };
    handler.handle(&head, body).await
}

fn too_large(limits: Limits) -> Response<Full<Bytes>> {
    let text = format!("the body is larger than {} bytes", limits.body_bytes);
    closing(plain(StatusCode::PAYLOAD_TOO_LARGE, text))
}

fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

/// A plain-text answer.
pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
