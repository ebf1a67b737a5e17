//! The whole configuration of the product, in one place, as plain values.
//!
//! Three layers, the later wins: the defaults written here, one TOML file, the environment. In the
//! environment a key is `TANDEM_` and its path joined by two underscores: `TANDEM_GATEWAY__LISTEN`.
//! Lists are given whole, in TOML's inline form (`TANDEM_BUSINESS='[{id = "shop", …}]'`); a secret
//! in a list is better given as `env:NAME` in the file. Relative paths are relative to the working
//! directory.
//!
//! A configuration is checked once, completely, when it is loaded: whoever holds a [`Config`] need
//! not check again. Unknown keys are errors. Durations end in `_ms`, sizes in `_bytes`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod bus;
mod business;
mod error;
mod load;
mod process;
mod secret;
mod validate;

pub use bus::{Bus, Nats};
pub use business::{
    Agent, Bot, BotOption, BotStyle, Business, Channel, ExternalBot, Number, NumberMode, Queue,
    Role, SkillNeed, Workspace, WrapUp, WrapUpMode,
};
pub use error::{ConfigError, Problem};
pub use process::{
    Admin, Archive, Desk, DeskClient, Gateway, Graph, Limits, Log, LogFormat, Postgres,
    PostgresTls, S3, Tls,
};
pub use secret::Secret;

/// Everything an operator may set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of everything durable: keys, logs, states, read model. Created when missing; one
    /// process at a time.
    pub data_dir: PathBuf,
    /// Directory of the installation's key, `data_dir` when not set. All processes of a cluster need the same key: give each
    /// the file `installation.key` that `tandem cluster init` made.
    pub key_dir: Option<PathBuf>,
    /// Name of this process among its peers, and in its logs. Letters, digits, `.`, `_`, `-`.
    pub node: String,
    /// Number of partitions, 1 to 1024. Fixed when the data directory is created.
    pub partitions: u16,
    /// For rehearsals of an upgrade only: this process behaves as a build that knows format levels up to this one and writes no
    /// later one. Not set, it knows what it knows.
    pub format_known: Option<u16>,
    /// Embedded storage or NATS JetStream.
    pub bus: Bus,
    /// The HTTP edge: webhooks in.
    pub gateway: Gateway,
    /// The gRPC edge: agents, supervisors, event tail.
    pub desk: Desk,
    /// Health and metrics.
    pub admin: Admin,
    /// Archive segments and trimming.
    pub archive: Archive,
    /// Meta's Graph API: calls out.
    pub graph: Graph,
    /// What is logged, and how.
    pub log: Log,
    /// Timings and reserves of the core.
    pub limits: Limits,
    /// The tenants: `[[business]]`.
    #[serde(rename = "business")]
    pub businesses: Vec<Business>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./tandem-data"),
            key_dir: None,
            node: "node-1".to_owned(),
            partitions: 8,
            format_known: None,
            bus: Bus::default(),
            gateway: Gateway::default(),
            desk: Desk::default(),
            admin: Admin::default(),
            archive: Archive::default(),
            graph: Graph::default(),
            log: Log::default(),
            limits: Limits::default(),
            businesses: Vec::new(),
        }
    }
}

impl Config {
    /// Loads defaults, the file at `path` if one is given, and this process's environment; resolves
    /// the secrets; checks everything.
    ///
    /// # Errors
    /// If the file cannot be read, or with every problem found, each naming its key and saying what
    /// to do.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        load::load(path, load::process_environment())
    }

    /// As [`Config::load`], with a TOML text in place of a file and only the given variables in
    /// place of the environment. For tests, and for configurations made by a program.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_toml(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        load::from_text(Some(text), environment.into_iter().collect())
    }

    /// The effective configuration as TOML, with secrets given literally replaced by `[redacted]`
    /// (`file:` and `env:` references are shown as they were written).
    #[must_use]
    pub fn print_redacted(&self) -> String {
        toml::to_string(self).unwrap_or_else(|e| format!("# cannot be written as TOML: {e}\n"))
    }

    /// Directory of the installation's key.
    #[must_use]
    pub fn key_dir(&self) -> &Path {
        self.key_dir.as_deref().unwrap_or(&self.data_dir)
    }

    /// Directory of the archive segments.
    #[must_use]
    pub fn segments_dir(&self) -> PathBuf {
        self.archive.segments_dir.clone().unwrap_or_else(|| self.data_dir.join("segments"))
    }

    /// The business and number with this `phone_number_id`.
    #[must_use]
    pub fn number(&self, phone_number_id: &str) -> Option<(&Business, &Number)> {
        self.businesses.iter().find_map(|business| {
            let number = business.numbers.iter().find(|n| n.phone_number_id == phone_number_id)?;
            Some((business, number))
        })
    }

    /// Every agent with its business and token.
    pub fn agent_tokens(&self) -> impl Iterator<Item = (&Business, &Agent, &Secret)> {
        self.businesses.iter().flat_map(|business| {
            business
                .workspace
                .agents
                .iter()
                .filter_map(move |agent| Some((business, agent, agent.token.as_ref()?)))
        })
    }
}

#[cfg(test)]
mod tests;
