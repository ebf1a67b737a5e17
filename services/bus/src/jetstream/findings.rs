//! What is right and wrong about servers and streams. Pure: facts in, findings out.

use std::{fmt, time::Duration};

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

use super::{Options, streams::Described};
use crate::VALUE_BYTES_MAX;

/// Minor versions of nats-server that this build is tested with: the current one and the one before.
const SUPPORTED: [(u32, u32); 2] = [(2, 14), (2, 15)];
/// A node whose clock differs by more takes no partition (design.md 4.1).
const CLOCK_DIFFERENCE_MAX_MS: i64 = 2_000;
const CLOCK_DIFFERENCE_WARN_MS: i64 = 500;
/// Room for headers, the envelope of a saved part, and the protocol.
const OVERHEAD_BYTES: usize = 8 * 1024;
const COPIES_MIN: usize = 3;
const CREATE_ANEW: &str = "set it back with `nats stream edit`, or export, create anew and import";

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it must be.
    Ok,
    /// It works; somebody should look.
    Warning,
    /// Tandem does not run on it.
    Refused,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found, and where.
    pub what: String,
    /// Why it matters; empty where all is well.
    pub why: String,
    /// What to do about it; empty where all is well.
    pub what_to_do: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Refused => "refused",
        };
        write!(f, "{level}: {}", self.what)?;
        if !self.why.is_empty() {
            write!(f, ": {}", self.why)?;
        }
        if !self.what_to_do.is_empty() {
            write!(f, " -> {}", self.what_to_do)?;
        }
        Ok(())
    }
}

/// Everything that was looked at. Shown one finding per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order it was looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst level in it.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// The part of it that has this level.
    #[must_use]
    pub fn only(&self, level: Level) -> Self {
        let of_level = self.findings.iter().filter(|finding| finding.level == level);
        Self { findings: of_level.cloned().collect() }
    }

    pub(super) fn ok(&mut self, what: String) {
        let (why, what_to_do) = (String::new(), String::new());
        self.findings.push(Finding { level: Level::Ok, what, why, what_to_do });
    }

    pub(super) fn add(&mut self, level: Level, what: String, why: &str, what_to_do: &str) {
        let (why, what_to_do) = (why.to_owned(), what_to_do.to_owned());
        self.findings.push(Finding { level, what, why, what_to_do });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, finding) in self.findings.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}

/// One server as it greets.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) max_payload: usize,
    pub(super) has_jetstream: bool,
}

fn minor(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some((major, minor, patch)),
        _ => None,
    }
}

/// Looks at one server.
pub(super) fn of_server(report: &mut Report, server: &Server) {
    let what = format!("server {} is nats-server {}", server.name, server.version);
    let [oldest, newest] = SUPPORTED;
    match minor(&server.version) {
        Some((major, minor, _)) if (major, minor) < oldest => report.add(
            Level::Refused,
            what,
            "before 2.14 a former leader could acknowledge writes that its successor did not have, and \
             some writes skipped the configured fsync",
            "upgrade to the newest 2.15",
        ),
        Some((major, minor, _)) if (major, minor) > newest => report.add(
            Level::Warning,
            what,
            "this build is tested with 2.14 and 2.15",
            "read its release notes, or run 2.15",
        ),
        Some((_, _, 0)) => report.add(
            Level::Warning,
            what,
            "first releases of a minor version had defects in replication",
            "take a later patch",
        ),
        Some(_) => report.ok(what),
        None => report.add(
            Level::Warning,
            what,
            "this is no released version",
            "run a release of 2.15",
        ),
    }
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

/// Looks at the cluster as a whole. `servers`: how many answered.
pub(super) fn of_cluster(report: &mut Report, servers: usize, options: &Options) {
    if options.replicas > servers {
        let what =
            format!("{} copies are configured, {servers} servers answered", options.replicas);
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
    report.add(
        Level::Warning,
        "the fsync policy of the servers is not visible from here".to_owned(),
        "by default (`sync_interval: 2m`) a power failure that stops a majority of the servers within two minutes \
         loses what they acknowledged in that time",
        "look at `sync_interval` in each server's configuration (or at `sync_always` and `sync_interval` in \
         http://SERVER:8222/varz under `jetstream.config`); set `always` unless each server has power of its own",
    );
}

/// Looks at the copies of a stream, existing or to be made.
pub(super) fn of_copies(report: &mut Report, stream: &str, copies: usize, allow_data_loss: bool) {
    if copies >= COPIES_MIN {
        return;
    }
    let level = if allow_data_loss { Level::Warning } else { Level::Refused };
    report.add(
        level,
        format!("{stream} has {copies} {}", if copies == 1 { "copy" } else { "copies" }),
        "what was acknowledged is lost with one disk, and with the default fsync policy with one power failure",
        "run three servers and 3 copies; for a trial set allow_data_loss",
    );
}

/// Looks at a stream that exists, as it should be by `wanted`.
pub(super) fn of_stream(
    report: &mut Report,
    found: &Described,
    wanted: &Config,
    options: &Options,
) {
    let name = &wanted.name;
    let before = report.findings.len();
    of_copies(report, name, found.config.num_replicas, options.allow_data_loss);
    for (setting, differs, why) in wrong_settings(&found.config, wanted) {
        if differs {
            let what = format!("{name} has {setting}");
            report.add(Level::Refused, what, why, CREATE_ANEW);
        }
    }
    if found.config.duplicate_window > Duration::from_secs(120) {
        let what = format!("{name} remembers message ids for {:?}", found.config.duplicate_window);
        let why = "Tandem sends none, and a long window costs the servers memory";
        report.add(Level::Warning, what, why, "set duplicate_window to 2m");
    }
    if !found.lagging.is_empty() {
        let what = format!("{name} has copies behind: {}", found.lagging.join(", "));
        let why = "it may not survive the next failure";
        report.add(Level::Warning, what, why, "wait, or look at these servers");
    }
    if report.findings.len() == before {
        report.ok(format!("{name} is as it was created"));
    }
}

type Wrong = (&'static str, bool, &'static str);

fn wrong_settings(found: &Config, wanted: &Config) -> [Wrong; 13] {
    const DISCARDS: &str = "it would throw away what was acknowledged";
    const STALE: &str = "answers could come from a copy that is behind";
    const FOREIGN: &str = "it is not Tandem's, or was changed";
    const DEFECTS: &str = "the servers had defects in it that damaged streams";
    let per_subject = |config: &Config| config.max_messages_per_subject.max(0);
    [
        ("another age limit", found.max_age != wanted.max_age, DISCARDS),
        ("a size limit", found.max_bytes > 0, DISCARDS),
        ("a limit of messages", found.max_messages > 0, DISCARDS),
        (
            "another limit of messages per subject",
            per_subject(found) != per_subject(wanted),
            DISCARDS,
        ),
        (
            "discard of old messages",
            found.discard == DiscardPolicy::Old && wanted.discard == DiscardPolicy::New,
            "any limit, also one of the account, would throw away what was acknowledged",
        ),
        ("direct get on", found.allow_direct || found.mirror_direct, STALE),
        ("memory storage", found.storage != StorageType::File, "it ends with the servers"),
        ("another retention", found.retention != RetentionPolicy::Limits, DISCARDS),
        ("other subjects", found.subjects != wanted.subjects, FOREIGN),
        ("other metadata", !same_layout(found, wanted), FOREIGN),
        (
            "compression",
            found.compression.as_ref().is_some_and(|kind| *kind != Compression::None),
            DEFECTS,
        ),
        (
            "asynchronous writes",
            found.persist_mode == Some(PersistenceMode::Async),
            "writes are acknowledged before they are stored",
        ),
        ("a mirror, source or transform", is_derived(found), FOREIGN),
    ]
}

fn is_derived(config: &Config) -> bool {
    config.mirror.is_some()
        || config.sources.as_ref().is_some_and(|sources| !sources.is_empty())
        || config.subject_transform.is_some()
        || config.republish.is_some()
}

fn same_layout(found: &Config, wanted: &Config) -> bool {
    wanted.metadata.iter().all(|(key, value)| found.metadata.get(key) == Some(value))
}

/// Looks at the clock of a stream's leader: ahead of ours by `ahead_ms`, give or take `error_ms`.
pub(super) fn of_clock(report: &mut Report, ahead_ms: i64, error_ms: i64) {
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

    fn judged(version: &str) -> Level {
        let mut report = Report::default();
        let server = Server {
            name: "n1".to_owned(),
            version: version.to_owned(),
            max_payload: 1_048_576,
            has_jetstream: true,
        };
        of_server(&mut report, &server);
        report.worst()
    }

    #[test]
    fn the_current_minor_version_and_the_one_before_are_taken() {
        for (version, level) in [
            ("2.15.2", Level::Ok),
            ("2.14.7", Level::Ok),
            ("2.15.0", Level::Warning),
            ("2.16.1", Level::Warning),
            ("2.15.3-RC.1", Level::Ok),
            ("nightly", Level::Warning),
            ("2.12.1", Level::Refused),
            ("2.9.25", Level::Refused),
        ] {
            assert_eq!(judged(version), level, "{version}");
        }
    }

    #[test]
    fn a_single_copy_is_refused_unless_loss_is_allowed() {
        for (copies, allowed, level) in [
            (1, false, Level::Refused),
            (1, true, Level::Warning),
            (2, false, Level::Refused),
            (3, false, Level::Ok),
            (5, false, Level::Ok),
        ] {
            let mut report = Report::default();
            of_copies(&mut report, "X", copies, allowed);
            assert_eq!(report.worst(), level, "{copies} {allowed}");
        }
    }

    #[test]
    fn copies_need_servers() {
        for (replicas, servers, level) in
            [(3, 3, Level::Warning), (3, 2, Level::Refused), (1, 1, Level::Warning)]
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

    #[test]
    fn a_finding_says_what_to_do() {
        let mut report = Report::default();
        of_copies(&mut report, "TANDEM_LOG_0", 1, false);
        report.ok("all else".to_owned());
        let said = report.to_string();
        assert!(said.starts_with("refused: TANDEM_LOG_0 has 1 copy: what was ack"), "{said}");
        assert!(
            said.contains("-> run three servers") && said.ends_with("\nok: all else"),
            "{said}"
        );
        assert_eq!(report.only(Level::Ok).findings.len(), 1);
    }
}
