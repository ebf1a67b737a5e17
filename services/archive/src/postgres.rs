//! The read model in a Postgres database, which several processes may write and read.
//!
//! A group of batches is one transaction: the rows it touches are read by a fixed number of queries, changed in memory, and
//! written by one statement a table. Writers take turns. While the database is down, whoever asks gets
//! [`ArchiveError::Unreachable`] within bounds.

pub(crate) mod apply;
mod codes;
mod database;
mod dump;
mod load;
mod messages;
mod migrate;
mod operator;
mod project;
mod read;
mod thread;
mod tls;
mod work;
mod write;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

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
use database::Database;

/// Whether the connection is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PostgresTls {
    /// Encrypted, the certificate checked against what the system trusts; unless the server is on this machine.
    #[default]
    UnlessLocal,
    /// Encrypted, the certificate checked against this file (PEM), or against what the system trusts.
    Verify {
        /// The certificates to trust.
        ca_file: Option<PathBuf>,
    },
    /// In the clear.
    Off,
}

/// Which database, and how.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`; several hosts, and parameters as `options`, may be given. It is a
    /// secret: nothing prints it.
    pub url: String,
    /// Connections at once, 2 or more: one writes.
    pub pool_size: usize,
    /// Encryption.
    pub tls: PostgresTls,
    /// How long connecting may take, and a read; a group of batches may take five times as long.
    pub timeout: Duration,
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("pool_size", &self.pool_size)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// The tables in Postgres. Clones share the connections.
#[derive(Clone, Debug)]
pub struct PostgresRepository {
    database: Arc<Database>,
    group: Arc<Group<Database>>,
}

impl PostgresRepository {
    /// The read model in the database that `options` name. Nothing is connected yet: tables are made, or checked, when they
    /// are first asked for. `installation` is the fingerprint of the installation's key.
    ///
    /// # Errors
    /// [`ArchiveError::Setting`] for options that cannot be used.
    pub fn new(options: &PostgresOptions, installation: [u8; 8]) -> Result<Self, ArchiveError> {
        let database = Arc::new(Database::new(options, installation)?);
        let group = Arc::new(Group::new(Arc::clone(&database), Duration::ZERO));
        Ok(Self { database, group })
    }

    /// As `SqliteRepository::with_pace`: at most one transaction every `pace`, of everything that came meanwhile.
    #[must_use]
    pub fn with_pace(self, pace: Duration) -> Self {
        let group = Arc::new(Group::new(Arc::clone(&self.database), pace));
        Self { group, ..self }
    }

    /// Every row of every table as text: what the dump of a SQLite read model of the same history says. Content stays sealed.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn dump(&self) -> Result<BTreeMap<String, Vec<String>>, ArchiveError> {
        self.database.read(dump::dump).await
    }
}

#[async_trait]
impl Repository for PostgresRepository {
    async fn cursor(&self, partition: PartitionId) -> Result<Option<Cursor>, ArchiveError> {
        self.database.read(async |reader| apply::cursor(reader, partition).await).await
    }

    async fn cursors(&self) -> Result<BTreeMap<PartitionId, Cursor>, ArchiveError> {
        self.database.read(async |reader| apply::all_cursors(reader).await).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied, ArchiveError> {
        self.group.apply(batch).await
    }

    async fn clear(&self) -> Result<(), ArchiveError> {
        self.database.maintain(migrate::clear).await
    }

    async fn conversation(
        &self,
        business: &BusinessId,
        id: Hash16,
    ) -> Result<Option<StoredConversation>, ArchiveError> {
        self.database.read(async |reader| read::conversation(reader, business, id).await).await
    }

    async fn conversations(
        &self,
        business: &BusinessId,
        filter: &ConversationFilter,
        after: Option<ConversationCursor>,
        limit: usize,
    ) -> Result<Vec<StoredConversation>, ArchiveError> {
        self.database
            .read(async |reader| read::list(reader, business, filter, after, limit).await)
            .await
    }

    async fn thread(
        &self,
        business: &BusinessId,
        id: Hash16,
        from_ms: Millis,
        limit: usize,
    ) -> Result<Option<ThreadRows>, ArchiveError> {
        self.database
            .read(async |reader| thread::thread(reader, business, id, from_ms, limit).await)
            .await
    }

    async fn message(
        &self,
        business: &BusinessId,
        conversation: Hash16,
        message: MessageId,
    ) -> Result<Option<MessageRow>, ArchiveError> {
        self.database
            .read(async |reader| thread::message(reader, business, conversation, message).await)
            .await
    }

    async fn submitted(
        &self,
        business: &BusinessId,
        client: Hash16,
        limit: usize,
    ) -> Result<Vec<MessageRow>, ArchiveError> {
        self.database
            .read(async |reader| thread::submitted(reader, business, client, limit).await)
            .await
    }

    async fn dead_letters(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<LetterRow>, ArchiveError> {
        self.database.read(async |reader| operator::dead_letters(reader, after, limit).await).await
    }

    async fn dead_letter(&self, id: LetterId) -> Result<Option<LetterRow>, ArchiveError> {
        self.database.read(async |reader| operator::dead_letter(reader, id).await).await
    }

    async fn unsettled_sends(
        &self,
        open_only: bool,
        limit: usize,
    ) -> Result<Vec<UnsettledSend>, ArchiveError> {
        self.database
            .read(async |reader| operator::unsettled_sends(reader, open_only, limit).await)
            .await
    }

    async fn marks(
        &self,
        business: &BusinessId,
        conversation: Hash16,
        targets: Vec<MessageId>,
    ) -> Result<Vec<MessageRow>, ArchiveError> {
        self.database
            .read(async |reader| thread::marks(reader, business, conversation, &targets).await)
            .await
    }
}
