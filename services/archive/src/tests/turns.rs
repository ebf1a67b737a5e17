//! Two archives with a bucket on one bus: the first is killed, the second goes on without a gap.

use std::{sync::Arc, time::Duration};

use bus::{Bus, Checkpoint, Position, ReadLimit};
use chassis::{
    clock::Clock,
    health::Health,
    task::{self, Shutdown, TaskKind},
};
use tokio::runtime::{Builder, Runtime};

use super::{
    bucket::Place,
    segments::{AGING, BOUND, P0, World, floor},
    support::assert_same,
};
use crate::{
    Duty, DutyError, LeaseTimes, Projector, Repository, TrimOptions, Trimmer,
    segments::{Keeper, Lock, SegmentError, Segments, Shipper, verify},
};

const TIMES: LeaseTimes =
    LeaseTimes { renew: Duration::from_millis(100), lease: Duration::from_secs(1) };

/// One process: its tasks end with its runtime, wherever they are.
struct Process {
    runtime: Runtime,
    health: Health,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Duty(#[from] DutyError),
    #[error(transparent)]
    Segments(#[from] SegmentError),
}

impl Process {
    fn start(world: &World, place: &Place, model: &Arc<dyn Repository>, node: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _entered = runtime.enter();
        let health = Health::new();
        let bus = world.bus.clone();
        let duty = Duty::new(bus.clone(), node.to_owned(), Clock::system(), TIMES, &health);
        let (dir, bucket) = (world.dir.path().join(node), place.reopen());
        let (model, keepers_bus, told) = (Arc::clone(model), bus, health.clone());
        let begin = move |ending: &Shutdown| -> Result<Option<Lock>, Failed> {
            let (lock, segments) = (Lock::take(&dir)?, Segments::open(&dir)?);
            Shipper::new(segments.clone(), bucket.clone(), 1).start(ending, &told);
            let bus = keepers_bus.clone();
            let clock = Clock::system();
            Keeper::new(bus.clone(), segments.clone(), AGING, clock).start(ending);
            let options = TrimOptions { interval: Duration::from_millis(50), floor };
            let model = Arc::clone(&model);
            Trimmer::new(bus.clone(), Arc::clone(&model), segments.clone(), options).start(ending);
            let projector = Projector::new(bus, model, Clock::system()).with_segments(segments);
            projector.start(ending, &told);
            Ok(Some(lock))
        };
        let run = async move { duty.run(&Shutdown::new(), begin).await.unwrap() };
        task::spawn(TaskKind::Call, "archive", run).detach();
        Self { runtime, health }
    }

    fn stands_by(&self) -> bool {
        let warning = self.health.warnings().get("archive").cloned();
        warning.is_some_and(|it| it == "stands by: archive-1 works")
    }
}

async fn oldest(bus: &Bus) -> u64 {
    let one = ReadLimit { values: 1, bytes: 1 };
    bus.log.read(P0, 0, one).await.unwrap()[0].0
}

#[tokio::test]
async fn the_second_archive_goes_on_without_a_gap_where_the_killed_one_was() {
    let (world, place) = (World::empty(), Place::new("turns").await);
    let model: Arc<dyn Repository> = world.model("model");
    // Deciding needs nothing of the log any more.
    let position = Position { generation: 1, seq: 1, index: 0 };
    let bytes = bus::encode(&(0_u64, u64::from(u8::MAX))).unwrap();
    world.bus.states.put_checkpoint(P0, Checkpoint { position, bytes }).await.unwrap();
    world.grow(60).await;
    let first = Process::start(&world, &place, &model, "archive-1");
    let trimmed = async || (oldest(&world.bus).await > 30).then_some(());
    testkit::wait_for(BOUND, "the first archive to trim", trimmed).await.unwrap();
    let second = Process::start(&world, &place, &model, "archive-2");
    testkit::wait_until(BOUND, "the second archive to stand by", || second.stands_by())
        .await
        .unwrap();
    first.runtime.shutdown_background();
    world.grow(120).await;
    let kept = async || {
        let segments = Segments::open(&world.dir.path().join("archive-2")).unwrap();
        (segments.last(P0)?.footer.last_seq == 121 && oldest(&world.bus).await > 100)
            .then_some(segments)
    };
    let segments =
        testkit::wait_for(BOUND, "the second archive to keep and trim", kept).await.unwrap();
    assert!(second.health.is_ready() && !second.stands_by(), "{:?}", second.health);
    second.runtime.shutdown_background();
    let report = verify(segments.dir()).unwrap();
    assert_eq!((report.records, report.problems), (121, Vec::new()));
    let rebuilt = world.rebuilt("rebuilt", Some(segments)).await.unwrap().dump().await.unwrap();
    let followed = world.model("model").dump().await.unwrap();
    assert_eq!(followed["messages"].len(), 120);
    assert_same(&rebuilt, &followed, &"followed");
}
