//! Power cuts: the product runs on a disk of which only fsynced bytes survive (testkit::powercut).

use std::{path::Path, time::Duration};

use rand::Rng as _;
use tandem::stage::Stage;
use testkit::powercut::{LIES_AFTER, PowerCut};

use super::{
    kill::{SCENARIO, SETTLE},
    ordeal::Ordeal,
    play::{Play, assert_clean, assert_no_errors, count, programs, scenario, seeded, set, times},
};

/// Segments and trimming go on meanwhile: what is trimmed must be in a segment that survives. Every cut copies all segments, so
/// they are fewer than in the kill test.
const ARCHIVE: &str = "[archive]\nsegment_bytes = 65536\nsegment_age_ms = 4000\ntrim_interval_ms = 200\n\
                       [limits]\ncheckpoint_interval_ms = 500\n";
/// The shim copies every write: less traffic than in the kill test.
const INBOUND_PER_S: f64 = 40.0;

async fn begin(play: &Play, lies_after: Option<u64>) -> Ordeal {
    let shim = PowerCut::build(play.dir()).unwrap();
    let (data, shadow) = (play.dir().join("data"), play.dir().join("shadow"));
    std::fs::create_dir_all(&data).unwrap();
    std::fs::create_dir_all(&shadow).unwrap();
    let variables = shim.environment(&data, &shadow).into_iter();
    let mut environment: Vec<_> =
        variables.map(|(name, value)| (name.to_owned(), value.into_string().unwrap())).collect();
    environment.extend(lies_after.map(|n| (LIES_AFTER.to_owned(), n.to_string())));
    let quieter = scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", INBOUND_PER_S));
    let stage = Stage::open_with(programs(), play.dir(), &quieter, &[], ARCHIVE).await.unwrap();
    Ordeal::begin("power", stage, environment).await
}

fn cut(dir: &Path) {
    PowerCut::cut(&dir.join("data"), &dir.join("shadow")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_power_cuts_all_threads_are_equal() {
    let mut play = Play::begin("power").await;
    let mut rng = seeded("power");
    let mut ordeal = begin(&play, None).await;
    for n in 1..=times("TANDEM_CUTS", 5) {
        ordeal.traffic(rng.random_range(50..500)).await;
        let flight = ordeal.strike(&mut rng).await;
        cut(play.dir());
        println!("cut {n}: in flight {flight}");
        ordeal.restart(&[]).await;
    }
    ordeal.traffic(300).await;
    println!("power: {} webhooks/s while up", ordeal.webhooks_per_s().await);
    let report = play.rest(ordeal.control(), SETTLE).await;
    assert_clean("power", &report);
    assert_no_errors(&ordeal.log(), &[]);
}

/// The test above can fail: a disk that says it has kept what it has not loses what the product acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_lies_messages_are_lost() {
    let mut play = Play::begin("lying disk").await;
    let mut rng = seeded("lying disk");
    let mut ordeal = begin(&play, Some(60)).await;
    ordeal.traffic(600).await;
    ordeal.strike(&mut rng).await;
    cut(play.dir());
    // From now on the disk is honest, so that the rest of the world can come to rest.
    ordeal.environment.retain(|(name, _)| name != LIES_AFTER);
    ordeal.restart(&[]).await;
    let report = play.rest(ordeal.control(), Duration::from_secs(20)).await;
    println!("lying disk: lost {}", report["lost"]);
    assert!(count(&report, "lost") > 0, "{:#}", report["findings"]);
}
