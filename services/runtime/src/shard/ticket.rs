//! What waits to be decided, and what was decided and waits to be durable.

use bus::{EntityId, Header, Input, Key, PartitionId, Place, Step};
use bytes::Bytes;

use super::{Decided, Life, Ticket};
use crate::{
    call_return,
    host::{CallId, CallRequest, Occasion, OutSignal},
};

/// One input, timer or call result with a ticket.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) entity: EntityId,
    pub(super) header: Header,
    pub(super) occasion: Occasion,
    pub(super) now_ms: u64,
    pub(super) foreign_calls_over_ms: u64,
    /// `None` for timers and direct call results.
    pub(super) place: Option<Place>,
    /// Channel number it takes.
    pub(super) taken: Option<(PartitionId, u64)>,
    pub(super) reply_to: Option<String>,
    /// Inbox bytes it counts against the credit.
    pub(super) credit: usize,
    /// How often its decision failed, and how it failed last.
    pub(super) tries: u8,
    pub(super) error: String,
    pub(super) progress: Progress,
}

#[derive(Debug)]
pub(super) enum Progress {
    /// Not with its entity yet.
    Waiting,
    /// With this life of its entity.
    Dispatched(Life),
    /// Decided and applied in memory.
    Done(Box<Decided>),
    /// Given up, with the reason.
    DeadLetter(String),
    /// Nothing to record but its place.
    Dropped,
}

impl Pending {
    /// The input as an operator will find it in a dead letter.
    pub(super) fn letter(&self) -> Input {
        let body = match &self.occasion {
            Occasion::Input(body) => body.clone(),
            Occasion::Wake => Bytes::new(),
            Occasion::CallResult { call, result } => {
                call_return::encode_body(*call, result).unwrap_or_default()
            }
        };
        Input {
            header: self.header.clone(),
            target: self.entity,
            body,
            reply_to: self.reply_to.clone(),
        }
    }

    pub(super) fn is_wake(&self) -> bool {
        matches!(self.occasion, Occasion::Wake)
    }

    /// The call whose result this is, when it came directly.
    pub(super) fn direct_call(&self) -> Option<CallId> {
        match (&self.occasion, self.place) {
            (Occasion::CallResult { call, .. }, None) => Some(*call),
            _ => None,
        }
    }
}

/// What leaves once its record is durable.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) calls: Vec<CallRequest>,
    pub(super) cancels: Vec<CallId>,
    pub(super) signals: Vec<OutSignal>,
    /// Topic, key and answer.
    pub(super) reply: Option<(String, Key, Result<Bytes, String>)>,
}

/// A decided ticket that waits for its record.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) ticket: Ticket,
    pub(super) entity: EntityId,
    pub(super) step: Option<Step>,
    pub(super) place: Option<Place>,
    pub(super) taken: Option<(PartitionId, u64)>,
    pub(super) effects: Effects,
    /// Upper bound of the encoded step.
    pub(super) bytes: usize,
    pub(super) credit: usize,
    pub(super) wake: bool,
    pub(super) settles: Option<CallId>,
    pub(super) result: bool,
}
