//! What is right and wrong about servers and streams. Pure: facts in, findings out.
//!
//! What could lose acknowledged writes is refused, unless `allow_data_loss` says that this is known: then it is a warning.

mod servers;
mod streams;

use std::fmt;

pub(super) use servers::{
    Fsync, Server, StreamsAccount, of_account, of_clock, of_cluster, of_fsync, of_server,
};
pub(super) use streams::{of_copies, of_stream};

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

/// The level of what could lose acknowledged writes.
fn loses(allow_data_loss: bool) -> Level {
    if allow_data_loss { Level::Warning } else { Level::Refused }
}

#[cfg(test)]
mod tests {
    use super::*;

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
