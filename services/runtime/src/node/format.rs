//! What a node knows of the installation's format level: read from the bus at its start and every lease period, and at once when
//! somebody raises it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::FormatLevel;
use chassis::task::TaskKind;
use metrics::counter;
use tokio::sync::mpsc;

use super::placement::Event;
use crate::{format_level, metrics::ALARMS_TOTAL, shell::context::Context};

/// The level as this node knows it.
#[derive(Debug, Default)]
pub(super) struct Format {
    /// Newest level that this node knows.
    known: FormatLevel,
    /// `None` until it was read once.
    level: Option<FormatLevel>,
    reading: bool,
    read_ms: u64,
}

impl Format {
    pub(super) fn new(known: FormatLevel) -> Self {
        Self { known, ..Self::default() }
    }

    /// Newest level that this node knows.
    pub(super) fn known(&self) -> FormatLevel {
        self.known
    }

    /// The installation's level as far as it is known.
    pub(super) fn level(&self) -> FormatLevel {
        self.level.unwrap_or_default()
    }

    /// Whether the level was read and is one that this node knows: else it takes nothing.
    pub(super) fn may_take(&self) -> bool {
        self.level.is_some_and(|level| level <= self.known)
    }

    /// Whether the installation has left this node behind: it hands everything over.
    pub(super) fn is_behind(&self) -> bool {
        self.level() > self.known
    }

    /// Whether to begin to read it now.
    pub(super) fn begins_to_read(&mut self, now_ms: u64, every_ms: u64) -> bool {
        let is_due = self.level.is_none() || now_ms.saturating_sub(self.read_ms) >= every_ms;
        let begins = is_due && !self.reading;
        if begins {
            (self.reading, self.read_ms) = (true, now_ms);
        }
        begins
    }

    /// What was read; `None`: nothing was.
    pub(super) fn was_read(&mut self, found: Option<FormatLevel>) {
        self.reading = false;
        let before = self.level;
        // A level never falls; an answer may be an old one.
        self.level = before.max(found);
        if self.level == before {
            return;
        }
        let (level, known) = (self.level(), self.known);
        match self.is_behind() {
            true => {
                counter!(ALARMS_TOTAL, "name" => "format_behind").increment(1);
                tracing::error!(
                    "the installation is at format level {level} and this program knows levels up to {known}: the node hands over and takes nothing; upgrade it"
                );
            }
            false => tracing::info!(%level, %known, "format level of the installation"),
        }
    }

    /// Why the level must not be raised to this one, if so; `others`: what each other process knows that lives.
    pub(super) fn refuses(
        &self,
        level: FormatLevel,
        others: &BTreeMap<&str, FormatLevel>,
    ) -> Option<String> {
        let known = self.known;
        if known < level {
            return Some(format!("this node knows levels up to {known}"));
        }
        let (process, known) = others.iter().find(|(_, known)| **known < level)?;
        Some(format!("{process} knows levels up to {known}"))
    }
}

/// Reads the level in the background, after raising it where that is wanted: whoever places partitions does not wait for it.
pub(super) fn read(context: &Arc<Context>, raise: Option<FormatLevel>, tell: mpsc::Sender<Event>) {
    let (of_task, within) =
        (Arc::clone(context), Duration::from_millis(context.settings.lease_ms / 2));
    context.spawn(TaskKind::Maintenance, "format-level", async move {
        let asked = async {
            if let Some(level) = raise {
                format_level::store(&of_task.bus, level).await?;
            }
            format_level::stored(&of_task.bus).await
        };
        let found = match tokio::time::timeout(within, asked).await {
            Ok(Ok(level)) => Some(level.unwrap_or_default()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the format level is not known");
                None
            }
            Err(_) => None,
        };
        // Without its follower the node is gone.
        drop(tell.send(Event::Format(found)).await);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::info::NodeInfo;

    const SECOND: FormatLevel = FormatLevel(2);

    #[test]
    fn nothing_is_taken_before_the_level_is_known_nor_at_one_that_this_build_does_not_know() {
        let mut format = Format::new(FormatLevel::FIRST);
        assert!(!format.may_take() && !format.is_behind());
        assert!(format.begins_to_read(0, 100) && !format.begins_to_read(1_000, 100));
        format.was_read(None);
        assert!(!format.may_take());
        assert!(format.begins_to_read(1, 100), "asked again at once while it is not known");
        format.was_read(Some(FormatLevel::FIRST));
        assert!(format.may_take());
        assert!(!format.begins_to_read(100, 100) && format.begins_to_read(101, 100));
        format.was_read(Some(SECOND));
        assert!(!format.may_take() && format.is_behind());
        format.was_read(Some(FormatLevel::FIRST));
        assert!(format.is_behind(), "it never falls");
    }

    #[test]
    fn a_raise_is_refused_while_a_process_lives_that_does_not_know_the_level() {
        let format = Format::new(SECOND);
        assert_eq!(format.refuses(SECOND, &[("b", SECOND)].into()), None);
        let why = format.refuses(SECOND, &[("b", SECOND), ("c", FormatLevel::FIRST)].into());
        assert_eq!(why.unwrap(), "c knows levels up to 1");
        let why = format.refuses(FormatLevel(3), &BTreeMap::new());
        assert_eq!(why.unwrap(), "this node knows levels up to 2");
    }

    /// A build from before there were levels says nothing of them.
    #[test]
    fn who_says_nothing_knows_the_first_level() {
        #[derive(serde::Serialize)]
        struct Older {
            version: u16,
            owned: [u16; 0],
            cannot_serve: [u16; 0],
        }
        let older = Older { version: 1, owned: [], cannot_serve: [] };
        let info = NodeInfo::decode(&bus::encode(&older).unwrap()).unwrap();
        assert_eq!(info.format_known, FormatLevel::FIRST);
    }
}
