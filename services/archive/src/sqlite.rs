//! The read model in one SQLite file (`archive.sqlite`), written by one connection, read by a few.
//!
//! `synchronous=NORMAL`: a power cut may lose the newest transactions, and the projection then goes on from
//! the position that was stored in the same transaction as the rows.

mod apply;
mod billing;
mod codes;
mod connections;
mod dump;
mod forward;
mod messages;
mod operator;
mod read;
mod routing;
mod schema;
mod thread;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bus::PartitionId;
use domain::{BusinessId, Hash16, MessageId, Millis};

use crate::{
    ArchiveError,
    chain::Cursor,
    group::Group,
    model::{
        ConversationCursor, ConversationFilter, LetterId, LetterRow, MessageRow,
        StoredConversation, ThreadRows, UnsettledSend,
    },
    repository::{Applied, Batch, Repository},
};
use connections::Connections;

/// File name of the read model in the data directory.
pub const DATABASE_FILE: &str = "archive.sqlite";

/// The tables in SQLite. Clones share the file.
#[derive(Clone, Debug)]
pub struct SqliteRepository {
    connections: Arc<Connections>,
    group: Arc<Group<Connections>>,
}

impl SqliteRepository {
    /// Opens or creates the read model at `path`. A file of an older schema is emptied, so that the
    /// projection fills it again. `installation` is the fingerprint of the installation's key.
    ///
    /// # Errors
    /// [`ArchiveError::Foreign`] for a file of another program, installation or newer build; else what SQLite says.
    pub fn open(path: &Path, installation: [u8; 8]) -> Result<Self, ArchiveError> {
        let connections = Arc::new(Connections::open(path, installation)?);
        let group = Arc::new(Group::new(Arc::clone(&connections), Duration::ZERO));
        Ok(Self { connections, group })
    }

    /// Applies at most one transaction every `pace`, of everything that came meanwhile: under load readers see things
    /// so much later, for a fraction of the writes. What comes after a pause is applied at once.
    #[must_use]
    pub fn with_pace(self, pace: Duration) -> Self {
        let group = Arc::new(Group::new(Arc::clone(&self.connections), pace));
        Self { group, ..self }
    }

    /// Every row of every table as text, by table, in the order of the natural keys: equal dumps mean equal
    /// read models. Content stays sealed.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn dump(&self) -> Result<BTreeMap<String, Vec<String>>, ArchiveError> {
        self.connections.read(dump::dump).await
    }
}

#[async_trait]
impl Repository for SqliteRepository {
    async fn cursor(&self, partition: PartitionId) -> Result<Option<Cursor>, ArchiveError> {
        self.connections.read(move |db| apply::cursor(db, partition)).await
    }

    async fn cursors(&self) -> Result<BTreeMap<PartitionId, Cursor>, ArchiveError> {
        self.connections.read(apply::cursors).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied, ArchiveError> {
        self.group.apply(batch).await
    }

    async fn clear(&self) -> Result<(), ArchiveError> {
        self.connections.write(schema::clear).await
    }

    async fn conversation(
        &self,
        business: &BusinessId,
        id: Hash16,
    ) -> Result<Option<StoredConversation>, ArchiveError> {
        let business = business.clone();
        self.connections.read(move |db| read::conversation(db, &business, id)).await
    }

    async fn conversations(
        &self,
        business: &BusinessId,
        filter: &ConversationFilter,
        after: Option<ConversationCursor>,
        limit: usize,
    ) -> Result<Vec<StoredConversation>, ArchiveError> {
        let (business, filter) = (business.clone(), filter.clone());
        self.connections.read(move |db| read::list(db, &business, &filter, after, limit)).await
    }

    async fn thread(
        &self,
        business: &BusinessId,
        id: Hash16,
        from_ms: Millis,
        limit: usize,
    ) -> Result<Option<ThreadRows>, ArchiveError> {
        let business = business.clone();
        self.connections.read(move |db| thread::thread(db, &business, id, from_ms, limit)).await
    }

    async fn message(
        &self,
        business: &BusinessId,
        conversation: Hash16,
        message: MessageId,
    ) -> Result<Option<MessageRow>, ArchiveError> {
        let business = business.clone();
        self.connections.read(move |db| thread::message(db, &business, conversation, message)).await
    }

    async fn submitted(
        &self,
        business: &BusinessId,
        client: Hash16,
        limit: usize,
    ) -> Result<Vec<MessageRow>, ArchiveError> {
        let business = business.clone();
        self.connections.read(move |db| thread::submitted(db, &business, client, limit)).await
    }

    async fn dead_letters(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<LetterRow>, ArchiveError> {
        self.connections.read(move |db| operator::dead_letters(db, after, limit)).await
    }

    async fn dead_letter(&self, id: LetterId) -> Result<Option<LetterRow>, ArchiveError> {
        self.connections.read(move |db| operator::dead_letter(db, id)).await
    }

    async fn unsettled_sends(
        &self,
        open_only: bool,
        limit: usize,
    ) -> Result<Vec<UnsettledSend>, ArchiveError> {
        self.connections.read(move |db| operator::unsettled_sends(db, open_only, limit)).await
    }

    async fn marks(
        &self,
        business: &BusinessId,
        conversation: Hash16,
        targets: Vec<MessageId>,
    ) -> Result<Vec<MessageRow>, ArchiveError> {
        let business = business.clone();
        self.connections.read(move |db| thread::marks(db, &business, conversation, &targets)).await
    }
}
