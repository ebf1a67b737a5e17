//! Whose POST goes on, while more comes in than is decided.
//!
//! An input is *under way* from its append until its partition's owner has decided it. While businesses compete, only as
//! many inputs may be under way as are decided soon (see `limit.rs`); the others wait here, each business in a line of its
//! own, and whoever has the least under way goes first. A business with nothing under way never waits. So one that
//! floods lengthens its own line, not the others' way to an agent. A business alone is not held: nobody waits for it.
//!
//! Statuses are no part of this: each ends a send of ours, so our own rates bound them, and a send whose outcome is unknown
//! would be sent again while its status waits here.
//!
//! Pure: time comes in as microseconds, and what waits is whatever the caller hands in.

mod limit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bus::BusinessId;
use limit::Limit;

/// A business that sent nothing for this long no longer competes.
const COMPETES_US: u64 = 10_000_000;
/// Pause between two looks for such businesses: a look costs a step for each business.
const LOOK_US: u64 = 1_000_000;

/// What becomes of a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It goes on; its inputs are under way.
    GoesOn,
    /// It waits in its business' line.
    Waits,
    /// The lines are full, and its business has the longest.
    Refused,
}

/// One business.
#[derive(Debug)]
struct Share<W> {
    under_way: usize,
    waiting: VecDeque<(usize, W)>,
    seen_us: u64,
}

impl<W> Share<W> {
    fn new() -> Self {
        Self { under_way: 0, waiting: VecDeque::new(), seen_us: 0 }
    }
}

/// The lines, and what is under way.
#[derive(Debug)]
pub(crate) struct Fair<W> {
    shares: BTreeMap<BusinessId, Share<W>>,
    /// Businesses that wait.
    lines: BTreeSet<BusinessId>,
    looked_us: u64,
    under_way: usize,
    waiting: usize,
    waiting_max: usize,
    limit: Limit,
}

impl<W> Fair<W> {
    /// Lines that hold `waiting_max` POSTs in all.
    pub(crate) fn new(waiting_max: usize) -> Self {
        Self {
            shares: BTreeMap::new(),
            lines: BTreeSet::new(),
            looked_us: 0,
            under_way: 0,
            waiting: 0,
            waiting_max,
            limit: Limit::default(),
        }
    }

    /// A POST of `inputs` inputs arrives; `waiter` is kept if it waits.
    pub(crate) fn arrive(
        &mut self,
        now_us: u64,
        business: &BusinessId,
        inputs: usize,
        waiter: W,
    ) -> Arrival {
        self.forget_idle(now_us);
        self.limit.look(now_us);
        if !self.shares.contains_key(business) {
            self.shares.insert(business.clone(), Share::new());
        }
        let (limit, part) = (self.limit.inputs(), self.part());
        let competing = self.shares.len() > 1;
        let (under_way, is_full) = (self.under_way, self.waiting >= self.waiting_max);
        // How long a line may be: asked only when the room to wait is used up.
        let fair_line = if is_full { self.waiting / self.lines.len().max(1) } else { usize::MAX };
        let Some(share) = self.shares.get_mut(business) else { return Arrival::Refused };
        share.seen_us = now_us;
        let room = under_way < limit || share.under_way < part;
        if !competing || (share.waiting.is_empty() && room) {
            share.under_way += inputs;
            self.under_way += inputs;
            return Arrival::GoesOn;
        }
        if share.waiting.len() >= fair_line {
            return Arrival::Refused;
        }
        if share.waiting.is_empty() {
            self.lines.insert(business.clone());
        }
        share.waiting.push_back((inputs, waiter));
        self.waiting += 1;
        self.limit.was_short();
        Arrival::Waits
    }

    /// `inputs` of a business are no longer under way.
    pub(crate) fn leave(&mut self, business: &BusinessId, inputs: usize) {
        if let Some(share) = self.shares.get_mut(business) {
            share.under_way = share.under_way.saturating_sub(inputs);
            self.under_way = self.under_way.saturating_sub(inputs);
        }
    }

    /// The next POST that may go on, its inputs already counted as under way; call until `None`.
    pub(crate) fn next(&mut self) -> Option<(BusinessId, usize, W)> {
        let (limit, part) = (self.limit.inputs(), self.part());
        let competing = self.shares.len() > 1;
        let under_way =
            |business: &&BusinessId| self.shares.get(*business).map_or(0, |share| share.under_way);
        let business = self.lines.iter().min_by_key(under_way)?.clone();
        let share = self.shares.get_mut(&business)?;
        if competing && self.under_way >= limit && share.under_way >= part {
            return None;
        }
        let (inputs, waiter) = share.waiting.pop_front()?;
        if share.waiting.is_empty() {
            self.lines.remove(&business);
        }
        share.under_way += inputs;
        self.under_way += inputs;
        self.waiting -= 1;
        Some((business, inputs, waiter))
    }

    /// An input was decided this long after it went on.
    pub(crate) fn decided(&mut self, now_us: u64, lag_us: u64) {
        self.limit.decided(now_us, lag_us);
    }

    /// Nothing is heard of what is decided: what was learned about delays is void.
    pub(crate) fn unheard(&mut self) {
        self.limit = Limit::unheard();
    }

    /// POSTs that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Inputs that may be under way while businesses compete.
    pub(crate) fn limit(&self) -> usize {
        self.limit.inputs()
    }

    /// What each business may have under way whatever the others have: its part of the limit, and one input at least.
    fn part(&self) -> usize {
        (self.limit.inputs() / self.shares.len().max(1)).max(1)
    }

    fn forget_idle(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.looked_us) < LOOK_US {
            return;
        }
        self.looked_us = now_us;
        self.shares.retain(|_, share| {
            share.under_way > 0
                || !share.waiting.is_empty()
                || now_us.saturating_sub(share.seen_us) < COMPETES_US
        });
    }
}

#[cfg(test)]
mod tests;
