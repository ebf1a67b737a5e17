//! Persisted formats (design.md 4.1). Named fields in MessagePack with a version: a field may be added
//! with a default, a meaning never changes, an unknown version stops the reader.

mod codec;
mod id;
mod input;
mod record;
mod reply;

pub use codec::{CodecError, FORMAT_VERSION, decode, encode};
pub use id::{BusinessId, EntityId, Incarnation, Key, PartName, PartitionId, Place, Position};
pub use input::{
    Cause, Header, INBOX_ENTRY_BYTES_MAX, InboxEntry, Input, TraceContext, VALUE_BYTES_MAX,
};
pub use record::{
    ChannelMessage, DeadLetter, Event, RECORD_BYTES_MAX, Record, RecordBody, RecordHead, Step,
    Steps,
};
pub use reply::Reply;
