//! The closing words of a demo.

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::say;

/// Prints what happened; the verdicts make the exit status.
pub(super) fn summary(report: &Value) -> ExitCode {
    let shown = |key: &str| match report.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(value) => value.to_string(),
    };
    say("");
    for (title, keys) in [
        ("customers", &["inbound", "acked", "decided"][..]),
        ("answers", &["bot_answered", "desk_replies", "phone_echoes", "sends", "delivered"]),
        ("routing", &["offers", "accepted"]),
        ("latency", &["webhook_ms_p50", "webhook_ms_p99", "offer_ms_p50", "offer_ms_p99"]),
        ("verdict", &["violations", "lost", "duplicated", "repeated_unknown"]),
    ] {
        let facts: Vec<String> = keys.iter().map(|key| format!("{key} {}", shown(key))).collect();
        say(&format!("{title:>10}  {}", facts.join("  ")));
    }
    let judged = report.get("judged").and_then(Value::as_bool) == Some(true);
    let clean = judged
        && ["violations", "lost", "duplicated"]
            .iter()
            .all(|key| report.get(key).and_then(Value::as_u64) == Some(0));
    if clean {
        say("nothing was lost, doubled or against the rules");
        return ExitCode::SUCCESS;
    }
    if let Some(findings) = report.get("findings").filter(|_| judged) {
        say(&format!("findings: {findings:#}"));
    }
    say(if judged { "the judge found faults" } else { "the world did not come to rest in time" });
    ExitCode::FAILURE
}
