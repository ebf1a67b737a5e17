//! One node's wire to the store: its link, its random stream, and the fate of each request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::{Faults, Link};

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

#[derive(Clone, Debug)]
pub(super) struct Wire {
    link: Arc<watch::Sender<Link>>,
    rng: Arc<Mutex<ChaCha8Rng>>,
}

impl Wire {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Self { link: Arc::new(watch::Sender::new(Link::Up)), rng: Arc::new(Mutex::new(rng)) }
    }

    pub(super) fn set_link(&self, link: Link) {
        self.link.send_replace(link);
    }

    pub(super) fn is_cut(&self) -> bool {
        *self.link.borrow() == Link::Cut
    }

    /// Waits while the node stands still.
    pub(super) async fn while_paused(&self) {
        let mut link = self.link.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        drop(link.wait_for(|link| *link != Link::Paused).await);
    }

    /// Waits until requests travel.
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
        if self.is_cut() || self.chance(faults.lost) {
            plan.fate = Fate::Lost;
        } else if self.chance(faults.unanswered) {
            plan.fate = Fate::Unanswered;
        } else if self.chance(faults.late) {
            plan.fate = Fate::Late;
            plan.there = give_up + self.travel(faults.late_ms_max);
        }
        plan
    }
}
