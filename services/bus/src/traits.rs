//! The five traits. Everything durable and everything shared between processes goes through them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use crate::format::{EntityId, FormatLevel, PartName, PartitionId, Position};

/// A request the bus could not serve. Nothing was changed by it; asking again is right.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    /// The bus is out of reach or overloaded.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// The store is damaged; a human must look.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The bus was closed by this process.
    #[error("the bus is closed")]
    Closed,
}

/// Why an inbox append did not answer with a sequence.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// It may or may not be stored. Sending the same inputs again is safe: deciding is idempotent per key.
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
    /// Not stored, and the store is full or near its limit.
    #[error("the store is full: {0}")]
    Full(String),
    /// Not stored: larger than the bus takes.
    #[error("the entry of {bytes} bytes is larger than {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The bus was closed by this process; not stored.
    #[error("the bus is closed")]
    Closed,
}

/// Why a log append did not answer with a sequence.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogAppendError {
    /// The log's last record is not the expected one; nothing was stored.
    #[error("the log does not end at the expected record")]
    Conflict,
    /// It may or may not be stored. Resolved only by sending the same bytes again (design.md 4.2).
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
    /// Not stored: larger than the bus takes.
    #[error("the record of {bytes} bytes is larger than {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The bus was closed by this process; not stored.
    #[error("the bus is closed")]
    Closed,
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Most values.
    pub values: usize,
    /// Most bytes, but at least one value.
    pub bytes: usize,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self { values: 256, bytes: 4 * 1024 * 1024 }
    }
}

/// Where anyone appends inputs of a partition.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Stores `entry` durably and answers its sequence (from 1, rising, not necessarily dense).
    async fn append(&self, partition: PartitionId, entry: Bytes) -> Result<u64, AppendError>;
    /// Entries after `after`, in order. Waits until there is one; cancelling the future is safe.
    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError>;
    /// Sequence of the last entry (0: none).
    async fn last(&self, partition: PartitionId) -> Result<u64, BusError>;
    /// Sequence of the first entry that was not trimmed (0: none).
    async fn first(&self, partition: PartitionId) -> Result<u64, BusError> {
        if self.last(partition).await? == 0 {
            return Ok(0);
        }
        let one = ReadLimit { values: 1, bytes: 1 };
        Ok(self.read(partition, 0, one).await?.first().map_or(0, |(seq, _)| *seq))
    }
    /// Removes the entries up to and with `through`, but never the last one, and answers how many are gone.
    /// Other requests are not delayed by it; after an error any part of it may be gone.
    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError>;
}

/// Where a partition's owner appends records. Reads always see every acknowledged append.
#[async_trait]
pub trait Log: Send + Sync {
    /// Stores `record` durably if the log's last sequence is `expected_last` (0: empty), and answers
    /// its sequence (rising, not necessarily dense).
    async fn append(
        &self,
        partition: PartitionId,
        expected_last: u64,
        record: Bytes,
    ) -> Result<u64, LogAppendError>;
    /// The last record, from the leader.
    async fn last(&self, partition: PartitionId) -> Result<Option<(u64, Bytes)>, BusError>;
    /// Records after `after`, in order; empty only when there is none. A page may end before the limit and before the log
    /// does: who wants everything reads on until a page is empty.
    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError>;
    /// As `read`, but waits until there is one; cancelling the future is safe.
    async fn tail(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError>;
    /// Sequence of the first record that was not trimmed (0: none).
    async fn first(&self, partition: PartitionId) -> Result<u64, BusError> {
        let one = ReadLimit { values: 1, bytes: 1 };
        Ok(self.read(partition, 0, one).await?.first().map_or(0, |(seq, _)| *seq))
    }
    /// Removes the records up to and with `through`, but never the last one, and answers how many are gone.
    /// Reading from before them then begins with the first that is left: the chain of records shows the gap.
    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError>;
}

/// One saved part of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPart {
    /// Its name.
    pub name: PartName,
    /// The step it includes last.
    pub position: Position,
    /// Its bytes; `None` where the entity dropped the part (kept so that an older save cannot bring it back).
    pub bytes: Option<Bytes>,
}

/// A conditional save of one part.
#[derive(Clone, Debug)]
pub struct PartPut {
    /// Entity it belongs to.
    pub entity: EntityId,
    /// The part.
    pub part: SavedPart,
}

/// From where a partition is replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every part touched up to this position is stored.
    pub position: Position,
    /// The runtime's encoded summary at that position.
    pub bytes: Bytes,
}

/// Where a scan goes on: bytes of the adapter that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanMark(pub Bytes);

/// Some of a partition's saved parts.
#[derive(Clone, Debug, Default)]
pub struct ScanPage {
    /// In no particular order. A part may come more than once in a scan: the one of the highest position counts.
    pub parts: Vec<PartPut>,
    /// Where to go on; `None`: that was all.
    pub next: Option<ScanMark>,
}

/// Saved states. Reads never come from a lagging replica.
#[async_trait]
pub trait States: Send + Sync {
    /// Every part of an entity (dropped ones included), by name.
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError>;
    /// Saves each part whose stored position is lower (or missing); the others are left as they are.
    /// All or none of the call is durable when it answers `Ok`; an error means any part of it may be.
    async fn put(&self, partition: PartitionId, puts: Vec<PartPut>) -> Result<(), BusError>;
    /// Every saved part of a partition (dropped ones included), page by page: from the beginning (`None`), then from the
    /// page before. For who moves an installation; what is saved meanwhile may be missed.
    async fn scan(
        &self,
        partition: PartitionId,
        from: Option<ScanMark>,
    ) -> Result<ScanPage, BusError>;
    /// The partition's checkpoint.
    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError>;
    /// Replaces the checkpoint if the stored one's position is lower (or missing).
    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError>;
}

/// One live node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLease {
    /// Node name.
    pub node: String,
    /// What it says of itself (address, partitions it cannot serve), encoded by the runtime.
    pub info: Bytes,
    /// Rises with every renewal; observers judge liveness by their own clock.
    pub renewal: u64,
    /// When the bus itself stored that renewal, wall time in ms; `None` where the bus has no clock of its own. It tells
    /// a node whether its own clock is right (design.md 4.1); liveness is never judged by it.
    pub renewed_wall_ms: Option<u64>,
    /// Newest format level that the process knows; the first where its build does not say it.
    pub format_known: FormatLevel,
}

/// Which nodes live. Liveness only: ownership is fenced by the log, never by a lease.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Renews `node`'s lease and answers the renewal number.
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError>;
    /// Every lease not released, by node name.
    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError>;
    /// Gives the lease up.
    async fn release(&self, node: &str) -> Result<(), BusError>;
}

/// One published signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Topic it was published on.
    pub topic: String,
    /// Its bytes.
    pub body: Bytes,
}

/// A subscription. Best effort: a slow reader loses signals and is told how many.
#[async_trait]
pub trait SignalStream: Send {
    /// The next signal, or the number of signals lost before the next one; `None` when the bus closed.
    async fn next(&mut self) -> Option<Result<Signal, u64>>;
}

/// Publish and subscribe between processes; not durable.
#[async_trait]
pub trait Signals: Send + Sync {
    /// Publishes without waiting for anyone.
    async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError>;
    /// False when certainly nobody is subscribed: publishing then is in vain. An adapter that cannot tell says true.
    fn is_heard(&self, topic: &str) -> bool {
        let _ = topic;
        true
    }
    /// Subscribes to one topic, or to every topic below a prefix when `topic` ends in `>`
    /// (`reply.node-1`, `desk.>`).
    async fn subscribe(&self, topic: &str) -> Result<Box<dyn SignalStream>, BusError>;
}

/// One bus: the five traits of one installation.
#[derive(Clone)]
pub struct Bus {
    /// Inputs.
    pub inbox: Arc<dyn Inbox>,
    /// Decisions.
    pub log: Arc<dyn Log>,
    /// Saved states.
    pub states: Arc<dyn States>,
    /// Live nodes.
    pub leases: Arc<dyn Leases>,
    /// Signals.
    pub signals: Arc<dyn Signals>,
    /// Number of partitions, fixed when the installation was created.
    pub partitions: u16,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}
