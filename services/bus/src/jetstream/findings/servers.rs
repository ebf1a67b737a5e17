//! Servers, alone and together.

use std::time::Duration;

use super::{Level, Report, loses};
use crate::{VALUE_BYTES_MAX, jetstream::Options};

/// The minor versions of nats-server that this build is tested with, each by its first patch without known defects
/// that lose what was acknowledged. Before these, a server that rewrote blocks of a stream skipped the `fsync` that
/// `always` promises (nats-server #8475, #8629).
const SUPPORTED: [(u32, u32, u32); 2] = [(2, 14, 10), (2, 15, 2)];
/// A node whose clock differs by more takes no partition (design.md 4.1).
const CLOCK_DIFFERENCE_MAX_MS: i64 = 2_000;
const CLOCK_DIFFERENCE_WARN_MS: i64 = 500;
/// Room for headers, the envelope of a saved part, and the protocol.
const OVERHEAD_BYTES: usize = 8 * 1024;

/// One server as it greets.
#[derive(Clone, Debug)]
pub(in crate::jetstream) struct Server {
    pub(in crate::jetstream) name: String,
    pub(in crate::jetstream) version: String,
    pub(in crate::jetstream) max_payload: usize,
    pub(in crate::jetstream) has_jetstream: bool,
}

/// When a server writes to the disk, as its monitoring says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Fsync {
    /// Before it acknowledges.
    Always,
    /// At latest so long afterwards.
    Within(Duration),
}

/// The account in which the streams lie, as the servers' monitoring says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jetstream) struct StreamsAccount {
    pub(in crate::jetstream) name: String,
    /// Clients that are signed in to it.
    pub(in crate::jetstream) clients: u64,
}

/// Major, minor and patch, and whether it is a release.
fn parse(version: &str) -> Option<((u32, u32, u32), bool)> {
    let (numbers, is_release) = match version.split_once('-') {
        Some((numbers, _)) => (numbers, false),
        None => (version, true),
    };
    let mut numbers = numbers.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => {
            Some(((major, minor, patch), is_release))
        }
        _ => None,
    }
}

fn of_version(report: &mut Report, what: String, version: &str, allow_data_loss: bool) {
    let Some((number, is_release)) = parse(version) else {
        let why = "this is no released version";
        return report.add(Level::Warning, what, why, "run a release of 2.15");
    };
    let (major, minor, patch) = number;
    let [oldest, _] = SUPPORTED;
    let first = SUPPORTED.iter().find(|first| (first.0, first.1) == (major, minor));
    match first {
        None if number < oldest => report.add(
            loses(allow_data_loss),
            what,
            "before 2.14 a former leader could acknowledge writes that its successor did not have, and some writes \
             skipped the configured fsync",
            "upgrade to the newest 2.15",
        ),
        None => report.add(
            Level::Warning,
            what,
            "this build is tested with 2.14 and 2.15",
            "read its release notes, or run 2.15",
        ),
        Some(first) if (patch, is_release) < (first.2, true) => report.add(
            loses(allow_data_loss),
            what,
            "when it rewrites blocks of a stream it skips the fsync that `sync_interval: always` promises",
            &format!("upgrade to {}.{}.{} or a later patch", first.0, first.1, first.2),
        ),
        Some(_) if !is_release => report.add(
            Level::Warning,
            what,
            "this is no released version",
            "run a release of 2.15",
        ),
        Some(_) => report.ok(what),
    }
}

/// Looks at one server.
pub(in crate::jetstream) fn of_server(report: &mut Report, server: &Server, allow_data_loss: bool) {
    let what = format!("server {} is nats-server {}", server.name, server.version);
    of_version(report, what, &server.version, allow_data_loss);
    let needed = VALUE_BYTES_MAX + OVERHEAD_BYTES;
    if server.max_payload < needed {
        let what = format!("server {} takes {} bytes a message", server.name, server.max_payload);
        let todo = format!("raise max_payload to at least {needed} (its default is 1 MB)");
        report.add(Level::Refused, what, "a record or a saved part would not fit", &todo);
    }
    if !server.has_jetstream {
        let what = format!("server {} has no JetStream", server.name);
        report.add(Level::Warning, what, "it stores nothing", "add a `jetstream` block");
    }
}

/// Looks at when a server writes to the disk; `None` where nobody could be asked.
pub(in crate::jetstream) fn of_fsync(
    report: &mut Report,
    server: &str,
    fsync: Option<Fsync>,
    allow_data_loss: bool,
) {
    match fsync {
        Some(Fsync::Always) => {
            report.ok(format!("server {server} writes to the disk before it acknowledges"));
        }
        Some(Fsync::Within(delay)) => report.add(
            loses(allow_data_loss),
            format!("server {server} writes to the disk up to {delay:?} after it acknowledged"),
            "a power failure that stops a majority of the servers loses what they acknowledged in that time",
            "set `sync_interval: always`; or, where each server has power of its own, allow_data_loss",
        ),
        None => report.add(
            loses(allow_data_loss),
            format!("it is not known when server {server} writes to the disk"),
            "by default up to two minutes after it acknowledged, and a power failure that stops a majority of the \
             servers loses that",
            "name its monitoring in bus.nats.monitor, such as http://SERVER:8222, or set allow_data_loss",
        ),
    }
}

/// Looks at who may write past the permissions of the roles (docs/decisions/0019-streams-in-an-account-of-their-own.md).
pub(in crate::jetstream) fn of_account(report: &mut Report, account: &StreamsAccount) {
    let StreamsAccount { name, clients } = account;
    if *clients == 0 {
        return report
            .ok(format!("nobody signs in to the account {name}, in which the streams lie"));
    }
    report.add(
        Level::Warning,
        format!("{clients} clients are signed in to the account {name}, in which the streams lie"),
        "servers do not check where a client wants its answers: who may ask anything there can have one stored in a log, or \
         over a saved state",
        "give the streams an account of their own, as in deploy/nats/users.conf",
    );
}

/// Looks at the cluster as a whole. `servers`: how many answered that store something.
pub(in crate::jetstream) fn of_cluster(report: &mut Report, servers: usize, options: &Options) {
    if options.replicas > servers {
        let what = format!(
            "{} copies are configured, {servers} servers with JetStream answered",
            options.replicas
        );
        report.add(
            Level::Refused,
            what,
            "each copy needs a server of its own",
            "start the other servers, list them in `servers`, or configure fewer copies",
        );
    }
    if options.replicas.is_multiple_of(2) {
        let what = format!("{} copies are configured", options.replicas);
        report.add(
            Level::Warning,
            what,
            "an even number survives no more failures than one copy less",
            "configure 3 or 5",
        );
    }
    if servers == 2 {
        report.add(
            Level::Warning,
            "the cluster has 2 servers".to_owned(),
            "without both of them nothing can be written",
            "run 3",
        );
    }
}

/// Looks at the clock of a stream's leader: ahead of ours by `ahead_ms`, give or take `error_ms`.
pub(in crate::jetstream) fn of_clock(report: &mut Report, ahead_ms: i64, error_ms: i64) {
    let surely_ms = ahead_ms.abs().saturating_sub(error_ms);
    let what =
        format!("the servers' clock differs from this machine's by {ahead_ms} ms (± {error_ms})");
    let level = match surely_ms {
        ms if ms > CLOCK_DIFFERENCE_MAX_MS => Level::Refused,
        ms if ms > CLOCK_DIFFERENCE_WARN_MS => Level::Warning,
        _ => return report.ok(what),
    };
    let why = "windows and offers are timed by clocks; a node more than 2 s off takes no partition";
    report.add(level, what, why, "run a time service (chrony, systemd-timesyncd) on every machine");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(version: &str, allow_data_loss: bool) -> Level {
        let mut report = Report::default();
        let server = Server {
            name: "n1".to_owned(),
            version: version.to_owned(),
            max_payload: 1_048_576,
            has_jetstream: true,
        };
        of_server(&mut report, &server, allow_data_loss);
        report.worst()
    }

    #[test]
    fn the_two_newest_minor_versions_are_taken_without_their_defective_patches() {
        for (version, level) in [
            ("2.15.2", Level::Ok),
            ("2.15.3", Level::Ok),
            ("2.14.10", Level::Ok),
            ("2.14.9", Level::Refused),
            ("2.15.1", Level::Refused),
            ("2.15.0", Level::Refused),
            ("2.15.2-RC.1", Level::Refused),
            ("2.15.3-RC.1", Level::Warning),
            ("2.16.0", Level::Warning),
            ("nightly", Level::Warning),
            ("2.12.1", Level::Refused),
            ("2.9.25", Level::Refused),
        ] {
            assert_eq!(judged(version, false), level, "{version}");
            assert_eq!(judged(version, true), level.min(Level::Warning), "{version}");
        }
    }

    #[test]
    fn a_server_that_may_lose_what_it_acknowledged_is_refused_unless_loss_is_allowed() {
        let two_minutes = Some(Fsync::Within(Duration::from_secs(120)));
        for (fsync, allowed, level) in [
            (Some(Fsync::Always), false, Level::Ok),
            (two_minutes, false, Level::Refused),
            (two_minutes, true, Level::Warning),
            (None, false, Level::Refused),
            (None, true, Level::Warning),
        ] {
            let mut report = Report::default();
            of_fsync(&mut report, "n1", fsync, allowed);
            assert_eq!(report.worst(), level, "{fsync:?} {allowed}");
        }
    }

    #[test]
    fn nobody_signs_in_where_the_streams_lie() {
        for (clients, level) in [(0, Level::Ok), (1, Level::Warning)] {
            let mut report = Report::default();
            of_account(&mut report, &StreamsAccount { name: "A".to_owned(), clients });
            assert_eq!(report.worst(), level, "{clients}");
        }
    }

    #[test]
    fn copies_need_servers() {
        for (replicas, servers, level) in
            [(3, 3, Level::Ok), (3, 2, Level::Refused), (1, 1, Level::Ok), (1, 2, Level::Warning)]
        {
            let mut report = Report::default();
            of_cluster(&mut report, servers, &Options { replicas, ..Options::default() });
            assert_eq!(report.worst(), level, "{replicas} on {servers}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_what_is_sure() {
        for (ahead_ms, error_ms, level) in [
            (0, 1, Level::Ok),
            (-600, 10, Level::Warning),
            (2_500, 10, Level::Refused),
            (-9_000, 10, Level::Refused),
            (9_000, 10_000, Level::Ok),
        ] {
            let mut report = Report::default();
            of_clock(&mut report, ahead_ms, error_ms);
            assert_eq!(report.worst(), level, "{ahead_ms} ± {error_ms}");
        }
    }
}
