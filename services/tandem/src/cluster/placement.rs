//! Who serves what in a running installation, and moving it: by the leases of its routers and by signals to them.

use std::{cell::Cell, collections::BTreeMap, fmt::Write as _, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use bus::{Bus, FormatLevel, PartitionId, jetstream};
use chassis::{clock::Clock, config::Config};
use runtime::{NodeView, Survey, drain_node, format_level, move_partition, survey};

use super::{
    nats, options,
    stored::{Stored, WAITING_MAX, stored},
    until_heard,
};
use crate::cli::say;

/// Longest a partition may take to arrive where it was moved to.
const MOVED_WITHIN: Duration = Duration::from_secs(30);
/// Longest a router may take to hand everything over.
const DRAINED_WITHIN: Duration = Duration::from_secs(300);

/// By the key of the operator, who looks and asks.
pub(super) async fn connect(config: &Config) -> anyhow::Result<Bus> {
    connect_as(config, "operator").await
}

/// By the key of a role.
pub(super) async fn connect_as(config: &Config, role: &str) -> anyhow::Result<Bus> {
    let options = options(config, nats(config)?, role);
    jetstream::connect(options).await.context("cannot use NATS JetStream")
}

pub(super) async fn look(config: &Config, bus: &Bus) -> anyhow::Result<Survey> {
    Ok(survey(bus, Duration::from_millis(config.bus.lease_ms)).await?)
}

/// Prints the routers and what they have, and the other processes with leases; fails where a partition has no owner that serves it.
pub(super) async fn status(config: &Config) -> anyhow::Result<ExitCode> {
    let bus = connect(config).await?;
    let survey = look(config, &bus).await?;
    let level = format_level(&bus).await?;
    say(processes_table(&survey, level).trim_end());
    say(&format!("format level {level}"));
    let serving = survey.owners.values().filter(|owner| owner.serving).count();
    say(&format!("{serving} of {} partitions are served", bus.partitions));
    let all_served = serving == usize::from(bus.partitions);
    Ok(if all_served { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every partition: its owner, what waits, and what is kept.
pub(super) async fn partitions(config: &Config) -> anyhow::Result<ExitCode> {
    let bus = connect(config).await?;
    let survey = look(config, &bus).await?;
    let stored = stored(&bus).await?;
    say(partitions_table(&survey, &stored, Clock::system().wall_ms()).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Moves a partition to a router and waits until it is served there.
pub(super) async fn move_to(config: &Config, partition: u16, to: &str) -> anyhow::Result<ExitCode> {
    let bus = connect(config).await?;
    let partition = PartitionId(partition);
    living(&look(config, &bus).await?, to)?;
    let ask = || async {
        let seen = look(config, &bus).await?;
        let node = living(&seen, to)?;
        if node.cannot_serve.contains(&partition) {
            bail!("{to} cannot serve partition {partition}: its log says why");
        }
        let owner = seen.owners.get(&partition);
        if let Some(owner) = owner.filter(|owner| owner.serving && owner.node == to) {
            return Ok(Some(owner.epoch));
        }
        if !node.pinned.contains(&partition) {
            move_partition(&bus, partition, to).await?;
        }
        Ok(None)
    };
    let epoch = until_heard(MOVED_WITHIN, ask).await?.with_context(|| {
        format!("{to} does not serve partition {partition} yet: see `tandem cluster partitions`")
    })?;
    say(&format!("{to} serves partition {partition} in epoch {epoch}"));
    Ok(ExitCode::SUCCESS)
}

/// Lets a router hand everything over and waits until it has, or lets it take partitions again.
pub(super) async fn drain(config: &Config, node: &str, undo: bool) -> anyhow::Result<ExitCode> {
    let bus = connect(config).await?;
    let told = Cell::new(usize::MAX);
    let ask = || async {
        let seen = look(config, &bus).await?;
        let view = living(&seen, node)?;
        let left = view.owned.len();
        if view.draining == undo {
            drain_node(&bus, node, !undo).await?;
        } else if undo || left == 0 {
            return Ok(Some(()));
        }
        if !undo && told.replace(left) != left {
            say(&format!("{node} has {left} partitions"));
        }
        Ok(None)
    };
    until_heard(DRAINED_WITHIN, ask).await?.with_context(|| {
        format!("{node} still has partitions; is there another router that may have them?")
    })?;
    say(&if undo {
        format!("{node} takes partitions again")
    } else {
        format!("{node} has no partition: stop it, or let it take some with --undo")
    });
    Ok(ExitCode::SUCCESS)
}

/// The node of this name, if it lives.
fn living<'a>(survey: &'a Survey, name: &str) -> anyhow::Result<&'a NodeView> {
    if let Some(node) = survey.nodes.get(name).filter(|node| node.lives) {
        return Ok(node);
    }
    let lives = |(name, node): (&'a String, &NodeView)| node.lives.then_some(name.as_str());
    let names: Vec<&str> = survey.nodes.iter().filter_map(lives).collect();
    bail!("no router {name} lives; there are: {}", names.join(", "))
}

/// How a process is called whose lease has this name: `desk:one` is the desk on the node `one`.
pub(super) fn shown(lease: &str) -> String {
    lease.replacen(':', " ", 1)
}

fn processes_table(survey: &Survey, level: FormatLevel) -> String {
    let mut table = format!("{:<24} {:>7} {:>7}  {}\n", "router", "owned", "serving", "state");
    for (name, node) in &survey.nodes {
        let (owned, serving) = (node.owned.len(), node.serving.len());
        let _ = writeln!(table, "{name:<24} {owned:>7} {serving:>7}  {}", state(node, level));
    }
    for (lease, process) in &survey.others {
        let (name, mut state) = (shown(lease), liveness(process.lives).to_owned());
        let known = process.format_known;
        if process.lives && known < level {
            let _ = write!(state, "; knows format levels up to {known}: upgrade it");
        }
        let _ = writeln!(table, "{name:<24} {:>7} {:>7}  {state}", "-", "-");
    }
    table
}

fn liveness(lives: bool) -> &'static str {
    if lives { "lives" } else { "does not renew its lease" }
}

fn state(node: &NodeView, level: FormatLevel) -> String {
    let mut words = vec![liveness(node.lives).to_owned()];
    let known = node.format_known;
    if node.lives && known < level {
        words.push(format!("knows format levels up to {known} and takes nothing: upgrade it"));
    } else if node.draining {
        words.push("drains".to_owned());
    }
    if node.takes_none && !node.draining {
        words.push("takes nothing: its clock is off, see its log".to_owned());
    }
    if !node.cannot_serve.is_empty() {
        words.push(format!("cannot serve {}", list(&node.cannot_serve)));
    }
    if !node.pinned.is_empty() {
        words.push(format!("given {} by an operator", list(&node.pinned)));
    }
    words.join("; ")
}

fn list<'a>(partitions: impl IntoIterator<Item = &'a PartitionId>) -> String {
    partitions.into_iter().map(|partition| partition.0.to_string()).collect::<Vec<_>>().join(", ")
}

fn partitions_table(
    survey: &Survey,
    stored: &BTreeMap<PartitionId, Stored>,
    now_ms: u64,
) -> String {
    let mut table = format!(
        "{:>9} {:<24} {:>8} {:>8} {:>8} {:>9} {:>12} {:>12}  {}\n",
        "partition",
        "router",
        "epoch",
        "read",
        "waiting",
        "oldest",
        "log from",
        "inbox from",
        "state"
    );
    for (partition, stored) in stored {
        let handed = survey.nodes.values().find_map(|node| node.handing.get(partition));
        let owner = survey.owners.get(partition);
        let state = match (owner, handed) {
            (Some(_), Some(to)) => format!("on its way to {to}"),
            (Some(owner), None) if owner.serving => "served".to_owned(),
            (Some(_), None) => "being taken".to_owned(),
            (None, _) => "nobody serves it".to_owned(),
        };
        let router = owner.map_or("-", |owner| owner.node.as_str());
        let read = owner.map(|owner| owner.lag_inputs);
        let Stored { epoch, log_from, inbox_from, waiting, waits_since_ms } = stored;
        let more = if *waiting == WAITING_MAX { "+" } else { "" };
        let waiting = format!("{waiting}{more}");
        let oldest = waits_since_ms.map(|since_ms| now_ms.saturating_sub(since_ms) / 1_000);
        let oldest = oldest.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
        let _ = writeln!(
            table,
            "{:>9} {router:<24} {:>8} {:>8} {waiting:>8} {oldest:>9} {:>12} {:>12}  {state}",
            partition.0,
            or_dash(*epoch),
            or_dash(read),
            or_dash((*log_from > 0).then_some(*log_from)),
            or_dash((*inbox_from > 0).then_some(*inbox_from)),
        );
    }
    table
}

fn or_dash(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use runtime::{PartitionOwner, ProcessView};

    use super::*;

    fn survey_of_two() -> Survey {
        let (zero, one) = (PartitionId(0), PartitionId(1));
        let a = NodeView {
            lives: true,
            owned: [zero].into(),
            serving: [zero].into(),
            handing: [(zero, "b".to_owned())].into(),
            draining: true,
            ..NodeView::default()
        };
        let b = NodeView { owned: [one].into(), ..NodeView::default() };
        let owner = PartitionOwner { node: "a".to_owned(), serving: true, epoch: 7, lag_inputs: 3 };
        Survey {
            nodes: [("a".to_owned(), a), ("b".to_owned(), b)].into(),
            others: [
                ("archive:x".to_owned(), ProcessView::default()),
                ("desk:d".to_owned(), ProcessView { lives: true, ..ProcessView::default() }),
            ]
            .into(),
            owners: [(zero, owner)].into(),
        }
    }

    #[test]
    fn tables_name_what_an_operator_looks_for() {
        let survey = survey_of_two();
        let said = processes_table(&survey, FormatLevel::FIRST);
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[1].ends_with("lives; drains"), "{said}");
        assert!(lines[2].ends_with("does not renew its lease"), "{said}");
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(lines[3]), "archive x - - does not renew its lease");
        assert_eq!(words(lines[4]), "desk d - - lives");
        let said = processes_table(&survey, FormatLevel(2));
        assert!(said.contains("lives; knows format levels up to 1 and takes nothing"), "{said}");
        assert!(said.contains("lives; knows format levels up to 1: upgrade it"), "{said}");
        let (zero, one) = (PartitionId(0), PartitionId(1));
        // A reader that is stuck has read little: what waits is said by the inbox.
        let stuck = Stored {
            epoch: Some(7),
            log_from: 41,
            inbox_from: 52,
            waiting: WAITING_MAX,
            waits_since_ms: Some(1_000),
        };
        let free = Stored { epoch: Some(9), log_from: 12, ..Stored::default() };
        let partitions = partitions_table(&survey, &[(zero, stuck), (one, free)].into(), 13_500);
        let words = |line: usize| words(partitions.lines().nth(line).unwrap());
        assert_eq!(
            words(0),
            "partition router epoch read waiting oldest log from inbox from state"
        );
        assert_eq!(words(1), "0 a 7 3 1000+ 12 s 41 52 on its way to b");
        assert_eq!(words(2), "1 - 9 - 0 - 12 - nobody serves it");
    }

    #[test]
    fn a_router_that_is_not_there_is_refused_with_the_names_of_those_that_are() {
        let error = living(&survey_of_two(), "b").unwrap_err().to_string();
        assert_eq!(error, "no router b lives; there are: a");
    }
}
