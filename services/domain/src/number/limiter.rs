//! The exact rate of a number, for the executor's door (design.md 4.5, whatsapp.md 4.4).
//!
//! A sliding log: the times of everything that counted in the past second, calls started and inbound known. A call may start
//! when fewer than the rate of them lie in the second before it, both ends included, so that every closed second holds at
//! most the rate however it is laid; and at least 1/rate after the time that was the previous start's, so that a second's calls
//! do not leave in one burst. A start may be a few milliseconds late, because timers are: that does not delay all later ones.
//! Inbound that arrives when the second is already full cannot be refused; it only delays what follows.
//!
//! After a take-over the log starts full, as if one second's rate had just left. A call that an earlier owner asked for and
//! whose result is not known may leave at any moment: it is *held* until its result or its `start_by`, and counts
//! all that time and for the second after.
//!
//! Times are microseconds of one monotonic clock, which must count suspension. Memory: at most `rate` times, because
//! only the newest `rate` can decide, and one per held call.

use std::collections::{BTreeMap, VecDeque};

/// What counts at time t no longer counts from t + 1 s + 1 µs on.
const COUNTS_FOR_US: u64 = 1_000_001;

/// A start that is late by up to this much does not delay the next one: a timer of a millisecond would otherwise take a tenth
/// of 80/s away, and half of 1,000/s.
const CATCH_UP_US: u64 = 5_000;

/// Answer to [`SlidingLog::next_start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// Start now: the start is already counted.
    Now,
    /// Not before then, µs; ask again then, or when a held call is resolved.
    At(u64),
}

/// The starts and inbound messages of one number within the past second.
#[derive(Clone, Debug)]
pub struct SlidingLog {
    rate: usize,
    spacing_us: u64,
    /// The newest that count, oldest first, at most `rate`.
    log: VecDeque<u64>,
    /// When the previous start should have been, at most [`CATCH_UP_US`] before it was.
    slot_us: Option<u64>,
    /// Calls of an earlier owner, by the caller's key, with the latest time at which they may leave.
    held: BTreeMap<u64, u64>,
    /// The latest time seen; the clock does not go back behind it.
    now_us: u64,
    /// How much longer than a second everything counts.
    margin_us: u64,
}

impl SlidingLog {
    /// A log for `rate_per_s` messages a second (at least 1). `full`: one second's rate just left, as it must be assumed
    /// after a take-over and at every start of a process.
    #[must_use]
    pub fn new(rate_per_s: u32, full: bool, now_us: u64) -> Self {
        let rate = usize::try_from(rate_per_s.max(1)).unwrap_or(usize::MAX);
        let log = if full { std::iter::repeat_n(now_us, rate).collect() } else { VecDeque::new() };
        Self {
            rate,
            spacing_us: spacing_us(rate_per_s),
            log,
            slot_us: None,
            held: BTreeMap::new(),
            now_us,
            margin_us: 0,
        }
    }

    /// Another process sent for this number until now: one second's rate just left, and `ahead` of its calls may leave at
    /// any moment until `until_us`, under the keys from `key` on.
    pub fn taken(&mut self, now_us: u64, ahead: u32, until_us: u64, key: u64) {
        let now_us = self.tick(now_us);
        self.log = std::iter::repeat_n(now_us, self.rate).collect();
        for n in 0..u64::from(ahead) {
            self.hold(key.saturating_add(n), until_us);
        }
    }

    /// Lets everything count `margin_us` longer than a second: departures are measured here, but judged where they
    /// arrive, and the way there takes a little more or less each time.
    #[must_use]
    pub fn with_margin(mut self, margin_us: u64) -> Self {
        self.margin_us = margin_us;
        self
    }

    /// Changes the rate. When it rises, what was forgotten under the lower rate is assumed to be as new as it can be.
    pub fn set_rate(&mut self, rate_per_s: u32) {
        let rate = usize::try_from(rate_per_s.max(1)).unwrap_or(usize::MAX);
        if self.log.len() >= self.rate
            && let Some(oldest_us) = self.log.front().copied()
        {
            while self.log.len() < rate {
                self.log.push_front(oldest_us);
            }
        }
        self.rate = rate;
        self.spacing_us = spacing_us(rate_per_s);
        self.trim();
    }

    /// An inbound message of the number became known that counted at `at_us` (it may be a little old).
    pub fn note_inbound(&mut self, at_us: u64) {
        self.insert(at_us);
    }

    /// A call of an earlier owner may leave until `until_us`. The same key replaces.
    pub fn hold(&mut self, key: u64, until_us: u64) {
        self.held.insert(key, until_us);
    }

    /// The result of a held call is known: it left (when, is not known: as if now) or it never will.
    pub fn resolve(&mut self, key: u64, left: bool, now_us: u64) {
        let now_us = self.tick(now_us);
        if self.held.remove(&key).is_some() && left {
            self.insert(now_us);
        }
    }

    /// Asks to start a call now. [`StartAt::Now`] has counted it.
    pub fn next_start(&mut self, now_us: u64) -> StartAt {
        let now_us = self.tick(now_us);
        let at_us = self.earliest_us(now_us);
        if at_us > now_us {
            return StartAt::At(at_us);
        }
        self.insert(now_us);
        let due_us = self.slot_us.map(|slot_us| slot_us.saturating_add(self.spacing_us));
        let only_late = |due_us: &u64| now_us.saturating_sub(*due_us) <= CATCH_UP_US;
        self.slot_us = Some(due_us.filter(only_late).unwrap_or(now_us));
        StartAt::Now
    }

    /// A start counted at `counted_us` really left at `left_us`, later (the process was held up in between).
    pub fn left_later(&mut self, counted_us: u64, left_us: u64) {
        let left_us = self.tick(left_us);
        if let Ok(at) = self.log.binary_search(&counted_us) {
            self.log.remove(at);
        }
        self.insert(left_us);
        self.slot_us = self.slot_us.max(Some(left_us.saturating_sub(CATCH_UP_US)));
    }

    /// How many times are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    fn earliest_us(&self, now_us: u64) -> u64 {
        let spaced_us = self.slot_us.map_or(0, |slot_us| slot_us.saturating_add(self.spacing_us));
        let from_us = now_us.max(spaced_us);
        // A held call counts as late as it may leave.
        let mut newest: Vec<u64> = self.held.values().copied().collect();
        newest.sort_unstable();
        // The rate-th newest must have left the second: walk both, newest first.
        let (mut held, mut logged) =
            (newest.iter().rev().peekable(), self.log.iter().rev().peekable());
        let mut blocking_us = None;
        for _ in 0..self.rate {
            blocking_us = match (held.peek(), logged.peek()) {
                (Some(left), Some(right)) if left >= right => held.next(),
                (Some(_), None) => held.next(),
                (_, Some(_)) => logged.next(),
                (None, None) => return from_us,
            };
        }
        blocking_us.map_or(from_us, |at_us| {
            from_us.max(at_us.saturating_add(COUNTS_FOR_US + self.margin_us))
        })
    }

    /// Time goes on; held calls whose time is over count as having left at its end.
    fn tick(&mut self, now_us: u64) -> u64 {
        self.now_us = self.now_us.max(now_us);
        let now_us = self.now_us;
        let over: Vec<u64> = self.held.values().copied().filter(|until| *until <= now_us).collect();
        self.held.retain(|_, until| *until > now_us);
        for until_us in over {
            self.insert(until_us);
        }
        now_us
    }

    fn insert(&mut self, at_us: u64) {
        let at = self.log.partition_point(|logged| *logged <= at_us);
        self.log.insert(at, at_us);
        self.trim();
    }

    fn trim(&mut self) {
        while self.log.len() > self.rate {
            self.log.pop_front();
        }
    }
}

fn spacing_us(rate_per_s: u32) -> u64 {
    1_000_000_u64.div_ceil(u64::from(rate_per_s.max(1)))
}

#[cfg(test)]
mod tests;
