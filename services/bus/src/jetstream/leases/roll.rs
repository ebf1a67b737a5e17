//! Renewals in the order of the stream, and the leases that they make.

use std::collections::BTreeMap;

use super::Renewal;
use crate::{BusError, NodeLease, decode, jetstream::streams::LEASE_AGE_MAX};

/// Every lease that is not released, by node.
pub(super) type Leases = BTreeMap<String, NodeLease>;

/// The stream keeps the last renewal of each node. Whoever reads it up to where it ended when he asked may miss a node whose
/// renewal at that end has been replaced by one behind it meanwhile. So the leases are those of one moment only where nothing
/// was behind the last renewal taken.
#[derive(Debug, Default)]
pub(super) struct Roll {
    leases: Leases,
    position: u64,
    /// Whether something is behind the last renewal taken.
    goes_on: bool,
}

impl Roll {
    /// Sequence of the last renewal taken; 0 before the first.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether this is what the stream held at a moment when it had come as far as `end`.
    pub(super) fn shows(&self, end: u64) -> bool {
        self.position >= end && !self.goes_on
    }

    /// Takes the next message of the stream. Whoever brought it knows, or must find out, whether it goes on behind it. What cannot be
    /// read moves nothing.
    pub(super) fn take(
        &mut self,
        renewal: u64,
        renewed_wall_ms: Option<u64>,
        payload: &[u8],
        goes_on: bool,
    ) -> Result<(), BusError> {
        let found: Renewal =
            decode(payload).map_err(|error| BusError::Corrupt(format!("a lease: {error}")))?;
        let Renewal { node, info, format_known, .. } = found;
        match info {
            Some(info) => {
                let lease =
                    NodeLease { node: node.clone(), info, renewal, renewed_wall_ms, format_known };
                self.leases.insert(node, lease);
            }
            None => drop(self.leases.remove(&node)),
        }
        (self.position, self.goes_on) = (renewal, goes_on);
        Ok(())
    }

    /// Nothing is behind the last renewal taken.
    pub(super) fn ends(&mut self) {
        self.goes_on = false;
    }

    /// The leases that the stream still holds. Nobody is told what it forgets for its age; the newest renewal's date says it.
    pub(super) fn leases(&mut self) -> Leases {
        let newest_ms = self.leases.values().filter_map(|lease| lease.renewed_wall_ms).max();
        let age_max_ms = u64::try_from(LEASE_AGE_MAX.as_millis()).unwrap_or(u64::MAX);
        let oldest_ms = newest_ms.unwrap_or_default().saturating_sub(age_max_ms);
        self.leases.retain(|_, lease| lease.renewed_wall_ms.is_none_or(|at| at >= oldest_ms));
        self.leases.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{FORMAT_VERSION, FormatLevel, encode};

    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

    fn renewal(node: &str, info: Option<&'static [u8]>) -> Bytes {
        let info = info.map(Bytes::from_static);
        let (version, format_known) = (FORMAT_VERSION, FormatLevel(2));
        encode(&Renewal { version, node: node.to_owned(), info, format_known }).unwrap()
    }

    fn names(roll: &mut Roll) -> Vec<String> {
        roll.leases().into_keys().collect()
    }

    #[test]
    fn the_newest_renewal_of_a_node_counts_and_a_released_lease_is_gone() {
        let mut roll = Roll::default();
        roll.take(3, Some(1), &renewal("a", Some(b"old")), false).unwrap();
        roll.take(4, Some(2), &renewal("b", Some(b"here")), false).unwrap();
        roll.take(7, Some(3), &renewal("a", Some(b"new")), false).unwrap();
        let info = Bytes::from_static(b"new");
        let newest = NodeLease {
            node: "a".to_owned(),
            info,
            renewal: 7,
            renewed_wall_ms: Some(3),
            format_known: FormatLevel(2),
        };
        assert_eq!(roll.leases().get("a"), Some(&newest));
        roll.take(9, Some(4), &renewal("b", None), false).unwrap();
        assert_eq!((names(&mut roll), roll.position()), (vec!["a".to_owned()], 9));
    }

    #[test]
    fn a_build_that_does_not_say_what_it_knows_knows_the_first_level() {
        #[derive(serde::Serialize)]
        struct Older {
            version: u16,
            node: &'static str,
            info: Option<Bytes>,
        }
        let older = Older { version: 1, node: "a", info: Some(Bytes::from_static(b"here")) };
        let mut roll = Roll::default();
        roll.take(3, Some(1), &encode(&older).unwrap(), false).unwrap();
        assert_eq!(roll.leases()["a"].format_known, FormatLevel::FIRST);
    }

    #[test]
    fn what_cannot_be_read_moves_nothing() {
        let mut roll = Roll::default();
        roll.take(3, Some(1), &renewal("a", Some(b"here")), false).unwrap();
        assert!(matches!(roll.take(4, Some(2), b"{}", false), Err(BusError::Corrupt(_))));
        assert_eq!((names(&mut roll), roll.position()), (vec!["a".to_owned()], 3));
    }

    #[test]
    fn a_lease_goes_a_day_before_the_newest_renewal() {
        let mut roll = Roll::default();
        roll.take(1, Some(1_000), &renewal("old", Some(b"here")), false).unwrap();
        roll.take(2, Some(1_001), &renewal("older than most", Some(b"here")), false).unwrap();
        roll.take(3, Some(DAY_MS + 1_001), &renewal("new", Some(b"here")), false).unwrap();
        assert_eq!(names(&mut roll), ["new", "older than most"]);
    }

    /// The stream: the last renewal of each node, by sequence.
    #[derive(Default)]
    struct Stream {
        last: u64,
        kept: BTreeMap<u64, u8>,
    }

    impl Stream {
        fn renew(&mut self, node: u8) {
            self.last += 1;
            self.kept.retain(|_, of| *of != node);
            self.kept.insert(self.last, node);
        }

        /// What a consumer brings after `position`, and whether it goes on behind it.
        fn next(&self, position: u64) -> Option<(u64, u8, bool)> {
            let mut later = self.kept.range(position + 1..);
            let (seq, node) = later.next()?;
            Some((*seq, *node, later.next().is_some()))
        }

        fn holds(&self) -> BTreeSet<(String, u64)> {
            self.kept.iter().map(|(seq, node)| (node.to_string(), *seq)).collect()
        }
    }

    fn seen(roll: &mut Roll) -> BTreeSet<(String, u64)> {
        roll.leases().into_iter().map(|(node, lease)| (node, lease.renewal)).collect()
    }

    /// Looks once while nodes renew in between; true where every look showed the stream of one moment after it was asked for.
    fn looks_are_true(moves: &[(u8, bool)], is_enough: fn(&Roll, u64) -> bool) -> bool {
        let (mut stream, mut roll) = (Stream::default(), Roll::default());
        let mut moments = Vec::new();
        let mut asked = None;
        for (node, brings) in moves {
            if *brings {
                let end = *asked.get_or_insert_with(|| {
                    moments = vec![stream.holds()];
                    stream.last
                });
                if let Some((seq, node, goes_on)) = stream.next(roll.position()) {
                    let info = renewal(&node.to_string(), Some(b"here"));
                    roll.take(seq, None, &info, goes_on).unwrap();
                }
                if is_enough(&roll, end) {
                    if !moments.contains(&seen(&mut roll)) {
                        return false;
                    }
                    asked = None;
                }
            } else {
                stream.renew(*node);
                moments.push(stream.holds());
            }
        }
        true
    }

    proptest! {
        #[test]
        fn a_look_shows_the_stream_of_one_moment(
            moves in prop::collection::vec((0..4_u8, any::<bool>()), 0..60),
        ) {
            prop_assert!(looks_are_true(&moves, Roll::shows));
        }
    }

    /// The naive rule, to read up to where the stream ended when it was asked, forgets a node that renews in between.
    #[test]
    fn a_look_that_stops_at_the_end_it_was_told_misses_who_renewed_meanwhile() {
        let renews = |node| (node, false);
        let moves = [renews(1), renews(2), (0, true), renews(1), renews(2), (0, true)];
        assert!(looks_are_true(&moves, Roll::shows));
        assert!(!looks_are_true(&moves, |roll, end| roll.position() >= end));
    }
}
