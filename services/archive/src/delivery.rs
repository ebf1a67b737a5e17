//! The delivery state of a message, derived from facts that only ever accumulate: whatever order they came in,
//! the state is the same, and it never goes back (invariant 4).

use domain::{Millis, conversation::StatusKind};

use crate::codes::MILLIS_MAX;

/// What the states of a message were reported at, Unix ms; 0 where not reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusTimes {
    /// The API took it.
    pub accepted_ms: Millis,
    /// Meta's servers took it.
    pub sent_ms: Millis,
    /// On a device of the customer.
    pub delivered_ms: Millis,
    /// Seen.
    pub read_ms: Millis,
    /// Played.
    pub played_ms: Millis,
    /// Failed.
    pub failed_ms: Millis,
    /// Deleted.
    pub deleted_ms: Millis,
}

/// What one status said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) status: StatusKind,
    pub(crate) at_ms: Millis,
    pub(crate) error: Option<u32>,
}

impl StatusTimes {
    /// Merges one report. Of several reports of a state the earliest counts.
    pub fn merge(&mut self, status: StatusKind, at_ms: Millis) {
        let slot = match status {
            StatusKind::Accepted => &mut self.accepted_ms,
            StatusKind::Sent => &mut self.sent_ms,
            StatusKind::Delivered => &mut self.delivered_ms,
            StatusKind::Read => &mut self.read_ms,
            StatusKind::Played => &mut self.played_ms,
            StatusKind::Failed => &mut self.failed_ms,
            StatusKind::Deleted => &mut self.deleted_ms,
        };
        // 0 stands for "not reported", so a report at the epoch itself counts as one millisecond later.
        let at_ms = at_ms.max(1);
        *slot = if *slot == 0 { at_ms } else { at_ms.min(*slot) };
    }
}

/// The code of the earliest failure; of two at once the smaller one that says anything.
pub(crate) fn merge_error(known: (Millis, u32), new: (Millis, u32)) -> u32 {
    // As it will be read: nothing is before the first millisecond, nothing after the last one a column holds.
    let new_ms = new.0.clamp(1, MILLIS_MAX);
    if known.0 == 0 || new_ms < known.0 {
        return new.1;
    }
    if new_ms > known.0 {
        return known.1;
    }
    match (known.1, new.1) {
        (0, code) | (code, 0) => code,
        (a, b) => a.min(b),
    }
}

/// How a requested send ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Not yet.
    #[default]
    Open,
    /// Taken back before it left.
    Cancelled,
    /// Nobody knows, and its lane forbids repeating.
    Unknown,
    /// Refused for good.
    Failed,
    /// The API took it.
    Accepted,
}

impl Outcome {
    /// Its stored number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Cancelled => 1,
            Self::Unknown => 2,
            Self::Failed => 3,
            Self::Accepted => 4,
        }
    }

    /// The outcome with this stored number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Open, Self::Cancelled, Self::Unknown, Self::Failed, Self::Accepted]
            .into_iter()
            .find(|outcome| outcome.code() == code)
    }
}

/// Everything known of the delivery of one message of the business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// We were asked to send it (else it was sent on the phone).
    pub requested: bool,
    /// How the request ended.
    pub outcome: Outcome,
    /// Reported states.
    pub times: StatusTimes,
}

/// Delivery state as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// Asked, not yet taken by Meta.
    Pending,
    /// Taken back before it left.
    Cancelled,
    /// Nobody knows whether it was sent.
    Unknown,
    /// The API took it.
    Accepted,
    /// Meta's servers took it.
    Sent,
    /// Failed.
    Failed,
    /// On a device of the customer.
    Delivered,
    /// Seen.
    Read,
    /// Played.
    Played,
}

impl DeliveryFacts {
    /// The state. A failure is final unless the message was delivered; then both facts stay known and the
    /// delivery shows.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        let times = &self.times;
        if times.played_ms > 0 {
            Delivery::Played
        } else if times.read_ms > 0 {
            Delivery::Read
        } else if times.delivered_ms > 0 {
            Delivery::Delivered
        } else if times.failed_ms > 0 || self.outcome == Outcome::Failed {
            Delivery::Failed
        } else if times.sent_ms > 0 || !self.requested {
            // An echo from the phone has left it.
            Delivery::Sent
        } else if times.accepted_ms > 0 || self.outcome == Outcome::Accepted {
            Delivery::Accepted
        } else {
            match self.outcome {
                Outcome::Unknown => Delivery::Unknown,
                Outcome::Cancelled => Delivery::Cancelled,
                Outcome::Open | Outcome::Failed | Outcome::Accepted => Delivery::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statuses: &[StatusKind]) -> Delivery {
        let mut facts = DeliveryFacts { requested: true, ..DeliveryFacts::default() };
        for status in statuses {
            facts.times.merge(*status, 5);
        }
        facts.delivery()
    }

    #[test]
    fn the_lattice() {
        use StatusKind::{Accepted, Delivered, Failed, Played, Read, Sent};
        let table: &[(&[StatusKind], Delivery)] = &[
            (&[], Delivery::Pending),
            (&[Accepted], Delivery::Accepted),
            (&[Sent, Accepted], Delivery::Sent),
            (&[Read], Delivery::Read),
            (&[Read, Delivered, Sent], Delivery::Read),
            (&[Played, Read], Delivery::Played),
            (&[Sent, Failed], Delivery::Failed),
            (&[Delivered, Failed], Delivery::Delivered),
            (&[Failed, Delivered], Delivery::Delivered),
        ];
        for (statuses, expected) in table {
            assert_eq!(of(statuses), *expected, "{statuses:?}");
        }
    }

    #[test]
    fn an_unknown_send_is_known_once_a_status_comes() {
        let unknown = Outcome::Unknown;
        let mut facts =
            DeliveryFacts { requested: true, outcome: unknown, times: StatusTimes::default() };
        assert_eq!(facts.delivery(), Delivery::Unknown);
        facts.times.merge(StatusKind::Sent, 9);
        assert_eq!(facts.delivery(), Delivery::Sent);
    }

    #[test]
    fn of_repeated_reports_the_earliest_counts_in_any_order() {
        let mut forth = StatusTimes::default();
        let mut back = StatusTimes::default();
        for (a, b) in [(7, 4), (5, 5), (4, 7)] {
            forth.merge(StatusKind::Sent, a);
            back.merge(StatusKind::Sent, b);
        }
        assert_eq!((forth, forth.sent_ms), (back, 4));
    }
}
