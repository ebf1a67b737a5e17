use std::collections::VecDeque;

use bus::BusinessId;

use super::{Arrival, Fair};

const WAITING_MAX: usize = 512;

fn named(name: &str) -> BusinessId {
    BusinessId(name.to_owned())
}

/// Fills the lines of "loud" until one of its POSTs has to wait, with "quiet" competing, where many may be under way.
fn full() -> Fair<u32> {
    let mut fair = Fair::new(WAITING_MAX);
    fair.unheard();
    assert_eq!(fair.arrive(0, &named("quiet"), 1, 0), Arrival::GoesOn);
    fair.leave(&named("quiet"), 1);
    for n in 0.. {
        if fair.arrive(0, &named("loud"), 1, n) == Arrival::Waits {
            return fair;
        }
    }
    unreachable!("nothing ever waits")
}

#[test]
fn who_has_nothing_under_way_goes_on_whatever_the_others_do() {
    let mut fair = full();
    assert_eq!(fair.arrive(1, &named("quiet"), 1, 0), Arrival::GoesOn);
    assert_eq!(fair.arrive(1, &named("third"), 1_000, 0), Arrival::GoesOn);
}

#[test]
fn a_business_alone_is_never_held() {
    let mut fair = Fair::new(WAITING_MAX);
    for n in 0..10_000 {
        assert_eq!(fair.arrive(n, &named("alone"), 1, n), Arrival::GoesOn);
    }
}

#[test]
fn a_line_goes_on_in_order_as_what_is_under_way_leaves() {
    let mut fair = full();
    let first = fair.waiting();
    assert_eq!(first, 1);
    assert_eq!(fair.arrive(1, &named("loud"), 1, 9_001), Arrival::Waits);
    assert_eq!(fair.arrive(1, &named("loud"), 1, 9_002), Arrival::Waits);
    assert_eq!(fair.next().map(|next| next.2), None, "nothing has left");
    fair.leave(&named("loud"), 3);
    let next: Vec<u32> = std::iter::from_fn(|| fair.next()).map(|next| next.2).collect();
    assert_eq!(next.len(), 3);
    assert_eq!(next[1..], [9_001, 9_002]);
    assert_eq!(fair.waiting(), 0);
}

#[test]
fn whoever_has_the_least_under_way_goes_first() {
    let mut fair = full();
    let limit = fair.limit();
    let third = named("third");
    // Its part of the limit at least, then a line of its own.
    let mut went_on = 0;
    while fair.arrive(1, &third, 1, 7_000) == Arrival::GoesOn {
        went_on += 1;
    }
    assert!(went_on >= limit / 3, "{went_on} of {limit}");
    assert!(fair.next().is_none(), "more than the limit is under way");
    fair.leave(&named("loud"), went_on + 1);
    let (business, ..) = fair.next().expect("one may go on");
    assert_eq!(business, third);
}

#[test]
fn full_lines_refuse_who_fills_them_and_nobody_else() {
    let mut fair = full();
    while fair.arrive(1, &named("loud"), 1, 0) == Arrival::Waits {}
    assert_eq!(fair.waiting(), WAITING_MAX);
    assert_eq!(fair.arrive(1, &named("loud"), 1, 0), Arrival::Refused);
    while fair.arrive(1, &named("third"), 1, 0) == Arrival::GoesOn {}
    assert_eq!(fair.waiting(), WAITING_MAX + 1, "the third has a line, too");
}

#[test]
fn a_business_that_stopped_long_ago_no_longer_competes() {
    let mut fair = full();
    fair.leave(&named("loud"), 1_000);
    while fair.next().is_some() {}
    fair.leave(&named("loud"), 1_000);
    for n in 0..5_000 {
        assert_eq!(fair.arrive(20_000_000 + n, &named("loud"), 1, 0), Arrival::GoesOn);
    }
}

/// Order of intake in the model below. An input is who sent it, and when.
trait Order {
    fn arrive(&mut self, now_us: u64, quiet: bool);
    /// What the pipeline decides next: in the order in which it was appended.
    fn pull(&mut self, now_us: u64) -> Option<(bool, u64)>;
    fn decided(&mut self, now_us: u64);
}

/// Everything is appended as it comes.
#[derive(Default)]
struct Naive(VecDeque<(bool, u64)>);

impl Order for Naive {
    fn arrive(&mut self, now_us: u64, quiet: bool) {
        self.0.push_back((quiet, now_us));
    }
    fn pull(&mut self, _now_us: u64) -> Option<(bool, u64)> {
        self.0.pop_front()
    }
    fn decided(&mut self, _now_us: u64) {}
}

struct Lines {
    fair: Fair<(bool, u64)>,
    /// With the time of the append.
    appended: VecDeque<(bool, u64, u64)>,
    pulled: Option<(bool, u64)>,
}

fn of(quiet: bool) -> BusinessId {
    named(if quiet { "quiet" } else { "loud" })
}

impl Order for Lines {
    fn arrive(&mut self, now_us: u64, quiet: bool) {
        if self.fair.arrive(now_us, &of(quiet), 1, (quiet, now_us)) == Arrival::GoesOn {
            self.appended.push_back((quiet, now_us, now_us));
        }
    }
    fn pull(&mut self, now_us: u64) -> Option<(bool, u64)> {
        while let Some((_, _, (quiet, at))) = self.fair.next() {
            self.appended.push_back((quiet, at, now_us));
        }
        let (quiet, at, appended_us) = self.appended.pop_front()?;
        self.pulled = Some((quiet, appended_us));
        Some((quiet, at))
    }
    fn decided(&mut self, now_us: u64) {
        if let Some((quiet, appended_us)) = self.pulled.take() {
            self.fair.leave(&of(quiet), 1);
            self.fair.decided(now_us, now_us - appended_us);
        }
    }
}

/// A pipeline that decides an input a millisecond, for ten seconds; one business sends `loud` a second, the other 100.
/// The 99th percentile of how long an input of the quiet one took, and how many inputs were decided.
fn quiet_p99_us(order: &mut impl Order, loud: u64) -> (u64, u64) {
    const DECIDED_IN_US: u64 = 1_000;
    let mut arrivals: Vec<(u64, bool)> = (0..10 * 100).map(|n| (n * 10_000, true)).collect();
    arrivals.extend((0..10 * loud).map(|n| (n * 1_000_000 / loud, false)));
    arrivals.sort_unstable();
    let (mut took_us, mut decided) = (Vec::new(), 0);
    let (mut now_us, mut arrivals) = (0, arrivals.into_iter().peekable());
    while now_us < 10_000_000 {
        while let Some((_, quiet)) = arrivals.next_if(|(at, _)| *at <= now_us) {
            order.arrive(now_us, quiet);
        }
        let pulled = order.pull(now_us);
        now_us += DECIDED_IN_US;
        let Some((quiet, at)) = pulled else { continue };
        decided += 1;
        order.decided(now_us);
        if quiet {
            took_us.push(now_us - at);
        }
    }
    took_us.sort_unstable();
    (took_us[took_us.len() * 99 / 100], decided)
}

/// Complaint 29: one inbox floods, and all others are silent because the workers are behind.
#[test]
fn complaint_29_a_flood_of_one_business_does_not_silence_another() {
    let (naive_us, naive_decided) = quiet_p99_us(&mut Naive::default(), 1_500);
    assert!(naive_us > 1_000_000, "the naive order keeps up: {naive_us} us");
    let fair = Fair::new(100_000);
    let mut lines = Lines { fair, appended: VecDeque::new(), pulled: None };
    let (fair_us, fair_decided) = quiet_p99_us(&mut lines, 1_500);
    assert!(fair_us < 80_000, "{fair_us} us");
    assert_eq!(fair_decided, naive_decided, "holding costs nothing of the rate");
}
