//! Looking at servers and streams, and creating the streams.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::{Client, ServerInfo};

use super::{
    Auth, ConnectError, Level, Options, Report, connection,
    findings::{self, Server},
    monitor,
    names::Names,
    streams::{self, Layout},
};

/// Servers that are looked at; more are not asked one by one.
const SERVERS_MAX: usize = 32;

/// What [`init`] did.
#[derive(Clone, Debug)]
pub struct InitReport {
    /// Streams that were created.
    pub created: Vec<String>,
    /// Streams that were there already, as they must be.
    pub existing: Vec<String>,
    /// Everything that was looked at.
    pub check: Report,
}

impl Server {
    pub(super) fn of(info: &ServerInfo) -> Self {
        Self {
            name: info.server_name.clone(),
            version: info.version.clone(),
            max_payload: info.max_payload,
            has_jetstream: info.jetstream,
        }
    }
}

/// Creates the streams of an installation. Doing it again creates what is missing and changes nothing.
///
/// # Errors
/// [`ConnectError::Refused`] before anything is created when the servers cannot keep what is promised;
/// [`ConnectError::Layout`] when the installation exists with other numbers; others when a request fails.
pub async fn init(options: Options) -> Result<InitReport, ConnectError> {
    let client = connection::open(&options, "init").await?;
    let names = match layout(&client, &options).await? {
        Some(layout) => Names::new(&options.prefix, layout.check(&options)?.streams)?,
        None => Names::new(&options.prefix, options.streams_at_creation())?,
    };
    let mut check = Report::default();
    of_servers(&mut check, &options).await?;
    findings::of_copies(&mut check, "the installation", options.replicas, options.allow_data_loss);
    refuse(&check)?;
    let context = streams::context(&client);
    let (mut created, mut existing) = (Vec::new(), Vec::new());
    for wanted in streams::configs(&names, options.partitions, options.replicas) {
        let name = wanted.name.clone();
        if streams::describe(&client, &name).await?.is_some() {
            existing.push(name);
        } else {
            streams::create(&context, wanted).await?;
            created.push(name);
        }
    }
    of_streams(&mut check, &client, &names, &options).await?;
    refuse(&check)?;
    of_account(&mut check, &names, &options).await?;
    Ok(InitReport { created, existing, check })
}

/// Looks at servers and streams, and changes nothing. `connect` refuses the same of the streams and of the server that
/// it meets; it asks neither the other servers nor their monitoring.
///
/// # Errors
/// When there is no connection or a request fails; what is wrong with servers and streams is in the report.
pub async fn check(options: Options) -> Result<Report, ConnectError> {
    let client = connection::open(&options, "check").await?;
    let mut report = Report::default();
    of_servers(&mut report, &options).await?;
    let Some(layout) = layout(&client, &options).await? else {
        let what = format!("there is no installation {} on these servers", options.prefix);
        report.add(Level::Refused, what, "its streams are missing", "run `tandem cluster init`");
        return Ok(report);
    };
    let names = Names::new(&options.prefix, layout.streams)?;
    if let Err(error) = layout.check(&options) {
        let what = error.to_string();
        report.add(Level::Refused, what, "entities would be looked for in other partitions", "");
        return Ok(report);
    }
    match of_streams(&mut report, &client, &names, &options).await {
        Err(error @ ConnectError::NotCreated { .. }) => {
            let why = "the installation was not created to the end, or a stream was deleted";
            report.add(Level::Refused, error.to_string(), why, "");
        }
        done => done?,
    }
    of_account(&mut report, &names, &options).await?;
    Ok(report)
}

/// Names of the installation, of which everything is as it must be.
pub(super) async fn verified(client: &Client, options: &Options) -> Result<Names, ConnectError> {
    let Some(layout) = layout(client, options).await? else {
        let stream = Names::new(&options.prefix, 1)?.leases_stream();
        return Err(ConnectError::NotCreated { stream });
    };
    let names = Names::new(&options.prefix, layout.check(options)?.streams)?;
    let mut report = Report::default();
    let server = Server::of(&client.server_info());
    findings::of_server(&mut report, &server, options.allow_data_loss);
    of_streams(&mut report, client, &names, options).await?;
    for warning in report.only(Level::Warning).findings {
        tracing::warn!(%warning, "bus");
    }
    refuse(&report)?;
    Ok(names)
}

fn refuse(report: &Report) -> Result<(), ConnectError> {
    let refused = report.only(Level::Refused);
    if refused.findings.is_empty() { Ok(()) } else { Err(ConnectError::Refused(refused)) }
}

/// What the installation was created with; `None` where it was not created.
async fn layout(client: &Client, options: &Options) -> Result<Option<Layout>, ConnectError> {
    let stream = Names::new(&options.prefix, 1)?.leases_stream();
    let Some(found) = streams::describe(client, &stream).await? else { return Ok(None) };
    let why = "it does not say how many partitions there are: it is not Tandem's, or was changed";
    let unknown = || ConnectError::Stream { stream, why: why.to_owned() };
    Layout::of(&found.config).map(Some).ok_or_else(unknown)
}

async fn of_streams(
    report: &mut Report,
    client: &Client,
    names: &Names,
    options: &Options,
) -> Result<(), ConnectError> {
    let mut clock: Option<(i64, i64)> = None;
    for wanted in streams::configs(names, options.partitions, options.replicas) {
        let Some(found) = streams::describe(client, &wanted.name).await? else {
            return Err(ConnectError::NotCreated { stream: wanted.name });
        };
        findings::of_stream(report, &found, &wanted, options);
        // The quickest answer tells the time best.
        if let Some(seen) = found.clock_ahead_ms
            && clock.is_none_or(|best| seen.1 < best.1)
        {
            clock = Some(seen);
        }
    }
    if let Some((ahead_ms, error_ms)) = clock {
        findings::of_clock(report, ahead_ms, error_ms);
    }
    Ok(())
}

/// Looks who is signed in beside the streams. Where nobody signs in, anybody may write anything, and there is nothing to look at.
async fn of_account(
    report: &mut Report,
    names: &Names,
    options: &Options,
) -> Result<(), ConnectError> {
    if matches!(options.auth, Auth::None) {
        return Ok(());
    }
    let account = monitor::account_of(&names.leases_stream(), options).await?;
    if let Some(account) = account {
        findings::of_account(report, &account);
    }
    Ok(())
}

/// Looks at every server that is configured or that another one names.
async fn of_servers(report: &mut Report, options: &Options) -> Result<(), ConnectError> {
    let scheme = if options.tls.required { "tls" } else { "nats" };
    let mut waiting = options.servers.clone();
    let (mut asked, mut found) = (BTreeSet::new(), BTreeMap::new());
    while let Some(address) = waiting.pop() {
        if asked.len() >= SERVERS_MAX || !asked.insert(address.clone()) {
            continue;
        }
        match connection::open_only(options, &address).await {
            Ok(client) => {
                let info = client.server_info();
                let named = info.connect_urls.iter().map(|url| format!("{scheme}://{url}"));
                waiting.extend(named);
                found.insert(info.server_id.clone(), Server::of(&info));
            }
            Err(error @ ConnectError::Connect { .. }) => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                let why = why.unwrap_or_default();
                let todo = "start it, or take it out of `servers`";
                report.add(Level::Warning, error.to_string(), &why, todo);
            }
            Err(error) => return Err(error),
        }
    }
    let fsync = monitor::fsync_policies(report, options).await?;
    for (id, server) in &found {
        findings::of_server(report, server, options.allow_data_loss);
        if server.has_jetstream {
            let known = fsync.get(id).copied();
            findings::of_fsync(report, &server.name, known, options.allow_data_loss);
        }
    }
    let storing = found.values().filter(|server| server.has_jetstream).count();
    findings::of_cluster(report, storing, options);
    Ok(())
}
