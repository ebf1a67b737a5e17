//! From text and environment to a checked [`Config`].

use std::collections::BTreeMap;
use std::path::Path;

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::{from_figment, from_toml};
use super::{Config, ConfigError, Problem, Secret, validate};
use crate::failpoint;

const PREFIX: &str = "TANDEM_";
/// Ours, but no settings: what the command line reads. Nor is what arms [`crate::failpoint`].
const NO_SETTINGS: [&str; 2] = ["TANDEM_CONFIG", "TANDEM_AGENT_TOKEN"];

type Environment = BTreeMap<String, String>;

pub(super) fn process_environment() -> Environment {
    // A variable that is not UTF-8 cannot be one of ours; an `env:` secret naming it is reported as
    // unset.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

pub(super) fn load(path: Option<&Path>, environment: Environment) -> Result<Config, ConfigError> {
    let text = match path {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?,
        ),
    };
    from_text(text.as_deref(), environment)
}

pub(super) fn from_text(
    text: Option<&str>,
    environment: Environment,
) -> Result<Config, ConfigError> {
    let mut figment = Figment::new();
    if let Some(text) = text {
        let table: toml::Table =
            toml::from_str(text).map_err(|e| ConfigError::Invalid(vec![from_toml(&e, text)]))?;
        figment = figment.merge(Serialized::defaults(table));
    }
    for (name, value) in &environment {
        if let Some(key) = setting_of(name) {
            figment = figment.merge(Variable { name, key, value });
        }
    }
    let mut config: Config =
        figment.extract().map_err(|e| ConfigError::Invalid(from_figment(e)))?;

    find_agent_tokens(&mut config);
    let mut problems = resolve_secrets(&mut config, &environment);
    problems.extend(validate::problems_of(&config));
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
}

/// The key a variable sets, if it is one of ours.
fn setting_of(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    if NO_SETTINGS.contains(&name) || failpoint::VARIABLES.contains(&name) || is_service_link(rest)
    {
        return None;
    }
    Some(rest.to_ascii_lowercase().replace("__", "."))
}

/// Kubernetes gives every container variables for each Service in its namespace. A Service called
/// `tandem` or `tandem-desk` makes `TANDEM_PORT_8080_TCP` and `TANDEM_DESK_SERVICE_HOST`, which are
/// not settings (Kubernetes documentation, "Service", environment variables).
fn is_service_link(rest: &str) -> bool {
    let ends_in = |part: &str| rest.ends_with(part) || rest == part.trim_start_matches('_');
    let holds = |part: &str| rest.contains(part) || rest.starts_with(part.trim_start_matches('_'));
    !rest.contains("__")
        && (ends_in("_PORT")
            || ends_in("_SERVICE_HOST")
            || holds("_SERVICE_PORT")
            || (holds("_PORT_") && (rest.contains("_TCP") || rest.contains("_UDP"))))
}

/// One environment variable as a layer, so that an error can name it.
struct Variable<'a> {
    name: &'a str,
    key: String,
    value: &'a str,
}

impl Provider for Variable<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let Ok(value) = self.value.parse::<Value>();
        let nested = figment::util::nest(&self.key, value);
        let dict = nested.into_dict().ok_or_else(|| {
            figment::Error::from(format!("{} names no setting; remove it", self.name))
        })?;
        Ok(Profile::Default.collect(dict))
    }
}

/// Points every agent without a token of its own to its file.
fn find_agent_tokens(config: &mut Config) {
    for workspace in config.businesses.iter_mut().map(|b| &mut b.workspace) {
        let Some(dir) = &workspace.agent_tokens else { continue };
        for agent in workspace.agents.iter_mut().filter(|a| a.token.is_none()) {
            // An id that is no plain name could lead out of the directory; validation refuses it.
            if validate::is_name(&agent.id) {
                agent.token = Some(Secret::in_file(&dir.join(&agent.id)));
            }
        }
    }
}

fn resolve_secrets(config: &mut Config, environment: &Environment) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut resolve = |key: String, secret: &mut Secret| {
        if let Err(advice) = secret.resolve(|name| environment.get(name).cloned()) {
            problems.push(Problem::new(key, advice));
        }
    };
    if let Some(token) = &mut config.admin.token {
        resolve("admin.token".to_owned(), token);
    }
    if let Some(postgres) = &mut config.archive.postgres {
        resolve("archive.postgres.url".to_owned(), &mut postgres.url);
    }
    if let Some(s3) = &mut config.archive.s3 {
        for (key, secret) in [
            ("access_key_id", &mut s3.access_key_id),
            ("secret_access_key", &mut s3.secret_access_key),
        ] {
            if let Some(secret) = secret {
                resolve(format!("archive.s3.{key}"), secret);
            }
        }
    }
    if let Some(nats) = &mut config.bus.nats {
        for (key, secret) in
            [("password", &mut nats.password), ("trimmer_password", &mut nats.trimmer_password)]
        {
            if let Some(secret) = secret {
                resolve(format!("bus.nats.{key}"), secret);
            }
        }
    }
    for (b, business) in config.businesses.iter_mut().enumerate() {
        for (i, secret) in business.app_secrets.iter_mut().enumerate() {
            resolve(format!("business[{b}].app_secrets[{i}]"), secret);
        }
        resolve(format!("business[{b}].verify_token"), &mut business.verify_token);
        if let Some(token) = &mut business.api_token {
            resolve(format!("business[{b}].api_token"), token);
        }
        if let Some(bot) = &mut business.bot.external {
            resolve(format!("business[{b}].bot.external.token"), &mut bot.token);
        }
        for (n, number) in business.numbers.iter_mut().enumerate() {
            let key = format!("business[{b}].number[{n}]");
            resolve(format!("{key}.access_token"), &mut number.access_token);
            if let Some(bot) = &mut number.external {
                resolve(format!("{key}.external.token"), &mut bot.token);
            }
        }
        for (c, channel) in business.channels.iter_mut().enumerate() {
            let key = format!("business[{b}].channel[{c}]");
            resolve(format!("{key}.token"), &mut channel.token);
            if let Some(bot) = &mut channel.external {
                resolve(format!("{key}.external.token"), &mut bot.token);
            }
        }
        for (a, agent) in business.workspace.agents.iter_mut().enumerate() {
            if let Some(token) = &mut agent.token {
                resolve(format!("business[{b}].workspace.agent[{a}].token"), token);
            }
        }
    }
    problems
}
