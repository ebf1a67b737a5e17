//! A node does its job, on both buses.

use std::{sync::Arc, time::Duration};

use bus::PartitionId;
use runtime::{NodeOptions, Placement, Settings, host::Executor};

use crate::{
    toy::{Command, ToyHost, World, account, input, key},
    world::{Installation, PARTITIONS, append, ask, until},
};

#[tokio::test(start_paused = true)]
async fn inputs_are_decided_in_order_and_answered() {
    let installation = Installation::new(1);
    let (node, _) = installation.node("a").await;
    node.take(PartitionId(2)).await.unwrap();
    let (one, two) = (account(2, 1, PARTITIONS), account(2, 2, PARTITIONS));
    let add = |n, target| input(n, target, &Command::Add(n), None);
    installation.append(vec![add(1, one), add(2, two), add(3, one)]).await;
    installation.append(vec![add(4, two)]).await;
    let steps = installation.until_steps(2, 4).await;
    let keys: Vec<_> = steps.iter().map(|step| (step.header.key, step.entity)).collect();
    assert_eq!(keys, [(key(1), one), (key(2), two), (key(3), one), (key(4), two)]);
    let reply = ask(&installation.sim.node("edge"), add(5, one)).await;
    assert_eq!(reply.result.unwrap(), "4");
    node.stop(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_calls_and_timers_go_round() {
    let installation = Installation::new(2);
    let (node, _) = installation.node("a").await;
    for partition in 0..PARTITIONS {
        node.take(PartitionId(partition)).await.unwrap();
    }
    let (here, there) = (account(0, 1, PARTITIONS), account(3, 1, PARTITIONS));
    let send = Command::Send { to: there, amount: 7 };
    let wake = Command::WakeAt(installation.clock.wall_ms() + 3_600_000);
    let call = Command::Call { text: "hello".to_owned() };
    installation.append(vec![input(1, here, &send, None), input(2, here, &call, None)]).await;
    installation.append(vec![input(3, here, &wake, None)]).await;
    installation.until_steps(3, 1).await;
    let steps = installation.until_steps(0, 4).await;
    assert_eq!(steps[3].header.cause, bus::Cause::CallResult);
    assert_eq!(installation.world.calls.lock().unwrap().len(), 1);
    let steps = until("the timer", || Some(installation.steps(0)).filter(|steps| steps.len() == 5));
    let fired = tokio::time::timeout(Duration::from_secs(4_000), steps);
    // `until` looks for five minutes; the timer is due in an hour.
    tokio::time::sleep(Duration::from_secs(3_590)).await;
    let steps = fired.await.unwrap();
    assert_eq!(steps[4].header.cause, bus::Cause::Timer);
    assert!(steps[4].now_ms >= steps[2].wake_ms.unwrap());
    node.stop(Duration::from_secs(30)).await.unwrap();
    let saved = installation.saved(here).unwrap();
    assert_eq!((saved.fired, saved.calls.get(&key(2))), (1, Some(&Some(true))));
    assert_eq!(installation.saved(there).unwrap().total, 7);
}

/// Embedded: real time, real disk, every partition of its own accord.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_serves_sqlite_and_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let executor: Arc<dyn Executor> = Arc::new(World::default());
    let target = account(1, 9, 8);
    for round in 0..2_u64 {
        let bus = bus::sqlite::open(directory.path(), bus::sqlite::Options::default()).unwrap();
        let host = Arc::new(ToyHost::default());
        let mut options = NodeOptions::new(bus.clone(), host, Arc::clone(&executor), "tandem");
        options.settings = Settings { placement: Placement::All, ..Settings::default() };
        let node = runtime::Node::start(options).await.unwrap();
        let mut ready = node.readiness();
        let served = ready.wait_for(|readiness| readiness.is_ready() && readiness.serving == 8);
        tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
        for n in 0..10 {
            append(&bus, vec![input(round * 10 + n, target, &Command::Add(1), None)]).await;
        }
        let reply = ask(&bus, input(round * 10 + 1_000, target, &Command::Add(0), None)).await;
        assert_eq!(reply.result.unwrap(), ((round + 1) * 10).to_string());
        node.stop(Duration::from_secs(20)).await.unwrap();
    }
}
