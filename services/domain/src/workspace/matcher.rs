//! The matcher: who is offered what, as a plain numeric problem.
//!
//! # What it does
//! Given waiting items in lines (queues) and agents with room, it gives pairs, in the order in which they are to be
//! offered. It knows no names, no clock and no workspace; positions in the vectors stand for things, and position
//! order is id order, the last tie-break. One entry: [`solve`].
//!
//! # The rule
//! Items in order of class (what waits far beyond its target, then VIPs, then the rest), priority (higher first; in the
//! first class only age counts), age (older first), position. An item that is kept for an agent takes that one, if
//! it has room, or nobody. Any other takes, among the agents of its line whose room its weight fits, one it does not `avoid` if there is one, else any: the longest idle, then the
//! least loaded (units in use per capacity; only agents without any work are idle), then the first. A taken agent
//! has that much less room for the next item. An item that fits nobody does not hold up the next one.
//!
//! # Phases
//! 1. `in_order`: the items, first served first.
//! 2. `choose`: the best agent for one item.
//! 3. `reserve`: the agent's room shrinks.
//!
//! # Post-conditions ([`check`], used in tests)
//! - *capacity*: no agent has more than it can hold.
//! - *once*: no item is matched twice, and only to an agent of its line, or the one it is kept for.
//! - *kept*: what is kept for an agent goes to that agent or waits.
//! - *guard*: while an item that waits far beyond its target can be taken, nothing of another class is.
//! - *order*: each pair is the best one at its turn: nobody better was passed over.
//! - *no waste*: what is left over fits nobody.
//!
//! Cost: items × agents of the line. The caller keeps both small (see `matching`): for n items the first n
//! agents of a line, plus as many as an item can avoid, are as good as all of them.

use std::cmp::Reverse;

use crate::Millis;

/// Lines, items and agents. Positions refer into the vectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) lines: Vec<Line>,
    pub(super) items: Vec<Waiting>,
    pub(super) agents: Vec<Candidate>,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Units one item takes.
    pub(super) weight: u32,
    /// Who serves it.
    pub(super) agents: Vec<usize>,
}

/// A waiting item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) line: usize,
    pub(super) class: Class,
    pub(super) priority: i64,
    pub(super) since_ms: Millis,
    /// Agents who turned it down lately, or gave it away.
    pub(super) avoid: Vec<usize>,
    /// The agent it is kept for.
    pub(super) only: Option<usize>,
}

/// Strict order of items before any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// It waits far beyond its target: by age alone, before everything else.
    Starving,
    /// VIPs, and what comes back from a snooze.
    Ahead,
    /// The rest.
    #[default]
    Normal,
}

/// An agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) capacity: u32,
    pub(super) used: u32,
    pub(super) idle_since_ms: Millis,
}

/// One offer to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) item: usize,
    pub(super) agent: usize,
}

/// Order of agents: the idle by how long, then the others by their load in units per ten thousand.
pub(super) fn rank(used: u32, capacity: u32, idle_since_ms: Millis) -> (u8, u64) {
    if used == 0 {
        return (0, idle_since_ms);
    }
    (1, u64::from(used) * 10_000 / u64::from(capacity.max(1)))
}

/// Gives every item that can have one an agent, in order.
pub(super) fn solve(problem: &Problem) -> Vec<Pair> {
    let mut agents = problem.agents.clone();
    let mut pairs = Vec::new();
    for (item, waiting) in in_order(problem) {
        let Some(line) = problem.lines.get(waiting.line) else { continue };
        if let Some(agent) = choose(line, waiting, &agents) {
            reserve(&mut agents, agent, line.weight);
            pairs.push(Pair { item, agent });
        }
    }
    pairs
}

/// Phase 1: the items, first served first.
fn in_order(problem: &Problem) -> Vec<(usize, &Waiting)> {
    let mut items: Vec<_> = problem.items.iter().enumerate().collect();
    items.sort_by_key(|(at, item)| (order(item.class, item.priority, item.since_ms), *at));
    items
}

/// Place of an item among others; ties go by id.
pub(super) fn order(
    class: Class,
    priority: i64,
    since_ms: Millis,
) -> (Class, Reverse<i64>, Millis) {
    let priority = if class == Class::Starving { 0 } else { priority };
    (class, Reverse(priority), since_ms)
}

/// Phase 2: the best agent for one item, if any has room.
fn choose(line: &Line, item: &Waiting, agents: &[Candidate]) -> Option<usize> {
    let candidates = match &item.only {
        Some(agent) => std::slice::from_ref(agent),
        None => line.agents.as_slice(),
    };
    let fitting = candidates.iter().filter_map(|at| {
        let agent = agents.get(*at)?;
        let fits = agent.used.saturating_add(line.weight) <= agent.capacity;
        let avoided = item.avoid.contains(at);
        fits.then(|| (avoided, rank(agent.used, agent.capacity, agent.idle_since_ms), *at))
    });
    fitting.min().map(|(.., at)| at)
}

/// Phase 3: the agent's room shrinks.
fn reserve(agents: &mut [Candidate], agent: usize, weight: u32) {
    if let Some(agent) = agents.get_mut(agent) {
        agent.used = agent.used.saturating_add(weight);
    }
}

/// Whether `pairs` answers `problem`; else which post-condition does not hold. Written from the rule, not from
/// [`solve`]: it looks at every item and agent at every turn.
#[cfg(test)]
pub(super) fn check(problem: &Problem, pairs: &[Pair]) -> Result<(), &'static str> {
    let mut used: Vec<u32> = problem.agents.iter().map(|agent| agent.used).collect();
    let mut left: Vec<usize> = (0..problem.items.len()).collect();
    for pair in pairs {
        let best = left
            .iter()
            .filter_map(|item| best_agent(problem, &used, *item).map(|agent| (*item, agent)))
            .min_by_key(|(item, _)| {
                let waiting = &problem.items[*item];
                match waiting.class {
                    Class::Starving => (0, 0, waiting.since_ms, *item),
                    Class::Ahead => (1, -waiting.priority, waiting.since_ms, *item),
                    Class::Normal => (2, -waiting.priority, waiting.since_ms, *item),
                }
            });
        let starving = |item: &usize| {
            problem.items[*item].class == Class::Starving
                && best_agent(problem, &used, *item).is_some()
        };
        if problem.items[pair.item].class != Class::Starving && left.iter().any(starving) {
            return Err("guard");
        }
        if !left.contains(&pair.item) {
            return Err("once");
        }
        let line = &problem.lines[problem.items[pair.item].line];
        match problem.items[pair.item].only {
            Some(only) if only != pair.agent => return Err("kept"),
            None if !line.agents.contains(&pair.agent) => return Err("once"),
            _ => {}
        }
        if best != Some((pair.item, pair.agent)) {
            return Err("order");
        }
        used[pair.agent] += line.weight;
        if used[pair.agent] > problem.agents[pair.agent].capacity {
            return Err("capacity");
        }
        left.retain(|item| *item != pair.item);
    }
    let wasted = left.iter().any(|item| best_agent(problem, &used, *item).is_some());
    if wasted { Err("no waste") } else { Ok(()) }
}

#[cfg(test)]
fn best_agent(problem: &Problem, used: &[u32], item: usize) -> Option<usize> {
    let waiting = &problem.items[item];
    let line = &problem.lines[waiting.line];
    let room = |at: &usize| used[*at] + line.weight <= problem.agents[*at].capacity;
    if let Some(only) = waiting.only {
        return Some(only).filter(room);
    }
    let fitting: Vec<usize> = line.agents.iter().copied().filter(room).collect();
    let fresh: Vec<usize> =
        fitting.iter().copied().filter(|at| !waiting.avoid.contains(at)).collect();
    let pool = if fresh.is_empty() { fitting } else { fresh };
    let idle = pool.iter().copied().filter(|at| used[*at] == 0);
    let longest_idle = idle.min_by_key(|at| (problem.agents[*at].idle_since_ms, *at));
    longest_idle.or_else(|| {
        pool.iter().copied().min_by_key(|at| {
            let capacity = problem.agents[*at].capacity.max(1);
            (u64::from(used[*at]) * 10_000 / u64::from(capacity), *at)
        })
    })
}
