//! The main job as a user starts it.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::play::{Play, programs};

/// What the plan says the file holds.
const KEYS: [&str; 18] = [
    "inbound",
    "acked",
    "decided",
    "bot_answered",
    "offers",
    "accepted",
    "desk_replies",
    "phone_echoes",
    "sends",
    "delivered",
    "violations",
    "lost",
    "duplicated",
    "repeated_unknown",
    "webhook_ms_p50",
    "webhook_ms_p99",
    "offer_ms_p50",
    "offer_ms_p99",
];
/// May be 0 in a clean run.
const MAY_BE_ZERO: [&str; 4] = ["violations", "lost", "duplicated", "repeated_unknown"];

#[tokio::test]
async fn the_demo_ends_well_and_writes_its_report() {
    let play = Play::begin("demo").await;
    let json = play.dir().join("report.json");
    let mut demo = Command::new(programs().tandem);
    demo.args(["demo", "--seconds", "10", "--json"]).arg(&json).env("TMPDIR", play.dir());
    let output = tokio::time::timeout(Duration::from_secs(180), demo.kill_on_drop(true).output());
    let output = output.await.expect("the demo ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for key in KEYS {
        let value = report[key].as_f64().unwrap_or_else(|| panic!("no {key}: {report:#}"));
        assert_eq!(value > 0.0, !MAY_BE_ZERO.contains(&key), "{key} is {value}");
    }
    assert_eq!(report["decided"], report["acked"]);
    assert!(said.contains("nothing was lost"), "{said}");
}
