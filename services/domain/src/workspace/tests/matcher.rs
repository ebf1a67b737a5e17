//! The matcher against its post-conditions.

use proptest::prelude::*;

use crate::workspace::matcher::{Candidate, Class, Line, Pair, Problem, Waiting, check, solve};

fn problems() -> impl Strategy<Value = Problem> {
    let agents = prop::collection::vec((0_u32..120, 0_u32..120, 0_u64..4), 0..6);
    agents.prop_flat_map(|agents| {
        let n = agents.len();
        let some = move || prop::collection::btree_set(0..n.max(1), 0..=n);
        let lines =
            prop::collection::vec((prop::sample::select(vec![10_u32, 25, 50]), some()), 1..4);
        let class = prop::sample::select(vec![Class::Starving, Class::Ahead, Class::Normal]);
        let only = prop::option::weighted(0.3, 0..n.max(1));
        let item = (0_usize..4, class, 0_i64..3, 0_u64..5, some(), only);
        let items = prop::collection::vec(item, 0..10);
        (Just(agents), lines, items).prop_map(move |(agents, lines, items)| {
            let serving = |set: std::collections::BTreeSet<usize>| {
                set.into_iter().filter(|at| *at < n).collect::<Vec<_>>()
            };
            Problem {
                agents: agents
                    .into_iter()
                    .map(|(capacity, used, idle_since_ms)| Candidate {
                        capacity,
                        used,
                        idle_since_ms,
                    })
                    .collect(),
                items: items
                    .into_iter()
                    .map(|(line, class, priority, since_ms, avoid, only)| Waiting {
                        line: line % lines.len(),
                        class,
                        priority,
                        since_ms,
                        avoid: serving(avoid),
                        only: only.filter(|at| *at < n),
                    })
                    .collect(),
                lines: lines
                    .into_iter()
                    .map(|(weight, agents)| Line { weight, agents: serving(agents) })
                    .collect(),
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_solution_meets_the_post_conditions(problem in problems()) {
        prop_assert_eq!(check(&problem, &solve(&problem)), Ok(()));
    }

    /// The checker bites: it tells apart what a matcher without the rules does.
    #[test]
    fn a_matcher_that_does_not_know_classes_or_keeping_is_found(problem in problems()) {
        let mut blind = problem.clone();
        for item in &mut blind.items {
            (item.class, item.only) = (Class::Normal, None);
        }
        let pairs = solve(&blind);
        prop_assert_eq!(pairs == solve(&problem), check(&problem, &pairs).is_ok());
    }

    #[test]
    fn a_solution_with_one_pair_less_wastes(problem in problems()) {
        let mut pairs = solve(&problem);
        if pairs.pop().is_some() {
            prop_assert_eq!(check(&problem, &pairs), Err("no waste"));
        }
    }
}

fn one_line(agents: Vec<Candidate>, items: Vec<Waiting>) -> Problem {
    let line = Line { weight: 20, agents: (0..agents.len()).collect() };
    Problem { lines: vec![line], items, agents }
}

fn idle(since_ms: u64) -> Candidate {
    Candidate { capacity: 100, used: 0, idle_since_ms: since_ms }
}

#[test]
fn priority_goes_before_age_and_age_before_position() {
    let waiting = |priority, since_ms| Waiting { priority, since_ms, ..Waiting::default() };
    let items = vec![waiting(0, 5), waiting(0, 1), waiting(1, 9), waiting(0, 1)];
    let problem = one_line(vec![Candidate { capacity: 80, ..idle(0) }], items);
    let order: Vec<usize> = solve(&problem).iter().map(|pair| pair.item).collect();
    assert_eq!(order, [2, 1, 3, 0]);
}

#[test]
fn the_longest_idle_is_asked_before_the_least_loaded() {
    let busy = |used| Candidate { capacity: 100, used, idle_since_ms: 0 };
    let items = vec![Waiting::default(); 4];
    let problem = one_line(vec![busy(40), busy(20), idle(8), idle(3)], items);
    let agents: Vec<usize> = solve(&problem).iter().map(|pair| pair.agent).collect();
    // Both idle ones by how long; then everybody has work and the least loaded come first.
    assert_eq!(agents, [3, 2, 1, 2]);
}

#[test]
fn who_turned_it_down_is_asked_again_only_if_nobody_else_can() {
    let items = vec![Waiting { avoid: vec![0], ..Waiting::default() }];
    let two = one_line(vec![idle(0), idle(9)], items.clone());
    assert_eq!(solve(&two), [Pair { item: 0, agent: 1 }]);
    let alone = one_line(vec![idle(0)], items);
    assert_eq!(solve(&alone), [Pair { item: 0, agent: 0 }]);
}

#[test]
fn a_vip_goes_first_but_not_before_what_waits_far_beyond_its_target() {
    let waiting =
        |class, priority, since_ms| Waiting { class, priority, since_ms, ..<_>::default() };
    let items = vec![
        waiting(Class::Normal, 9, 1),
        waiting(Class::Ahead, 0, 8),
        waiting(Class::Starving, 0, 7),
        waiting(Class::Starving, 9, 7),
        waiting(Class::Starving, 0, 6),
    ];
    let problem = one_line(vec![idle(0)], items);
    let order: Vec<usize> = solve(&problem).iter().map(|pair| pair.item).collect();
    assert_eq!(order, [4, 2, 3, 1, 0]);
}

#[test]
fn what_is_kept_for_an_agent_goes_to_that_agent_or_waits() {
    let kept = |only| Waiting { only: Some(only), ..Waiting::default() };
    // Not even one who serves the queue: somebody chose.
    let mut problem = one_line(vec![idle(5), idle(1)], vec![kept(0)]);
    assert_eq!(solve(&problem), [Pair { item: 0, agent: 0 }]);
    problem.lines[0].agents = vec![1];
    assert_eq!(solve(&problem), [Pair { item: 0, agent: 0 }]);
    problem.agents[0].used = 100;
    assert_eq!(solve(&problem), []);
}

#[test]
fn an_item_nobody_can_take_does_not_hold_up_the_next() {
    let heavy = Line { weight: 101, agents: vec![0] };
    let light = Line { weight: 20, agents: vec![0] };
    let items = vec![
        Waiting { line: 0, priority: 9, ..Waiting::default() },
        Waiting { line: 1, ..Waiting::default() },
    ];
    let problem = Problem { lines: vec![heavy, light], items, agents: vec![idle(0)] };
    assert_eq!(solve(&problem), [Pair { item: 1, agent: 0 }]);
}
