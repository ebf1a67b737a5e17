//! What is due when: one ordered list instead of a task per timer, so that "nothing is pending" can be asked.

use std::collections::BTreeMap;

/// Events by due time, then by the order in which they were added.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    due: BTreeMap<(u64, u64), E>,
    added: u64,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { due: BTreeMap::new(), added: 0 }
    }

    pub(crate) fn add(&mut self, at_us: u64, event: E) {
        self.added += 1;
        self.due.insert((at_us, self.added), event);
    }

    /// The first event that is due, and when it was.
    pub(crate) fn pop_due(&mut self, now_us: u64) -> Option<(u64, E)> {
        let first = self.due.first_entry()?;
        let at_us = first.key().0;
        (at_us <= now_us).then(|| (at_us, first.remove()))
    }

    pub(crate) fn next_us(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at_us, _), _)| *at_us)
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &E> {
        self.due.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_is_due_in_order() {
        let mut agenda = Agenda::new();
        agenda.add(20, 'c');
        agenda.add(10, 'a');
        agenda.add(10, 'b');
        assert_eq!(agenda.pop_due(9), None);
        assert_eq!(agenda.next_us(), Some(10));
        let taken: Vec<_> = (0..3).map(|_| agenda.pop_due(10)).collect();
        assert_eq!(taken, [Some((10, 'a')), Some((10, 'b')), None]);
        assert_eq!(agenda.events().count(), 1);
    }
}
