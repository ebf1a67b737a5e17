//! The tables, as files in `migrations/`, applied in order, each once.

use deadpool_postgres::Object;

use crate::{ArchiveError, tables::TABLES};

/// In their order; the first is version 1. What was released is never changed, only added to.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_read_model.sql")];
/// "TdRm": who changes tables of ours takes turns by this advisory lock.
const LOCK: i64 = 0x5464_526d;
/// The oldest server whose SQL these statements are: `MERGE`.
const SERVER_VERSION_MIN: i32 = 150_000;

/// Brings the tables to this build's version, in one transaction; checks that they are this installation's.
pub(super) async fn migrate(
    client: &mut Object,
    database: &str,
    installation: [u8; 8],
) -> Result<(), ArchiveError> {
    let foreign =
        |why: String| ArchiveError::ForeignDatabase { database: database.to_owned(), why };
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let server = "SELECT current_setting('server_version_num')::integer";
    let server: i32 = transaction.query_one(server, &[]).await?.try_get(0)?;
    if server < SERVER_VERSION_MIN {
        return Err(foreign(format!("its server is Postgres {}, older than 15", server / 10_000)));
    }
    transaction
        .batch_execute(
            "SET LOCAL client_min_messages = warning;
             CREATE TABLE IF NOT EXISTS tandem_schema (
                 version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())",
        )
        .await?;
    let stored = "SELECT coalesce(max(version), 0) FROM tandem_schema";
    let stored: i32 = transaction.query_one(stored, &[]).await?.try_get(0)?;
    let newest = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    if stored > newest {
        return Err(foreign(format!(
            "a newer build made its tables: they have version {stored}, this build knows {newest}"
        )));
    }
    for (version, sql) in (1_i32..).zip(MIGRATIONS).filter(|(version, _)| *version > stored) {
        transaction.batch_execute(sql).await?;
        let applied = "INSERT INTO tandem_schema (version) VALUES ($1)";
        transaction.execute(applied, &[&version]).await?;
        tracing::info!(database, version, "tables of the read model made");
    }
    let ours =
        "INSERT INTO installation SELECT $1::bytea WHERE NOT EXISTS (SELECT 1 FROM installation)";
    transaction.execute(ours, &[&installation.as_slice()]).await?;
    let stored = "SELECT fingerprint FROM installation";
    let stored: Vec<u8> = transaction.query_one(stored, &[]).await?.try_get(0)?;
    if stored != installation {
        return Err(foreign("another installation wrote it".to_owned()));
    }
    transaction.commit().await?;
    Ok(())
}

/// Empties every table but the installation's.
pub(super) async fn clear(client: &mut Object) -> Result<(), ArchiveError> {
    let transaction = super::apply::begin(client).await?;
    // Whoever reads several tables begins with conversations: locked first, nobody waits for us while we wait for him.
    let others = TABLES.iter().filter(|table| !["installation", "conversations"].contains(table));
    let others: Vec<&str> = others.copied().collect();
    let empty = format!("TRUNCATE conversations, {}", others.join(", "));
    transaction.batch_execute(&empty).await?;
    transaction.commit().await?;
    Ok(())
}
