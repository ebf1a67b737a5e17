//! What the machine asks its driver to do, and what the driver tells it.

use bus::{
    Checkpoint, EntityId, Event, FormatLevel, PartName, PartPut, PartitionId, Place, ReadLimit,
    Reply, SavedPart,
};
use bytes::Bytes;

use crate::{
    call_return::CallReturn,
    host::{CallId, CallRequest, DecideInput, Decision, EntityError, OutSignal},
};

/// Number of one life of an entity in memory, unique within its shard: what an earlier life still says
/// is ignored.
pub type Life = u64;

/// Order in which inputs, timers and call results are decided and staged.
pub type Ticket = u64;

/// What the driver must do. `delay_ms`: wait that long first.
#[derive(Debug)]
pub enum Action {
    /// Read the inbox after this sequence; answer [`Notice::Entries`]. One read is out at a time.
    Read {
        /// Sequence to read after.
        after: u64,
        /// How much may come.
        limit: ReadLimit,
    },
    /// Load an entity's saved parts; answer [`Notice::Loaded`].
    Load {
        /// The entity.
        entity: EntityId,
        /// Its next life.
        life: Life,
    },
    /// Make the entity live from its parts, then apply the events; [`Notice::OpenFailed`] if that fails.
    Open {
        /// The entity.
        entity: EntityId,
        /// This life.
        life: Life,
        /// Its saved parts.
        parts: Vec<SavedPart>,
        /// Later events, in order.
        events: Vec<Event>,
    },
    /// Let a live entity decide and apply; answer [`Notice::Decided`]. In order per entity.
    Dispatch {
        /// Life it is for.
        life: Life,
        /// Ticket of the input.
        ticket: Ticket,
        /// The input.
        input: Box<DecideInput>,
    },
    /// Ask a live entity for encoded parts, after what was dispatched before; answer [`Notice::Snapshot`].
    Snapshot {
        /// Life it is for.
        life: Life,
        /// Parts wanted.
        parts: Vec<PartName>,
        /// Level to encode them at.
        format: FormatLevel,
    },
    /// Forget this life.
    Close {
        /// The life.
        life: Life,
    },
    /// Append to the log; answer [`Notice::Appended`]. One append is out at a time.
    Append {
        /// Number of the record.
        number: u64,
        /// Sequence the log must end at.
        expected_last: u64,
        /// The encoded record: the same bytes each time it is sent.
        record: Bytes,
        /// Steps in it.
        steps: usize,
        /// Whether one of them decides a call's result.
        results: bool,
        /// Wait first.
        delay_ms: u64,
    },
    /// Read the last record from the leader; answer [`Notice::Last`].
    ReadLast {
        /// What for.
        why: Why,
        /// Wait first.
        delay_ms: u64,
    },
    /// Append to a target's inbox; answer [`Notice::Sent`]. One per target is out at a time.
    Send {
        /// Target partition.
        target: PartitionId,
        /// Encoded inbox entry: the same bytes each time it is sent.
        entry: Bytes,
        /// Wait first.
        delay_ms: u64,
    },
    /// Hand a call to its executor; its result comes back as [`Notice::CallResult`].
    Call {
        /// Entity that asked.
        entity: EntityId,
        /// The call.
        request: CallRequest,
        /// It may start before this moment of the boot clock.
        start_by_boot_ms: u64,
    },
    /// The call must not start any more if it has not.
    Cancel(CallId),
    /// The result of this call is durably decided.
    Settled(CallId),
    /// This owner takes the result no more: append it to the inbox.
    Refused(CallId),
    /// No call may start any more: the partition is being let go.
    CloseDoor,
    /// The inbox is durably decided up to and with this entry, or into it: publish that, best effort.
    Reached(u64),
    /// Publish, best effort.
    Signal(OutSignal),
    /// Publish the reply on the topic, best effort.
    Reply {
        /// Topic.
        topic: String,
        /// The reply.
        reply: Reply,
    },
    /// Save parts; answer [`Notice::Saved`]. One save is out at a time.
    Save {
        /// The parts.
        puts: Vec<PartPut>,
        /// Wait first.
        delay_ms: u64,
    },
    /// Store the checkpoint; answer [`Notice::Checkpointed`].
    PutCheckpoint {
        /// The checkpoint.
        checkpoint: Checkpoint,
        /// Wait first.
        delay_ms: u64,
    },
    /// Something that must not happen, or that a human should know, happened: count it.
    Alarm(Alarm),
    /// The machine is done: drop it and everything of it.
    Stop(StopReason),
}

/// What the driver tells the machine.
#[derive(Debug)]
pub enum Notice {
    /// Inbox entries, in order, after the sequence asked for.
    Entries(Vec<(u64, Bytes)>),
    /// Saved parts of an entity.
    Loaded {
        /// The entity.
        entity: EntityId,
        /// Life it was asked for.
        life: Life,
        /// Its parts.
        parts: Vec<SavedPart>,
    },
    /// The entity could not be made from its parts and events.
    OpenFailed {
        /// The entity.
        entity: EntityId,
        /// Life it was asked for.
        life: Life,
        /// Why.
        error: EntityError,
    },
    /// A live entity decided, or failed to.
    Decided {
        /// Its life.
        life: Life,
        /// Ticket of the input.
        ticket: Ticket,
        /// What came of it.
        outcome: Outcome,
    },
    /// Encoded parts of a live entity.
    Snapshot {
        /// The entity.
        entity: EntityId,
        /// Its life.
        life: Life,
        /// Last ticket it decided in this life (0: none).
        through: Ticket,
        /// The parts, `None` where dropped; or why there are none.
        parts: Result<Vec<(PartName, Option<Bytes>)>, String>,
    },
    /// A live entity ended unasked.
    EntityGone {
        /// The entity.
        entity: EntityId,
        /// Its life.
        life: Life,
        /// Why.
        error: String,
    },
    /// What came of an append.
    Appended {
        /// Number of the record.
        number: u64,
        /// The answer.
        answer: AppendAnswer,
        /// Boot clock when this request was sent.
        sent_boot_ms: u64,
    },
    /// The last record, from the leader; or the read failed.
    Last {
        /// What it was read for.
        why: Why,
        /// The record.
        answer: Result<Option<(u64, Bytes)>, String>,
        /// Boot clock when this request was sent.
        sent_boot_ms: u64,
    },
    /// What came of an append to a target's inbox: stored for certain, or not certain.
    Sent {
        /// Target partition.
        target: PartitionId,
        /// Whether it is certainly stored.
        stored: bool,
    },
    /// What came of a save.
    Saved {
        /// Whether all of it is certainly stored.
        stored: bool,
    },
    /// What came of a checkpoint.
    Checkpointed {
        /// Whether it is certainly stored.
        stored: bool,
    },
    /// The result of a call. Until [`Action::Settled`] it belongs to the driver, which appends it to the
    /// inbox when this shard ends before.
    CallResult(CallReturn),
    /// Another node names itself the owner by a later epoch.
    Verify,
    /// The installation's format level.
    Format(FormatLevel),
    /// Time passed.
    Tick,
    /// Let the partition go in good order.
    Release,
    /// The bus was closed by this process.
    BusClosed,
}

/// Why the last record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An append met a Conflict.
    Conflict,
    /// Nothing was committed for long, or another node claims the partition: are we still the owner?
    Confirm,
}

/// What came of a log append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendAnswer {
    /// Stored at this sequence.
    Stored(u64),
    /// The log does not end where it should.
    Conflict,
    /// Nobody knows.
    Unknown,
    /// Refused for its size: a fault of ours.
    TooLarge,
}

/// What an entity made of one input.
#[derive(Debug)]
pub enum Outcome {
    /// It decided, and its events were applied.
    Decided(Box<Decided>),
    /// It panicked or refused; this life is over.
    Poison(String),
    /// It met a version it does not know: the partition stops here.
    UnknownVersion(String),
}

/// A decision and the entity's earliest timer after it.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// Earliest timer, Unix ms.
    pub wake_ms: Option<u64>,
}

/// Things that must not happen, or that a human should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A channel message came without its predecessor.
    ChannelGap,
    /// The log's last record is older than one that was acknowledged.
    LogWentBack,
    /// A record does not continue the chain.
    RecordOutOfChain,
    /// An inbox entry cannot be read.
    InboxUnreadable,
    /// An input was dead-lettered.
    DeadLetter,
    /// An entity cannot be made from its saved parts and events.
    Quarantined,
    /// A due timer changed nothing and is still due.
    WakeStuck,
    /// A part could not be encoded or is larger than allowed.
    PartUnsavable,
    /// A channel message is larger than an inbox entry may be.
    MessageTooLarge,
    /// An input ended two owners and is now tried alone.
    Trying,
    /// A part cannot be saved, so no checkpoint is made and replay grows.
    CheckpointBlocked,
}

impl Alarm {
    /// Value of the metric label `name`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChannelGap => "channel_gap",
            Self::LogWentBack => "log_went_back",
            Self::RecordOutOfChain => "record_out_of_chain",
            Self::InboxUnreadable => "inbox_unreadable",
            Self::DeadLetter => "dead_letter",
            Self::Quarantined => "quarantined",
            Self::WakeStuck => "wake_stuck",
            Self::PartUnsavable => "part_unsavable",
            Self::MessageTooLarge => "message_too_large",
            Self::Trying => "trying",
            Self::CheckpointBlocked => "checkpoint_blocked",
        }
    }
}

/// Why a shard ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// Another owner took the partition.
    #[error("another owner took the partition")]
    Fenced,
    /// It was let go in good order.
    #[error("the partition was released")]
    Released,
    /// A channel message came without its predecessor; going on would skip it.
    #[error(
        "message {number} of partition {source_partition} came at {place:?} where {expected} was expected"
    )]
    ChannelGap {
        /// Partition that sent it.
        source_partition: PartitionId,
        /// Number expected.
        expected: u64,
        /// Number that came.
        number: u64,
        /// Where it stands.
        place: Place,
    },
    /// A value was written by a newer build.
    #[error("a newer build wrote {0}: upgrade this node")]
    UnknownVersion(String),
    /// What is stored contradicts itself; a human must look.
    #[error("what is stored contradicts itself: {0}")]
    Corrupt(String),
    /// The bus was closed by this process.
    #[error("the bus is closed")]
    BusClosed,
}
