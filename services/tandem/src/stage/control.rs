//! The simulator's control endpoint.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Addresses;

/// Steers the simulator.
#[derive(Clone, Debug)]
pub struct Control {
    http: reqwest::Client,
    url: String,
}

impl Control {
    pub(super) fn new(url: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build().context("no HTTP client")?;
        Ok(Self { http, url })
    }

    /// Starts customers and agents against the product at these addresses.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn start(&self, product: &Addresses) -> anyhow::Result<()> {
        self.post("/start", product_body(product)).await.map(drop)
    }

    /// Tells where the product is, or is after a restart; starts nobody.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn product(&self, product: &Addresses) -> anyhow::Result<()> {
        self.post("/product", product_body(product)).await.map(drop)
    }

    /// Changes faults.
    ///
    /// # Errors
    /// When a knob does not exist.
    pub async fn knobs(&self, knobs: Value) -> anyhow::Result<Value> {
        self.post("/knobs", knobs).await
    }

    /// Customers stop.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.post("/pause", json!({})).await.map(drop)
    }

    /// Customers go on.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn resume(&self) -> anyhow::Result<()> {
        self.post("/resume", json!({})).await.map(drop)
    }

    /// Customers write `factor` times more for so many seconds.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn storm(&self, factor: u32, seconds: u32) -> anyhow::Result<()> {
        self.post("/storm", json!({"factor": factor, "seconds": seconds})).await.map(drop)
    }

    /// Nobody looks at the phones of coexistence numbers, or somebody does again.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn phones(&self, silent: bool) -> anyhow::Result<()> {
        self.post("/phones", json!({"silent": silent})).await.map(drop)
    }

    /// Where it is steered, for commands in other terminals.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What is on its way at this moment.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn in_flight(&self) -> anyhow::Result<Value> {
        self.get("/inflight").await
    }

    /// The report so far.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn report(&self) -> anyhow::Result<Value> {
        self.get("/report").await
    }

    /// Stops the customers, waits for rest at most `bound`, judges.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn settle(&self, bound: Duration) -> anyhow::Result<Value> {
        self.post(&format!("/settle?timeout_ms={}", bound.as_millis()), json!({})).await
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url)).json(&body);
        Self::answer(path, request).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Self::answer(path, self.http.get(format!("{}{path}", self.url))).await
    }

    async fn answer(path: &str, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request
            .send()
            .await
            .with_context(|| format!("the simulator does not answer {path}"))?;
        let status = answer.status();
        let value: Value = answer.json().await.context("the simulator answered no JSON")?;
        anyhow::ensure!(status.is_success(), "the simulator refused {path}: {value}");
        Ok(value)
    }
}

fn product_body(product: &Addresses) -> Value {
    json!({
        "webhook_url": format!("http://{}/webhook", product.gateway),
        "desk_url": format!("http://{}", product.desk),
    })
}
