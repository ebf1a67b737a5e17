//! Archives that take turns, on the simulated bus in virtual time: never two at once, and always one again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus::sim::{Faults, Link, Silence, SimBus};
use chassis::{
    clock::Clock,
    health::Health,
    task::{self, Shutdown, TaskHandle, TaskKind},
};

use crate::{Duty, DutyError, LeaseTimes};

const TIMES: LeaseTimes =
    LeaseTimes { renew: Duration::from_millis(500), lease: Duration::from_secs(3) };
const BOUND: Duration = Duration::from_secs(60);

/// Who works, and what happened.
#[derive(Debug, Default)]
struct Seen {
    working: BTreeSet<&'static str>,
    events: Vec<String>,
    overlapped: bool,
}

type Shared = Arc<Mutex<Seen>>;

fn locked(seen: &Shared) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Member {
    shutdown: Shutdown,
    health: Health,
    run: TaskHandle<Result<(), DutyError>>,
}

impl Member {
    fn stands_by_for(&self, other: &str) -> bool {
        let warning = self.health.warnings().get("archive").cloned();
        warning.is_some_and(|it| it == format!("stands by: {other} works"))
    }
}

struct World {
    sim: SimBus,
    clock: Clock,
    seen: Shared,
    members: BTreeMap<&'static str, Member>,
}

impl World {
    fn new(seed: u64) -> Self {
        let (sim, clock) = (SimBus::new(seed, 1), Clock::virtual_from(0));
        Self { sim, clock, seen: Shared::default(), members: BTreeMap::new() }
    }

    fn start(&mut self, node: &'static str) {
        let member = self.member(node, node, Arc::clone(&self.seen));
        self.members.insert(node, member);
    }

    /// An archive that reaches the bus by `wire`.
    fn member(&self, node: &'static str, wire: &str, seen: Shared) -> Member {
        let (shutdown, health) = (Shutdown::new(), Health::new());
        let clock = self.clock.clone();
        let duty = Duty::new(self.sim.node(wire), node.to_owned(), clock, TIMES, &health);
        let begin = move |ending: &Shutdown| -> Result<Option<()>, DutyError> {
            let mut now = locked(&seen);
            now.working.insert(node);
            now.overlapped |= now.working.len() > 1;
            now.events.push(format!("{node} begins"));
            let (seen, over) = (Arc::clone(&seen), ending.clone());
            let work = async move {
                over.begun().await;
                let mut now = locked(&seen);
                now.working.remove(node);
                now.events.push(format!("{node} ends"));
            };
            ending.spawn(TaskKind::Follower, "work", work).detach();
            Ok(Some(()))
        };
        let ending = shutdown.clone();
        let run =
            task::spawn(TaskKind::Call, "archive", async move { duty.run(&ending, begin).await });
        Member { shutdown, health, run }
    }

    async fn until_works(&self, node: &'static str, bound: Duration) {
        let works = || locked(&self.seen).working.contains(node);
        testkit::wait_until(bound, node, works).await.unwrap();
    }

    async fn until_stands_by(&self, node: &'static str, other: &str) {
        let stands_by = || self.members[node].stands_by_for(other);
        testkit::wait_until(BOUND, node, stands_by).await.unwrap();
        assert!(self.members[node].health.is_ready());
    }

    fn events(&self) -> Vec<String> {
        locked(&self.seen).events.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn one_works_and_the_next_one_takes_over_at_once_when_it_gives_up() {
    let mut world = World::new(1);
    world.start("a");
    world.until_works("a", Duration::from_millis(100)).await;
    world.start("c");
    world.until_stands_by("c", "a").await;
    world.start("b");
    world.until_stands_by("b", "a").await;
    let a = world.members.remove("a").unwrap();
    a.shutdown.begin();
    a.run.await.unwrap().unwrap();
    // Who came first is next, whatever its name.
    world.until_works("c", TIMES.renew * 2).await;
    world.until_stands_by("b", "c").await;
    assert_eq!(world.events(), ["a begins", "a ends", "c begins"]);
    world.start("a");
    world.until_stands_by("a", "c").await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_reach_the_bus_stops_before_another_one_begins() {
    let mut world = World::new(1);
    world.start("a");
    world.until_works("a", BOUND).await;
    world.start("b");
    world.until_stands_by("b", "a").await;
    world.sim.set_link("a", Link::Cut);
    world.until_works("b", TIMES.lease * 2).await;
    assert_eq!(world.events(), ["a begins", "a ends", "b begins"]);
    assert!(!world.members["a"].health.is_ready());
    world.sim.set_link("a", Link::Up);
    world.until_stands_by("a", "b").await;
}

/// As a stopped process sees it: its clock has gone on when it goes on.
#[tokio::test(start_paused = true)]
async fn who_stood_still_for_longer_than_a_lease_stops_as_soon_as_it_goes_on() {
    let mut world = World::new(1);
    world.start("a");
    world.until_works("a", BOUND).await;
    world.clock.suspend(u64::try_from(TIMES.lease.as_millis()).unwrap());
    let ended = || world.events().len() > 1;
    testkit::wait_until(TIMES.renew, "the end of its work", ended).await.unwrap();
    world.until_works("a", BOUND).await;
    assert_eq!(world.events(), ["a begins", "a ends", "a begins"]);
}

#[tokio::test(start_paused = true)]
async fn after_an_election_one_works_again() {
    let mut world = World::new(1);
    for node in ["a", "b", "c"] {
        world.start(node);
    }
    let works = || locked(&world.seen).working.len() == 1;
    testkit::wait_until(BOUND, "one to work", works).await.unwrap();
    world.sim.set_silence(Silence { leases: true, ..Silence::default() });
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(locked(&world.seen).working.is_empty());
    world.sim.set_silence(Silence::default());
    testkit::wait_until(TIMES.lease * 3, "one to work again", works).await.unwrap();
    assert!(!locked(&world.seen).overlapped);
}

/// Requests and answers are lost and slow, links are cut: whatever happens two never work at once.
#[tokio::test(start_paused = true)]
async fn under_faults_two_never_work_at_once_and_afterwards_one_does() {
    let mut terms = 0;
    for seed in 0..40_u64 {
        let mut world = World::new(seed);
        for node in ["a", "b", "c"] {
            world.start(node);
        }
        world.sim.set_faults(Faults {
            lost: 0.1,
            unanswered: 0.1,
            slow: 0.4,
            unavailable: 0.1,
            ..Faults::default()
        });
        for round in 0..30_u64 {
            let node = ["a", "b", "c"][usize::try_from((round + seed) % 3).unwrap()];
            world.sim.set_link(node, Link::Cut);
            tokio::time::sleep(Duration::from_millis(500 + 700 * ((seed + round) % 11))).await;
            world.sim.set_link(node, Link::Up);
        }
        world.sim.set_faults(Faults::default());
        let works = || locked(&world.seen).working.len() == 1;
        testkit::wait_until(BOUND, "one to work", works).await.unwrap();
        for member in world.members.values() {
            member.shutdown.begin();
        }
        for (_, member) in std::mem::take(&mut world.members) {
            member.run.await.unwrap().unwrap();
        }
        let seen = locked(&world.seen);
        assert!(!seen.overlapped, "seed {seed}: {:?}", seen.events);
        terms += seen.events.len() / 2;
    }
    assert!(terms > 100, "only {terms} terms: the faults did nothing");
}

#[tokio::test(start_paused = true)]
async fn a_namesake_goes_and_who_was_there_works_on() {
    let mut world = World::new(1);
    world.start("a");
    world.until_works("a", BOUND).await;
    let others = Shared::default();
    let namesake = world.member("a", "another machine", Arc::clone(&others));
    let taken = namesake.run.await.unwrap();
    assert!(matches!(taken, Err(DutyError::NameTaken(_))), "{taken:?}");
    assert_eq!(locked(&others).events, Vec::<String>::new());
    world.until_works("a", TIMES.lease).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_ends_the_archive_and_gives_its_lease_up() {
    let world = World::new(1);
    let (shutdown, health) = (Shutdown::new(), Health::new());
    let bus = world.sim.node("a");
    let duty = Duty::new(bus.clone(), "a".to_owned(), world.clock.clone(), TIMES, &health);
    let begin = |ending: &Shutdown| -> Result<Option<()>, DutyError> {
        let fails = async { Err::<(), _>("of the test") };
        ending.spawn_fallible(TaskKind::Follower, "fails", fails).detach();
        Ok(Some(()))
    };
    let failed = duty.run(&shutdown, begin).await;
    assert!(matches!(failed, Err(DutyError::Failed("fails"))), "{failed:?}");
    assert_eq!(bus.leases.list().await.unwrap().len(), 0);
}
