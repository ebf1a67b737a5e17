//! A process that stands still for 20 s between commit and call.

use std::time::Duration;

use tandem::stage::Stage;
use testkit::wait_until;

use super::{
    kill::{SCENARIO, SETTLE},
    ordeal::Ordeal,
    play::{Play, assert_clean, assert_no_errors, programs, scenario, set},
};

/// Ten times `start_by`, twice the hard limit of a call.
const PAUSE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_paused_between_commit_and_call_is_seen_once() {
    let mut play = Play::begin("pause").await;
    let quieter = scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", 30.0));
    let stage = Stage::open(programs(), play.dir(), &quieter).await.unwrap();
    let stop = vec![("TANDEM_FAILPOINT_STOP".to_owned(), "commit|call:60".to_owned())];
    let mut ordeal = Ordeal::begin("pause", stage, stop).await;
    let stat = format!("/proc/{}/stat", ordeal.product.id().unwrap());
    // Third field: T is stopped (proc(5)). The name before it has no blanks.
    let stopped = || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        stat.split(' ').nth(2) == Some("T")
    };
    wait_until(Duration::from_secs(60), "the stop", stopped).await.unwrap();
    println!("pause: stopped, in flight {}", ordeal.control().in_flight().await.unwrap());
    let before = ordeal.control().report().await.unwrap();
    tokio::time::sleep(PAUSE).await;
    let after = ordeal.control().report().await.unwrap();
    // What had left before arrives; nothing new does.
    println!("pause: graph calls {} then {}", before["graph_calls"], after["graph_calls"]);
    ordeal.product.thaw().unwrap();
    ordeal.traffic(300).await;
    let refused = ordeal.metric("tandem_router_sends_total", "result=\"not_started\"").await;
    println!("pause: {refused} calls came too late and were not started");
    assert!(refused >= 1.0, "no call was refused by its start_by");
    let report = play.rest(ordeal.control(), SETTLE).await;
    assert_clean("pause", &report);
    assert_no_errors(&ordeal.log(), &[]);
}
