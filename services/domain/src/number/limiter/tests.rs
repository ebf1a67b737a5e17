//! The rate, from outside: what left when.

use proptest::prelude::*;

use super::{SlidingLog, StartAt};

const SECOND_US: u64 = 1_000_000;

/// Asks whenever told to until `until_us`; gives the starts.
fn pressure(log: &mut SlidingLog, from_us: u64, until_us: u64) -> Vec<u64> {
    let (mut now_us, mut starts) = (from_us, Vec::new());
    while now_us <= until_us {
        match log.next_start(now_us) {
            StartAt::Now => starts.push(now_us),
            StartAt::At(at_us) => {
                assert!(at_us > now_us);
                now_us = at_us;
            }
        }
    }
    starts
}

/// The most that lie in one closed second ending at one of them.
fn fullest(times: &[u64]) -> usize {
    let within =
        |end: u64| times.iter().filter(|at| **at <= end && **at + SECOND_US >= end).count();
    times.iter().map(|end| within(*end)).max().unwrap_or(0)
}

#[test]
fn under_full_pressure_the_rate_is_reached_and_never_exceeded() {
    for rate in [1, 3, 7, 20, 80, 1_000] {
        let mut log = SlidingLog::new(rate, false, 0);
        let starts = pressure(&mut log, 0, 20 * SECOND_US);
        assert!(fullest(&starts) <= rate as usize, "rate {rate}");
        let possible = 20 * rate as usize;
        assert!(starts.len() * 100 >= possible * 98, "rate {rate}: {} of {possible}", starts.len());
        // A start that the second's rate made late by a microsecond does not delay the next.
        let spacing = SECOND_US / u64::from(rate) - 1;
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= spacing), "rate {rate}: a burst");
        assert!(log.len() <= rate as usize);
    }
}

/// Timers wake up to two milliseconds late. A log that spaces by when calls did start loses a tenth of 80/s to them.
#[test]
fn late_timers_cost_no_throughput_and_make_no_burst() {
    for rate in [20_u32, 80, 1_000] {
        let late_us = |n: usize| 300 + u64::try_from(n).unwrap() * 7_919 % 1_700;
        let mut log = SlidingLog::new(rate, false, 0);
        let (mut now_us, mut starts) = (0, Vec::new());
        while now_us <= 20 * SECOND_US {
            match log.next_start(now_us) {
                StartAt::Now => starts.push(now_us),
                StartAt::At(at_us) => now_us = at_us + late_us(starts.len()),
            }
        }
        let possible = 20 * rate as usize;
        assert!(starts.len() * 100 >= possible * 98, "rate {rate}: {} of {possible}", starts.len());
        assert!(fullest(&starts) <= rate as usize, "rate {rate}");
        let at_once = starts.windows(8).filter(|starts| starts[7] - starts[0] < 1_000).count();
        assert_eq!(at_once, 0, "rate {rate}: a burst");
        let spacing_us = SECOND_US / u64::from(rate);
        let naive = (0..).scan(0, |at_us, n| {
            *at_us += spacing_us + late_us(n);
            (*at_us <= 20 * SECOND_US).then_some(())
        });
        if rate >= 80 {
            assert!(naive.count() * 100 < possible * 95, "the naive log keeps up, too");
        }
    }
}

#[test]
fn a_full_log_lets_nothing_start_for_a_second() {
    let mut log = SlidingLog::new(20, true, 5);
    let starts = pressure(&mut log, 5, 3 * SECOND_US);
    assert_eq!(starts.first(), Some(&(SECOND_US + 6)));
}

#[test]
fn inbound_takes_its_share() {
    let mut log = SlidingLog::new(20, false, 0);
    for n in 0..19 {
        log.note_inbound(n);
    }
    assert_eq!(log.next_start(100), StartAt::Now);
    assert_eq!(log.next_start(60_000), StartAt::At(SECOND_US + 1));
}

#[test]
fn late_news_of_inbound_counts_where_it_belongs() {
    let mut log = SlidingLog::new(2, false, 0);
    assert_eq!(log.next_start(SECOND_US), StartAt::Now);
    log.note_inbound(400_000);
    assert_eq!(log.next_start(2 * SECOND_US), StartAt::Now, "the inbound left the second");
    assert_eq!(log.next_start(2_000_001), StartAt::At(2_500_000), "spacing");
    assert_eq!(log.next_start(2_500_000), StartAt::Now);
}

#[test]
fn a_held_call_counts_until_its_time_is_over_and_a_second_more() {
    let mut log = SlidingLog::new(1, false, 0);
    log.hold(1, 3 * SECOND_US);
    assert_eq!(log.next_start(0), StartAt::At(4 * SECOND_US + 1));
    let mut over = log.clone();
    assert_eq!(
        over.next_start(3 * SECOND_US + 1),
        StartAt::At(4 * SECOND_US + 1),
        "it left at the end"
    );
    let mut resolved = log.clone();
    resolved.resolve(1, false, 10);
    assert_eq!(resolved.next_start(10), StartAt::Now);
    log.resolve(1, true, 10);
    assert_eq!(log.next_start(10), StartAt::At(SECOND_US + 11), "as if it had left now");
}

#[test]
fn a_call_that_left_later_counts_from_then() {
    let mut log = SlidingLog::new(1, false, 0);
    assert_eq!(log.next_start(0), StartAt::Now);
    log.left_later(0, 700_000);
    assert_eq!(log.next_start(SECOND_US + 1), StartAt::At(1_700_001));
}

#[test]
fn a_higher_rate_does_not_forget_what_the_lower_one_did() {
    let mut log = SlidingLog::new(1, false, 0);
    log.note_inbound(0);
    log.note_inbound(10);
    log.set_rate(2);
    assert!(matches!(log.next_start(20), StartAt::At(_)), "two are in the second");
    log.set_rate(1);
    assert_eq!(log.len(), 1);
}

#[derive(Clone, Debug)]
enum Act {
    Ask { after_us: u64 },
    Inbound { ago_us: u64 },
    Hold { for_us: u64, leaves_after_us: Option<u64>, resolved: bool },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let after = prop_oneof![Just(0_u64), 0_u64..2_000, 0_u64..120_000, 0_u64..1_500_000];
    let act = prop_oneof![
        8 => after.prop_map(|after_us| Act::Ask { after_us }),
        3 => (0_u64..50_000).prop_map(|ago_us| Act::Inbound { ago_us }),
        1 => (1_u64..2_000_000, prop::option::of(0_u64..2_000_000), any::<bool>()).prop_map(
            |(for_us, leaves_after_us, resolved)| Act::Hold { for_us, leaves_after_us, resolved }
        ),
    ];
    prop::collection::vec(act, 1..300)
}

/// A call of an earlier owner: when it leaves, and when its result comes.
struct Foreign {
    key: u64,
    leaves_us: Option<u64>,
    resolved_us: Option<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked when, whatever comes in, whatever an earlier owner's calls do: every closed second that ends with a
    /// start holds at most the rate of starts, of inbound known by then, and of foreign departures. Seconds that end with a
    /// foreign departure hold at most the rate of starts and foreign departures, where no inbound interferes.
    #[test]
    fn no_second_exceeds_the_rate(rate in 1_u32..30, full in any::<bool>(), acts in acts()) {
        let begin_us = 10 * SECOND_US;
        let mut log = SlidingLog::new(rate, full, begin_us);
        let (mut now_us, mut counted, mut foreign) = (begin_us, Vec::new(), Vec::<Foreign>::new());
        let mut with_inbound = false;
        if full {
            counted.extend(std::iter::repeat_n(begin_us, rate as usize));
        }
        for (key, act) in acts.into_iter().enumerate() {
            match act {
                Act::Inbound { ago_us } => {
                    log.note_inbound(now_us - ago_us);
                    counted.push(now_us - ago_us);
                    with_inbound = true;
                }
                // More than the rate can hold would be over it by itself.
                Act::Hold { .. } if foreign.len() >= rate as usize || !counted.is_empty() => {}
                Act::Hold { for_us, leaves_after_us, resolved } => {
                    let until_us = now_us + for_us;
                    let leaves_us = leaves_after_us.map(|us| (now_us + us).min(until_us));
                    let resolved_us =
                        resolved.then(|| leaves_us.unwrap_or(now_us).saturating_add(1_000));
                    foreign.push(Foreign { key: key as u64, leaves_us, resolved_us });
                    log.hold(key as u64, until_us);
                }
                Act::Ask { after_us } => {
                    now_us += after_us;
                    for call in &foreign {
                        if call.resolved_us.is_some_and(|at_us| at_us <= now_us) {
                            log.resolve(call.key, call.leaves_us.is_some(), now_us);
                        }
                    }
                    if log.next_start(now_us) == StartAt::Now {
                        counted.push(now_us);
                        let departed = foreign.iter().filter_map(|call| call.leaves_us);
                        let all: Vec<u64> = counted.iter().copied().chain(departed).collect();
                        let within = all.iter().filter(|at| **at <= now_us && **at + SECOND_US >= now_us);
                        prop_assert!(within.count() <= rate as usize);
                    }
                }
            }
            prop_assert!(log.len() <= rate as usize);
        }
        if !with_inbound && !full {
            let departed = foreign.iter().filter_map(|call| call.leaves_us);
            let all: Vec<u64> = counted.into_iter().chain(departed).collect();
            prop_assert!(fullest(&all) <= rate as usize);
        }
    }

    #[test]
    fn what_inbound_leaves_is_used(rate in prop::sample::select(vec![20_u32, 80]), seed in prop::collection::vec(0_u64..SECOND_US, 40), share in 1_usize..8) {
        let mut log = SlidingLog::new(rate, false, 0);
        let per_second = rate as usize * share / 10;
        let (mut starts, mut inbound, mut now_us) = (0_usize, 0_usize, 0_u64);
        for second in 0..20_u64 {
            let mut times: Vec<u64> = (0..per_second)
                .map(|n| (seed[n % seed.len()] + n as u64 * 7_919) % SECOND_US + second * SECOND_US)
                .collect();
            times.sort_unstable();
            inbound += times.len();
            for at_us in times.into_iter().chain([(second + 1) * SECOND_US]) {
                // What is asked before the message came is decided without it.
                let until_us = at_us.saturating_sub(1);
                starts += pressure(&mut log, now_us, until_us).len();
                now_us = now_us.max(at_us);
                log.note_inbound(at_us);
            }
            inbound += 1;
        }
        let left = 20 * rate as usize - inbound;
        prop_assert!(starts * 10 >= left * 9, "{starts} of {left}");
    }
}
