//! The installation's format level: shown, and raised once everything that lives knows the next one.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::{Context as _, bail, ensure};
use bus::{Bus, FormatLevel};
use chassis::config::Config;
use runtime::{Survey, format_level, raise_format_level, store_format_level};

use super::{HEARD_WITHIN, placement, until_heard};
use crate::{cli::say, embedded, format::known};

/// Prints the level, and what each router, desk and archive knows.
pub(super) async fn show(config: &Config) -> anyhow::Result<ExitCode> {
    let (level, survey) = match config.bus.nats {
        Some(_) => {
            let bus = placement::connect(config).await?;
            (format_level(&bus).await?, placement::look(config, &bus).await?)
        }
        None => {
            let store = embedded::open_stopped(config)?;
            let level = format_level(&store.bus()).await;
            store.close();
            (level?, Survey::default())
        }
    };
    say(table(level, known(config), &survey).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Raises the level to `to`, or to the newest that this program knows.
pub(super) async fn raise(config: &Config, to: Option<u16>) -> anyhow::Result<ExitCode> {
    let to = to.map_or_else(|| known(config), FormatLevel);
    match config.bus.nats {
        Some(_) => raise_cluster(config, to).await?,
        None => {
            // While it is open no process runs on the directory, and whoever starts later knows the level or refuses.
            let store = embedded::open_stopped(config)?;
            let raised = raise_directory(config, &store.bus(), to).await;
            store.close();
            raised?;
        }
    }
    say(&format!("the installation is at format level {to}"));
    Ok(ExitCode::SUCCESS)
}

async fn raise_directory(config: &Config, bus: &Bus, to: FormatLevel) -> anyhow::Result<()> {
    let level = format_level(bus).await?;
    if let Some(why) = refusal(level, to, known(config), &Survey::default()) {
        bail!(why);
    }
    Ok(store_format_level(bus, to).await?)
}

/// Only routers write states, so they are asked.
async fn raise_cluster(config: &Config, to: FormatLevel) -> anyhow::Result<()> {
    let bus = placement::connect(config).await?;
    let ask = || async {
        let level = format_level(&bus).await?;
        let survey = placement::look(config, &bus).await?;
        if let Some(why) = refusal(level, to, known(config), &survey) {
            bail!(why);
        }
        if level == to {
            return Ok(Some(()));
        }
        ensure!(
            survey.nodes.values().any(|node| node.lives),
            "no router lives, and only a router may write it: start one, and repeat"
        );
        raise_format_level(&bus, to).await?;
        Ok(None)
    };
    until_heard(HEARD_WITHIN, ask).await?.context("no router raises it: their logs say why")
}

/// Why the level must not become `to`, if so.
fn refusal(
    level: FormatLevel,
    to: FormatLevel,
    known: FormatLevel,
    survey: &Survey,
) -> Option<String> {
    if to < level {
        return Some(format!(
            "the format level is {level} and cannot be lowered: what was written at it stays, and a program that does not \
             know it could not read that; the way back is a backup from before it was raised"
        ));
    }
    if to > known {
        return Some(format!("this program knows format levels up to {known}"));
    }
    let behind = living(survey).filter(|(_, known)| *known < to);
    let behind: Vec<String> = behind.map(|(name, known)| format!("{name} knows {known}")).collect();
    (!behind.is_empty()).then(|| {
        format!(
            "not every process knows format level {to}: {}; upgrade or stop those, and repeat",
            behind.join(", ")
        )
    })
}

/// Who lives, and what it knows.
fn living(survey: &Survey) -> impl Iterator<Item = (String, FormatLevel)> {
    let routers = survey.nodes.iter().filter(|(_, node)| node.lives);
    let routers = routers.map(|(name, node)| (name.clone(), node.format_known));
    let others = survey.others.iter().filter(|(_, process)| process.lives);
    routers.chain(others.map(|(lease, process)| (placement::shown(lease), process.format_known)))
}

fn table(level: FormatLevel, known: FormatLevel, survey: &Survey) -> String {
    let mut table = format!("format level {level}; this program knows levels up to {known}\n");
    for (name, known) in living(survey) {
        let _ = writeln!(table, "{name:<24} knows levels up to {known}");
    }
    if level < known && refusal(level, known, known, survey).is_none() {
        let _ = writeln!(
            table,
            "`tandem cluster format raise` raises it to {known}, once gateways, which say nothing of theirs, are new, too; \
             before that the old program can be put back, after it only a backup"
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use bus::sqlite::{Options, Store};
    use runtime::{NodeView, ProcessView};

    use super::*;

    const FIRST: FormatLevel = FormatLevel::FIRST;
    const SECOND: FormatLevel = FormatLevel(2);

    fn survey(nodes: &[(&str, bool, FormatLevel)]) -> Survey {
        let view = |(name, lives, format_known): &(&str, bool, FormatLevel)| {
            let node =
                NodeView { lives: *lives, format_known: *format_known, ..NodeView::default() };
            ((*name).to_owned(), node)
        };
        Survey { nodes: nodes.iter().map(view).collect(), ..Survey::default() }
    }

    #[test]
    fn a_raise_is_refused_by_the_names_of_those_who_do_not_know_the_level() {
        let mixed = survey(&[("a", true, SECOND), ("b", true, FIRST), ("c", false, FIRST)]);
        let why = refusal(FIRST, SECOND, SECOND, &mixed).unwrap();
        assert!(why.contains("b knows 1") && !why.contains("c knows"), "{why}");
        let new = survey(&[("a", true, SECOND), ("c", false, FIRST)]);
        assert_eq!(refusal(FIRST, SECOND, SECOND, &new), None);
        assert_eq!(refusal(SECOND, SECOND, SECOND, &new), None);
        let why = refusal(FIRST, FormatLevel(3), SECOND, &new).unwrap();
        assert!(why.contains("up to 2"), "{why}");
    }

    #[test]
    fn desks_and_archives_are_asked_like_routers() {
        let mut survey = survey(&[("a", true, SECOND)]);
        let mut add = |lease: &str, lives, format_known| {
            survey.others.insert(lease.to_owned(), ProcessView { lives, format_known })
        };
        add("archive:x", true, SECOND);
        add("desk:gone", false, FIRST);
        add("desk:d", true, FIRST);
        let why = refusal(FIRST, SECOND, SECOND, &survey).unwrap();
        assert!(why.contains(": desk d knows 1; upgrade"), "{why}");
        let said = table(FIRST, SECOND, &survey);
        assert!(said.contains("archive x") && !said.contains("raises it"), "{said}");
    }

    #[test]
    fn it_is_never_lowered() {
        let why = refusal(SECOND, FIRST, SECOND, &survey(&[])).unwrap();
        assert!(why.contains("cannot be lowered"), "{why}");
    }

    #[tokio::test]
    async fn the_directory_of_a_stopped_process_is_raised() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let refused = raise(&config, None).await.unwrap_err().to_string();
        assert!(refused.contains("no installation in"), "{refused}");
        let options = Options { partitions: config.partitions, ..Options::default() };
        Store::open(dir.path(), Options { min_free_bytes: 0, ..options }).unwrap().close();
        raise(&config, None).await.unwrap();
        let store = embedded::open_stopped(&config).unwrap();
        assert_eq!(format_level(&store.bus()).await.unwrap(), FormatLevel::KNOWN);
        store.close();
        let refused = raise(&config, Some(1)).await.unwrap_err().to_string();
        assert!(refused.contains("cannot be lowered"), "{refused}");
    }

    #[test]
    fn the_table_says_when_it_may_be_raised() {
        let mixed = table(FIRST, SECOND, &survey(&[("a", true, SECOND), ("b", true, FIRST)]));
        assert!(mixed.contains("format level 1") && !mixed.contains("raises it"), "{mixed}");
        let new = table(FIRST, SECOND, &survey(&[("a", true, SECOND)]));
        assert!(new.contains("raises it to 2"), "{new}");
    }
}
