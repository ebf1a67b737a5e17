//! What the types cannot say about a configuration. Every finding names its key and says what to
//! do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::{Config, Graph, Limits, Postgres, PostgresTls, Problem, Tls};
use crate::listener::check_exposure;

mod bus;
mod business;
mod external;
mod s3;

/// Findings, in the order of the keys.
#[derive(Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, key: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Problem::new(key, advice));
    }

    fn name(&mut self, key: impl Into<String>, value: &str) {
        if !is_name(value) {
            self.add(
                key,
                "use 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit",
            );
        }
    }

    fn range(&mut self, key: impl Into<String>, value: u64, allowed: RangeInclusive<u64>) {
        if !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.add(key, format!("is {value}; choose from {low} to {high}"));
        }
    }
}

/// Values that must not occur twice, with the key of the first.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    /// The key under which `value` was seen before, if it was.
    fn before(&mut self, value: &str, key: &str) -> Option<String> {
        match self.0.get(value) {
            Some(first) => Some(first.clone()),
            None => {
                self.0.insert(value.to_owned(), key.to_owned());
                None
            }
        }
    }
}

/// Ids stand in labels, file names and log lines.
pub(super) fn is_name(value: &str) -> bool {
    value.len() <= 64
        && value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

pub(super) fn problems_of(config: &Config) -> Vec<Problem> {
    let mut findings = Findings::default();
    if config.data_dir.as_os_str().is_empty() {
        findings.add("data_dir", "name a directory");
    }
    findings.name("node", &config.node);
    findings.range("partitions", config.partitions.into(), 1..=1_024);
    if let Some(known) = config.format_known {
        findings.range("format_known", known.into(), 1..=u16::MAX.into());
    }
    bus::check(&mut findings, &config.bus);
    listeners(&mut findings, config);
    edges(&mut findings, config);
    archive(&mut findings, config);
    admin_token(&mut findings, config);
    graph(&mut findings, &config.graph, &config.limits);
    if tracing_subscriber::EnvFilter::try_new(&config.log.filter).is_err() {
        findings.add("log.filter", "write directives such as `info` or `info,runtime=debug`");
    }
    limits(&mut findings, &config.limits);
    business::check(&mut findings, &config.businesses);
    external::check(&mut findings, config);
    findings.0
}

fn listeners(findings: &mut Findings, config: &Config) {
    let (gateway, desk, admin) = (&config.gateway, &config.desk, &config.admin);
    let all: [(&str, SocketAddr, Option<&Tls>, bool); 3] = [
        ("gateway", gateway.listen, gateway.tls.as_ref(), gateway.insecure_listen),
        ("desk", desk.listen, desk.tls.as_ref(), desk.insecure_listen),
        ("admin", admin.listen, None, admin.insecure_listen),
    ];
    let mut seen = Seen::default();
    for (section, address, tls, insecure) in all {
        let key = format!("{section}.listen");
        if check_exposure(address, tls.is_some(), insecure).is_err() {
            let tls_advice =
                if section == "admin" { String::new() } else { format!("set {section}.tls, or ") };
            findings.add(
                &key,
                format!(
                    "{address} can be reached from other machines in plain text; {tls_advice}listen \
                     on 127.0.0.1, or set {section}.insecure_listen = true if the network in front \
                     protects it"
                ),
            );
        }
        // Port 0 asks the system for any free port, so two of them never meet.
        if address.port() != 0
            && let Some(first) = seen.before(&address.to_string(), &key)
        {
            findings.add(&key, format!("{address} is also {first}; choose another port"));
        }
    }
}

fn edges(findings: &mut Findings, config: &Config) {
    let (gateway, desk) = (&config.gateway, &config.desk);
    // The floor is one webhook of Meta's documented size (3 MB); below it inputs would be refused
    // forever.
    let body = u64::from(gateway.body_limit_bytes);
    findings.range("gateway.body_limit_bytes", body, 3 * 1_024 * 1_024..=64 * 1_024 * 1_024);
    findings.range("gateway.header_timeout_ms", gateway.header_timeout_ms, 100..=60_000);
    findings.range("gateway.body_timeout_ms", gateway.body_timeout_ms, 100..=60_000);
    findings.range("gateway.connections_max", gateway.connections_max.into(), 1..=1_000_000);
    findings.range("gateway.append_timeout_ms", gateway.append_timeout_ms, 100..=60_000);
    findings.range("desk.connections_max", desk.connections_max.into(), 1..=1_000_000);
    findings.range("desk.heartbeat_ms", desk.heartbeat_ms, 100..=60_000);
    let missing = match (&desk.client.cert_file, &desk.client.key_file) {
        (Some(_), None) => Some("key_file"),
        (None, Some(_)) => Some("cert_file"),
        _ => None,
    };
    if let Some(missing) = missing {
        let advice = "cert_file and key_file belong together: set both or none";
        findings.add(format!("desk.client.{missing}"), advice);
    }
}

fn admin_token(findings: &mut Findings, config: &Config) {
    let token = config.admin.token.as_ref();
    if token.is_some_and(|token| token.expose().chars().count() < 16) {
        findings.add("admin.token", "use 16 characters or more: a shorter one can be guessed");
    }
}

fn archive(findings: &mut Findings, config: &Config) {
    let archive = &config.archive;
    findings.range("archive.segment_bytes", archive.segment_bytes, 64 * 1_024..=1 << 40);
    findings.range("archive.segment_age_ms", archive.segment_age_ms, 100..=7 * 86_400_000);
    findings.range("archive.trim_interval_ms", archive.trim_interval_ms, 100..=86_400_000);
    findings.range("archive.warn_free_disk_bytes", archive.warn_free_disk_bytes, 0..=1 << 50);
    if archive.segments_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        findings.add("archive.segments_dir", "name a directory, or leave it out");
    }
    if let Some(read_model) = &archive.postgres {
        postgres(findings, read_model);
    }
    if let Some(bucket) = &archive.s3 {
        s3::check(findings, archive, bucket);
    }
}

fn postgres(findings: &mut Findings, postgres: &Postgres) {
    let url = postgres.url.expose();
    // One that could not be fetched was found already.
    if !url.is_empty() {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            findings
                .add("archive.postgres.url", "write postgres://user:password@host:5432/database");
        }
        if url.contains("sslmode=") {
            let advice =
                "leave sslmode out; archive.postgres.tls and archive.postgres.ca_file say it";
            findings.add("archive.postgres.url", advice);
        }
    }
    findings.range("archive.postgres.pool_size", postgres.pool_size.into(), 2..=200);
    findings.range("archive.postgres.timeout_ms", postgres.timeout_ms, 100..=120_000);
    if postgres.tls == PostgresTls::Off && postgres.ca_file.is_some() {
        let advice =
            "certificates are not read while archive.postgres.tls is off; leave one of them out";
        findings.add("archive.postgres.ca_file", advice);
    }
}

fn graph(findings: &mut Findings, graph: &Graph, limits: &Limits) {
    let key = "graph.base_url";
    match (graph.base_url.strip_prefix("https://"), graph.base_url.strip_prefix("http://")) {
        (Some(host), _) | (_, Some(host)) if host.is_empty() || graph.base_url.ends_with('/') => {
            findings.add(key, "write scheme and host without a final slash");
        }
        (Some(_), _) => {}
        (None, Some(host)) if graph.insecure_base_url || is_this_machine(host) => {}
        (None, Some(_)) => findings.add(
            key,
            "access tokens would travel readable; use https, or set graph.insecure_base_url = true \
             on a private network for tests",
        ),
        (None, None) => findings.add(key, "begin it with https://"),
    }
    let version = graph.version.strip_prefix('v').and_then(|v| v.split_once('.'));
    if !version.is_some_and(|(a, b)| a.parse::<u16>().is_ok() && b.parse::<u16>().is_ok()) {
        findings.add("graph.version", "write it as v26.0");
    }
    findings.range("graph.timeout_ms", graph.timeout_ms, 100..=limits.call_hard_limit_ms);
}

/// Whether the host part of an `http` URL is a loopback address.
fn is_this_machine(host: &str) -> bool {
    let host = host.split('/').next().unwrap_or_default();
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn limits(findings: &mut Findings, limits: &Limits) {
    const DAY_MS: u64 = 86_400_000;
    let ranges = [
        ("call_hard_limit_ms", limits.call_hard_limit_ms, 100..=60_000),
        ("start_by_ms", limits.start_by_ms, 100..=limits.call_hard_limit_ms),
        ("reconcile_ms", limits.reconcile_ms, 100..=DAY_MS),
        ("phone_answer_timeout_ms", limits.phone_answer_timeout_ms, 100..=DAY_MS),
        ("phone_floor_timeout_ms", limits.phone_floor_timeout_ms, 100..=DAY_MS),
        ("fenced_pause_ms", limits.fenced_pause_ms, 100..=600_000),
        ("checkpoint_interval_ms", limits.checkpoint_interval_ms, 100..=600_000),
        ("passivate_after_ms", limits.passivate_after_ms, 100..=DAY_MS),
        ("read_wait_ms", limits.read_wait_ms, 0..=10_000),
        ("min_free_disk_bytes", limits.min_free_disk_bytes, 1_024 * 1_024..=1 << 50),
        ("drain_ms", limits.drain_ms, 100..=600_000),
    ];
    for (key, value, allowed) in ranges {
        findings.range(format!("limits.{key}"), value, allowed);
    }
}
