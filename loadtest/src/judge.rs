//! The judge: its own truth from what the simulator sent and saw, and the verdict from comparing it with the product's threads.
//!
//! It knows nothing of HTTP or gRPC: it is fed events with times and, at the end, the threads as read through the public API.

mod compare;
mod finding;
mod floor;
mod ledger;
mod need;
mod order;
mod speech;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::world::{BusinessId, ChatId, World};

pub(crate) use compare::{compare, decided};
pub(crate) use finding::{FindingLine, Findings, Verdict};
pub(crate) use ledger::{
    Arrival, Asker, CommandFate, CommandKey, Ledger, MessageId, Origin, Progress, SendFacts, Speech,
};
pub(crate) use need::{Neglect, Unmet, WaitReason, Waiting, Wish};

/// How strict the judge is. Every leniency has a number here and a reason in its doc line.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JudgeRules {
    /// Departure is seen as arrival: a second is judged this much shorter.
    pub(crate) rate_jitter_ms: u64,
    /// Calls above the rate that are forgiven in any second.
    pub(crate) rate_tolerance_calls: u32,
    /// The product's limiter learns of inbound messages by signals: so long after the acknowledgement it must know.
    pub(crate) inbound_known_after_ms: u64,
    /// Length of the customer service window; shorter than 24 h only to test it.
    pub(crate) window_s: u64,
    /// Invariant 7 is judged at the intent to send; a call may leave so long after its intent.
    pub(crate) window_grace_ms: u64,
    /// A bot call may already be on its way when the floor is taken: so long after the taking the bot must be silent. Where it
    /// owed the customer an answer, what was acknowledged before a crash is decided only after it, so there the grace begins
    /// anew with every disturbance of the chat: a failed POST about it, or another process in the product's place. The bot is
    /// taken to say one message per turn.
    pub(crate) stale_grace_ms: u64,
    /// However much is disturbed, what the bot owed leaves at most so long after the taking. None for a product that is one
    /// process: it may be away for as long as nobody starts it.
    pub(crate) stale_max_ms: Option<u64>,
    /// A part of the product may fail without a POST that fails for it: many processes, of which those behind the gateways stop
    /// unseen. Then quiet says nothing, and what the bot owed has all of `stale_max_ms`.
    pub(crate) unseen_failures: bool,
    /// The product's timers fire at most so late.
    pub(crate) timers_late_ms: u64,
    /// At rest, somebody who chose to speak to a person may be between the product's parts, neither offered nor listed. So long
    /// after everything else stands still they are forgotten.
    pub(crate) forgotten_after_ms: u64,
    /// The time of our own send is known to the product from its clock or from a status: this much apart.
    pub(crate) order_tolerance_s: i64,
}

impl Default for JudgeRules {
    fn default() -> Self {
        Self {
            rate_jitter_ms: 50,
            rate_tolerance_calls: 0,
            inbound_known_after_ms: 500,
            window_s: 86_400,
            window_grace_ms: 15_000,
            stale_grace_ms: 3_000,
            stale_max_ms: None,
            unseen_failures: false,
            timers_late_ms: 10_000,
            forgotten_after_ms: 10_000,
            order_tolerance_s: 2,
        }
    }
}

/// A thread as the product shows it through its public API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    /// The business whose credentials read it.
    pub(crate) reader: BusinessId,
    pub(crate) conversation: String,
    pub(crate) phone_number_id: String,
    /// Phone digits and BSUIDs, as far as the product shows them.
    pub(crate) identities: Vec<String>,
    pub(crate) messages: Vec<ThreadMessage>,
}

impl Thread {
    /// The chat it is about, by its identities.
    pub(crate) fn chat(&self, world: &World) -> Option<ChatId> {
        let number = world.number_by_meta_id(&self.phone_number_id)?;
        self.identities.iter().find_map(|identity| world.chat(number, identity))
    }
}

/// A message of such a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadMessage {
    /// Absent while the product knows none.
    pub(crate) wamid: Option<String>,
    /// The product's opaque id of a send; empty otherwise.
    pub(crate) opaque: String,
    pub(crate) side: Side,
    /// Epoch seconds.
    pub(crate) ts_s: i64,
    pub(crate) text: String,
    pub(crate) state: SendState,
    /// Marked as sent a second time because its outcome was unknown.
    pub(crate) repeated: bool,
}

/// Which side a thread message is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Customer,
    Phone,
    Ours,
}

/// What became of a send, as the product tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SendState {
    /// Still on its way: the product is not quiet.
    Pending,
    Accepted,
    Sent,
    Delivered,
    Read,
    /// Failed, cancelled or refused, and listed as such.
    Failed,
    /// Listed as unknown.
    Unknown,
}
