//! The format level as a process meets it (docs/decisions/0016-format-level.md).

use anyhow::{Context as _, ensure};
use bus::{Bus, FormatLevel};
use chassis::config::Config;
use runtime::{begin_format_level, format_level};

/// Newest level that this process knows.
pub(crate) fn known(config: &Config) -> FormatLevel {
    let told = config.format_known.map_or(FormatLevel::KNOWN, FormatLevel);
    told.min(FormatLevel::KNOWN)
}

/// Refuses an installation whose level this process does not know. The first process that decides begins that of a new one.
pub(crate) async fn admit(config: &Config, bus: &Bus, decides: bool) -> anyhow::Result<()> {
    let known = known(config);
    let level = match decides {
        true => begin_format_level(bus, known).await,
        false => format_level(bus).await,
    };
    let level = level.context("cannot tell the installation's format level")?;
    ensure!(
        level <= known,
        "the installation is at format level {level} and this program knows levels up to {known}: run the program that \
         it was raised with, or a later one (what is written at {level} stays; the way back is a backup from before)"
    );
    tracing::info!(%level, %known, "format level of the installation");
    Ok(())
}

#[cfg(test)]
mod tests {
    use runtime::store_format_level;

    use super::*;

    fn config(format_known: Option<u16>) -> Config {
        Config { format_known, ..Config::default() }
    }

    #[test]
    fn no_process_knows_more_than_its_build() {
        assert_eq!(known(&config(None)), FormatLevel::KNOWN);
        assert_eq!(known(&config(Some(1))), FormatLevel::FIRST);
        assert_eq!(known(&config(Some(u16::MAX))), FormatLevel::KNOWN);
    }

    #[tokio::test]
    async fn a_process_that_knows_less_than_was_written_does_not_start() {
        let dir = tempfile::tempdir().unwrap();
        let options = bus::sqlite::Options { min_free_bytes: 0, ..bus::sqlite::Options::default() };
        let bus = bus::sqlite::open(dir.path(), options).unwrap();
        admit(&config(Some(1)), &bus, false).await.unwrap();
        admit(&config(Some(1)), &bus, true).await.unwrap();
        admit(&config(None), &bus, true).await.unwrap();
        assert_eq!(format_level(&bus).await.unwrap(), FormatLevel::FIRST, "it was begun at 1");
        store_format_level(&bus, FormatLevel(2)).await.unwrap();
        admit(&config(None), &bus, true).await.unwrap();
        for decides in [true, false] {
            let refused = admit(&config(Some(1)), &bus, decides).await.unwrap_err().to_string();
            assert!(refused.contains("is at format level 2"), "{refused}");
        }
    }
}
