//! What hosts plug into the runtime: the entities of one installation and the executors of their calls.
//!
//! Everything here is data and pure functions, except [`Executor`], which is the only door to the world.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bus::{
    BusinessId, EntityId, Event, FormatLevel, Header, Key, PartName, PartitionId, SavedPart,
};
use bytes::Bytes;

/// Id of an outside call. The entity draws it (pure: from its own counters); it is also the id of the
/// entity's timer for the call.
pub type CallId = Key;

/// What an entity is asked to decide on.
#[derive(Clone, Debug)]
pub enum Occasion {
    /// An input of the inbox: a webhook, a command, or another entity's message.
    Input(Bytes),
    /// One of the entity's timers is due (`now_ms` ≥ the earliest wake it stated). It looks into its own
    /// state for which; deciding on a timer that is not due any more must be harmless.
    Wake,
    /// The result of a call it asked for.
    CallResult {
        /// The call.
        call: CallId,
        /// What came of it.
        result: CallResult,
    },
}

/// One decision's inputs. `decide` sees nothing else: no clock, no randomness, no I/O.
#[derive(Clone, Debug)]
pub struct DecideInput {
    /// Key, tenant, cause, trace and time of the input.
    pub header: Header,
    /// The entity itself.
    pub entity: EntityId,
    /// What happened.
    pub occasion: Occasion,
    /// Time of the decision, Unix ms; never decreases within a partition's log.
    pub now_ms: u64,
    /// Earliest moment at which a call started by an *earlier* owner can be over: its `start_by` and hard
    /// limit counted from this owner's `Epoch` (design.md 4.5). 0 when no such call can be running.
    pub foreign_calls_over_ms: u64,
    /// Level at which events and messages of this decision are written: a version that came with a later level must not be in
    /// them, for nodes that do not know it may have to read them.
    pub format: FormatLevel,
}

/// A message to another entity; it travels on the channel between the two partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutMessage {
    /// Entity it is for (may be the sender itself: a step that goes on with a cursor).
    pub target: EntityId,
    /// Tenant.
    pub business: BusinessId,
    /// Idempotency key.
    pub key: Key,
    /// The target's encoded input.
    pub body: Bytes,
}

/// A call to the outside, run by an [`Executor`] after the record that asked for it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// Its id.
    pub call: CallId,
    /// Tenant.
    pub business: BusinessId,
    /// What the executor needs (personal content sealed).
    pub body: Bytes,
}

/// A best-effort signal, published after the record is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutSignal {
    /// Topic on the bus.
    pub topic: String,
    /// Its bytes.
    pub body: Bytes,
}

/// What an entity decided. Nothing in it has happened yet.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Changes, in order (≤ 256).
    pub events: Vec<Event>,
    /// Messages to entities.
    pub messages: Vec<OutMessage>,
    /// Outside calls.
    pub calls: Vec<CallRequest>,
    /// Calls asked for earlier that must not start any more if they have not.
    pub cancels: Vec<CallId>,
    /// Signals.
    pub signals: Vec<OutSignal>,
    /// Answer to the input's `reply_to`.
    pub reply: Option<Bytes>,
}

/// An input or an event that an entity cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityError {
    /// The bytes are not what this kind of entity reads.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Written by a newer build: the partition stops on this node.
    #[error("version {found} is newer than the {known} this build knows")]
    UnknownVersion {
        /// Found version.
        found: u16,
        /// Newest known version.
        known: u16,
    },
    /// A rule that must hold does not.
    #[error("invariant broken: {0}")]
    Broken(String),
}

/// One entity in memory. All methods are pure with respect to the world; they may panic, and the runtime
/// treats a panic as poison.
pub trait LiveEntity: Send + 'static {
    /// Decides. Does not change the entity.
    ///
    /// # Errors
    /// Treated like a panic: retried once from a reload, then dead-lettered.
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError>;

    /// Applies one event to the part it names. Sees that part and the event only.
    ///
    /// # Errors
    /// Live: the step is poison. In replay: the entity is quarantined (an unknown version stops the partition).
    fn apply(&mut self, event: &Event) -> Result<(), EntityError>;

    /// Encodes one part for saving (≤ 64 KiB), as it is written at this level; `None` when the entity has dropped it.
    ///
    /// # Errors
    /// When it has no encoded form.
    fn part(&self, name: &PartName, format: FormatLevel) -> Result<Option<Bytes>, EntityError>;

    /// Earliest timer, Unix ms.
    fn wake_ms(&self) -> Option<u64>;

    /// Bytes of memory its state takes, about; for metrics.
    fn weight(&self) -> usize;
}

/// Makes entities from their saved parts.
pub trait Host: Send + Sync + 'static {
    /// The entity with these parts (none: a new one).
    ///
    /// # Errors
    /// When a part cannot be read: the entity is quarantined, or the partition stops on an unknown version.
    fn load(&self, id: EntityId, parts: &[SavedPart]) -> Result<Box<dyn LiveEntity>, EntityError>;
}

/// What came of an outside call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum CallResult {
    /// It was carried out; the bytes are the executor's answer in the domain's encoding.
    Done(Bytes),
    /// It certainly did not start: too late, cancelled, fenced, or refused before the first byte.
    NotStarted(String),
    /// Nobody knows whether it happened.
    Unknown(String),
}

/// Asked immediately before the first byte of a call: says whether it may still start. Checks `start_by` on
/// the clock that counts suspension, the fence, and cancellation.
#[derive(Clone)]
pub struct Door(Arc<dyn Fn() -> Result<(), TooLate> + Send + Sync>);

impl Door {
    /// A door with this rule.
    pub fn new(rule: impl Fn() -> Result<(), TooLate> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// Whether the call may start at this very moment.
    ///
    /// # Errors
    /// [`TooLate`] with the reason; the call must then answer [`CallResult::NotStarted`].
    pub fn check(&self) -> Result<(), TooLate> {
        (self.0)()
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// Why a call may not start any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLate {
    /// `start_by` has passed.
    #[error("start_by has passed")]
    StartBy,
    /// This owner was fenced or let the partition go.
    #[error("the partition has another owner")]
    Fenced,
    /// The entity took the request back.
    #[error("cancelled")]
    Cancelled,
}

/// Carries out calls. Outlives shards; the runtime bounds each call by its hard limit.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// This node has just taken the partition: calls of its former owner may still leave for a while
    /// (`start_by` at most), and one second's worth may just have left.
    fn taken(&self, partition: PartitionId) {
        let _ = partition;
    }

    /// Runs one call. Must ask `door` immediately before the first byte leaves.
    async fn call(&self, request: CallRequest, door: Door) -> CallResult;
}
