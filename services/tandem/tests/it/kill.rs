//! Kill -9 at random and at each failpoint, under load.

use std::time::Duration;

use rand::Rng as _;
use tandem::stage::Stage;

use super::{
    operator::LIVELY_ARCHIVE,
    ordeal::Ordeal,
    play::{Play, assert_clean, assert_no_errors, programs, scenario, seeded, set, times},
};

pub(crate) const SCENARIO: &str = include_str!("../../../../loadtest/scenarios/kill.toml");
/// What the plan demands of the long run.
const KILLS_OF_THE_PLAN: u64 = 30;
const WEBHOOKS_PER_S_MIN: u64 = 500;
/// What a machine must manage that compiles and tests other things meanwhile.
const WEBHOOKS_PER_S_MIN_BUSY: u64 = 250;
/// Messages that begin something; with the answers to the bot about half as many again. Replies to all of them stay below
/// what the pair rate lets out to the scenario's customers (one in 6 s each: 290/s), or the world needs minutes to come to rest.
const INBOUND_PER_S: f64 = 140.0;
/// Webhooks between a start and the next kill. In the first second after a start nothing leaves (a number's second counts as
/// used up); shorter lives would mostly show that.
const TRAFFIC_BETWEEN: std::ops::Range<u64> = 1_500..4_500;
const OPEN_CONVERSATIONS_MIN: usize = 200;
/// Reconciliation alone takes 45 s; a send may need it twice.
pub(crate) const SETTLE: Duration = Duration::from_secs(180);

/// Where the product kills itself, and at which pass: late enough that there is traffic.
const FAILPOINTS: [(&str, u64); 6] = [
    ("append|200", 400),
    ("decide|commit", 600),
    ("commit|call", 60),
    ("call|result", 60),
    ("result|commit", 40),
    ("checkpoint", 6),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kills_under_load_all_threads_are_equal() {
    let mut play = Play::begin("kill").await;
    let mut rng = seeded("kill");
    let scenario =
        scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", INBOUND_PER_S));
    let stage = Stage::open_with(programs(), play.dir(), &scenario, &[], LIVELY_ARCHIVE);
    let stage = stage.await.unwrap();
    let mut ordeal = Ordeal::begin("kill", stage, Vec::new()).await;
    ordeal.traffic(3_000).await;
    let kills = times("TANDEM_KILLS", 6);
    for n in 1..=kills {
        ordeal.traffic(rng.random_range(TRAFFIC_BETWEEN)).await;
        let open = ordeal.open_conversations().await;
        let flight = ordeal.strike(&mut rng).await;
        println!("kill {n}: {open} conversations open, in flight {flight}");
        assert!(open >= OPEN_CONVERSATIONS_MIN, "only {open} conversations are open");
        ordeal.restart(&[]).await;
    }
    for (name, nth) in FAILPOINTS {
        ordeal.traffic(300).await;
        ordeal.strike(&mut rng).await;
        ordeal.restart(&[("TANDEM_FAILPOINT", &format!("{name}:{nth}"))]).await;
        let flight = ordeal.dies_by_itself(Duration::from_secs(60)).await;
        println!("failpoint {name}: in flight {flight}");
        assert!(!flight.is_null(), "nothing was in flight at {name}");
        ordeal.restart(&[]).await;
    }
    ordeal.traffic(1_000).await;
    let per_s = ordeal.webhooks_per_s().await;
    println!("kill: {per_s} webhooks/s while up");
    let report = play.rest(ordeal.control(), SETTLE).await;
    assert_clean("kill", &report);
    assert_no_errors(&ordeal.log(), &[]);
    let status = ordeal.product.stop(Duration::from_secs(30)).await.unwrap();
    assert!(status.success(), "{status}");
    let demanded =
        if kills < KILLS_OF_THE_PLAN { WEBHOOKS_PER_S_MIN_BUSY } else { WEBHOOKS_PER_S_MIN };
    assert!(per_s >= demanded, "only {per_s} webhooks/s");
}
