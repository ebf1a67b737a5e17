//! Installations on NATS JetStream.

use bus::jetstream::{Auth, Options};
use chassis::config::{Config, Nats};

/// How a process of this name reaches the installation's servers.
pub(crate) fn options(config: &Config, nats: &Nats, purpose: &str) -> anyhow::Result<Options> {
    let auth = match (&nats.user, &nats.password) {
        (Some(name), Some(password)) => {
            Auth::User { name: name.clone(), password: password.expose().to_owned() }
        }
        _ => Auth::None,
    };
    Ok(Options {
        servers: nats.servers.clone(),
        prefix: nats.prefix.clone(),
        partitions: config.partitions,
        replicas: usize::from(nats.replicas),
        client_name: format!("tandem {purpose} {}", config.node),
        auth,
        root_certificates: nats.ca_file.clone(),
        ..Options::default()
    })
}
