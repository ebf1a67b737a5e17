//! Tells Numbers which of their calls have left: those are no longer ahead of the door, so that a slow provider does not cap
//! a number below its rate (design.md 4.5).
//!
//! Best effort: a departure that is not told costs only pace, until the call's result comes.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use chassis::{
    clock::Clock,
    task::{Shutdown, TaskKind},
};
use domain::{
    EntityId,
    effect::{Call, CallKey},
    number::NumberInput,
    persist,
};
use runtime::bus::{self, Bus, Cause, Header, InboxEntry, Input, Key};
use tokio::sync::mpsc;

use crate::bridge::to_bus;

/// Departures told together: what leaves within this, in one input per number.
const TOGETHER: Duration = Duration::from_millis(25);
/// Calls named in one input.
const CALLS_MAX: usize = 100;
/// Departures that wait to be told; beyond it they are not.
const QUEUE_MAX: usize = 4096;

type Left = (EntityId, String, CallKey);

/// Where departures are told.
#[derive(Clone, Debug)]
pub struct Departures(mpsc::Sender<Left>);

/// One call's departure, to be told when it happens.
pub(crate) struct Departure {
    departures: mpsc::Sender<Left>,
    left: Option<Left>,
}

impl Departures {
    /// Starts the task that tells.
    #[must_use]
    pub fn start(bus: &Bus, clock: &Clock, shutdown: &Shutdown) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let teller = tell_all(bus.clone(), clock.clone(), receiver, shutdown.clone());
        shutdown.spawn(TaskKind::Follower, "departures", teller).detach();
        Self(sender)
    }

    pub(crate) fn of(&self, business: &str, call: &Call) -> Departure {
        let left = Some((call.number, business.to_owned(), call.key));
        Departure { departures: self.0.clone(), left }
    }
}

impl Departure {
    /// It leaves now.
    pub(crate) fn tell(&self) {
        if let Some(left) = self.left.clone() {
            // A full queue costs pace, nothing else.
            let _ = self.departures.try_send(left);
        }
    }
}

async fn tell_all(bus: Bus, clock: Clock, mut receiver: mpsc::Receiver<Left>, shutdown: Shutdown) {
    loop {
        let first = tokio::select! {
            () = shutdown.begun() => return,
            first = receiver.recv() => first,
        };
        let Some(first) = first else { return };
        tokio::time::sleep(TOGETHER).await;
        let mut by_number: BTreeMap<(EntityId, String), Vec<CallKey>> = BTreeMap::new();
        let mut next = Some(first);
        while let Some((number, business, key)) = next {
            by_number.entry((number, business)).or_default().push(key);
            next = receiver.try_recv().ok();
        }
        for ((number, business), calls) in by_number {
            for calls in calls.chunks(CALLS_MAX) {
                tell(&bus, number, &business, calls, clock.wall_ms()).await;
            }
        }
    }
}

async fn tell(bus: &Bus, number: EntityId, business: &str, calls: &[CallKey], now_ms: u64) {
    let Ok(body) = persist::encode(&NumberInput::Departed { calls: calls.to_vec() }) else {
        return;
    };
    let target = to_bus(number);
    let entry = InboxEntry::new(vec![Input {
        header: Header {
            key: key_of(&body),
            business: bus::BusinessId(business.to_owned()),
            cause: Cause::Command,
            trace: None,
            received_ms: now_ms,
        },
        target,
        body: Bytes::from(body),
        reply_to: None,
    }]);
    let Ok(entry) = entry.encode() else { return };
    if let Err(error) = bus.inbox.append(target.partition(bus.partitions), entry).await {
        tracing::debug!(%error, "departures were not told");
    }
}

/// An attempt leaves once: what is told names it.
fn key_of(body: &[u8]) -> Key {
    let mut key = [0; 16];
    let hash = blake3::hash(body);
    key.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    Key(key)
}
