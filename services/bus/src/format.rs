//! Persisted formats (design.md 4.1). Named fields in MessagePack with a version: a field may be added
//! with a default, a meaning never changes, an unknown version stops the reader. Which of the versions that it knows a writer
//! writes, the installation's [`FormatLevel`] says.

mod codec;
mod id;
mod input;
mod level;
mod packed;
mod record;
mod reply;

pub use codec::{CodecError, FORMAT_VERSION, check_version, decode, encode};
pub use id::{BusinessId, EntityId, Incarnation, Key, PartName, PartitionId, Place, Position};
pub use input::{
    Cause, Header, INBOX_ENTRY_BYTES_MAX, InboxEntry, Input, TraceContext, VALUE_BYTES_MAX,
};
pub use level::FormatLevel;
pub use record::{
    ChannelMessage, DeadLetter, EncodedRecord, Event, RECORD_BYTES_MAX, Record, RecordBody,
    RecordHead, Step, Steps,
};
pub use reply::Reply;
