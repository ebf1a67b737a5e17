//! A misbehaving proxy between the product and Meta, to prove that each verdict can become non-zero.
//!
//! It acts before the judge sees a send, and after the judge wrote down what a customer sent: to the judge its deeds look like
//! the product's.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Answers at once, gathers the calls, and passes them on all together.
    OverRate,
    /// Passes a send on to another customer of the number.
    WrongRecipient,
    /// Holds a bot's message until desk or phone has the floor.
    StaleBotTurn,
    /// Delivers a customer's message as if it had come to another business.
    CrossBusiness,
    /// Keeps from the agents whom a customer asks for: no offer of the item is shown, and it is not listed as waiting.
    ForgottenItem,
}

/// The proxy's state. Every `EVERY`th thing it could spoil, it spoils.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) kind: Option<Sabotage>,
    seen: u64,
    gathered: BTreeMap<NumberId, u32>,
    turns: Vec<Turn>,
    forgotten: BTreeSet<ChatId>,
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
        Self {
            kind,
            seen: 0,
            gathered: BTreeMap::new(),
            turns: Vec::new(),
            forgotten: BTreeSet::new(),
            deeds: 0,
        }
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

    /// How many calls of this number depart when one more comes: one, or with `OverRate` none until there are `size`.
    pub(crate) fn departing(&mut self, number: NumberId, size: u32) -> u32 {
        if self.kind != Some(Sabotage::OverRate) {
            return 1;
        }
        let gathered = self.gathered.entry(number).or_default();
        *gathered += 1;
        if *gathered < size {
            return 0;
        }
        self.deeds += 1;
        std::mem::take(gathered)
    }

    /// From now on nobody learns that this customer waits.
    pub(crate) fn forget(&mut self, chat: ChatId) {
        self.forgotten.insert(chat);
    }

    pub(crate) fn forgets(&self, chat: ChatId) -> bool {
        self.forgotten.contains(&chat)
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
