//! A bot's message at the door after the phone has spoken, against a real HTTP server in Meta's place.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use chassis::task::{self, Shutdown, TaskKind};
use domain::{Hash16, RequestId};
use http_body_util::Full;
use hyper::{Response, service::service_fn};
use hyper_util::rt::TokioIo;
use runtime::bus::{Bus, BusError, SignalStream, Signals, sim::SimBus};
use tokio::net::TcpListener;
use whatsapp::graph::GraphConfig;

use super::*;

const ANN: Hash16 = Hash16([1; 16]);
const BOB: Hash16 = Hash16([2; 16]);
/// Long for a machine that does other things, too.
const WITHIN: Duration = Duration::from_secs(20);
const CONFIG: &str = r#"
    [[business]]
    id = "shop"
    app_secrets = ["shop-secret-0123456789abcdef0000"]
    verify_token = "shop-verify"
    [[business.number]]
    phone_number_id = "200000000000202"
    display_phone_number = "+1 212 555 0100"
    waba_id = "300000000000303"
    access_token = "shop-access-token-0001"
    mode = "coexistence"
    [business.workspace]
    id = "shop-desk"
    [[business.workspace.queue]]
    id = "sales"
"#;

/// Accepts every message, and counts them.
async fn provider() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let serve = async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let counted = Arc::clone(&counted);
            let answer = service_fn(move |_| {
                let n = counted.fetch_add(1, Ordering::SeqCst);
                let body = format!(r#"{{"messages":[{{"id":"wamid.{n}"}}]}}"#);
                async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            task::spawn(TaskKind::Connection, "graph", async move { drop(connection.await) })
                .detach();
        }
    };
    task::spawn(TaskKind::Listener, "graph", serve).detach();
    (base_url, received)
}

struct World {
    executor: SendExecutor,
    bus: Bus,
    number: EntityId,
    sealer: Arc<Sealer>,
    clock: Clock,
    received: Arc<AtomicUsize>,
}

impl World {
    async fn new() -> Self {
        Self::on(SimBus::new(1, 2).node("router")).await
    }

    async fn on(bus: Bus) -> Self {
        chassis::listener::install_crypto_provider();
        let (base_url, received) = provider().await;
        let config = Config::from_toml(CONFIG, []).unwrap();
        let (clock, shutdown) = (Clock::system(), Shutdown::new());
        let sealer = Arc::new(Sealer::from_key([7; 32]));
        let graph = GraphClient::new(&GraphConfig { base_url, ..GraphConfig::default() }).unwrap();
        let doors = Doors::open(&config, &sealer, &bus, &clock, &shutdown);
        let departures = Departures::start(&bus, &clock, &shutdown);
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let number = naming::number_id(&hash, "200000000000202");
        let executor = SendExecutor::new(
            &config,
            graph,
            doors,
            departures,
            Arc::clone(&sealer),
            clock.clone(),
        );
        Self { executor, bus, number, sealer, clock, received }
    }

    fn call(&self, conversation: Hash16, lane: Lane, asked_ms: u64) -> Call {
        let seal = |plain: Vec<u8>| {
            let sealed = self.sealer.seal(b"shop", &plain);
            Sealed { key_id: sealed.key_id, bytes: sealed.bytes }
        };
        let who = Identity { phone: Some("12125550123".to_owned()), ..Identity::default() };
        let content = Content { text: Some("Hello".to_owned()), ..Content::default() };
        Call {
            key: CallKey { request: RequestId { conversation, n: 1 }, attempt: 1 },
            number: self.number,
            lane,
            recipient: seal(persist::encode(&who).unwrap()),
            content: seal(persist::encode(&content).unwrap()),
            kind: ContentKind::Text,
            rate_per_s: None,
            asked_ms,
        }
    }

    async fn send(&self, call: &Call) -> CallAnswer {
        tokio::time::timeout(WITHIN, self.executor.send("shop", call, Door::new(|| Ok(()))))
            .await
            .unwrap()
    }

    /// A gateway has stored an echo to the customer.
    async fn phone_speaks_to(&self, conversation: Hash16) {
        let overtaking = self.executor.doors.overtaking(&self.call(conversation, Lane::Bot, 0));
        let topic = format!("echo.{}", self.number.hash);
        let heard = async {
            // Once more until the door listens.
            while !overtaking.has_happened() {
                let body = Bytes::copy_from_slice(&conversation.0);
                self.bus.signals.publish(&topic, body).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WITHIN, heard).await.unwrap();
    }
}

#[tokio::test]
async fn a_bot_is_stopped_at_the_door_once_the_phone_has_spoken() {
    let world = World::new().await;
    world.phone_speaks_to(ANN).await;
    let answer = world.send(&world.call(ANN, Lane::Bot, 0)).await;
    assert!(matches!(answer, CallAnswer::NotStarted { overtaken: true, .. }), "{answer:?}");
    assert_eq!(world.received.load(Ordering::SeqCst), 0);
    let since_ms = world.clock.wall_ms() + 1;
    for call in [
        world.call(ANN, Lane::Bot, since_ms),
        world.call(BOB, Lane::Bot, 0),
        world.call(ANN, Lane::Agent, 0),
        world.call(ANN, Lane::Utility, 0),
    ] {
        let answer = world.send(&call).await;
        assert!(matches!(answer, CallAnswer::Accepted { .. }), "{call:?}: {answer:?}");
    }
    assert_eq!(world.received.load(Ordering::SeqCst), 4);
}

/// It waits for its turn behind a rate; the phone speaks meanwhile.
#[tokio::test]
async fn a_bot_that_waits_at_the_door_is_stopped_when_its_turn_comes() {
    let world = World::new().await;
    let call = world.call(ANN, Lane::Bot, 0);
    // A door is shut for a second after its start.
    let (answer, ()) = tokio::join!(world.send(&call), world.phone_speaks_to(ANN));
    assert!(matches!(answer, CallAnswer::NotStarted { overtaken: true, .. }), "{answer:?}");
    assert_eq!(world.received.load(Ordering::SeqCst), 0);
}

/// Signals of a bus that is away when it is asked for the first time, as during an election.
struct AwayAtFirst {
    signals: Arc<dyn Signals>,
    asked: AtomicUsize,
}

#[async_trait]
impl Signals for AwayAtFirst {
    async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        self.signals.publish(topic, body).await
    }

    async fn subscribe(&self, topic: &str) -> Result<Box<dyn SignalStream>, BusError> {
        // Both topics of the one number.
        if self.asked.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(BusError::Unavailable("an election".to_owned()));
        }
        self.signals.subscribe(topic).await
    }
}

#[tokio::test]
async fn a_door_that_opened_while_the_bus_was_away_hears_the_phone_later() {
    let bus = SimBus::new(1, 2).node("router");
    let away = AwayAtFirst { signals: Arc::clone(&bus.signals), asked: AtomicUsize::new(0) };
    let away = Arc::new(away);
    let signals = Arc::clone(&away);
    let world = World::on(Bus { signals, ..bus }).await;
    world.phone_speaks_to(ANN).await;
    assert!(away.asked.load(Ordering::SeqCst) > 2, "it subscribed at once");
    let answer = world.send(&world.call(ANN, Lane::Bot, 0)).await;
    assert!(matches!(answer, CallAnswer::NotStarted { overtaken: true, .. }), "{answer:?}");
}
