//! One node's wire to the store: its link, its random stream, and the fate of each request.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::{Faults, Link};
use crate::PartitionId;

/// What will happen to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Applied and answered.
    Answered,
    /// Never applied.
    Lost,
    /// Applied, never answered.
    Unanswered,
    /// Applied after the caller gave up.
    Late,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) fate: Fate,
    /// From the node to the store.
    pub(super) there: Duration,
    /// From the store to the node.
    pub(super) back: Duration,
    pub(super) give_up: Duration,
    pub(super) refused: bool,
    pub(super) full: bool,
}

/// When a leader was deposed that still answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deposed {
    /// So many milliseconds ago.
    Ago(u64),
    /// Just before the partition was last taken.
    BeforeTakeOver,
}

#[derive(Clone, Debug)]
pub(super) struct Wire {
    link: Arc<watch::Sender<Link>>,
    rng: Arc<Mutex<ChaCha8Rng>>,
    leaders: Arc<Mutex<Leaders>>,
}

/// Which leaders the node reads from: of a random stream of its own, so that it disturbs no other fault.
#[derive(Debug)]
struct Leaders {
    rng: ChaCha8Rng,
    /// Logs whose former leader has just answered.
    former: BTreeSet<PartitionId>,
}

impl Wire {
    pub(super) fn new(rng: ChaCha8Rng, leaders: ChaCha8Rng) -> Self {
        let leaders = Leaders { rng: leaders, former: BTreeSet::new() };
        Self {
            link: Arc::new(watch::Sender::new(Link::Up)),
            rng: Arc::new(Mutex::new(rng)),
            leaders: Arc::new(Mutex::new(leaders)),
        }
    }

    /// When the leader was deposed whom a read of a last record reaches; `None`: it leads.
    pub(super) fn deposed(&self, faults: &Faults, partition: PartitionId) -> Option<Deposed> {
        if faults.stale <= 0.0 {
            return None;
        }
        let mut leaders = self.leaders.lock().unwrap_or_else(PoisonError::into_inner);
        let Leaders { rng, former } = &mut *leaders;
        if former.remove(&partition) || !rng.random_bool(faults.stale.min(1.0)) {
            return None;
        }
        former.insert(partition);
        let ago_ms = rng.random_range(0..=faults.stale_ms_max);
        Some(if rng.random() { Deposed::BeforeTakeOver } else { Deposed::Ago(ago_ms) })
    }

    pub(super) fn set_link(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Whether what the node sends arrives, sooner or later.
    pub(super) fn sends(&self) -> bool {
        *self.link.borrow() != Link::Cut
    }

    /// Whether what is sent to the node arrives, sooner or later.
    pub(super) fn hears(&self) -> bool {
        !matches!(*self.link.borrow(), Link::Cut | Link::Deaf)
    }

    /// Waits while the node stands still.
    pub(super) async fn while_paused(&self) {
        let mut link = self.link.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        drop(link.wait_for(|link| *link != Link::Paused).await);
    }

    /// Waits until requests travel, and answers too.
    pub(super) async fn until_up(&self) {
        let mut link = self.link.subscribe();
        drop(link.wait_for(|link| *link == Link::Up).await);
    }

    pub(super) fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.with_rng(|rng| rng.random_bool(probability.min(1.0)))
    }

    /// A number from 0 to `max`.
    pub(super) fn up_to(&self, max: usize) -> usize {
        self.with_rng(|rng| rng.random_range(0..=max))
    }

    fn with_rng<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn travel(&self, ms_max: u64) -> Duration {
        Duration::from_millis(self.with_rng(|rng| rng.random_range(1..=ms_max.max(1))))
    }

    /// Draws what will happen to one request.
    pub(super) fn plan(&self, faults: &Faults) -> Plan {
        let give_up = Duration::from_millis(faults.give_up_ms);
        let slow = self.chance(faults.slow);
        let slow_travel =
            || if slow { self.travel(faults.slow_ms_max) } else { Duration::default() };
        let mut plan = Plan {
            fate: Fate::Answered,
            there: slow_travel(),
            back: slow_travel(),
            give_up,
            refused: self.chance(faults.unavailable),
            full: self.chance(faults.full),
        };
        if !self.sends() || self.chance(faults.lost) {
            plan.fate = Fate::Lost;
        } else if !self.hears() || self.chance(faults.unanswered) {
            plan.fate = Fate::Unanswered;
        } else if self.chance(faults.late) {
            plan.fate = Fate::Late;
            plan.there = give_up + self.travel(faults.late_ms_max);
        }
        plan
    }
}
