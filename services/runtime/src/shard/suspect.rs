//! Inputs that end the process: after two abnormal ends at one place the owner makes `Trying` durable
//! before it decides the input there, alone; after two such tries, each followed by an abnormal end and
//! nothing decided between, the input is dead-lettered (design.md 4.4).

use bus::{Place, RecordBody, Steps};
use serde::{Deserialize, Serialize};

use super::{Action, Alarm, Now, Shard, Ticket, ticket::Progress};
use crate::call_return::CallReturn;

/// Abnormal ends at one place before its input is tried alone.
const ENDS_MAX: u32 = 2;
/// Durable tries, each followed by an abnormal end, before the input is dead-lettered.
const TRIES_MAX: u32 = 2;

/// What the log says of abnormal ends since anything was last decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ends {
    ends: u32,
    /// Place last tried, and how many tries there ended abnormally.
    tried: Option<(Place, u32)>,
    /// A try whose end is not known.
    open: bool,
    /// The last record was `Released`.
    released: bool,
}

impl Ends {
    /// Takes a record of the chain into account.
    pub(super) fn record(&mut self, body: &RecordBody, is_first: bool) {
        match body {
            RecordBody::Epoch { .. } if is_first => {}
            RecordBody::Epoch { .. } => {
                if !self.released {
                    self.ends = self.ends.saturating_add(1);
                    if let (true, Some((_, tries))) = (self.open, &mut self.tried) {
                        *tries = tries.saturating_add(1);
                    }
                }
                self.open = false;
            }
            RecordBody::Trying { place } => {
                if self.tried.is_none_or(|(tried, _)| tried != *place) {
                    self.tried = Some((*place, 0));
                }
                self.open = true;
            }
            RecordBody::Released => {}
            RecordBody::Steps(Steps { .. }) => *self = Self::default(),
        }
        self.released = matches!(body, RecordBody::Released);
    }

    fn is_suspicious(&self) -> bool {
        self.ends >= ENDS_MAX
    }

    fn is_given_up(&self, place: Place) -> bool {
        self.tried.is_some_and(|(tried, tries)| tried == place && tries >= TRIES_MAX)
    }
}

#[derive(Debug)]
enum Mode {
    Off,
    /// The first input after the last decided place is suspect; it stands in an entry up to this sequence.
    Expecting {
        through: u64,
    },
    /// `Trying` is to be appended, or in flight.
    Trying {
        ticket: Ticket,
        place: Place,
    },
    /// The suspect is decided alone.
    Deciding {
        ticket: Ticket,
        place: Place,
    },
}

/// The suspicion of this owner.
#[derive(Debug)]
pub(super) struct Suspicion {
    ends: Ends,
    mode: Mode,
    /// Call results that came meanwhile.
    results: Vec<CallReturn>,
}

impl Suspicion {
    pub(super) fn after(ends: Ends) -> Self {
        Self { ends, mode: Mode::Off, results: Vec::new() }
    }

    pub(super) fn hold(&mut self, result: CallReturn) {
        self.results.push(result);
    }

    pub(super) fn ends(&self) -> Ends {
        self.ends
    }
}

impl Shard {
    pub(super) fn is_suspecting(&self) -> bool {
        !matches!(self.suspicion.mode, Mode::Off)
    }

    /// Whether a ticket may go to its entity now.
    pub(super) fn may_dispatch(&self, ticket: Ticket) -> bool {
        match self.suspicion.mode {
            Mode::Off => true,
            Mode::Deciding { ticket: suspect, .. } => suspect == ticket,
            Mode::Expecting { .. } | Mode::Trying { .. } => false,
        }
    }

    pub(super) fn suspect_on_start(&mut self) {
        let through = self.owned.inbox_last;
        if self.suspicion.ends.is_suspicious() && through > 0 && through >= self.place.seq {
            self.suspicion.mode = Mode::Expecting { through };
        }
    }

    /// A ticket was given: it may be the suspect's.
    pub(super) fn suspect_admitted(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        let Mode::Expecting { .. } = self.suspicion.mode else { return };
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        let (Some(place), Progress::Waiting) = (pending.place, &pending.progress) else { return };
        if self.suspicion.ends.is_given_up(place) {
            let error = "deciding it ended the process twice".to_owned();
            pending.progress = Progress::DeadLetter(error);
            self.suspicion.mode = Mode::Deciding { ticket, place };
        } else {
            self.suspicion.mode = Mode::Trying { ticket, place };
            self.alarm(Alarm::Trying, out);
        }
    }

    /// Ends the search when all that stood in the inbox at the take-over is read.
    pub(super) fn suspect_after_read(&mut self, now: Now, out: &mut Vec<Action>) {
        if let Mode::Expecting { through } = self.suspicion.mode
            && self.intake.read_through() >= through
        {
            self.suspect_off(now, out);
        }
    }

    /// Place for which a `Trying` record is to be appended.
    pub(super) fn wants_trying(&self) -> Option<Place> {
        match self.suspicion.mode {
            Mode::Trying { place, .. } => Some(place),
            _ => None,
        }
    }

    pub(super) fn trying_is_durable(&mut self, place: Place, out: &mut Vec<Action>) {
        self.suspicion.ends.record(&RecordBody::Trying { place }, false);
        let Mode::Trying { ticket, place } = self.suspicion.mode else { return };
        self.suspicion.mode = Mode::Deciding { ticket, place };
        if let Some(entity) = self.pending.get(&ticket).map(|pending| pending.entity) {
            self.drive(entity, out);
        }
    }

    /// A record of steps is durable.
    pub(super) fn suspect_resolved(&mut self, now: Now, out: &mut Vec<Action>) {
        self.suspicion.ends = Ends::default();
        if let Mode::Deciding { place, .. } = self.suspicion.mode
            && place <= self.place
        {
            self.suspect_off(now, out);
        }
    }

    fn suspect_off(&mut self, now: Now, out: &mut Vec<Action>) {
        self.suspicion.mode = Mode::Off;
        let waiting = self.entities.iter().filter(|(_, slot)| !slot.queue.is_empty());
        let waiting: Vec<_> = waiting.map(|(entity, _)| *entity).collect();
        for entity in waiting {
            self.drive(entity, out);
        }
        for result in std::mem::take(&mut self.suspicion.results) {
            self.on_call_result(now, result, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> RecordBody {
        RecordBody::Epoch { node: "n".to_owned(), now_ms: 0 }
    }

    fn trying(seq: u64) -> RecordBody {
        RecordBody::Trying { place: Place { seq, index: 0 } }
    }

    fn steps() -> RecordBody {
        RecordBody::Steps(Steps::default())
    }

    fn after(records: &[RecordBody]) -> Ends {
        let mut ends = Ends::default();
        for (n, body) in records.iter().enumerate() {
            ends.record(body, n == 0);
        }
        ends
    }

    #[test]
    fn abnormal_ends_are_counted_at_one_place() {
        let released = RecordBody::Released;
        let place = Place { seq: 4, index: 0 };
        // (records, suspicious, given up at place 4)
        let table = [
            (vec![epoch()], false, false),
            (vec![epoch(), epoch()], false, false),
            (vec![epoch(), epoch(), epoch()], true, false),
            (vec![epoch(), released.clone(), epoch(), epoch()], false, false),
            (vec![epoch(), epoch(), released, epoch(), epoch()], true, false),
            (vec![epoch(), epoch(), steps(), epoch()], false, false),
            (vec![epoch(), trying(4), epoch(), trying(4)], false, false),
            (vec![epoch(), trying(4), epoch(), trying(4), epoch()], true, true),
            (vec![epoch(), trying(4), epoch(), trying(5), epoch()], true, false),
            (
                vec![epoch(), trying(4), epoch(), trying(4), RecordBody::Released, epoch()],
                false,
                false,
            ),
            (vec![epoch(), trying(4), epoch(), epoch(), epoch()], true, false),
            (vec![epoch(), trying(4), epoch(), trying(4), steps(), epoch()], false, false),
        ];
        for (records, suspicious, given_up) in table {
            let ends = after(&records);
            assert_eq!(ends.is_suspicious(), suspicious, "{records:?}");
            assert_eq!(ends.is_given_up(place), given_up, "{records:?}");
        }
    }
}
