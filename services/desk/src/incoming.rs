//! Connections of the listener: at most so many, TLS where it is set, each handshake bounded.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chassis::{
    listener::Acceptor,
    task::{Shutdown, TaskKind},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::metrics;

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Pause after the operating system refused to accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Accepted connections that wait to be served; the server takes them at once.
const ACCEPTED_MAX: usize = 64;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// One connection; its place is free again when it is dropped.
pub(crate) struct Connection {
    socket: Box<dyn Socket>,
    _place: OwnedSemaphorePermit,
    _open: metrics::Open,
}

/// Accepts connections until shutdown begins.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Option<Acceptor>,
    connections_max: usize,
    shutdown: &Shutdown,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, connections) = mpsc::channel(ACCEPTED_MAX);
    let places = Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let accepting = accept_all(listener, tls, places, accepted, shutdown.clone());
    shutdown.spawn(TaskKind::Listener, "desk_listener", accepting).detach();
    ReceiverStream::new(connections)
}

async fn accept_all(
    listener: TcpListener,
    tls: Option<Acceptor>,
    places: Arc<Semaphore>,
    accepted: mpsc::Sender<io::Result<Connection>>,
    shutdown: Shutdown,
) {
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            () = shutdown.begun() => return,
            stream = listener.accept() => stream,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Small frames must not wait for each other.
        let _ = stream.set_nodelay(true);
        let handshake = handshake(stream, tls.clone(), place, accepted.clone());
        shutdown.spawn(TaskKind::Connection, "desk_handshake", handshake).detach();
    }
}

async fn handshake(
    stream: TcpStream,
    tls: Option<Acceptor>,
    place: OwnedSemaphorePermit,
    accepted: mpsc::Sender<io::Result<Connection>>,
) {
    let socket: Box<dyn Socket> = match tls {
        None => Box::new(stream),
        Some(tls) => match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
            Ok(Ok(stream)) => Box::new(stream),
            // Scanners and plain-text clients: nothing to tell anybody.
            Ok(Err(_)) | Err(_) => return,
        },
    };
    let open = metrics::Open::new(metrics::CONNECTIONS);
    // Fails only while the server stops.
    let _ = accepted.send(Ok(Connection { socket, _place: place, _open: open })).await;
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
