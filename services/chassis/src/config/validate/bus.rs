//! Findings about `[bus]`.

use super::{Findings, is_this_machine};
use crate::config::{Bus, Nats};

pub(super) fn check(findings: &mut Findings, bus: &Bus) {
    findings.range("bus.renew_ms", bus.renew_ms, 50..=60_000);
    findings.range("bus.lease_ms", bus.lease_ms, 200..=600_000);
    if bus.lease_ms < bus.renew_ms.saturating_mul(3) {
        findings.add(
            "bus.lease_ms",
            "use at least three times bus.renew_ms: one late renewal is no death",
        );
    }
    if let Some(nats) = &bus.nats {
        servers(findings, nats);
        sign_in(findings, nats);
    }
}

fn servers(findings: &mut Findings, nats: &Nats) {
    if nats.servers.is_empty() {
        findings.add("bus.nats.servers", "name at least one server, such as nats://127.0.0.1:4222");
    }
    let plain_allowed = nats.requires_tls() || nats.insecure_servers;
    for (n, server) in nats.servers.iter().enumerate() {
        let key = format!("bus.nats.servers[{n}]");
        let plain = server.strip_prefix("nats://");
        if plain.is_none() && !server.starts_with("tls://") {
            findings.add(&key, "begin it with nats:// or tls://");
        }
        if server.contains('@') {
            findings.add(
                &key,
                "leave name and password out of the address: set bus.nats.user and bus.nats.password",
            );
        }
        if plain.is_some_and(|host| !plain_allowed && !is_this_machine(host)) {
            findings.add(
                &key,
                "a password and what is stored would travel readable; use tls:// or bus.nats.require_tls = true, or set \
                 bus.nats.insecure_servers = true if the network in between protects it",
            );
        }
    }
    for (n, address) in nats.monitor.iter().enumerate() {
        let host = ["http://", "https://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '@', '?', '#'])) {
            findings.add(
                format!("bus.nats.monitor[{n}]"),
                "write scheme, host and port only, as http://host:8222",
            );
        }
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if nats.prefix.is_empty() || !nats.prefix.chars().all(plain) {
        findings.add("bus.nats.prefix", "use letters, digits, `-` and `_`");
    }
    if ![1, 3, 5].contains(&nats.replicas) {
        findings.add("bus.nats.replicas", "choose 1, 3 or 5: even numbers bring nothing");
    }
    findings.range("bus.nats.streams", nats.streams.into(), 0..=Nats::STREAMS_MAX.into());
}

fn sign_in(findings: &mut Findings, nats: &Nats) {
    let pairs = [
        ("user", nats.user.is_some(), "password", nats.password.is_some()),
        (
            "trimmer_user",
            nats.trimmer_user.is_some(),
            "trimmer_password",
            nats.trimmer_password.is_some(),
        ),
        ("cert_file", nats.cert_file.is_some(), "key_file", nats.key_file.is_some()),
    ];
    for (one, has_one, other, has_other) in pairs {
        if has_one != has_other {
            let missing = if has_one { other } else { one };
            findings.add(
                format!("bus.nats.{missing}"),
                format!("{one} and {other} belong together: set both or none"),
            );
        }
    }
    for (prefix, user, nkey) in [
        ("", &nats.user, &nats.nkey_seed_file),
        ("trimmer_", &nats.trimmer_user, &nats.trimmer_nkey_seed_file),
    ] {
        if user.is_some() && nkey.is_some() {
            findings.add(
                format!("bus.nats.{prefix}nkey_seed_file"),
                "sign in with a user or with an nkey, not with both",
            );
        }
    }
}
