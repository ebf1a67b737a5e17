//! A Graph API that takes every send at once and reports three statuses of each by webhook.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{desk::REPLY, poster::Connection, programs, webhook};

/// Connections that carry statuses.
const CARRIERS: usize = 16;
/// Sends whose statuses wait for a carrier; more make the answers wait.
const WAITING_MAX: usize = 100_000;

struct Sent {
    phone_number_id: String,
    wamid: String,
    opaque: String,
    to: String,
}

#[derive(Default)]
struct Shared {
    sends: AtomicU64,
    statuses: AtomicU64,
    gateway: OnceLock<SocketAddr>,
    /// When each send left, microseconds of the boot clock.
    departures: std::sync::Mutex<Vec<u64>>,
    /// When each reply of an agent left, by its text.
    replies: std::sync::Mutex<BTreeMap<String, u64>>,
}

pub(crate) struct Graph {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Graph {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared: Arc<Shared> = Arc::default();
        let queues: Vec<_> = (0..CARRIERS)
            .map(|_| {
                let (queue, sent) = mpsc::channel(WAITING_MAX / CARRIERS);
                task::spawn(TaskKind::Call, "carrier", carry(sent, Arc::clone(&shared))).detach();
                queue
            })
            .collect();
        let served = Arc::clone(&shared);
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (queues, shared) = (queues.clone(), Arc::clone(&served));
                task::spawn(TaskKind::Connection, "graph", answer(stream, queues, shared)).detach();
            }
        };
        task::spawn(TaskKind::Listener, "graph", serve).detach();
        Self { url, shared }
    }

    /// Where statuses go.
    pub(crate) fn statuses_to(&self, gateway: SocketAddr) {
        self.shared.gateway.set(gateway).unwrap();
    }

    pub(crate) fn sends(&self) -> u64 {
        self.shared.sends.load(Ordering::Relaxed)
    }

    pub(crate) fn statuses(&self) -> u64 {
        self.shared.statuses.load(Ordering::Relaxed)
    }

    /// When the sends so far arrived, microseconds of the boot clock.
    pub(crate) fn departures(&self) -> Vec<u64> {
        self.shared.departures.lock().unwrap().clone()
    }

    /// When agents' replies arrived, by text, microseconds of the boot clock.
    pub(crate) fn replies(&self) -> BTreeMap<String, u64> {
        self.shared.replies.lock().unwrap().clone()
    }
}

async fn carry(mut sent: mpsc::Receiver<Sent>, shared: Arc<Shared>) {
    let clock = Clock::system();
    let mut connection = None;
    while let Some(sent) = sent.recv().await {
        let gateway = *shared.gateway.get().unwrap();
        if connection.is_none() {
            connection = Some(Connection::open(gateway).await);
        }
        let connection = connection.as_mut().unwrap();
        let (business, number) = place_of(&sent.phone_number_id);
        let from = webhook::From { business, number, customer: 0 };
        let at_s = clock.wall_ms() / 1_000;
        for status in ["sent", "delivered", "read"] {
            let request = webhook::status(from, &sent.wamid, &sent.opaque, status, at_s, &sent.to);
            if !connection.try_post(&request).await {
                return; // The bench is over.
            }
            shared.statuses.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Business and number of an id made by [`programs::phone_number_id`].
fn place_of(phone_number_id: &str) -> (u32, u32) {
    let place = (phone_number_id[4..7].parse().unwrap(), phone_number_id[7..12].parse().unwrap());
    debug_assert_eq!(programs::phone_number_id(place.0, place.1), phone_number_id);
    place
}

async fn answer(mut stream: TcpStream, queues: Vec<mpsc::Sender<Sent>>, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let clock = Clock::system();
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let Some((path, body)) = request(&mut stream, &mut buffer).await else { return };
        let n = shared.sends.fetch_add(1, Ordering::Relaxed);
        let now_us = clock.boot_us();
        shared.departures.lock().unwrap().push(now_us);
        let sent: Value = serde_json::from_slice(&body).unwrap();
        if let Some(text) = sent["text"]["body"].as_str().filter(|text| text.starts_with(REPLY)) {
            shared.replies.lock().unwrap().insert(text.to_owned(), now_us);
        }
        let wamid = format!("wamid.OUT{n}");
        let text = format!(
            r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"1","wa_id":"1"}}],"messages":[{{"id":"{wamid}"}}]}}"#
        );
        let whole = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        if stream.write_all(whole.as_bytes()).await.is_err() {
            return;
        }
        let field = |name: &str| sent[name].as_str().unwrap_or_default().to_owned();
        let phone_number_id = path.split('/').nth(2).unwrap_or_default().to_owned();
        let told = Sent {
            phone_number_id,
            wamid,
            opaque: field("biz_opaque_callback_data"),
            to: field("to"),
        };
        let queue = &queues[usize::try_from(n).unwrap() % queues.len()];
        if queue.send(told).await.is_err() {
            return; // The bench is over.
        }
    }
}

/// Path and body of the next request; `None` at the end.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        let head = buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            let end = head + length.unwrap_or(0_usize);
            if buffer.len() >= end {
                let body = buffer[head..end].to_vec();
                buffer.drain(..end);
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                return Some((path, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
