//! The bus: the only door to durability.
//!
//! Owns the persisted formats of everything that crosses a process or survives a crash (inbox entries,
//! log records, saved parts) and five small traits behind which they are kept: [`Inbox`], [`Log`],
//! [`States`], [`Leases`], [`Signals`]. Adapters: `sqlite` (embedded), `jetstream` (cluster), `sim`
//! (virtual time, faults on demand). One conformance suite runs on all of them.
//!
//! Must never know: what an entity decides, what a body means, who a customer is. Bodies are bytes.

#[cfg(feature = "test-util")]
pub mod conformance;
mod decided;
mod feed;
mod format;
pub mod jetstream;
mod limits;
mod local;
mod namesake;
pub mod sim;
pub mod sqlite;
mod traits;

pub use decided::{DECIDED_TOPICS, decided_signal, decided_up_to};
pub use format::{
    BusinessId, Cause, ChannelMessage, CodecError, DeadLetter, EncodedRecord, EntityId, Event,
    FORMAT_VERSION, FormatLevel, Header, INBOX_ENTRY_BYTES_MAX, InboxEntry, Incarnation, Input,
    Key, PartName, PartitionId, Place, Position, RECORD_BYTES_MAX, Record, RecordBody, RecordHead,
    Reply, Step, Steps, TraceContext, VALUE_BYTES_MAX, check_version, decode, encode,
};
pub use namesake::{NameIs, Namesake};
pub use traits::{
    AppendError, Bus, BusError, Checkpoint, Inbox, Leases, Log, LogAppendError, NodeLease, PartPut,
    ReadLimit, SavedPart, ScanMark, ScanPage, Signal, SignalStream, Signals, States,
};
