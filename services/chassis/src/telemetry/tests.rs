use super::*;

/// The one test that takes the process's recorder; logs stay the test harness's own.
#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_rendered() {
    let clock = Clock::virtual_from(1_700_000_000_042);
    let metrics = Metrics::install(&clock).unwrap();
    assert!(matches!(Metrics::install(&clock), Err(TelemetryError::MetricsTaken)));

    metrics::counter!("tandem_chassis_test_total", "kind" => "a").increment(2);
    metrics::histogram!("tandem_chassis_test_seconds").record(0.003);
    let text = metrics.render();
    let lines: Vec<_> = text.lines().collect();
    for expected in [
        "tandem_chassis_test_total{kind=\"a\"} 2",
        "tandem_chassis_test_seconds_bucket{le=\"0.002\"} 0",
        "tandem_chassis_test_seconds_bucket{le=\"0.005\"} 1",
        "process_start_time_seconds 1700000000.042",
    ] {
        assert!(lines.contains(&expected), "{expected} not in\n{text}");
    }
    let value = |name: &str| -> u64 {
        let line = lines.iter().find_map(|l| l.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 1_000_000);
    assert!(value("process_open_fds ") >= 3);

    let shutdown = Shutdown::new();
    let upkeep = metrics.spawn_upkeep(&shutdown);
    tokio::time::sleep(UPKEEP_EVERY * 3).await;
    assert!(!upkeep.is_finished());
    assert_eq!(shutdown.drain(UPKEEP_EVERY).await, Ok(()));
}

#[test]
fn a_bad_filter_is_refused_before_anything_is_set() {
    let log = Log { format: LogFormat::Json, filter: "info,=x=".to_owned() };
    let text = init_logs(&log).unwrap_err().to_string();
    assert!(text.starts_with("log.filter: "), "{text}");
}

const CHILD: &str = "CHASSIS_TEST_LOGS_CHILD";

/// Runs itself as a child process, because logs and the panic hook belong to a whole process.
#[test]
fn a_panic_is_one_line_without_what_it_was_about() {
    if std::env::var_os(CHILD).is_some() {
        return panics_in_every_way();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("telemetry::tests::a_panic_is_one_line_without_what_it_was_about")
        .env(CHILD, "1")
        .output()
        .unwrap();
    let logged = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{logged}");
    let lines: Vec<serde_json::Value> =
        logged.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let said = |i: usize, key: &str| lines[i][key].as_str().unwrap().to_owned();
    assert_eq!(lines.len(), 3, "{logged}");
    assert_eq!((said(0, "message"), said(0, "task")), ("task panicked".into(), "formats".into()));
    let panic = said(0, "panic");
    assert!(
        panic.starts_with("(formatted text withheld) at ") && panic.contains(".rs:"),
        "{panic}"
    );
    assert!(said(1, "panic").starts_with("a literal at "));
    assert_eq!(said(2, "message"), "panic outside a watched task");
    assert!(said(2, "place").contains(".rs:"));
    assert!(!logged.contains("491511"), "{logged}");
}

fn panics_in_every_way() {
    let log = Log { format: LogFormat::Json, filter: "info".to_owned() };
    init_logs(&log).unwrap();
    let customer = "491511";
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let spawn = crate::task::spawn::<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>;
        let formats = async move { panic!("no conversation of {customer}") };
        let literal = async { panic!("a literal") };
        let _ = spawn(TaskKind::Call, "formats", Box::pin(formats)).await;
        let _ = spawn(TaskKind::Call, "literal", Box::pin(literal)).await;
    });
    let outside = std::thread::spawn(move || panic!("not even {customer}"));
    assert!(outside.join().is_err());
}
