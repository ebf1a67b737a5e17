//! Posts ready-made requests over kept-alive connections: it costs two system calls a request, no more.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// One kept-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 1024] }
    }

    /// Posts one request; it must be answered 200 `ok`.
    pub(crate) async fn post(&mut self, request: &[u8]) {
        assert!(self.try_post(request).await, "the product closed the connection");
    }

    /// Posts one request; false when the other side has closed.
    pub(crate) async fn try_post(&mut self, request: &[u8]) -> bool {
        if self.stream.write_all(request).await.is_err() {
            return false;
        }
        let mut filled = 0;
        while !self.buffer[..filled].ends_with(b"\r\n\r\nok") {
            let n = self.stream.read(&mut self.buffer[filled..]).await.unwrap_or(0);
            if n == 0 {
                return false;
            }
            filled += n;
            let so_far = || String::from_utf8_lossy(&self.buffer[..filled]).into_owned();
            assert!(filled < 1024, "an unexpected answer: {}", so_far());
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200"), "not answered 200");
        true
    }
}

/// Posts all requests as fast as `connections` allow, each the next when it was answered. Microseconds per answer.
pub(crate) async fn flat_out(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
) -> Histogram<u64> {
    let clock = Clock::system();
    let workers: Vec<_> = (0..connections)
        .map(|worker| {
            let (requests, clock) = (Arc::clone(&requests), clock.clone());
            task::spawn(TaskKind::Call, "poster", async move {
                let mut answered_us = histogram();
                let mut connection = Connection::open(address).await;
                for request in requests.iter().skip(worker).step_by(connections) {
                    let begun_us = clock.boot_us();
                    connection.post(request).await;
                    answered_us.saturating_record(clock.boot_us() - begun_us);
                }
                answered_us
            })
        })
        .collect();
    all_of(workers).await
}

/// Posts request `n` at `n / rate` after `due_us`.
pub(crate) async fn paced(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    rate: u32,
    due_us: u64,
) -> Histogram<u64> {
    let due_us = (0..requests.len()).map(|n| due_us + offset_us(n, rate)).collect();
    at(address, requests, Arc::new(due_us)).await
}

/// Posts each request at its time, whatever became of the others, so that a slow answer delays nothing it should not: there are
/// more connections than requests that wait for an answer. The time of an answer counts from when its request was due.
pub(crate) async fn at(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    due_us: Arc<Vec<u64>>,
) -> Histogram<u64> {
    const CONNECTIONS: usize = 512;
    let clock = Clock::system();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let (requests, due_us) = (Arc::clone(&requests), Arc::clone(&due_us));
            let clock = clock.clone();
            task::spawn(TaskKind::Call, "poster", async move {
                let mut answered_us = histogram();
                let mut connection = Connection::open(address).await;
                let timed = requests.iter().zip(due_us.iter());
                for (request, due_us) in timed.skip(worker).step_by(CONNECTIONS) {
                    let wait_us = due_us.saturating_sub(clock.boot_us());
                    let mut begun_us = *due_us;
                    if wait_us > 0 {
                        tokio::time::sleep(Duration::from_micros(wait_us)).await;
                        // The timer's own resolution of a millisecond is not the product's.
                        begun_us = clock.boot_us().min(due_us + 1_100);
                    }
                    // The product closes a connection on which nothing came for a while.
                    if !connection.try_post(request).await {
                        connection = Connection::open(address).await;
                        connection.post(request).await;
                    }
                    answered_us.saturating_record(clock.boot_us().saturating_sub(begun_us));
                }
                answered_us
            })
        })
        .collect();
    all_of(workers).await
}

/// What all workers measured, together.
async fn all_of(workers: Vec<task::TaskHandle<Histogram<u64>>>) -> Histogram<u64> {
    let mut all = histogram();
    for worker in workers {
        all.add(worker.await.unwrap()).unwrap();
    }
    all
}

/// When request `n` is due at `rate` per second, after the first.
pub(crate) fn offset_us(n: usize, rate: u32) -> u64 {
    u64::try_from(n).unwrap() * 1_000_000 / u64::from(rate)
}

/// Microseconds up to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}
