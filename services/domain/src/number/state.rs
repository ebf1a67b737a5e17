//! What a number keeps: itself, and each request as a part saved by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    Lane, NumberConfig, PauseCause, Refused, RetryCause, SendRequest,
    draft::Draft,
    event::is_zero,
    index::Key,
    pace::{Slowness, Turns},
    pair::{PairMark, Pairs},
};
use crate::{
    EntityId, Hash16, MessageId, Millis, RequestId, conversation::SendOutcome, effect::CallKey,
};

/// Cancels kept for requests that have not come yet.
pub(super) const CANCELS_MAX: usize = 512;
/// Echoes kept for recognising automatic ones.
pub(super) const ECHOES_MAX: usize = 256;

/// One number. `Default` is one that was never configured: requests wait in it, nothing leaves.
#[derive(Clone, Debug, Default)]
pub struct Number {
    pub(super) core: Core,
    pub(super) requests: BTreeMap<RequestId, Request>,
    /// Derived: everything that is looked up in an order.
    pub(super) index: BTreeSet<Key>,
    /// Derived: calls without a result that are not known to have left by the door, by lane.
    pub(super) ahead: [usize; LANES],
    /// Derived: calls without a result.
    pub(super) calling: usize,
    /// Derived: pair debts.
    pub(super) pairs: Pairs,
    /// Whose turn it is among the lanes; only a hint, forgotten with the memory.
    pub(super) turns: Turns,
    /// Derived: the greatest order given.
    pub(super) last_order: u64,
    /// Derived: the latest time seen in an event or part; what is due at once is due then.
    pub(super) clock_ms: Millis,
}

/// How many lanes there are.
pub(super) const LANES: usize = 4;

/// What one part is saved as (encoded with [`persist`](crate::persist), which carries the version).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// `number`.
    Number(Box<Core>),
    /// `request/<conversation hex>.<n>`.
    Request(Box<Request>),
}

/// The number itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    pub(super) config: Option<NumberConfig>,
    /// Nothing starts before then; `u64::MAX`: until configured again.
    pub(super) paused_until_ms: Millis,
    /// Cancels that came before their requests, with the time they lapse; at most [`CANCELS_MAX`].
    pub(super) cancels: BTreeMap<RequestId, Millis>,
    /// The newest echoes, oldest first, at most [`ECHOES_MAX`].
    pub(super) echoes: Vec<EchoNote>,
    /// Why it is paused, where a person has to act; until a call is accepted.
    #[serde(default)]
    pub(super) pause: Option<PauseCause>,
    /// Lanes that are paused, and until when.
    #[serde(default)]
    pub(super) lanes: BTreeMap<Lane, Millis>,
    /// Goes slower than configured.
    #[serde(default)]
    pub(super) slow: Option<Slowness>,
}

impl Core {
    /// Nothing starts before then; `u64::MAX`: until configured again.
    #[must_use]
    pub fn paused_until_ms(&self) -> Millis {
        self.paused_until_ms
    }

    /// Why it is paused, where a person has to act.
    #[must_use]
    pub fn pause(&self) -> Option<PauseCause> {
        self.pause
    }
}

/// An echo's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EchoNote {
    pub(super) text_hash: u64,
    pub(super) conversation: EntityId,
    pub(super) message: MessageId,
    pub(super) at_ms: Millis,
}

/// A request, or the memory of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// It is to leave, or its outcome is not known yet.
    Live(LiveRequest),
    /// Ended; kept for some minutes so that what comes late is known to be late.
    Ended(EndedRequest),
}

/// A request under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRequest {
    pub(super) request: Arc<SendRequest>,
    /// Order of arrival.
    pub(super) order: u64,
    /// The latest attempt, from 1; 0 before the first.
    pub(super) attempt: u32,
    /// An attempt was made after another whose outcome stayed unknown.
    pub(super) repeated: bool,
    /// Its conversation took it back while a call might be under way.
    pub(super) cancelled: bool,
    pub(super) tries: Tries,
    pub(super) stage: Stage,
    /// Its call has left by the door.
    #[serde(default)]
    pub(super) departed: bool,
    /// What it added to its customer's pair debt.
    #[serde(default)]
    pub(super) pair: PairMark,
    /// What its latest refused attempt was told.
    #[serde(default)]
    pub(super) refused: Option<Refused>,
    /// When the conversation was asked whether it may still leave; 0: never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) asked_ms: Millis,
}

/// How often it was tried again, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tries {
    pub(super) unknown: u32,
    pub(super) not_started: u32,
    pub(super) throughput: u32,
    pub(super) pair: u32,
    pub(super) service: u32,
    pub(super) window: u32,
    #[serde(default)]
    pub(super) lane: u32,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// In its lane.
    Waiting,
    /// In its lane, not before then; `pair`: nor anything else to its customer.
    RetryAt { at_ms: Millis, pair: bool },
    /// A call is in flight.
    Calling { over_ms: Millis },
    /// The call is over, its outcome unknown; a status may still tell. `unsent`: it was stopped at the door, and the
    /// conversation is asked whether it may leave.
    Reconciling {
        until_ms: Millis,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unsent: bool,
    },
    /// A platform has fetched it and not confirmed it.
    Fetched,
}

/// The memory of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRequest {
    pub(super) conversation: EntityId,
    pub(super) fate: Fate,
    pub(super) at_ms: Millis,
    #[serde(default)]
    pub(super) customer: Hash16,
    /// What it added to its customer's pair debt.
    #[serde(default)]
    pub(super) pair: PairMark,
}

/// How a request ended, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fate {
    Accepted,
    Failed,
    Cancelled,
    Unknown,
}

impl From<&SendOutcome> for Fate {
    fn from(outcome: &SendOutcome) -> Self {
        match outcome {
            SendOutcome::Accepted { .. } => Self::Accepted,
            SendOutcome::Failed { .. } => Self::Failed,
            SendOutcome::Cancelled => Self::Cancelled,
            SendOutcome::Unknown => Self::Unknown,
        }
    }
}

impl Tries {
    /// Counts one.
    pub(super) fn count(&mut self, cause: RetryCause) {
        let counter = match cause {
            RetryCause::Unknown => &mut self.unknown,
            RetryCause::NotStarted => &mut self.not_started,
            RetryCause::Throughput => &mut self.throughput,
            RetryCause::Pair => &mut self.pair,
            RetryCause::Service => &mut self.service,
            RetryCause::Window => &mut self.window,
            RetryCause::Lane => &mut self.lane,
            RetryCause::Stopped => return,
        };
        *counter = counter.saturating_add(1);
    }
}

impl Request {
    /// The live request.
    pub(super) fn live(&self) -> Option<&LiveRequest> {
        match self {
            Self::Live(live) => Some(live),
            Self::Ended(_) => None,
        }
    }
}

impl LiveRequest {
    /// A call is in flight.
    pub(super) fn is_calling(&self) -> bool {
        matches!(self.stage, Stage::Calling { .. })
    }

    /// A call is asked for and is not known to have left by the door.
    pub(super) fn is_ahead(&self) -> bool {
        self.is_calling() && !self.departed
    }

    /// Who must not be overtaken: requests to one customer keep their order within a class.
    pub(super) fn class(&self) -> Class {
        match self.request.lane {
            Lane::Agent | Lane::Bot => Class::Talk,
            Lane::Utility => Class::Utility,
            Lane::Campaign => Class::Campaign,
        }
    }
}

/// Requests to one customer keep their order within a class; a higher class does not wait for a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// What agents and bots say.
    Talk,
    Utility,
    Campaign,
}

/// The place of a lane in the counters.
pub(super) fn lane_at(lane: Lane) -> usize {
    match lane {
        Lane::Agent => 0,
        Lane::Bot => 1,
        Lane::Utility => 2,
        Lane::Campaign => 3,
    }
}

impl Number {
    /// Name of the part that is the number itself: its configuration, pauses and pace.
    pub const PART: &'static str = "number";

    /// The named part as it is to be saved; `None` when there is none (any more).
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Part> {
        match PartKey::parse(name)? {
            PartKey::Number => Some(Part::Number(Box::new(self.core.clone()))),
            PartKey::Request(id) => {
                self.requests.get(&id).map(|request| Part::Request(Box::new(request.clone())))
            }
        }
    }

    /// Takes a saved part; the indexes follow. `false` when the name and the part do not belong together.
    pub fn put_part(&mut self, name: &str, part: Part) -> bool {
        let mut draft = Draft::new(self);
        match (PartKey::parse(name), part) {
            (Some(PartKey::Number), Part::Number(core)) => draft.change_core(|kept| *kept = *core),
            (Some(PartKey::Request(id)), Part::Request(request)) => {
                draft.change_request(id, |kept| *kept = Some(*request));
            }
            _ => return false,
        }
        let changes = draft.finish();
        self.absorb(changes);
        true
    }

    /// The names of all parts.
    #[must_use]
    pub fn part_names(&self) -> Vec<String> {
        let requests = self.requests.keys().map(|id| PartKey::Request(*id));
        std::iter::once(PartKey::Number).chain(requests).map(|key| key.name()).collect()
    }

    /// How many parts there are.
    #[must_use]
    pub fn n_parts(&self) -> usize {
        self.requests.len() + 1
    }

    /// Calls whose result is awaited: each may be leaving at any moment (the limiter counts those of an earlier owner).
    #[must_use]
    pub fn n_in_flight(&self) -> usize {
        self.calling
    }

    /// Why the channel is paused, and until when, where a person has to act.
    #[must_use]
    pub fn paused(&self) -> Option<(PauseCause, Millis)> {
        self.core.pause.map(|cause| (cause, self.core.paused_until_ms))
    }

    /// Requests that wait or are under way.
    #[must_use]
    pub fn n_live(&self) -> usize {
        self.requests.values().filter(|request| request.live().is_some()).count()
    }

    /// The attempts whose result is awaited.
    pub fn in_flight(&self) -> impl Iterator<Item = CallKey> {
        self.requests.iter().filter_map(|(id, request)| match request {
            Request::Live(live) if matches!(live.stage, Stage::Calling { .. }) => {
                Some(CallKey { request: *id, attempt: live.attempt })
            }
            Request::Live(_) | Request::Ended(_) => None,
        })
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> Option<&NumberConfig> {
        self.core.config.as_ref()
    }
}

/// A part, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKey {
    Number,
    Request(RequestId),
}

impl PartKey {
    /// Its name on the bus.
    pub(super) fn name(self) -> String {
        match self {
            Self::Number => Number::PART.to_owned(),
            Self::Request(id) => format!("request/{}.{}", id.conversation, id.n),
        }
    }

    /// Reads a name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name == Number::PART {
            return Some(Self::Number);
        }
        let (conversation, n) = name.strip_prefix("request/")?.split_once('.')?;
        let conversation: Hash16 = conversation.parse().ok()?;
        Some(Self::Request(RequestId { conversation, n: n.parse().ok()? }))
    }
}
