//! Product and simulator under load, and what may be done to the product.

use std::{os::unix::process::ExitStatusExt as _, path::Path, time::Duration};

use chassis::clock::Clock;
use rand::{Rng as _, rngs::StdRng};
use serde_json::Value;
use tandem::stage::{Control, Product, Stage};

use super::{
    conversations::Conversations,
    play::{get, taken, until_taken},
};

/// Longest wait for so much traffic.
const TRAFFIC_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait for something in flight.
const FLIGHT_WITHIN_MS: u64 = 10_000;

/// A run.
pub(crate) struct Ordeal {
    name: &'static str,
    pub(crate) stage: Stage,
    pub(crate) product: Product,
    /// Added to the product's environment at every start.
    pub(crate) environment: Vec<(String, String)>,
    clock: Clock,
    meter: Meter,
}

/// Webhooks taken and time while the product was up, whatever else went on meanwhile.
#[derive(Default)]
struct Meter {
    posts: u64,
    up_ms: u64,
    /// When the product was ready, and what had been taken then.
    since: Option<(u64, u64)>,
}

impl Meter {
    /// The product is ready; `taken` webhooks were taken before.
    fn up(&mut self, now_ms: u64, taken: u64) {
        self.since = Some((now_ms, taken));
    }

    /// The product is gone, or the run is over.
    fn down(&mut self, now_ms: u64, taken: u64) {
        if let Some((since_ms, before)) = self.since.take() {
            self.up_ms += now_ms - since_ms;
            self.posts += taken - before;
        }
    }
}

impl Ordeal {
    /// Starts the product, and the customers against it.
    pub(crate) async fn begin(
        name: &'static str,
        stage: Stage,
        environment: Vec<(String, String)>,
    ) -> Self {
        let product = stage.start_product(&borrowed(&environment)).await.unwrap();
        stage.simulator.control.start(&product.addresses).await.unwrap();
        let clock = Clock::system();
        let mut meter = Meter::default();
        meter.up(clock.boot_ms(), 0);
        Self { name, stage, product, environment, clock, meter }
    }

    pub(crate) fn control(&self) -> &Control {
        &self.stage.simulator.control
    }

    pub(crate) fn log(&self) -> std::path::PathBuf {
        self.stage.product_log()
    }

    /// Lets the product take so many webhooks.
    pub(crate) async fn traffic(&mut self, posts: u64) -> Value {
        until_taken(self.control(), posts, TRAFFIC_WITHIN).await
    }

    /// Webhooks per second, taken by the product while it was up, until now.
    pub(crate) async fn webhooks_per_s(&mut self) -> u64 {
        self.went_down().await;
        self.meter.posts * 1_000 / self.meter.up_ms.max(1)
    }

    /// The product was there until just now.
    async fn went_down(&mut self) {
        let now_ms = self.clock.boot_ms();
        let report = self.control().report().await.unwrap();
        self.meter.down(now_ms, taken(&report));
    }

    /// Conversations with an open episode, by the API.
    pub(crate) async fn open_conversations(&self) -> usize {
        let config = self.stage.config_file();
        let mut open = 0;
        for token in business_tokens(&config) {
            let mut api = Conversations::connect(self.product.addresses.desk, &token).await;
            let is_open = |conversation: &api::v1::Conversation| {
                conversation.episode.as_ref().is_some_and(|episode| episode.resolved_ms == 0)
            };
            open += api.list().await.iter().filter(|conversation| is_open(conversation)).count();
        }
        open
    }

    /// Kills the product at a moment when something is in flight; says what.
    pub(crate) async fn strike(&mut self, rng: &mut StdRng) -> Value {
        let end_ms = self.clock.boot_ms() + FLIGHT_WITHIN_MS;
        loop {
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..30_000))).await;
            let flight = self.control().in_flight().await.unwrap();
            if is_something(&flight) {
                self.product.kill().await.unwrap();
                self.went_down().await;
                return flight;
            }
            assert!(
                self.clock.boot_ms() < end_ms,
                "nothing was in flight for {FLIGHT_WITHIN_MS} ms"
            );
        }
    }

    /// Waits until the product has killed itself; says what was in flight last.
    pub(crate) async fn dies_by_itself(&mut self, bound: Duration) -> Value {
        let end_ms = self.clock.boot_ms() + u64::try_from(bound.as_millis()).unwrap();
        let mut last = Value::Null;
        while !self.product.has_ended() {
            let flight = self.control().in_flight().await.unwrap();
            if is_something(&flight) {
                last = flight;
            }
            assert!(self.clock.boot_ms() < end_ms, "the product still runs after {bound:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.went_down().await;
        let status = self.product.ended(Duration::from_secs(1)).await.unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
        last
    }

    /// Starts it again and tells the world; `more` is added to its environment this once.
    pub(crate) async fn restart(&mut self, more: &[(&str, &str)]) {
        let began_ms = self.clock.boot_ms();
        let mut environment = borrowed(&self.environment);
        environment.extend(more);
        self.product = self.stage.start_product(&environment).await.unwrap();
        self.control().product(&self.product.addresses).await.unwrap();
        println!("{}: ready again after {} ms", self.name, self.clock.boot_ms() - began_ms);
        let report = self.control().report().await.unwrap();
        self.meter.up(self.clock.boot_ms(), taken(&report));
    }

    /// The product's counter or gauge of this name and label text, all such lines added up.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = get(&format!("http://{}/metrics", self.product.addresses.admin)).await;
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

fn is_something(flight: &Value) -> bool {
    flight.as_object().is_some_and(|counts| counts.values().any(|n| n.as_u64() > Some(0)))
}

fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The tokens of the programs of all businesses of a configuration.
pub(crate) fn business_tokens(config: &Path) -> Vec<String> {
    let config: toml::Table = std::fs::read_to_string(config).unwrap().parse().unwrap();
    let businesses = config["business"].as_array().unwrap();
    businesses.iter().map(|b| b["api_token"].as_str().unwrap().to_owned()).collect()
}
