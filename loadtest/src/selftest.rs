//! The whole simulator against a tiny product that keeps its threads in memory: over real HTTP and gRPC.

mod desk;
mod product;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::cli;
use crate::faults::Faults;
use crate::judge::Verdict;
use crate::report::report;
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;
use crate::settle::{Judged, settle};
use crate::sim::Sim;

fn quick(change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = crate::fixture::scenario();
    scenario.traffic.inbound_per_s = 60.0;
    scenario.traffic.menu_think_ms = 20;
    scenario.traffic.menu_patience_ms = 500;
    scenario.traffic.phone_think_ms = 50;
    scenario.desk.accept_think_ms = 10;
    scenario.desk.reply_think_ms = 10;
    scenario.desk.resolve_after = 2;
    let quick =
        Faults { answer_ms: 5, sent_ms: 10, delivered_ms: 20, read_ms: 20, ..Faults::default() };
    scenario.faults = quick;
    scenario.judge.stale_grace_ms = 300;
    scenario.judge.forgotten_after_ms = 1_000;
    // The little product offers once, and to one agent.
    (scenario.desk.reject_share, scenario.desk.ignore_share) = (0.0, 0.0);
    // Nor has it a limiter.
    let numbers = scenario.businesses.iter_mut().flat_map(|business| &mut business.numbers);
    numbers.for_each(|number| number.rate_per_s = 1_000);
    change(&mut scenario);
    scenario
}

/// Waits for a condition, at most 30 s.
async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    for _ in 0..3_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s: {what}");
}

async fn start(scenario: Scenario, sabotage: Option<Sabotage>, leaky: bool) -> Arc<Sim> {
    let sim = Sim::new(scenario, sabotage);
    let graph_url = cli::start(&sim, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (webhook_url, desk_url) = product::start(&sim, &graph_url, leaky).await;
    sim.product(Some(webhook_url.parse().unwrap()), Some(desk_url));
    sim.with(|state, now_us| state.talk(true, now_us));
    sim
}

/// Plays until there was enough.
async fn play(
    scenario: Scenario,
    sabotage: Option<Sabotage>,
    enough: impl Fn(&Sim) -> bool,
) -> Arc<Sim> {
    let sim = start(scenario, sabotage, false).await;
    until("enough traffic", || async { enough(&sim) }).await;
    sim
}

async fn judge(sim: &Arc<Sim>) -> Judged {
    settle(sim, Duration::from_secs(30)).await
}

/// What was found while it went on.
fn live(sim: &Sim, verdict: Verdict) -> u64 {
    sim.with(|state, _| state.ledger.findings().count(verdict))
}

fn busy(sim: &Sim) -> bool {
    sim.with(|state, _| {
        let stats = &state.stats;
        stats.inbound > 60 && stats.desk_replies > 15 && stats.phone_echoes > 1
    })
}

/// The proxy did something that stands in the threads for good.
fn spoilt(sim: &Sim) -> bool {
    sim.with(|state, _| state.proxy.deeds > 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_little_product_is_found_clean() {
    let noisy = quick(|scenario| {
        let faults = &mut scenario.faults;
        faults.status_first = 0.2;
        faults.status_repeat = 0.1;
        faults.status_reorder = 0.1;
        faults.webhook_repeat = 0.1;
        faults.webhook_delay = 0.1;
        faults.webhook_delay_ms = 100;
        faults.batch = 0.2;
        faults.hide_phone = 0.2;
        faults.profile_missing = 0.1;
    });
    let sim = play(noisy, None, busy).await;
    let judged = judge(&sim).await;
    let report = serde_json::to_value(report(&sim, Some(&judged))).unwrap();
    assert!(judged.rest.settled, "{report:#}");
    assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
    assert_eq!(report["acked"], report["inbound"]);
    assert_eq!(report["decided"], report["inbound"]);
    for count in ["bot_answered", "offers", "accepted", "desk_replies", "delivered"] {
        assert!(report[count].as_u64().unwrap() > 0, "{count}: {report:#}");
    }
    assert!(report["offer_ms_p50"].as_f64().unwrap() > 0.0);
    assert!(report["webhook_ms_p99"].as_f64().unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_webhooks_are_lost() {
    let sim = play(quick(|_| {}), Some(Sabotage::Drop), spoilt).await;
    let judged = judge(&sim).await;
    assert!(judged.findings.count(Verdict::Lost) > 0, "{:?}", judged.findings);
    assert!(!report(&sim, Some(&judged)).is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_sends_are_duplicated() {
    let doubled = |sim: &Sim| live(sim, Verdict::Duplicated) > 0;
    play(quick(|_| {}), Some(Sabotage::Double), doubled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_businesss_messages_are_violations() {
    let sim = play(quick(|_| {}), Some(Sabotage::CrossBusiness), spoilt).await;
    let judged = judge(&sim).await;
    assert!(judged.findings.count(Verdict::Violation) > 0, "{:?}", judged.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diverted_sends_are_violations() {
    let seen = found("what was asked for one customer reached another");
    play(quick(|_| {}), Some(Sabotage::WrongRecipient), seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_over_the_rate_are_violations() {
    let slow = quick(|scenario| {
        let number = &mut scenario.businesses[0].numbers[1];
        (number.rate_per_s, number.customers, number.weight) = (20, 100, 20.0);
    });
    play(slow, Some(Sabotage::OverRate), found("calls departed above the number's rate")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_bot_turns_are_violations() {
    let seen = found("the bot spoke after desk or phone took the floor");
    // Agents keep the floor they have: a held turn meets it whenever it is looked at. Enough customers to hold some of.
    let kept = quick(|scenario| {
        scenario.desk.resolve_after = 1_000;
        scenario.businesses.iter_mut().flat_map(|b| &mut b.numbers).for_each(|n| n.customers = 60);
    });
    play(kept, Some(Sabotage::StaleBotTurn), seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_between_businesses_is_found_by_asking() {
    let sim = start(quick(|_| {}), None, true).await;
    until("some traffic", || async { sim.with(|state, _| state.stats.acked > 20) }).await;
    let lines = serde_json::to_string(&judge(&sim).await.findings.lines()).unwrap();
    assert!(lines.contains("a conversation of one business read by another"), "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_nobody_learns_of_are_violations() {
    // Nobody is answered on the phone instead.
    let desks_alone = quick(|scenario| scenario.traffic.phone_echo_share = 0.0);
    let sim = play(desks_alone, Some(Sabotage::ForgottenItem), spoilt).await;
    let judged = judge(&sim).await;
    assert!(judged.rest.settled, "{:?}", judged.rest);
    let lines = serde_json::to_string(&judged.findings.lines()).unwrap();
    assert!(lines.contains("an item nobody was offered"), "{lines}");
}

/// Whether a finding of this kind was made.
fn found(kind: &'static str) -> impl Fn(&Sim) -> bool {
    move |sim| {
        let lines = sim.with(|state, _| serde_json::to_string(&state.ledger.findings().lines()));
        lines.is_ok_and(|lines| lines.contains(kind))
    }
}
