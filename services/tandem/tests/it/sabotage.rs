//! The judge bites: each way of spoiling an honest product shows in its verdict, and the honest product is clean.

use std::{path::Path, time::Duration};

use serde_json::Value;
use tandem::stage::Stage;

use super::play::{Play, assert_clean, count, programs, scenario, set, until};

const SCENARIO: &str = include_str!("../../../../loadtest/scenarios/demo.toml");
/// Each sabotage, and a verdict and a finding that only it makes.
const CASES: [(&str, &str, &str); 7] = [
    ("drop", "lost", "an acknowledged message"),
    ("double", "duplicated", ""),
    ("over_rate", "violations", "calls departed above the number's rate"),
    ("wrong_recipient", "violations", "what was asked for one customer reached another"),
    ("stale_bot_turn", "violations", "the bot spoke after desk or phone took the floor"),
    ("cross_business", "violations", ""),
    ("forgotten_item", "violations", "an item nobody was offered"),
];
/// What the judge finds at rest alone.
const SEEN_AT_REST: [&str; 3] = ["drop", "cross_business", "forgotten_item"];

/// The number that bursts has a low rate, and customers enough to reach it.
fn quiet(sabotage: Option<&str>) -> String {
    scenario(SCENARIO, |table| {
        set(table, "traffic", "inbound_per_s", 10.0);
        if sabotage == Some("over_rate") {
            let number = table["business"][0]["number"][1].as_table_mut().unwrap();
            number.insert("rate_per_s".to_owned(), 20.into());
            number.insert("weight".to_owned(), 20.0.into());
        }
        if sabotage == Some("forgotten_item") {
            // Nobody is answered on the phone instead, and the rest is short.
            set(table, "traffic", "phone_echo_share", 0.0);
            table.insert("judge".to_owned(), toml::toml! { forgotten_after_ms = 3000 }.into());
        }
    })
}

/// Plays until `enough`, gives the verdict.
async fn verdict(dir: &Path, sabotage: Option<&str>, enough: impl Fn(&Value) -> bool) -> Value {
    let scenario = quiet(sabotage);
    let args = sabotage.map(|name| ["--sabotage", name]);
    let args = args.as_ref().map(|args| args.as_slice()).unwrap_or_default();
    let stage = Stage::open_with(programs(), dir, &scenario, args, "").await.unwrap();
    let product = stage.start_product(&[]).await.unwrap();
    let control = &stage.simulator.control;
    control.start(&product.addresses).await.unwrap();
    until(control, "enough traffic", Duration::from_secs(60), enough).await;
    // A spoiled world may never come to rest.
    control.settle(Duration::from_secs(if sabotage.is_some() { 15 } else { 60 })).await.unwrap()
}

fn has_finding(report: &Value, kind: &str) -> bool {
    report["findings"].as_array().unwrap().iter().any(|finding| finding["kind"] == kind)
}

/// All at once: each has little to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sabotage_makes_its_verdict() {
    let play = Play::begin("sabotage").await;
    let cases = CASES.map(|(name, key, kind)| {
        let dir = play.dir().join(name);
        async move {
            let seen = |report: &Value| {
                let live = SEEN_AT_REST.contains(&name) || count(report, key) > 0;
                count(report, "sabotaged") > 3 && live && count(report, "desk_replies") > 3
            };
            let report = verdict(&dir, Some(name), seen).await;
            println!("{name}: sabotaged {}, {key} {}", report["sabotaged"], report[key]);
            assert!(count(&report, key) > 0, "{name}: {report:#}");
            assert!(kind.is_empty() || has_finding(&report, kind), "{name}: {report:#}");
        }
    });
    futures::future::join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_scenario_without_sabotage_is_clean() {
    let play = Play::begin("no sabotage").await;
    let busy = |report: &Value| count(report, "inbound") > 80 && count(report, "desk_replies") > 3;
    let report = verdict(play.dir(), None, busy).await;
    assert_clean("no sabotage", &report);
}
