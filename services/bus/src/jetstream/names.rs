//! Names of streams and subjects. No subject holds a phone number, a name or a message id: entities
//! are keyed hashes, and free text (part and node names) stands in hex.

use super::ConnectError;
use crate::{EntityId, PartName, PartitionId};

/// One of the two streams of sequenced entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Inbox,
    Log,
}

#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    capitals: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Result<Self, ConnectError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if prefix.is_empty() || !prefix.bytes().all(plain) {
            return Err(ConnectError::Prefix(prefix.to_owned()));
        }
        Ok(Self { prefix: prefix.to_owned(), capitals: prefix.to_ascii_uppercase() })
    }

    pub(super) fn stream(&self, table: Table) -> String {
        match table {
            Table::Inbox => format!("{}_INBOX", self.capitals),
            Table::Log => format!("{}_LOG", self.capitals),
        }
    }

    pub(super) fn states_stream(&self) -> String {
        format!("{}_STATES", self.capitals)
    }

    pub(super) fn leases_stream(&self) -> String {
        format!("{}_LEASES", self.capitals)
    }

    /// Subjects of a stream of entries.
    pub(super) fn entries(&self, table: Table) -> String {
        match table {
            Table::Inbox => format!("{}.inbox.*", self.prefix),
            Table::Log => format!("{}.log.*", self.prefix),
        }
    }

    pub(super) fn entry(&self, table: Table, partition: PartitionId) -> String {
        match table {
            Table::Inbox => format!("{}.inbox.{partition}", self.prefix),
            Table::Log => format!("{}.log.{partition}", self.prefix),
        }
    }

    pub(super) fn states(&self) -> Vec<String> {
        vec![format!("{}.state.>", self.prefix), format!("{}.checkpoint.*", self.prefix)]
    }

    /// Subjects of every part of an entity.
    pub(super) fn parts(&self, partition: PartitionId, entity: EntityId) -> String {
        format!("{}*", self.parts_stem(partition, entity))
    }

    pub(super) fn part(&self, partition: PartitionId, entity: EntityId, part: &PartName) -> String {
        // A token cannot be empty, a part's name can.
        format!("{}p{}", self.parts_stem(partition, entity), hex::encode(&part.0))
    }

    /// The part's name in a subject made by [`Names::part`].
    pub(super) fn part_name(subject: &str) -> Option<PartName> {
        let (_, token) = subject.rsplit_once(".p")?;
        String::from_utf8(hex::decode(token).ok()?).ok().map(PartName)
    }

    fn parts_stem(&self, partition: PartitionId, entity: EntityId) -> String {
        let hash = hex::encode(entity.hash);
        format!("{}.state.{partition}.{:02x}{hash}.", self.prefix, entity.kind)
    }

    pub(super) fn checkpoint(&self, partition: PartitionId) -> String {
        format!("{}.checkpoint.{partition}", self.prefix)
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
    fn a_part_name_survives_its_subject() {
        let names = Names::new("tandem").unwrap();
        let entity = EntityId { kind: 2, hash: [0xab; 16] };
        for name in ["", "main", "agent.7 *>", "ärger"] {
            let subject = names.part(PartitionId(3), entity, &PartName::from(name));
            assert_eq!(Names::part_name(&subject), Some(PartName::from(name)), "{subject}");
            assert!(subject.starts_with("tandem.state.3.02abab"), "{subject}");
        }
    }

    #[test]
    fn a_prefix_is_one_plain_token() {
        for wrong in ["", "a.b", "a b", "a*", "ä"] {
            assert!(Names::new(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Names::new("tandem-2").unwrap().states_stream(), "TANDEM-2_STATES");
    }
}
