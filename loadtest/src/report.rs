//! The report: counts by what the simulator saw, verdicts, latencies, and what is in flight.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::judge::{FindingLine, Verdict};
use crate::scenario::Mode;
use crate::settle::{Judged, Rest};
use crate::sim::{Sim, State};
use crate::task;

/// What is on its way at this moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct InFlight {
    /// Posted to the product, no answer yet.
    pub(crate) webhooks_unanswered: usize,
    /// Not answered with 200 so far, waiting for a retry included.
    pub(crate) webhooks_unacked: usize,
    /// Arrived at the Graph endpoint, answer not written yet.
    pub(crate) sends_unanswered: usize,
    /// Agents' commands without a result.
    pub(crate) commands_unacked: usize,
}

/// A number and its sends.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NumberLine {
    phone_number_id: String,
    mode: Mode,
    rate_per_s: u32,
    /// Calls that arrived in the second before the report.
    last_second: usize,
    peak: usize,
}

/// What the world is told to do at this moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct WorldLine {
    talking: bool,
    storm_factor: Option<f64>,
    storm_left_ms: u64,
    phones_silent: bool,
    /// Share of the Graph calls that end in a server error.
    http_5xx: f64,
}

/// The JSON report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    scenario: String,
    seed: u64,
    inbound: u64,
    held_back: u64,
    acked: u64,
    /// Acknowledged customer messages found in the product's threads; absent before a verdict.
    decided: Option<usize>,
    bot_answered: u64,
    offers: u64,
    accepted: u64,
    desk_replies: u64,
    phone_echoes: u64,
    sends: u64,
    delivered: usize,
    violations: u64,
    lost: u64,
    duplicated: u64,
    repeated_unknown: u64,
    webhook_ms_p50: Option<f64>,
    webhook_ms_p99: Option<f64>,
    ack_ms_p50: Option<f64>,
    ack_ms_p99: Option<f64>,
    offer_ms_p50: Option<f64>,
    offer_ms_p99: Option<f64>,
    posts: u64,
    posts_failed: u64,
    graph_calls: u64,
    answers_withheld: u64,
    errors_injected: u64,
    sabotaged: u64,
    /// Most sends that arrived in any full second, by number.
    rate_peaks: BTreeMap<String, usize>,
    /// Each number against its limit.
    numbers: Vec<NumberLine>,
    world: WorldLine,
    in_flight: InFlight,
    /// Everything came to rest and was compared with the product's threads: this is a verdict.
    judged: bool,
    rest: Option<Rest>,
    findings: Vec<FindingLine>,
    /// A simulator that panicked cannot give a clean verdict.
    simulator_panics: u64,
}

pub(crate) fn in_flight(sim: &Sim) -> InFlight {
    let commands_unacked = sim.commands_open.load(Ordering::Relaxed);
    sim.with(|state, _| InFlight {
        webhooks_unanswered: state.outbox.in_flight(),
        webhooks_unacked: state.outbox.unacked(),
        sends_unanswered: state.sends_unanswered,
        commands_unacked,
    })
}

/// The report so far; with `judged` it is the verdict.
pub(crate) fn report(sim: &Sim, judged: Option<&Judged>) -> Report {
    let in_flight = in_flight(sim);
    sim.with(|state, now_us| {
        let mut findings = state.ledger.findings().clone();
        if let Some(judged) = judged {
            findings.merge(&judged.findings);
        }
        let (stats, numbers) = (&state.stats, &sim.world.numbers);
        let peak = |(number, window): (_, &crate::rules::rate::RateWindow)| {
            (numbers[number].phone_number_id.clone(), window.peak())
        };
        Report {
            scenario: sim.scenario.name.clone(),
            seed: sim.scenario.seed,
            inbound: stats.inbound,
            held_back: stats.held_back,
            acked: stats.acked,
            decided: judged.map(|judged| judged.decided),
            bot_answered: stats.bot_answered,
            offers: stats.offers,
            accepted: stats.accepted,
            desk_replies: stats.desk_replies,
            phone_echoes: stats.phone_echoes,
            sends: stats.sends,
            delivered: state.ledger.delivered(),
            violations: findings.count(Verdict::Violation),
            lost: findings.count(Verdict::Lost),
            duplicated: findings.count(Verdict::Duplicated),
            repeated_unknown: findings.count(Verdict::RepeatedUnknown),
            webhook_ms_p50: stats.webhook_us.ms(0.5),
            webhook_ms_p99: stats.webhook_us.ms(0.99),
            ack_ms_p50: stats.ack_us.ms(0.5),
            ack_ms_p99: stats.ack_us.ms(0.99),
            offer_ms_p50: stats.offer_us.ms(0.5),
            offer_ms_p99: stats.offer_us.ms(0.99),
            posts: stats.posts,
            posts_failed: stats.posts_failed,
            graph_calls: stats.graph_calls,
            answers_withheld: stats.answers_withheld,
            errors_injected: stats.errors_injected,
            sabotaged: state.proxy.deeds,
            rate_peaks: state.rates.iter().map(peak).collect(),
            numbers: number_lines(state, now_us),
            world: world_line(state, now_us),
            in_flight,
            judged: judged.is_some_and(|judged| judged.rest.settled),
            rest: judged.map(|judged| judged.rest.clone()),
            findings: findings.lines(),
            simulator_panics: task::panics(),
        }
    })
}

fn number_lines(state: &State, now_us: u64) -> Vec<NumberLine> {
    let numbers = state.world.numbers.iter().map(|(id, number)| NumberLine {
        phone_number_id: number.phone_number_id.clone(),
        mode: number.mode,
        rate_per_s: number.rate_per_s,
        last_second: state.rates[id].last_second(now_us),
        peak: state.rates[id].peak(),
    });
    numbers.collect()
}

fn world_line(state: &State, now_us: u64) -> WorldLine {
    let storm = state.storming(now_us);
    WorldLine {
        talking: state.talking,
        storm_factor: storm.map(|(factor, _)| factor),
        storm_left_ms: storm.map_or(0, |(_, left_ms)| left_ms),
        phones_silent: state.phones_silent,
        http_5xx: state.faults.http_5xx,
    }
}

impl Report {
    /// Judged, at rest, and nothing found that must not be.
    pub(crate) fn is_clean(&self) -> bool {
        self.judged && self.violations + self.lost + self.duplicated + self.simulator_panics == 0
    }
}
