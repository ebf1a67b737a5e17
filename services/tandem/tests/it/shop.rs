//! The product alone, configured for the number of the recorded webhooks, with a Graph API that answers as told.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use api::v1::{Conversation, Message};
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use tandem::stage::Product;
use testkit::wait_for;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{
    conversations::Conversations,
    play::{Play, assert_no_errors, http, programs},
};

pub(crate) const SECRET: &str = "shop-secret-0123456789abcdef0000";
pub(crate) const CLINIC_SECRET: &str = "clinic-secret-0123456789abcdef00";
pub(crate) const TOKEN: &str = "shop-program-token-0001";
pub(crate) const CLINIC_TOKEN: &str = "clinic-program-token-0001";
/// When everything in the recorded webhooks happens, epoch seconds.
pub(crate) const RECORDED_S: u64 = 1_795_176_000;

/// How every configuration of a test begins; DIR is the test's own directory.
pub(crate) const HEAD: &str = r#"
data_dir = "DIR/data"
[gateway]
listen = "127.0.0.1:0"
[desk]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
"#;

const CONFIG: &str = r#"
[graph]
base_url = "GRAPH"

[[business]]
id = "shop"
app_secrets = ["shop-secret-0123456789abcdef0000"]
verify_token = "shop-verify"
api_token = "shop-program-token-0001"
[[business.number]]
phone_number_id = "200000000000202"
display_phone_number = "12125550100"
waba_id = "100000000000101"
access_token = "graph-token-of-the-shop"
mode = "coexistence"
[business.workspace]
id = "shop-desk"
[[business.workspace.queue]]
id = "sales"

[[business]]
id = "clinic"
app_secrets = ["clinic-secret-0123456789abcdef00"]
verify_token = "clinic-verify"
api_token = "clinic-program-token-0001"
[[business.number]]
phone_number_id = "200000000000303"
display_phone_number = "12125550200"
waba_id = "100000000000102"
access_token = "graph-token-of-the-clinic"
mode = "api"
[business.workspace]
id = "clinic-desk"
[[business.workspace.queue]]
id = "desk"
"#;

/// The configuration of the two businesses.
pub(crate) fn config(dir: &Path, graph_url: &str) -> String {
    let text = [HEAD, CONFIG].concat();
    text.replace("DIR", &dir.display().to_string()).replace("GRAPH", graph_url)
}

/// A running product and its Graph API.
pub(crate) struct Shop {
    play: Play,
    pub(crate) product: Product,
    pub(crate) graph: Graph,
    http: reqwest::Client,
}

impl Shop {
    pub(crate) async fn open(name: &'static str) -> Self {
        Self::open_with(name, &[]).await
    }

    /// As [`Shop::open`], with more environment for the product.
    pub(crate) async fn open_with(name: &'static str, environment: &[(&str, &str)]) -> Self {
        let play = Play::begin(name).await;
        let graph = Graph::start().await;
        let text = config(play.dir(), &graph.url);
        std::fs::write(play.dir().join("tandem.toml"), text).unwrap();
        let product = start(&play, environment).await;
        Self { play, product, graph, http: http() }
    }

    pub(crate) fn config_file(&self) -> std::path::PathBuf {
        self.play.dir().join("tandem.toml")
    }

    pub(crate) fn log(&self) -> std::path::PathBuf {
        self.play.dir().join("product.log")
    }

    pub(crate) async fn stop(&mut self) {
        let status = self.product.stop(Duration::from_secs(30)).await.unwrap();
        assert!(status.success(), "{status}");
    }

    pub(crate) async fn start(&mut self, environment: &[(&str, &str)]) {
        self.product = start(&self.play, environment).await;
    }

    pub(crate) async fn read(&self, token: &str) -> Vec<(Conversation, Vec<Message>)> {
        let mut api = Conversations::connect(self.product.addresses.desk, token).await;
        api.everything().await
    }

    /// Posts a body signed with `secret`; the status of the answer.
    pub(crate) async fn post(&self, secret: Option<&str>, body: String) -> u16 {
        let url = format!("http://{}/webhook", self.product.addresses.gateway);
        let mut request = self.http.post(url);
        if let Some(secret) = secret {
            request = request.header("X-Hub-Signature-256", sign(secret, body.as_bytes()));
        }
        request.body(body).send().await.unwrap().status().as_u16()
    }

    /// What the product counts, as Prometheus reads it.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.product.addresses.admin);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Posts a recorded webhook, or a sequence one after the other; all are answered 200.
    pub(crate) async fn deliver(&self, value: &Value) {
        for post in posts(value) {
            assert_eq!(self.post(Some(SECRET), as_meta_writes(&post)).await, 200, "{post:#}");
        }
    }

    /// Waits until the shop's conversations satisfy `enough`.
    pub(crate) async fn until(
        &self,
        what: &str,
        enough: impl Fn(&[(Conversation, Vec<Message>)]) -> bool,
    ) -> Vec<(Conversation, Vec<Message>)> {
        let mut last = Vec::new();
        let met = wait_for(Duration::from_secs(10), what, async || {
            last = self.read(TOKEN).await;
            enough(&last).then_some(())
        });
        let met = met.await;
        met.unwrap_or_else(|error| panic!("{error}: {last:#?}"));
        // The list was read before the threads: once more, so that both are of one moment.
        self.read(TOKEN).await
    }

    /// The only conversation there is, once it has so many messages.
    pub(crate) async fn only(&self, messages: usize) -> (Conversation, Vec<Message>) {
        let enough =
            |all: &[(Conversation, Vec<Message>)]| all.len() == 1 && all[0].1.len() == messages;
        self.until("one conversation with its messages", enough).await.remove(0)
    }

    /// Ends in good order; the log names no error and nobody.
    pub(crate) async fn close(self) {
        self.close_with(&[]).await;
    }

    /// As [`Shop::close`], where errors with one of these texts are expected.
    pub(crate) async fn close_with(mut self, expected: &[&str]) {
        self.stop().await;
        let log = self.log();
        assert_no_errors(&log, expected);
        let text = std::fs::read_to_string(log).unwrap();
        for personal in
            ["12125550123", "US.7043115920486377215", "Ana Test", "order 4711", "wamid."]
        {
            assert!(!text.contains(personal), "the log says {personal}");
        }
    }
}

async fn start(play: &Play, environment: &[(&str, &str)]) -> Product {
    let bound = Duration::from_secs(30);
    Product::start(&programs().tandem, play.dir(), environment, bound).await.unwrap()
}

/// A recorded webhook of crate whatsapp.
pub(crate) fn payload(name: &str) -> Value {
    let file = format!("{}/../whatsapp/tests/payloads/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The same as if it had been recorded now.
pub(crate) fn payload_of_today(name: &str) -> Value {
    fn shift(value: &mut Value, by_s: i64) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| shift(value, by_s)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    let time = value.as_str().and_then(|text| text.parse::<i64>().ok());
                    match time.filter(|_| key == "timestamp") {
                        Some(time) => *value = (time + by_s).to_string().into(),
                        None => shift(value, by_s),
                    }
                }
            }
            _ => {}
        }
    }
    let mut value = payload(name);
    shift(&mut value, (now_s() - RECORDED_S).try_into().unwrap());
    value
}

pub(crate) fn now_s() -> u64 {
    Clock::system().wall_ms() / 1_000
}

/// The POST bodies of a file: itself, or its elements.
pub(crate) fn posts(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// Meta's way of writing JSON: non-ASCII as \uXXXX, slashes escaped.
pub(crate) fn as_meta_writes(value: &Value) -> String {
    let mut out = String::new();
    for letter in value.to_string().chars() {
        match letter {
            '/' => out.push_str("\\/"),
            c if c.is_ascii() => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Takes every send and answers with the ids it was given.
pub(crate) struct Graph {
    pub(crate) url: String,
    state: Arc<Mutex<GraphState>>,
}

#[derive(Default)]
struct GraphState {
    wamids: VecDeque<String>,
    calls: Vec<Value>,
}

impl Graph {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(GraphState::default()));
        let served = Arc::clone(&state);
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &served).await;
            }
        };
        task::spawn(TaskKind::Listener, "graph", serve).detach();
        Self { url, state }
    }

    /// The id of the next send.
    pub(crate) fn will_answer(&self, wamid: &str) {
        self.state.lock().unwrap().wamids.push_back(wamid.to_owned());
    }

    /// The bodies of all sends.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.state.lock().unwrap().calls.clone()
    }
}

async fn answer(stream: TcpStream, state: &Mutex<GraphState>) {
    let mut stream = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while stream.read_line(&mut line).await.unwrap() > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let text = {
        let mut state = state.lock().unwrap();
        state.calls.push(serde_json::from_slice(&body).unwrap());
        let wamid = state.wamids.pop_front().expect("a send that no test expected");
        json!({"messaging_product": "whatsapp", "messages": [{"id": wamid}]}).to_string()
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let whole = format!("{head}content-length: {}\r\n\r\n{text}", text.len());
    stream.get_mut().write_all(whole.as_bytes()).await.unwrap();
}
