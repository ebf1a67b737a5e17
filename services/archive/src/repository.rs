//! The one interface behind which the tables are kept.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bus::{DeadLetter, EntityId, PartitionId, Position};
use domain::{BusinessId, Hash16, MessageId, Millis, conversation::ConversationEvent};

use crate::{
    ArchiveError,
    chain::Cursor,
    model::{
        ConversationCursor, ConversationFilter, LetterId, LetterRow, MessageRow,
        StoredConversation, ThreadRows, UnsettledSend,
    },
};

/// One decided step.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedStep {
    /// Where it stands.
    pub position: Position,
    /// Tenant.
    pub business: BusinessId,
    /// Who decided.
    pub entity: EntityId,
    /// When, Unix ms.
    pub now_ms: Millis,
    /// Its events, where the entity is a conversation.
    pub events: Vec<ConversationEvent>,
    /// Set when the input was not decided.
    pub dead_letter: Option<DeadLetter>,
    /// Set when an operator let an earlier dead letter be decided once more: that letter's step.
    pub replays: Option<Position>,
}

/// Whole records of one partition, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The partition.
    pub partition: PartitionId,
    /// The record it continues after.
    pub after: Option<Cursor>,
    /// Its last record.
    pub last: Cursor,
    /// How many records it has.
    pub records: u64,
    /// Their steps.
    pub steps: Vec<DecodedStep>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Its rows and its position are stored, in one transaction.
    Done,
    /// Nothing was changed: the read model stands elsewhere (it was applied before, or rebuilt).
    Elsewhere(Option<Cursor>),
}

/// The tables. Every query names the business; what belongs to another one is as if it did not exist.
#[async_trait]
pub trait Repository: Send + Sync + 'static {
    /// Last record applied of a partition.
    async fn cursor(&self, partition: PartitionId) -> Result<Option<Cursor>, ArchiveError>;
    /// Last record applied of every partition that has one.
    async fn cursors(&self) -> Result<BTreeMap<PartitionId, Cursor>, ArchiveError>;
    /// Applies a batch in one transaction, if the read model stands where the batch continues.
    async fn apply(&self, batch: Batch) -> Result<Applied, ArchiveError>;
    /// Forgets everything, positions included.
    async fn clear(&self) -> Result<(), ArchiveError>;

    /// A conversation with what hangs on it. The id of one that became part of another answers with that one.
    async fn conversation(
        &self,
        business: &BusinessId,
        id: Hash16,
    ) -> Result<Option<StoredConversation>, ArchiveError>;
    /// Conversations with their episodes (not their notes), newest message first.
    async fn conversations(
        &self,
        business: &BusinessId,
        filter: &ConversationFilter,
        after: Option<ConversationCursor>,
        limit: usize,
    ) -> Result<Vec<StoredConversation>, ArchiveError>;
    /// Messages of a thread from `from_ms` on by time, about `limit` of them: those of the last
    /// millisecond are complete. `None` when the business has no such conversation.
    async fn thread(
        &self,
        business: &BusinessId,
        id: Hash16,
        from_ms: Millis,
        limit: usize,
    ) -> Result<Option<ThreadRows>, ArchiveError>;
    /// One message of a thread.
    async fn message(
        &self,
        business: &BusinessId,
        conversation: Hash16,
        message: MessageId,
    ) -> Result<Option<MessageRow>, ArchiveError>;
    /// The sends that were the first command of `client`, at most `limit`, the newest first.
    async fn submitted(
        &self,
        business: &BusinessId,
        client: Hash16,
        limit: usize,
    ) -> Result<Vec<MessageRow>, ArchiveError>;

    /// Dead letters of all businesses, for the operator, after `after` in the order of partitions and positions.
    async fn dead_letters(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<LetterRow>, ArchiveError>;
    /// One dead letter.
    async fn dead_letter(&self, id: LetterId) -> Result<Option<LetterRow>, ArchiveError>;
    /// Sends of all businesses whose outcome is open or (unless `open_only`) unknown, oldest first, for the operator.
    async fn unsettled_sends(
        &self,
        open_only: bool,
        limit: usize,
    ) -> Result<Vec<UnsettledSend>, ArchiveError>;
    /// The reactions, edits and deletions in a thread that act on any of `targets`, in no particular order.
    async fn marks(
        &self,
        business: &BusinessId,
        conversation: Hash16,
        targets: Vec<MessageId>,
    ) -> Result<Vec<MessageRow>, ArchiveError>;
}
