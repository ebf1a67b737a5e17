//! What every test needs: the two programs, its turn, a directory that stays when it fails, and the verdict.

use std::{path::Path, time::Duration};

use chassis::clock::Clock;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;
use tandem::stage::{Control, Programs};
use tempfile::TempDir;
use testkit::wait_for;
use tokio::sync::{Semaphore, SemaphorePermit};
use toml::Table;

/// Two processes under load are enough for a small machine.
static TURN: Semaphore = Semaphore::const_new(1);
/// Lines of the product's log that a failed test shows.
const LOG_TAIL: usize = 40;
/// What does not change for so long is at rest.
const STILL_MS: u64 = 2_000;
/// What does not come to rest within this never will.
const SETTLE: Duration = Duration::from_secs(60);

/// A test's turn and its directory.
#[derive(Debug)]
pub(crate) struct Play {
    name: &'static str,
    dir: Option<TempDir>,
    turn: Option<SemaphorePermit<'static>>,
}

impl Play {
    pub(crate) async fn begin(name: &'static str) -> Self {
        chassis::listener::install_crypto_provider();
        let turn = TURN.acquire().await.unwrap();
        Self { name, dir: Some(testkit::temp_dir().unwrap()), turn: Some(turn) }
    }

    /// Lets the customers stop, waits for rest, and gives the verdict. Meanwhile another test may play: at rest there is
    /// little to do but to wait.
    pub(crate) async fn rest(&mut self, control: &Control, bound: Duration) -> Value {
        control.pause().await.unwrap();
        self.turn = None;
        control.settle(bound).await.unwrap()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take().filter(|_| std::thread::panicking()) else { return };
        let path = dir.keep();
        println!("{}: data, configuration and logs stay in {}", self.name, path.display());
        for log in logs_below(&path) {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            println!("--- the end of {}, without INFO", log.display());
            let told = |line: &&str| !line.contains("\"level\":\"INFO\"");
            let lines: Vec<&str> = text.lines().filter(told).collect();
            for line in &lines[lines.len().saturating_sub(LOG_TAIL)..] {
                println!("{line}");
            }
        }
    }
}

fn logs_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut logs = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            logs.extend(logs_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    logs
}

/// Product and simulator as built beside this test.
pub(crate) fn programs() -> Programs {
    let tandem = std::path::PathBuf::from(env!("CARGO_BIN_EXE_tandem"));
    let loadtest = tandem.with_file_name("loadtest");
    Programs::at(tandem, loadtest).unwrap_or_else(|error| panic!("{error}"))
}

/// A client that goes nowhere but to this machine.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The body of an answer that must be 200.
pub(crate) async fn get(url: &str) -> String {
    let answer = http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.text().await.unwrap()
}

/// A shipped scenario, changed.
pub(crate) fn scenario(text: &str, change: impl FnOnce(&mut Table)) -> String {
    let mut table: Table = text.parse().unwrap();
    change(&mut table);
    toml::to_string(&table).unwrap()
}

/// Sets `section.key`.
pub(crate) fn set(table: &mut Table, section: &str, key: &str, value: impl Into<toml::Value>) {
    let section = table.get_mut(section).and_then(toml::Value::as_table_mut).unwrap();
    section.insert(key.to_owned(), value.into());
}

/// How often, from the environment.
pub(crate) fn times(variable: &str, default: u64) -> u64 {
    told(variable).unwrap_or(default)
}

/// A number from the environment.
pub(crate) fn told(variable: &str) -> Option<u64> {
    let told = std::env::var(variable).ok();
    told.map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// The generator of this run's strikes; it says how to repeat it.
pub(crate) fn seeded(name: &str) -> StdRng {
    let seed = times("TANDEM_TEST_SEED", Clock::system().wall_ms());
    println!("{name}: TANDEM_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// A number of a report.
pub(crate) fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("the report has no {key}: {report:#}"))
}

/// Waits until the report of the simulator satisfies `enough`.
pub(crate) async fn until(
    control: &Control,
    what: &str,
    bound: Duration,
    enough: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    let report = wait_for(bound, what, async || {
        last = control.report().await.unwrap();
        enough(&last).then(|| last.clone())
    });
    let report = report.await;
    report.unwrap_or_else(|error| panic!("{error}: {last:#}"))
}

/// POSTs that the product answered with 200.
pub(crate) fn taken(report: &Value) -> u64 {
    count(report, "posts") - count(report, "posts_failed")
}

/// Waits until the product has taken so many webhooks more. Attempts that fail do not count: while a product is down they are
/// the more the longer it was, and one that is killed again before it took anything has no chance to catch up.
pub(crate) async fn until_taken(control: &Control, posts: u64, bound: Duration) -> Value {
    let goal = taken(&control.report().await.unwrap()) + posts;
    until(control, "so much traffic", bound, |report| taken(report) >= goal).await
}

/// What is read, once it has not changed for two seconds.
pub(crate) async fn settled<T: PartialEq>(read: impl AsyncFn() -> T) -> T {
    let clock = Clock::system();
    let (mut last, mut since_ms) = (read().await, clock.boot_ms());
    let still = wait_for(SETTLE, "rest", async || {
        let next = read().await;
        if next != last {
            (last, since_ms) = (next, clock.boot_ms());
        }
        (clock.boot_ms() - since_ms >= STILL_MS).then_some(())
    });
    still.await.unwrap_or_else(|error| panic!("it goes on changing: {error}"));
    last
}

/// The world came to rest and the judge found nothing: what was acknowledged is in the threads, in order, once.
pub(crate) fn assert_clean(name: &str, report: &Value) {
    let keys = [
        "inbound",
        "held_back",
        "acked",
        "decided",
        "sends",
        "delivered",
        "lost",
        "duplicated",
        "violations",
        "repeated_unknown",
        "posts",
        "posts_failed",
        "answers_withheld",
        "webhook_ms_p50",
        "webhook_ms_p99",
        "offer_ms_p50",
        "offer_ms_p99",
        "rate_peaks",
    ];
    let facts: Vec<String> = keys.iter().map(|key| format!("{key} {}", report[*key])).collect();
    println!("{name}: {}", facts.join("  "));
    println!("{name}: rest {}", report["rest"]);
    let verdicts =
        ["lost", "duplicated", "violations", "simulator_panics"].map(|k| count(report, k));
    assert_eq!(verdicts, [0; 4], "findings: {:#}", report["findings"]);
    assert_eq!(report["judged"], true, "{report:#}");
    assert_eq!(report["rest"]["settled"], true, "{:#}", report["rest"]);
    assert!(count(report, "acked") > 0, "nothing happened: {report:#}");
    assert_eq!(count(report, "decided"), count(report, "acked"), "{report:#}");
}

/// The product's log has no line of level ERROR but those that contain one of `expected`.
pub(crate) fn assert_no_errors(log: &Path, expected: &[&str]) {
    let text = std::fs::read_to_string(log).unwrap();
    let errors: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("\"level\":\"ERROR\""))
        .filter(|line| !expected.iter().any(|part| line.contains(part)))
        .collect();
    assert!(
        errors.is_empty(),
        "{} ERROR lines, the first: {:#?}",
        errors.len(),
        &errors[..errors.len().min(5)]
    );
}
