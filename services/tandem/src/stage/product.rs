//! The product as a child process, configured for the simulator's world.

use std::{net::SocketAddr, path::Path, process::ExitStatus, time::Duration};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Command;
use toml::{Table, Value as Toml};

use super::child;

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

/// The running product.
#[derive(Debug)]
pub struct Product {
    running: child::Running,
    /// Where it listens.
    pub addresses: Addresses,
}

impl Product {
    /// Starts `program` on `dir/tandem.toml` and waits until it is ready; its log goes to `dir/product.log`. `environment`
    /// is added to this process's own, of which no setting of ours is passed on.
    ///
    /// # Errors
    /// When it does not become ready within `bound`; its log says why.
    pub async fn start(
        program: &Path,
        dir: &Path,
        environment: &[(&str, &str)],
        bound: Duration,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["up", "--config"]).arg(dir.join("tandem.toml"));
        // The caller's own settings are not the product's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TANDEM_") {
                command.env_remove(name);
            }
        }
        command.envs(environment.iter().copied());
        let (running, ready) = child::start(command, &dir.join("product.log"), bound).await?;
        let address = |key: &str| {
            let text = ready.get(key).and_then(Value::as_str);
            let text = text.with_context(|| format!("the product's ready line has no {key}"))?;
            text.parse::<SocketAddr>().with_context(|| format!("{key} is no address: {text}"))
        };
        let addresses = Addresses {
            gateway: address("gateway")?,
            desk: address("desk")?,
            admin: address("admin")?,
        };
        Ok(Self { running, addresses })
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.id()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.running.kill().await
    }

    /// Asks it to end in good order (SIGTERM) and waits.
    ///
    /// # Errors
    /// When it does not end within `bound`.
    pub async fn stop(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.running.ended(bound).await
    }

    /// Waits until it has ended by itself (a failpoint).
    ///
    /// # Errors
    /// When it does not end within `bound`.
    pub async fn ended(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        self.running.ended(bound).await
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.running.has_ended()
    }

    /// Stops it as a scheduler or a laptop lid does (SIGSTOP).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.running.id().context("the product does not run")?;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).context("cannot send the signal")
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
