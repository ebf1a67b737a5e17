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
mod read;
mod routing;
mod schema;
mod thread;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use bus::PartitionId;
use domain::{BusinessId, Hash16, MessageId, Millis};

use crate::{
    ArchiveError,
    chain::Cursor,
    model::{ConversationCursor, ConversationFilter, MessageRow, StoredConversation, ThreadRows},
    repository::{Applied, Batch, Repository},
};
use connections::Connections;

/// File name of the read model in the data directory.
pub const DATABASE_FILE: &str = "archive.sqlite";

/// The tables in SQLite. Clones share the file.
#[derive(Clone, Debug)]
pub struct SqliteRepository {
    connections: Arc<Connections>,
}

impl SqliteRepository {
    /// Opens or creates the read model at `path`. A file of an older schema is emptied, so that the
    /// projection fills it again. `installation` is the fingerprint of the installation's key.
    ///
    /// # Errors
    /// [`ArchiveError::Foreign`] for a file of another program, installation or newer build; else what SQLite says.
    pub fn open(path: &Path, installation: [u8; 8]) -> Result<Self, ArchiveError> {
        let connections = Connections::open(path, installation)?;
        Ok(Self { connections: Arc::new(connections) })
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
        self.connections.write(move |db| apply::cursor(db, partition)).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied, ArchiveError> {
        self.connections.write(move |db| apply::apply(db, &batch)).await
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
