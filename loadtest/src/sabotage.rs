//! A misbehaving proxy between the product and Meta, to prove that each verdict can become non-zero.
//!
//! It acts before the judge sees a send, and after the judge wrote down what a customer sent: to the judge its deeds look like
//! the product's.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::world::{ChatId, NumberId};

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Sabotage {
    /// Acknowledges a webhook and throws it away.
    Drop,
    /// Passes a send on twice.
    Double,
    /// Holds sends back and lets them go all at once.
    OverRate,
    /// Passes a send on to another customer of the number.
    WrongRecipient,
    /// Holds a bot's message until desk or phone has the floor.
    StaleBotTurn,
    /// Delivers a customer's message as if it had come to another business.
    CrossBusiness,
}

/// The proxy's state. Every `EVERY`th thing it could spoil, it spoils.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) kind: Option<Sabotage>,
    seen: u64,
    bursts: BTreeMap<NumberId, Vec<oneshot::Sender<()>>>,
    turns: Vec<Turn>,
    pub(crate) deeds: u64,
}

/// A bot's message that is held.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) chat: ChatId,
    pub(crate) since_us: u64,
    release: oneshot::Sender<()>,
}

const EVERY: u64 = 7;
/// A bot's message is not held longer.
const HOLD_US: u64 = 60_000_000;

impl Proxy {
    pub(crate) fn new(kind: Option<Sabotage>) -> Self {
        Self { kind, seen: 0, bursts: BTreeMap::new(), turns: Vec::new(), deeds: 0 }
    }

    /// Whether this one is to be spoiled, if the proxy does `kind` at all.
    pub(crate) fn strikes(&mut self, kind: Sabotage) -> bool {
        if self.kind != Some(kind) {
            return false;
        }
        self.seen += 1;
        let now = self.seen.is_multiple_of(EVERY);
        self.deeds += u64::from(now);
        now
    }

    /// Whether sends of this number are held.
    pub(crate) fn holds(&self, number: NumberId) -> bool {
        self.bursts.contains_key(&number)
    }

    /// Holds a send of this number until `size` are held.
    pub(crate) fn hold_burst(&mut self, number: NumberId, size: usize) -> oneshot::Receiver<()> {
        let (release, held) = oneshot::channel();
        let burst = self.bursts.entry(number).or_default();
        burst.push(release);
        if burst.len() >= size {
            self.deeds += 1;
            self.release_burst(number);
        }
        held
    }

    /// Lets the held sends of a number go. A send whose caller has gone is gone.
    pub(crate) fn release_burst(&mut self, number: NumberId) {
        for held in self.bursts.remove(&number).unwrap_or_default() {
            held.send(()).unwrap_or_default();
        }
    }

    pub(crate) fn hold_turn(&mut self, chat: ChatId, now_us: u64) -> oneshot::Receiver<()> {
        let (release, held) = oneshot::channel();
        self.turns.push(Turn { chat, since_us: now_us, release });
        held
    }

    /// Lets go the held turns of chats where the bot may no longer speak. Gives whether some are still held.
    pub(crate) fn release_turns(&mut self, now_us: u64, late: impl Fn(ChatId) -> bool) -> bool {
        let turns = std::mem::take(&mut self.turns);
        for turn in turns {
            let is_late = late(turn.chat);
            if is_late || now_us.saturating_sub(turn.since_us) > HOLD_US {
                self.deeds += u64::from(is_late);
                turn.release.send(()).unwrap_or_default();
            } else {
                self.turns.push(turn);
            }
        }
        !self.turns.is_empty()
    }
}
