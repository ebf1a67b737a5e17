//! The door of each number: the one place where its rate is kept (invariant 6), measured at departure.
//!
//! One task per number grants leave, agents first and else in the order of the Number's grants, never more at once than the sliding log
//! allows. A grant counts as leaving at any moment until the call departs or gives it back; the departure is
//! entered immediately before the first byte. After a start the log is full, as if one second's rate had just
//! left: an earlier process may have sent it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::metrics::Counter;
use chassis::{
    clock::Clock,
    config::Config,
    seal::Sealer,
    task::{Shutdown, TaskKind},
};
use domain::{
    EntityId, Hash16,
    effect::Call,
    naming,
    number::{
        Lane,
        door::{DoorQueue, First},
        limiter::{SlidingLog, StartAt},
        recent_echoes::RecentEchoes,
    },
};
use runtime::{
    bus::{Bus, PartitionId, Signal},
    host::{Door, TooLate},
};
use tokio::sync::{mpsc, oneshot};

use crate::{bridge::to_bus, metrics};

/// Calls that may wait at one door; the Number grants at most 250 ms of its rate ahead, so 250 at 1,000/s.
const WAITING_MAX: usize = 1024;

/// Departures are counted this much longer than a second (see [`SlidingLog::with_margin`]): 1 % of the rate.
const MARGIN_US: u64 = 10_000;
/// A granted call departs within this or not at all: `start_by` is 2 s, with room for a slow connection.
const HELD_US: u64 = 12_000_000;
/// Keys of calls that a former owner may still start, beyond those of our own leaves.
const FORMER_KEYS: u64 = 1 << 63;
/// A call that waits is looked at again at least this often: its `start_by` may have passed.
const RECHECK_US: u64 = 100_000;
/// Pause before a subscription that failed or ended is made again.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(1);

/// Why nobody may leave by a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// The call's own time has passed.
    #[error(transparent)]
    TooLate(#[from] TooLate),
    /// The process is ending, or the number is not configured.
    #[error("the door is shut")]
    Closed,
}

struct Waiting {
    lane: Lane,
    /// The rate that the Number asks for, where it goes slower than configured.
    rate_per_s: Option<u32>,
    door: Door,
    leave: oneshot::Sender<Leave>,
}

/// Leave to start one call. Until it departs or is dropped it may leave at any moment, and counts as such.
#[derive(Debug)]
pub struct Leave {
    log: Arc<Mutex<SlidingLog>>,
    clock: Clock,
    departures: Counter,
    key: u64,
    counted_us: u64,
    departed: bool,
}

impl Leave {
    /// Enters the departure. Answers whether the call may go: a second time it may not.
    pub fn depart(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.departed, true);
        if first {
            let now_us = self.clock.boot_us();
            let mut log = lock(&self.log);
            log.resolve(self.key, false, now_us);
            log.left_later(self.counted_us, now_us);
            self.departures.increment(1);
        }
        first
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if !self.departed {
            // Its place stays counted where it was granted: too much rather than too little.
            lock(&self.log).resolve(self.key, false, self.clock.boot_us());
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The doors of all numbers of this process.
#[derive(Clone, Debug)]
pub struct Doors {
    doors: Arc<BTreeMap<EntityId, Entrance>>,
    clock: Clock,
    partitions: u16,
    start_by_us: u64,
}

/// One door as its callers see it.
#[derive(Debug)]
struct Entrance {
    waiting: mpsc::Sender<Waiting>,
    log: Arc<Mutex<SlidingLog>>,
    echoes: Arc<Mutex<RecentEchoes>>,
    rate_per_s: u32,
}

/// Says whether the phone has spoken to a call's customer since the conversation was asked.
#[derive(Clone, Debug)]
pub(crate) struct Overtaking {
    /// Only bots leave the floor to the phone.
    echoes: Option<Arc<Mutex<RecentEchoes>>>,
    clock: Clock,
    conversation: Hash16,
    asked_ms: u64,
}

impl Overtaking {
    /// As of now. The conversation is to be asked before the call may leave.
    pub(crate) fn has_happened(&self) -> bool {
        let now_ms = self.clock.wall_ms();
        self.echoes.as_ref().is_some_and(|echoes| {
            lock(echoes).spoke_since(self.conversation, self.asked_ms, now_ms)
        })
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl Doors {
    /// Opens a door per number of `config`, and listens for what comes in on each (`inbound.<number>`) and for whom its phone
    /// speaks to (`echo.<number>`).
    #[must_use]
    pub fn open(
        config: &Config,
        sealer: &Sealer,
        bus: &Bus,
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> Self {
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let numbers = config.businesses.iter().flat_map(|business| &business.numbers);
        let doors = numbers.map(|number| {
            let id = naming::number_id(&hash, &number.phone_number_id);
            let log = SlidingLog::new(number.rate(), true, clock.boot_us()).with_margin(MARGIN_US);
            let log = Arc::new(Mutex::new(log));
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let keeper = Keeper {
                log: Arc::clone(&log),
                clock: clock.clone(),
                departures: metrics::door(&number.phone_number_id, number.rate()),
                receiver,
                queue: DoorQueue::default(),
                rate_per_s: number.rate(),
                granted: 0,
            };
            shutdown.spawn(TaskKind::Core, "door", keeper.run(shutdown.clone())).detach();
            let kept = Arc::clone(&log);
            let inbound = count_inbound(bus.clone(), id, log, clock.clone());
            shutdown
                .spawn(TaskKind::Follower, "inbound count", until(shutdown.clone(), inbound))
                .detach();
            let echoes = Arc::default();
            let heard = hear_echoes(bus.clone(), id, Arc::clone(&echoes), clock.clone());
            shutdown
                .spawn(TaskKind::Follower, "echoes heard", until(shutdown.clone(), heard))
                .detach();
            (id, Entrance { waiting: sender, log: kept, echoes, rate_per_s: number.rate() })
        });
        Self {
            doors: Arc::new(doors.collect()),
            clock: clock.clone(),
            partitions: bus.partitions,
            start_by_us: config.limits.start_by_ms.saturating_mul(1_000),
        }
    }

    /// This process has just become the owner of a partition: what the former owner of its numbers sent lately, and may
    /// still send, counts here (design.md 4.5).
    pub fn taken(&self, partition: PartitionId) {
        let now_us = self.clock.boot_us();
        let doors = self.doors.iter();
        for (_, door) in
            doors.filter(|(id, _)| to_bus(**id).partition(self.partitions) == partition)
        {
            // The Number grants 250 ms of its rate ahead, so no more can be on its way.
            let ahead = door.rate_per_s.div_ceil(4);
            let until_us = now_us.saturating_add(self.start_by_us);
            lock(&door.log).taken(now_us, ahead, until_us, FORMER_KEYS);
        }
    }

    /// Watches whether `call` is overtaken by the phone.
    pub(crate) fn overtaking(&self, call: &Call) -> Overtaking {
        let door = self.doors.get(&call.number).filter(|_| call.lane == Lane::Bot);
        Overtaking {
            echoes: door.map(|door| Arc::clone(&door.echoes)),
            clock: self.clock.clone(),
            conversation: call.key.request.conversation,
            asked_ms: call.asked_ms,
        }
    }

    /// Waits for leave to start one call of `lane` on `number`, which goes at `rate_per_s` where that is slower than
    /// configured.
    ///
    /// # Errors
    /// [`Shut`] when `door` says that it is too late, or the door is closed.
    pub async fn wait(
        &self,
        number: EntityId,
        lane: Lane,
        rate_per_s: Option<u32>,
        door: &Door,
    ) -> Result<Leave, Shut> {
        let sender = &self.doors.get(&number).ok_or(Shut::Closed)?.waiting;
        let (leave, granted) = oneshot::channel();
        let waiting = Waiting { lane, rate_per_s, door: door.clone(), leave };
        sender.send(waiting).await.map_err(|_| Shut::Closed)?;
        match granted.await {
            Ok(leave) => Ok(leave),
            Err(_) => {
                door.check()?;
                Err(Shut::Closed)
            }
        }
    }
}

struct Keeper {
    log: Arc<Mutex<SlidingLog>>,
    clock: Clock,
    departures: Counter,
    receiver: mpsc::Receiver<Waiting>,
    queue: DoorQueue<Waiting>,
    /// Messages a second as configured.
    rate_per_s: u32,
    /// Leaves granted so far: the key of the next.
    granted: u64,
}

impl Keeper {
    async fn run(mut self, shutdown: Shutdown) {
        loop {
            let pause = self.grant();
            tokio::select! {
                () = shutdown.begun() => return,
                waiting = self.receiver.recv() => match waiting {
                    Some(waiting) => self.arrive(waiting),
                    None => return,
                },
                () = sleep(pause) => {}
            }
        }
    }

    /// Grants what may go now; answers how long to wait for the next, if anyone waits.
    fn grant(&mut self) -> Option<Duration> {
        loop {
            let next = self.next()?;
            let now_us = self.clock.boot_us();
            let start = lock(&self.log).next_start(now_us);
            match start {
                StartAt::Now => {
                    let leave = self.leave(now_us);
                    // A caller that has gone away drops its leave, which gives it back.
                    let _ = next.call.leave.send(leave);
                }
                StartAt::At(at_us) => {
                    self.queue.put_back(next);
                    let pause_us = at_us.saturating_sub(now_us).clamp(200, RECHECK_US);
                    return Some(Duration::from_micros(pause_us));
                }
            }
        }
    }

    fn leave(&mut self, counted_us: u64) -> Leave {
        self.granted += 1;
        lock(&self.log).hold(self.granted, counted_us.saturating_add(HELD_US));
        Leave {
            log: Arc::clone(&self.log),
            clock: self.clock.clone(),
            departures: self.departures.clone(),
            key: self.granted,
            counted_us,
            departed: false,
        }
    }

    fn arrive(&mut self, waiting: Waiting) {
        // The newest call knows best how fast the number may go.
        let rate = waiting.rate_per_s.unwrap_or(self.rate_per_s).min(self.rate_per_s);
        lock(&self.log).set_rate(rate);
        self.queue.push(waiting.lane, waiting);
    }

    /// The next whose call may still start.
    fn next(&mut self) -> Option<First<Waiting>> {
        self.queue.first(|waiting| !waiting.leave.is_closed() && waiting.door.check().is_ok())
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

async fn until(shutdown: Shutdown, task: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.begun() => {}
        () = task => {}
    }
}

/// Follows a topic for as long as the process runs. It comes back after the bus was away: a door that hears nothing any more
/// would go by what was decided only.
async fn follow(bus: Bus, topic: String, mut on_signal: impl FnMut(Result<Signal, u64>)) {
    loop {
        match bus.signals.subscribe(&topic).await {
            Ok(mut signals) => {
                while let Some(signal) = signals.next().await {
                    on_signal(signal);
                }
            }
            Err(error) => tracing::debug!(%error, topic, "a door does not hear"),
        }
        tokio::time::sleep(SUBSCRIBE_AGAIN).await;
    }
}

/// Inbound messages count against the rate from the moment they are known.
async fn count_inbound(bus: Bus, number: EntityId, log: Arc<Mutex<SlidingLog>>, clock: Clock) {
    let count = move |signal: Result<Signal, u64>| {
        let count = match signal {
            Ok(signal) => <[u8; 4]>::try_from(signal.body.as_ref()).map_or(1, u32::from_be_bytes),
            // Lost signals: each stood for at least one message.
            Err(lost) => u32::try_from(lost).unwrap_or(u32::MAX),
        };
        let now_us = clock.boot_us();
        let mut log = lock(&log);
        for _ in 0..count {
            log.note_inbound(now_us);
        }
    };
    follow(bus, format!("inbound.{}", number.hash), count).await;
}

/// Whom the phone speaks to is known here before the conversation decides it. What is lost on the way is known only then.
async fn hear_echoes(bus: Bus, number: EntityId, echoes: Arc<Mutex<RecentEchoes>>, clock: Clock) {
    let note = move |signal: Result<Signal, u64>| {
        let Ok(signal) = signal else { return };
        let (conversations, _) = signal.body.as_chunks::<16>();
        let now_ms = clock.wall_ms();
        let mut echoes = lock(&echoes);
        for conversation in conversations {
            echoes.note(Hash16(*conversation), now_ms);
        }
    };
    follow(bus, format!("echo.{}", number.hash), note).await;
}
