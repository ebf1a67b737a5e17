//! A gateway on a free port with two businesses, and a signing client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bus::{Bus, InboxEntry, Input, PartitionId, sim::SimBus};
use chassis::{clock::Clock, config::Config, listener::Acceptor, seal::Sealer, task::Shutdown};
use domain::{
    EntityKind, Sealed,
    content::{Content, Identity},
    conversation::ConversationInput,
    number::NumberInput,
    persist,
};
use gateway::{Directory, Handler, Limits, Server};
use hmac::{Hmac, Mac};
use reqwest::Response;

pub(crate) const SECRET_OLD: &str = "shop-secret-old-0123456789abcdef";
pub(crate) const SECRET: &str = "shop-secret-new-0123456789abcdef";
pub(crate) const CLINIC_SECRET: &str = "clinic-secret-0123456789abcdef00";
const PARTITIONS: u16 = 4;

const CONFIG: &str = r#"
[[business]]
id = "shop"
app_secrets = ["shop-secret-old-0123456789abcdef", "shop-secret-new-0123456789abcdef"]
verify_token = "shop-verify"
[[business.number]]
phone_number_id = "200000000000202"
display_phone_number = "12125550100"
waba_id = "100000000000101"
access_token = "graph-token"
mode = "coexistence"
greeting_texts = ["Welcome to the shop!"]
[business.workspace]
id = "shop-desk"
[[business.workspace.queue]]
id = "sales"

[[business]]
id = "clinic"
app_secrets = ["clinic-secret-0123456789abcdef00"]
verify_token = "clinic-verify"
[[business.number]]
phone_number_id = "200000000000303"
display_phone_number = "12125550200"
waba_id = "100000000000102"
access_token = "graph-token-2"
mode = "api"
[business.workspace]
id = "clinic-desk"
[[business.workspace.queue]]
id = "desk"
"#;

pub(crate) struct Fixture {
    pub(crate) sim: SimBus,
    pub(crate) bus: Bus,
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) shutdown: Shutdown,
}

pub(crate) fn limits() -> Limits {
    Limits {
        body_bytes: 4 * 1024 * 1024,
        header: Duration::from_secs(5),
        body: Duration::from_secs(10),
        connections: 64,
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(limits(), Duration::from_secs(10)).await
    }

    pub(crate) async fn with(limits: Limits, append_timeout: Duration) -> Self {
        Self::over(limits, append_timeout, None).await
    }

    pub(crate) async fn over(
        limits: Limits,
        append_timeout: Duration,
        tls: Option<Acceptor>,
    ) -> Self {
        chassis::listener::install_crypto_provider();
        let config = Config::from_toml(CONFIG, []).unwrap();
        let sealer = Arc::new(Sealer::from_key([7; 32]));
        let sim = SimBus::new(1, PARTITIONS);
        let bus = sim.node("gateway");
        let directory = Arc::new(Directory::new(&config, &sealer).unwrap());
        let handler = Handler::new(
            directory,
            Arc::clone(&sealer),
            bus.clone(),
            Clock::system(),
            append_timeout,
            limits.connections / 2,
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(listener, tls, limits, Arc::new(handler));
        let address = server.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let running = server.run(shutdown.clone());
        chassis::task::spawn(chassis::task::TaskKind::Connection, "gateway", running).detach();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sim, bus, address, http, sealer, shutdown }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn post(&self, secret: &str, body: impl Into<Vec<u8>>) -> Response {
        self.post_to("/webhook", secret, body).await
    }

    pub(crate) async fn post_to(
        &self,
        path: &str,
        secret: &str,
        body: impl Into<Vec<u8>>,
    ) -> Response {
        let body = body.into();
        let signature = sign(secret, &body);
        let request = self.http.post(self.url(path)).header("X-Hub-Signature-256", signature);
        request.body(body).send().await.unwrap()
    }

    /// Everything in the inboxes, in order within a partition.
    pub(crate) fn inputs(&self) -> Vec<Input> {
        (0..PARTITIONS)
            .flat_map(|partition| self.sim.inbox_entries(PartitionId(partition)))
            .flat_map(|(_, bytes)| InboxEntry::decode(&bytes).unwrap().inputs)
            .collect()
    }

    /// The inputs of conversations among them.
    pub(crate) fn conversation_inputs(&self) -> Vec<ConversationInput> {
        self.inputs()
            .iter()
            .filter(|input| input.target.kind == EntityKind::Conversation.code())
            .map(|input| persist::decode(&input.body).unwrap())
            .collect()
    }

    /// What was parked, by name.
    pub(crate) fn parked(&self) -> Vec<String> {
        self.inputs()
            .iter()
            .filter(|input| input.target.kind == EntityKind::Number.code())
            .map(|input| match persist::decode(&input.body).unwrap() {
                NumberInput::Parked(parked) => parked.what,
                other => panic!("the gateway sent {other:?}"),
            })
            .collect()
    }

    pub(crate) fn open_content(&self, sealed: &Sealed) -> Content {
        self.open(sealed)
    }

    pub(crate) fn open_identity(&self, sealed: &Sealed) -> Identity {
        self.open(sealed)
    }

    fn open<T: serde::de::DeserializeOwned>(&self, sealed: &Sealed) -> T {
        let plain = self.sealer.open(b"shop", sealed.key_id, &sealed.bytes).unwrap();
        persist::decode(&plain).unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A webhook with one text of a customer to one number.
pub(crate) fn text_webhook(phone_number_id: &str, wamid: &str, body: &str) -> String {
    serde_json::json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "100000000000101", "changes": [{"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "12125550100", "phone_number_id": phone_number_id},
            "contacts": [{"profile": {"name": "Ana"}, "wa_id": "12125550123"}],
            "messages": [{"from": "12125550123", "id": wamid, "timestamp": "1795176000",
                "type": "text", "text": {"body": body}}]
        }}]}]
    })
    .to_string()
}
