//! The product as one child process, configured for the simulator's world.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use toml::{Table, Value as Toml};

use super::process::Process;

/// Capacity units one conversation takes (a scenario counts conversations).
const UNITS_PER_CONVERSATION: i64 = 20;

/// Where the product listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Webhooks.
    pub gateway: SocketAddr,
    /// gRPC.
    pub desk: SocketAddr,
    /// Health and metrics.
    pub admin: SocketAddr,
}

/// The running product, everything in one process.
#[derive(Debug)]
pub struct Product {
    process: Process,
    /// Where it listens.
    pub addresses: Addresses,
}

impl Product {
    /// Starts `program up` on `dir/tandem.toml` and waits until it is ready; its log goes to `dir/product.log`.
    /// `environment` is added to this process's own, of which no setting of ours is passed on.
    ///
    /// # Errors
    /// When it does not become ready within `bound`; its log says why.
    pub async fn start(
        program: &Path,
        dir: &Path,
        environment: &[(&str, &str)],
        bound: Duration,
    ) -> anyhow::Result<Self> {
        let (config, log) = (dir.join("tandem.toml"), dir.join("product.log"));
        let process = Process::start(program, "up", &config, &log, environment, bound).await?;
        let addresses = Addresses {
            gateway: process.gateway.context("the product's ready line has no gateway")?,
            desk: process.desk.context("the product's ready line has no desk")?,
            admin: process.admin,
        };
        Ok(Self { process, addresses })
    }
}

impl Deref for Product {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Product {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The product's configuration for the world that the simulator exported.
pub(super) fn config_toml(world: &Value, data_dir: &Path, extra: &str) -> anyhow::Result<String> {
    let mut config: Table = extra.parse().context("the extra configuration is no TOML")?;
    let mut set = |section: &str, key: &str, value: Toml| {
        let section = config.entry(section.to_owned()).or_insert_with(|| Toml::Table(Table::new()));
        if let Toml::Table(section) = section {
            section.entry(key.to_owned()).or_insert(value);
        }
    };
    for section in ["gateway", "desk", "admin"] {
        set(section, "listen", "127.0.0.1:0".into());
    }
    set("graph", "base_url", text(world, "graph_url")?.into());
    set("graph", "version", text(world, "graph_version")?.into());
    for key in ["phone_answer_timeout_ms", "phone_floor_timeout_ms"] {
        set("limits", key, integer(world, key)?.into());
    }
    config.insert("data_dir".to_owned(), data_dir.display().to_string().into());
    let businesses = list(world, "businesses")?
        .iter()
        .map(|business| business_toml(world, business))
        .collect::<anyhow::Result<Vec<_>>>()?;
    config.insert("business".to_owned(), Toml::Array(businesses));
    toml::to_string(&config).context("the configuration cannot be written")
}

fn business_toml(world: &Value, business: &Value) -> anyhow::Result<Toml> {
    let mut numbers = Vec::new();
    for number in list(business, "numbers")? {
        let mut table = Table::new();
        for key in ["phone_number_id", "display_phone_number", "mode"] {
            table.insert(key.to_owned(), text(number, key)?.into());
        }
        table.insert("waba_id".to_owned(), text(business, "waba_id")?.into());
        table.insert("access_token".to_owned(), text(business, "graph_token")?.into());
        table.insert("rate_per_second".to_owned(), integer(number, "rate_per_s")?.into());
        numbers.push(Toml::Table(table));
    }
    let mut queues = Vec::new();
    for queue in list(business, "queues")? {
        let skills = list(queue, "skills")?
            .iter()
            .filter_map(Value::as_str)
            .map(|skill| Toml::Table(Table::from_iter([("name".to_owned(), Toml::from(skill))])));
        queues.push(Toml::Table(Table::from_iter([
            ("id".to_owned(), text(queue, "id")?.into()),
            ("title".to_owned(), text(queue, "name")?.into()),
            ("keywords".to_owned(), Toml::Array(vec![text(queue, "keyword")?.into()])),
            ("skills".to_owned(), Toml::Array(skills.collect())),
            ("offer_timeout_ms".to_owned(), integer(world, "offer_timeout_ms")?.into()),
        ])));
    }
    let mut agents = Vec::new();
    for agent in list(business, "agents")? {
        let skills = list(agent, "skills")?.iter().filter_map(Value::as_str);
        let skills = Table::from_iter(skills.map(|skill| (skill.to_owned(), Toml::from(5))));
        let units = integer(agent, "capacity")? * UNITS_PER_CONVERSATION;
        agents.push(Toml::Table(Table::from_iter([
            ("id".to_owned(), text(agent, "id")?.into()),
            ("token".to_owned(), text(agent, "token")?.into()),
            ("skills".to_owned(), Toml::Table(skills)),
            ("capacity_units".to_owned(), units.into()),
        ])));
    }
    let workspace = Table::from_iter([
        ("id".to_owned(), format!("{}-desk", text(business, "id")?).into()),
        ("queue".to_owned(), Toml::Array(queues)),
        ("agent".to_owned(), Toml::Array(agents)),
    ]);
    let bot = Table::from_iter([("enabled".to_owned(), Toml::from(true))]);
    Ok(Toml::Table(Table::from_iter([
        ("id".to_owned(), text(business, "id")?.into()),
        ("app_secrets".to_owned(), Toml::Array(vec![text(business, "app_secret")?.into()])),
        ("verify_token".to_owned(), text(world, "verify_token")?.into()),
        ("api_token".to_owned(), text(business, "api_token")?.into()),
        ("number".to_owned(), Toml::Array(numbers)),
        ("workspace".to_owned(), Toml::Table(workspace)),
        ("bot".to_owned(), Toml::Table(bot)),
    ])))
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("the export has no {key}"))
}

fn integer(value: &Value, key: &str) -> anyhow::Result<i64> {
    value.get(key).and_then(Value::as_i64).with_context(|| format!("the export has no {key}"))
}

fn list<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("the export has no {key}"))
}
