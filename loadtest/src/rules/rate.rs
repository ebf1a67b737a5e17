//! Throughput of a number: calls in any sliding second, and on coexistence numbers what customers wrote as well.
//!
//! Two counts, because they answer two questions:
//! - *refused*: what Meta would do (130429): accepted calls and every customer message in the second.
//! - *over*: what the product is to blame for: calls that departed, plus the customer messages it had acknowledged at least
//!   `known_after_us` earlier.
//!
//! Departure can only be seen as arrival. Two calls that left one second apart may arrive a little closer, so both counts
//! look at a second shortened by `jitter_us`; `peak` is the count in the full second, for the report.

use std::collections::VecDeque;

const SECOND_US: u64 = 1_000_000;

/// How strictly departure is judged by arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateRule {
    pub(crate) rate_per_s: u32,
    pub(crate) counts_inbound: bool,
    pub(crate) jitter_us: u64,
    pub(crate) tolerance_calls: u32,
    pub(crate) known_after_us: u64,
}

/// What one call did to the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateVerdict {
    pub(crate) refused: bool,
    pub(crate) over: bool,
}

/// The sliding second of one number.
#[derive(Clone, Debug)]
pub(crate) struct RateWindow {
    rule: RateRule,
    departed: VecDeque<u64>,
    accepted: VecDeque<u64>,
    /// When the customer wrote.
    inbound: VecDeque<u64>,
    /// When the customer wrote, and when the product acknowledged it.
    known: VecDeque<(u64, u64)>,
    peak: usize,
}

impl RateWindow {
    pub(crate) fn new(rule: RateRule) -> Self {
        Self {
            rule,
            departed: VecDeque::new(),
            accepted: VecDeque::new(),
            inbound: VecDeque::new(),
            known: VecDeque::new(),
            peak: 0,
        }
    }

    /// A customer wrote.
    pub(crate) fn on_inbound(&mut self, at_us: u64) {
        if self.rule.counts_inbound {
            self.inbound.push_back(at_us);
        }
    }

    /// The product acknowledged a customer message written at `written_us`.
    pub(crate) fn on_inbound_known(&mut self, written_us: u64, acked_us: u64) {
        if self.rule.counts_inbound {
            self.known.push_back((written_us, acked_us));
        }
    }

    /// A call arrived. Calls are told in nearly the order of their arrival; one told late counts as simultaneous.
    pub(crate) fn on_call(&mut self, at_us: u64) -> RateVerdict {
        let at_us = self.departed.back().map_or(at_us, |last| at_us.max(*last));
        self.forget(at_us);
        self.departed.push_back(at_us);
        self.peak = self.peak.max(within(&self.departed, at_us, SECOND_US));
        let span = SECOND_US.saturating_sub(self.rule.jitter_us);
        let known = self.known.iter().filter(|(written, acked)| {
            at_us.saturating_sub(*written) < span && acked + self.rule.known_after_us <= at_us
        });
        let departed = within(&self.departed, at_us, span) + known.count();
        let accepted = within(&self.accepted, at_us, span) + within(&self.inbound, at_us, span) + 1;
        let limit = self.rule.rate_per_s as usize;
        let over = departed > limit + self.rule.tolerance_calls as usize;
        let refused = over || accepted > limit;
        if !refused {
            self.accepted.push_back(at_us);
        }
        RateVerdict { refused, over }
    }

    /// The most calls that arrived in any full second.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Calls that arrived in the second before.
    pub(crate) fn last_second(&self, now_us: u64) -> usize {
        within(&self.departed, now_us, SECOND_US)
    }

    fn forget(&mut self, at_us: u64) {
        let old = |time: &u64| at_us.saturating_sub(*time) >= SECOND_US;
        for times in [&mut self.departed, &mut self.accepted, &mut self.inbound] {
            while times.front().is_some_and(old) {
                times.pop_front();
            }
        }
        self.known.retain(|(written, _)| !old(written));
    }
}

fn within(times: &VecDeque<u64>, at_us: u64, span_us: u64) -> usize {
    times.iter().rev().take_while(|time| at_us.saturating_sub(**time) < span_us).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(rate_per_s: u32, counts_inbound: bool) -> RateRule {
        RateRule {
            rate_per_s,
            counts_inbound,
            jitter_us: 0,
            tolerance_calls: 0,
            known_after_us: 100_000,
        }
    }

    #[test]
    fn the_full_rate_is_allowed_and_one_more_is_not() {
        let mut window = RateWindow::new(rule(20, false));
        for n in 0..20 {
            assert_eq!(window.on_call(n * 50_000), RateVerdict { refused: false, over: false });
        }
        assert!(window.on_call(999_999).over, "the 21st inside one second");
        assert!(!window.on_call(2_500_000).over);
        assert_eq!(window.peak(), 21);
    }

    #[test]
    fn a_second_after_the_first_call_there_is_room_again() {
        let mut window = RateWindow::new(rule(20, false));
        assert!((0..60).all(|n| !window.on_call(n * 50_000).refused));
    }

    #[test]
    fn coexistence_counts_what_customers_wrote_once_the_product_knows_it() {
        let mut window = RateWindow::new(rule(20, true));
        for n in 0..10 {
            window.on_inbound(n);
            window.on_inbound_known(n, 50_000);
        }
        assert!((0..10).all(|n| !window.on_call(200_000 + n).refused));
        assert_eq!(window.on_call(200_100), RateVerdict { refused: true, over: true });
    }

    #[test]
    fn what_the_product_cannot_know_is_refused_but_no_violation() {
        let mut window = RateWindow::new(rule(20, true));
        (0..10).for_each(|n| window.on_inbound(n));
        window.on_inbound_known(0, 150_000);
        assert!((0..10).all(|n| !window.on_call(200_000 + n).refused));
        assert_eq!(window.on_call(200_100), RateVerdict { refused: true, over: false });
    }

    #[test]
    fn an_api_number_does_not_count_inbound() {
        let mut window = RateWindow::new(rule(2, false));
        window.on_inbound(0);
        window.on_inbound_known(0, 0);
        assert!(!window.on_call(500_000).refused);
        assert!(!window.on_call(500_001).refused);
        assert!(window.on_call(500_002).over);
    }

    #[test]
    fn jitter_and_tolerance_forgive_as_much_as_they_say() {
        let lenient = RateRule { jitter_us: 50_000, tolerance_calls: 1, ..rule(2, false) };
        let mut window = RateWindow::new(lenient);
        assert!(!window.on_call(0).over);
        assert!(!window.on_call(500_000).over);
        assert!(!window.on_call(949_999).over, "within the tolerance of one call");
        assert!(window.on_call(949_999).over);
        let mut window = RateWindow::new(RateRule { tolerance_calls: 0, ..lenient });
        assert!(!window.on_call(0).over);
        assert!(!window.on_call(500_000).over);
        assert!(!window.on_call(950_000).over, "arrived 50 ms early");
    }
}
