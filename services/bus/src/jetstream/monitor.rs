//! What servers say of themselves over HTTP, where their monitoring is on: no client of the bus is told it.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Certificate, Client};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    ANSWER_WITHIN, ConnectError, Level, Options, Report,
    findings::{Fsync, StreamsAccount},
};

/// The part of `/varz` that says when the server writes to the disk.
#[derive(Deserialize)]
struct Varz {
    server_id: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Default, Deserialize)]
struct JetStream {
    config: Option<StoreConfig>,
}

#[derive(Deserialize)]
struct StoreConfig {
    #[serde(default)]
    sync_always: bool,
    /// Nanoseconds.
    #[serde(default)]
    sync_interval: u64,
}

impl Varz {
    /// `None` where the server stores nothing.
    fn fsync(&self) -> Option<Fsync> {
        let config = self.jetstream.config.as_ref()?;
        Some(match config.sync_always {
            true => Fsync::Always,
            false => Fsync::Within(Duration::from_nanos(config.sync_interval)),
        })
    }
}

/// The part of `/jsz` that says in which account a stream lies.
#[derive(Deserialize)]
struct Jsz {
    #[serde(default)]
    account_details: Vec<Account>,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    #[serde(default)]
    stream_detail: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    name: String,
}

impl Jsz {
    fn account_of(self, stream: &str) -> Option<String> {
        let holds = |account: &Account| account.stream_detail.iter().any(|of| of.name == stream);
        self.account_details.into_iter().find(holds).map(|account| account.id)
    }
}

/// The part of `/connz` that says how many clients there are.
#[derive(Deserialize)]
struct Connz {
    total: u64,
}

/// When each server whose monitoring is named writes to the disk, by the id that it greets with.
pub(super) async fn fsync_policies(
    report: &mut Report,
    options: &Options,
) -> Result<BTreeMap<String, Fsync>, ConnectError> {
    let mut policies = BTreeMap::new();
    if options.monitor.is_empty() {
        return Ok(policies);
    }
    let client = client(options).await?;
    for address in &options.monitor {
        match ask::<Varz>(&client, address, "varz", &[]).await {
            Ok(varz) => policies.extend(varz.fsync().map(|fsync| (varz.server_id, fsync))),
            Err(error) => {
                let what = format!("the monitoring at {address} does not tell");
                let why = chain(&error);
                let todo = "look at `http` in the server's configuration, and at bus.nats.monitor";
                report.add(Level::Warning, what, &why, todo);
            }
        }
    }
    Ok(policies)
}

/// The account in which a stream lies, and who is signed in to it, by the servers whose monitoring is named; `None` where none
/// of them holds the stream, or tells.
pub(super) async fn account_of(
    stream: &str,
    options: &Options,
) -> Result<Option<StreamsAccount>, ConnectError> {
    let client = client(options).await?;
    let mut name = None;
    for address in &options.monitor {
        let asked = ask::<Jsz>(&client, address, "jsz", &[("accounts", "1"), ("streams", "1")]);
        // Who does not answer was told of with the policies.
        name = name.or(asked.await.ok().and_then(|jsz| jsz.account_of(stream)));
    }
    let Some(name) = name else { return Ok(None) };
    let mut clients = 0;
    for address in &options.monitor {
        let asked =
            ask::<Connz>(&client, address, "connz", &[("acc", &name), ("limit", "1")]).await;
        clients += asked.map_or(0, |connz| connz.total);
    }
    Ok(Some(StreamsAccount { name, clients }))
}

async fn ask<T: DeserializeOwned>(
    client: &Client,
    address: &str,
    page: &str,
    query: &[(&str, &str)],
) -> Result<T, reqwest::Error> {
    let address = address.trim_end_matches('/');
    let asked = client.get(format!("{address}/{page}")).query(query).send();
    asked.await?.error_for_status()?.json().await
}

/// With the same authority as the bus, where one is named.
async fn client(options: &Options) -> Result<Client, ConnectError> {
    chassis::listener::install_crypto_provider();
    let failed = |why: String| ConnectError::Monitor { why };
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_WITHIN);
    if let Some(file) = &options.tls.server_ca {
        let pem = tokio::fs::read(file).await;
        let pem = pem.map_err(|error| failed(format!("{}: {error}", file.display())))?;
        let certificates = Certificate::from_pem_bundle(&pem);
        builder = builder.tls_certs_only(certificates.map_err(|error| failed(chain(&error)))?);
    }
    builder.build().map_err(|error| failed(chain(&error)))
}

/// What an error says, with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_stream_is_read_as_the_servers_write_it() {
        let text = r#"{"streams":2,"account_details":[{"name":"of A","id":"A"},
            {"name":"B","id":"B","stream_detail":[{"name":"X"},{"name":"TANDEM_LEASES"}]}]}"#;
        let read = || serde_json::from_str::<Jsz>(text).unwrap();
        assert_eq!(read().account_of("TANDEM_LEASES").as_deref(), Some("B"));
        assert_eq!(read().account_of("OTHER_LEASES"), None);
        assert!(serde_json::from_str::<Jsz>("{}").unwrap().account_details.is_empty());
    }

    #[test]
    fn the_policy_is_read_as_the_servers_write_it() {
        for (jetstream, expected) in [
            (
                r#","jetstream":{"config":{"sync_interval":120000000000,"sync_always":true}}"#,
                Some(Fsync::Always),
            ),
            (
                r#","jetstream":{"config":{"sync_interval":120000000000}}"#,
                Some(Fsync::Within(Duration::from_secs(120))),
            ),
            (r#","jetstream":{}"#, None),
            ("", None),
        ] {
            let text = format!(r#"{{"server_id":"N1","port":4222{jetstream}}}"#);
            let varz: Varz = serde_json::from_str(&text).unwrap();
            assert_eq!(varz.fsync(), expected, "{text}");
        }
    }
}
