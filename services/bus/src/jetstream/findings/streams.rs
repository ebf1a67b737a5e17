//! Streams, as they should be and as they are.

use std::time::Duration;

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

use super::{Level, Report, loses};
use crate::jetstream::{Options, streams::Described};

const COPIES_MIN: usize = 3;
const CREATE_ANEW: &str = "set it back with `nats stream edit`, or export, create anew and import";

/// Looks at the copies of a stream, existing or to be made.
pub(in crate::jetstream) fn of_copies(
    report: &mut Report,
    stream: &str,
    copies: usize,
    allow_data_loss: bool,
) {
    if copies >= COPIES_MIN {
        return;
    }
    report.add(
        loses(allow_data_loss),
        format!("{stream} has {copies} {}", if copies == 1 { "copy" } else { "copies" }),
        "what was acknowledged is lost with one disk, and with the default fsync policy with one power failure",
        "run three servers and 3 copies; for a trial set allow_data_loss",
    );
}

/// Looks at a stream that exists, as it should be by `wanted`.
pub(in crate::jetstream) fn of_stream(
    report: &mut Report,
    found: &Described,
    wanted: &Config,
    options: &Options,
) {
    let name = &wanted.name;
    let before = report.findings.len();
    let config = &found.config;
    of_copies(report, name, config.num_replicas, options.allow_data_loss);
    for (setting, differs, why) in
        loses_messages(config, wanted).into_iter().chain(changed(config, wanted))
    {
        if differs {
            let what = format!("{name} has {setting}");
            report.add(Level::Refused, what, why, CREATE_ANEW);
        }
    }
    of_what_works(report, found, wanted);
    if report.findings.len() == before {
        report.ok(format!("{name} is as it was created"));
    }
}

/// What differs and is no reason not to run.
fn of_what_works(report: &mut Report, found: &Described, wanted: &Config) {
    let (name, config) = (&wanted.name, &found.config);
    if config.num_replicas != wanted.num_replicas {
        let what = format!(
            "{name} has {} copies, {} are configured",
            config.num_replicas, wanted.num_replicas
        );
        let todo = format!(
            "`nats stream edit {name} --replicas {}`, or configure as many as there are",
            wanted.num_replicas
        );
        report.add(Level::Warning, what, "the number counts when it is created", &todo);
    }
    // Streams that an earlier version created do not refuse it.
    if wanted.deny_purge && !config.deny_purge {
        let what = format!("{name} lets itself be purged");
        let todo = format!("`nats stream edit {name} --deny-purge`");
        let why = "nobody has to, and it would throw away what was acknowledged";
        report.add(Level::Warning, what, why, &todo);
    }
    if config.duplicate_window > Duration::from_secs(120) {
        let what = format!("{name} remembers message ids for {:?}", config.duplicate_window);
        let why = "Tandem sends none, and a long window costs the servers memory";
        report.add(Level::Warning, what, why, "set duplicate_window to 2m");
    }
    if !found.lagging.is_empty() {
        let what = format!("{name} has copies behind: {}", found.lagging.join(", "));
        let why = "it may not survive the next failure";
        report.add(Level::Warning, what, why, "wait, or look at these servers");
    }
}

type Wrong = (&'static str, bool, &'static str);

/// What would lose messages.
fn loses_messages(found: &Config, wanted: &Config) -> [Wrong; 12] {
    const DISCARDS: &str = "it would throw away what was acknowledged";
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
        ("another retention", found.retention != RetentionPolicy::Limits, DISCARDS),
        ("messages that end by themselves", found.allow_message_ttl, DISCARDS),
        ("messages that replace others (rollup)", found.allow_rollup, DISCARDS),
        (
            "deletion of single messages",
            wanted.deny_delete && !found.deny_delete,
            "one in the middle of a log could be removed",
        ),
        ("memory storage", found.storage != StorageType::File, "it ends with the servers"),
        (
            "asynchronous writes",
            found.persist_mode == Some(PersistenceMode::Async),
            "writes are acknowledged before they are stored",
        ),
        ("no acknowledgements", found.no_ack, "nothing tells whether a write was stored"),
    ]
}

/// What else is not as it was created.
fn changed(found: &Config, wanted: &Config) -> [Wrong; 7] {
    const STALE: &str = "answers could come from a copy that is behind";
    const FOREIGN: &str = "it is not Tandem's, or was changed";
    const REFUSES: &str = "it would refuse what has to be written";
    const DEFECTS: &str = "the servers had defects in it that damaged streams";
    [
        ("direct get on", found.allow_direct || found.mirror_direct, STALE),
        ("other subjects", found.subjects != wanted.subjects, FOREIGN),
        ("other metadata", !same_layout(found, wanted), FOREIGN),
        ("a mirror, source or transform", is_derived(found), FOREIGN),
        ("a seal", found.sealed, REFUSES),
        ("a limit of a message's size", found.max_message_size > 0, REFUSES),
        (
            "compression",
            found.compression.as_ref().is_some_and(|kind| *kind != Compression::None),
            DEFECTS,
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::{names::Names, streams::configs};

    fn judged(change: impl Fn(&mut Config)) -> Report {
        let names = Names::new("tandem", 1).unwrap();
        // The log, and the states.
        let wanted = configs(&names, 1, 3).into_iter().skip(1).take(2);
        let mut report = Report::default();
        for wanted in wanted {
            let mut config = wanted.clone();
            change(&mut config);
            let found = Described { config, clock_ahead_ms: None, lagging: Vec::new() };
            of_stream(&mut report, &found, &wanted, &Options::default());
        }
        report
    }

    /// What is changed, and how.
    type Change = (&'static str, fn(&mut Config));

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
    fn a_changed_stream_is_refused_by_name_of_the_setting() {
        assert_eq!(judged(|_| {}).worst(), Level::Ok);
        let changes: [Change; 8] = [
            ("deletion of single messages", |config| config.deny_delete = false),
            ("replace others", |config| config.allow_rollup = true),
            ("end by themselves", |config| config.allow_message_ttl = true),
            ("a seal", |config| config.sealed = true),
            ("no acknowledgements", |config| config.no_ack = true),
            ("a message's size", |config| config.max_message_size = 1_000_000),
            ("another age limit", |config| config.max_age = Duration::from_secs(1)),
            ("compression", |config| config.compression = Some(Compression::S2)),
        ];
        for (said, change) in changes {
            let report = judged(change);
            assert_eq!(report.worst(), Level::Refused, "{said}");
            assert_eq!(report.only(Level::Refused).findings.len(), 2, "{said}: {report}");
            assert!(report.to_string().contains(said), "{said}: {report}");
        }
    }

    #[test]
    fn what_only_weakens_a_stream_is_a_warning() {
        let changes: [Change; 2] = [
            ("has 5 copies, 3 are configured", |config| config.num_replicas = 5),
            ("TANDEM_STATES_0 lets itself be purged", |config| config.deny_purge = false),
        ];
        for (said, change) in changes {
            let report = judged(change);
            assert_eq!(report.worst(), Level::Warning, "{said}: {report}");
            assert!(report.to_string().contains(said), "{said}: {report}");
        }
        assert!(!judged(|config| config.deny_purge = false).to_string().contains("LOG_0 lets"));
    }
}
