use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

struct SetOnDrop(Arc<AtomicBool>);
impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn values_panics_and_aborts_are_told_apart() {
    let value = spawn(TaskKind::Call, "value", async { 5 });
    assert_eq!((value.name(), value.await), ("value", Ok(5)));

    let panics = spawn(TaskKind::Call, "panics", async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        panic!("on purpose");
    });
    assert_eq!(panics.await, Err::<(), _>(TaskError::Panicked("panics")));

    let aborted = spawn(TaskKind::Call, "aborted", std::future::pending::<()>());
    aborted.abort();
    assert_eq!(aborted.await, Err(TaskError::Aborted("aborted")));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_guard_ends_the_task_and_dropping_the_handle_does_not() {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = SetOnDrop(ended.clone());
    let task = spawn_abort_on_drop(TaskKind::Connection, "guarded", async move {
        let _flag = flag;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    drop(task);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(ended.load(Ordering::SeqCst));

    let (tx, rx) = tokio::sync::oneshot::channel();
    spawn(TaskKind::Connection, "detached", async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _ = tx.send(7);
    })
    .detach();
    assert_eq!(rx.await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_vital_failure_stops_its_shutdown_and_a_small_one_does_not() {
    let shutdown = Shutdown::new();
    let small = shutdown.spawn(TaskKind::Call, "small", async { panic!("on purpose") });
    assert_eq!(small.await, Err::<(), _>(TaskError::Panicked("small")));
    let _ = shutdown
        .spawn_fallible(TaskKind::Maintenance, "later", async { Err("disk is busy") })
        .await;
    assert!(!shutdown.has_begun());

    let vital = shutdown.spawn_fallible(TaskKind::Core, "vital", async { Err("disk is gone") });
    assert_eq!(vital.await, Ok(()));
    assert!(shutdown.has_begun());
    assert_eq!(shutdown.failed_task(), Some("vital"));
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_work_in_flight() {
    let shutdown = Shutdown::new();
    let watcher = shutdown.clone();
    let task = shutdown.spawn(TaskKind::Follower, "finisher", async move {
        watcher.begun().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        "finished"
    });
    assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Ok(()));
    assert_eq!(task.await, Ok("finished"));
    assert_eq!(shutdown.failed_task(), None);
}

#[tokio::test(start_paused = true)]
async fn drain_names_who_does_not_end() {
    let shutdown = Shutdown::new();
    let one = shutdown.spawn(TaskKind::Connection, "stuck", std::future::pending::<()>());
    let two = shutdown.spawn(TaskKind::Connection, "stuck", std::future::pending::<()>());
    shutdown.spawn(TaskKind::Connection, "brief", async {}).detach();
    let late = shutdown.drain(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(late.running, ["stuck"]);
    assert_eq!(late.to_string(), "still running after 5000 ms: stuck");
    one.abort();
    two.abort();
    assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Ok(()));
}

#[test]
fn a_panic_is_counted_by_kind() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(spawn_in(&runtime));
        assert_eq!(outcome, Err(TaskError::Panicked("counted")));
    });
    let text = rendered.render();
    assert!(text.contains("tandem_chassis_task_panics_total{kind=\"call\"} 1"), "{text}");
}

fn spawn_in(runtime: &tokio::runtime::Runtime) -> TaskHandle<()> {
    let _inside = runtime.enter();
    spawn(TaskKind::Call, "counted", async { panic!("on purpose") })
}
