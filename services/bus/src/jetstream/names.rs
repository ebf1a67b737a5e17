//! Names of streams and subjects. No subject holds a phone number, a name or a message id: entities
//! lie in buckets by their keyed hashes, and node names stand in hex.
//!
//! Inboxes, logs and states are spread over a number of streams each that is fixed at creation: partition `p` is in
//! stream `p % streams`, whose number is a token of every subject, so that a stream's subjects are one pattern.

use super::ConnectError;
use crate::PartitionId;

/// One of the two tables of sequenced entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Inbox,
    Log,
}

impl Table {
    fn token(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Log => "log",
        }
    }
}

#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    capitals: String,
    streams: u16,
}

impl Names {
    /// Names of an installation whose inboxes, logs and states lie in `streams` streams each.
    pub(super) fn new(prefix: &str, streams: u16) -> Result<Self, ConnectError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if prefix.is_empty() || !prefix.bytes().all(plain) {
            return Err(ConnectError::Prefix(prefix.to_owned()));
        }
        let capitals = prefix.to_ascii_uppercase();
        Ok(Self { prefix: prefix.to_owned(), capitals, streams: streams.max(1) })
    }

    pub(super) fn streams(&self) -> u16 {
        self.streams
    }

    fn number(&self, partition: PartitionId) -> u16 {
        partition.0 % self.streams
    }

    /// The stream of a partition's inbox or log.
    pub(super) fn stream(&self, table: Table, partition: PartitionId) -> String {
        self.numbered_stream(table, self.number(partition))
    }

    pub(super) fn numbered_stream(&self, table: Table, number: u16) -> String {
        format!("{}_{}_{number}", self.capitals, table.token().to_ascii_uppercase())
    }

    pub(super) fn states_stream(&self, partition: PartitionId) -> String {
        self.numbered_states_stream(self.number(partition))
    }

    pub(super) fn numbered_states_stream(&self, number: u16) -> String {
        format!("{}_STATES_{number}", self.capitals)
    }

    pub(super) fn leases_stream(&self) -> String {
        format!("{}_LEASES", self.capitals)
    }

    /// Subjects of a stream of entries.
    pub(super) fn entries(&self, table: Table, number: u16) -> String {
        format!("{}.{}.{number}.*", self.prefix, table.token())
    }

    /// The subject of a partition's inbox or log.
    pub(super) fn entry(&self, table: Table, partition: PartitionId) -> String {
        let number = self.number(partition);
        format!("{}.{}.{number}.{partition}", self.prefix, table.token())
    }

    /// Subjects of a stream of states.
    pub(super) fn states(&self, number: u16) -> String {
        format!("{}.state.{number}.>", self.prefix)
    }

    /// Subjects of a partition's states, its checkpoint among them.
    pub(super) fn states_of(&self, partition: PartitionId) -> String {
        format!("{}.>", self.state(partition))
    }

    /// The subject of a bucket; `path` leads from its root to a bucket made by splits.
    pub(super) fn bucket(&self, partition: PartitionId, root: u16, path: &[u8]) -> String {
        let stem = self.state(partition);
        let digits: String = path.iter().map(|digit| format!(".{digit}")).collect();
        format!("{stem}.{root}{digits}")
    }

    pub(super) fn checkpoint(&self, partition: PartitionId) -> String {
        format!("{}.checkpoint", self.state(partition))
    }

    fn state(&self, partition: PartitionId) -> String {
        format!("{}.state.{}.{partition}", self.prefix, self.number(partition))
    }

    pub(super) fn leases(&self) -> String {
        format!("{}.lease.*", self.prefix)
    }

    pub(super) fn lease(&self, node: &str) -> String {
        format!("{}.lease.n{}", self.prefix, hex::encode(node))
    }

    pub(super) fn signal(&self, topic: &str) -> String {
        format!("{}.signal.{topic}", self.prefix)
    }

    /// The topic in a subject made by [`Names::signal`].
    pub(super) fn topic<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(self.prefix.as_str())?.strip_prefix(".signal.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_stays_in_its_stream() {
        let names = Names::new("tandem", 8).unwrap();
        let partition = PartitionId(19);
        assert_eq!(names.stream(Table::Log, partition), "TANDEM_LOG_3");
        assert_eq!(names.entry(Table::Log, partition), "tandem.log.3.19");
        assert_eq!(names.entries(Table::Log, 3), "tandem.log.3.*");
        assert_eq!(names.states_stream(partition), "TANDEM_STATES_3");
        assert_eq!(names.bucket(partition, 4095, &[]), "tandem.state.3.19.4095");
        assert_eq!(names.bucket(partition, 7, &[1, 6]), "tandem.state.3.19.7.1.6");
        assert_eq!(names.checkpoint(partition), "tandem.state.3.19.checkpoint");
        assert_eq!(names.states_of(partition), "tandem.state.3.19.>");
    }

    #[test]
    fn a_prefix_is_one_plain_token() {
        for wrong in ["", "a.b", "a b", "a*", "ä"] {
            assert!(Names::new(wrong, 1).is_err(), "{wrong:?}");
        }
        assert_eq!(Names::new("tandem-2", 1).unwrap().leases_stream(), "TANDEM-2_LEASES");
    }
}
