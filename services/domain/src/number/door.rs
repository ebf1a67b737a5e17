//! The order at a number's door: agents first; the others in the order in which they were granted, because the Number has
//! already given each lane its turn.

use std::collections::VecDeque;

use super::Lane;

/// Calls that wait for leave to start.
#[derive(Debug)]
pub struct DoorQueue<T> {
    agents: VecDeque<T>,
    others: VecDeque<T>,
}

impl<T> Default for DoorQueue<T> {
    fn default() -> Self {
        Self { agents: VecDeque::new(), others: VecDeque::new() }
    }
}

/// The call whose turn it is.
#[derive(Debug)]
pub struct First<T> {
    lane: Lane,
    /// The call.
    pub call: T,
}

impl<T> DoorQueue<T> {
    /// A call arrives.
    pub fn push(&mut self, lane: Lane, call: T) {
        self.queue(lane).push_back(call);
    }

    /// Takes out the call whose turn it is; those that `may_start` does not let start any more are dropped.
    pub fn first(&mut self, may_start: impl Fn(&T) -> bool) -> Option<First<T>> {
        for lane in [Lane::Agent, Lane::Campaign] {
            while let Some(call) = self.queue(lane).pop_front() {
                if may_start(&call) {
                    return Some(First { lane, call });
                }
            }
        }
        None
    }

    /// It has to wait: it stays first of its lane, and an agent's that comes meanwhile goes before it.
    pub fn put_back(&mut self, first: First<T>) {
        self.queue(first.lane).push_front(first.call);
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.agents.len() + self.others.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<T> {
        match lane {
            Lane::Agent => &mut self.agents,
            Lane::Bot | Lane::Utility | Lane::Campaign => &mut self.others,
        }
    }
}
