//! The toy installation: accounts that hold money, pay each other by channel, call outside, set timers,
//! and fail on demand. Their events are not idempotent, so a step applied twice or not at all shows.

pub(crate) mod calls;
pub(crate) mod decide;
pub(crate) mod state;

use bus::{BusinessId, Cause, EntityId, Header, Input, Key};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) const KIND: u8 = 1;

/// What an account can be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Money from nowhere.
    Deposit(u64),
    /// Pays each of these. `pad` makes the messages long.
    Pay { to: Vec<(EntityId, u64)>, pad: usize },
    /// A payment, by channel only: passed on along the route.
    Receive { amount: u64, route: Vec<EntityId>, pad: Bytes },
    /// Asks for an outside call.
    Call(Lane),
    /// Sets a timer that pays when it fires; deciding it panics for `broken_ms` after it is due.
    Alarm { after_ms: u64, broken_ms: u64, pay: Option<(EntityId, u64)> },
    /// Deposits 1 so many times, going on by messages to itself.
    Job { left: u32 },
    /// Cannot be decided.
    Poison(Poison),
    /// Deciding it ends the process, so many times.
    Kill { times: u32 },
}

/// Whether a call whose outcome stays unknown is repeated (once) or listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Lane {
    Repeat,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Poison {
    Panic,
    /// The first decision panics, the second is well.
    PanicOnce,
    PanicInApply,
    Refuse,
    TooManyEvents,
}

/// What an account answers to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Number of the entry in the account's diary.
    pub(crate) n: u64,
    /// Its balance before.
    pub(crate) cents: i64,
}

/// What an account tells whoever listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    pub(crate) entity: EntityId,
    /// Entry of its diary.
    pub(crate) n: u64,
}

/// What the executor gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CallBody {
    pub(crate) entity: EntityId,
    pub(crate) request: Key,
    pub(crate) attempt: u8,
    pub(crate) lane: Lane,
}

pub(crate) const SIGNALS: &str = "toy.heard";
pub(crate) const REPLIES: &str = "reply.client";

/// Account `n` of a partition.
pub(crate) fn account(partition: u16, n: u16, partitions: u16) -> EntityId {
    let n = u128::from(n) * u128::from(partitions) + u128::from(partition);
    EntityId { kind: KIND, hash: n.to_le_bytes() }
}

/// Key of a client's command: the last byte is left for attempts of calls.
pub(crate) fn key(client: u8, n: u32) -> Key {
    let mut bytes = [0; 16];
    bytes[0] = client;
    bytes[1..5].copy_from_slice(&n.to_be_bytes());
    Key(bytes)
}

pub(crate) fn business() -> BusinessId {
    BusinessId("toy".to_owned())
}

/// A client's command.
pub(crate) fn input(key: Key, target: EntityId, command: &Command, reply: bool) -> Input {
    let (business, cause) = (business(), Cause::Command);
    Input {
        header: Header { key, business, cause, trace: None, received_ms: 0 },
        target,
        body: bus::encode(command).unwrap(),
        reply_to: reply.then(|| REPLIES.to_owned()),
    }
}
