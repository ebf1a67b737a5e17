//! Tables. Every row names its business. Times are Unix ms, 0 where there is none; ids are the 16 bytes of
//! their hash; `*_key` is the key id of the sealed bytes beside it.

use std::path::Path;

use rusqlite::Connection;

use crate::{ArchiveError, tables::TABLES};

/// "TdRm": marks the file as ours.
const APPLICATION_ID: i32 = 0x5464_526d;
/// Raised with every change of the tables; an older file is emptied and projected anew.
const SCHEMA_VERSION: i32 = 3;

const DDL: &str = "
CREATE TABLE installation (fingerprint BLOB NOT NULL) STRICT;
CREATE TABLE positions (
    partition INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL, generation INTEGER NOT NULL, epoch INTEGER NOT NULL,
    incarnation BLOB NOT NULL, number INTEGER NOT NULL
) STRICT;
CREATE TABLE contacts (
    business TEXT NOT NULL, conversation BLOB NOT NULL,
    who_key INTEGER NOT NULL, who BLOB NOT NULL,
    PRIMARY KEY (business, conversation)
) STRICT, WITHOUT ROWID;
-- root: the conversation that holds the thread. joined_to: where its first forward pointed, which took the
-- thread along. forwarded_to: where its newest forward points, which answers for its id.
CREATE TABLE conversations (
    business TEXT NOT NULL, id BLOB NOT NULL,
    root BLOB NOT NULL, joined_to BLOB, forwarded_to BLOB,
    number BLOB,
    floor INTEGER NOT NULL DEFAULT 0, floor_agent TEXT, floor_turn INTEGER NOT NULL DEFAULT 0,
    window_until_ms INTEGER NOT NULL DEFAULT 0,
    item_conversation BLOB, item_n INTEGER NOT NULL DEFAULT 0,
    assigned_agent TEXT, waiting_queue TEXT, waiting_since_ms INTEGER NOT NULL DEFAULT 0,
    last_message_ms INTEGER NOT NULL DEFAULT 0,
    free_entry_until_ms INTEGER NOT NULL DEFAULT 0,
    marketing INTEGER NOT NULL DEFAULT 0, marketing_ms INTEGER NOT NULL DEFAULT 0,
    vip INTEGER NOT NULL DEFAULT 0, snoozed_until_ms INTEGER NOT NULL DEFAULT 0,
    partition INTEGER, generation INTEGER, seq INTEGER, step INTEGER,
    PRIMARY KEY (business, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversations_newest ON conversations (business, last_message_ms, id)
    WHERE forwarded_to IS NULL;
CREATE INDEX conversations_root ON conversations (business, root);
-- conversation: who recorded it. thread: whose thread it is in now. client: of a send that was the first command of its
-- client, that client: what programs submit is found by it.
CREATE TABLE messages (
    row INTEGER PRIMARY KEY,
    business TEXT NOT NULL, conversation BLOB NOT NULL, thread BLOB NOT NULL,
    message BLOB, request_conversation BLOB, request_n INTEGER,
    direction INTEGER NOT NULL,
    author INTEGER NOT NULL, author_agent TEXT, author_turn INTEGER NOT NULL,
    kind TEXT NOT NULL, at_ms INTEGER NOT NULL, recorded INTEGER NOT NULL,
    content_key INTEGER NOT NULL, content BLOB NOT NULL,
    wamid_key INTEGER, wamid BLOB,
    target BLOB, episode INTEGER NOT NULL,
    outcome INTEGER NOT NULL DEFAULT 0, accepted_ms INTEGER NOT NULL DEFAULT 0,
    error_code INTEGER NOT NULL DEFAULT 0, told TEXT NOT NULL DEFAULT '',
    repeated INTEGER NOT NULL DEFAULT 0, client BLOB
) STRICT;
CREATE UNIQUE INDEX messages_id ON messages (business, message) WHERE message IS NOT NULL;
CREATE UNIQUE INDEX messages_request ON messages (business, request_conversation, request_n)
    WHERE request_n IS NOT NULL;
CREATE INDEX messages_client ON messages (business, client) WHERE client IS NOT NULL;
CREATE INDEX messages_thread ON messages (business, thread, at_ms);
-- Reactions, edits and deletions by the message they act on.
CREATE INDEX messages_marks ON messages (business, target)
    WHERE target IS NOT NULL AND kind IN ('reaction', 'edit', 'revoke');
-- Statuses wait here for their message where it is not known yet.
CREATE TABLE statuses (
    business TEXT NOT NULL, message BLOB NOT NULL,
    accepted_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, delivered_ms INTEGER NOT NULL,
    read_ms INTEGER NOT NULL, played_ms INTEGER NOT NULL, failed_ms INTEGER NOT NULL,
    deleted_ms INTEGER NOT NULL, error_code INTEGER NOT NULL,
    PRIMARY KEY (business, message)
) STRICT, WITHOUT ROWID;
-- What Meta says each message costs: one row per message, whatever its statuses repeat. It may be known before the
-- message is. conversation: the smallest address that was told.
CREATE TABLE billing_facts (
    business TEXT NOT NULL, message BLOB NOT NULL, conversation BLOB NOT NULL,
    model TEXT, type TEXT, category TEXT, billable INTEGER, subtype TEXT,
    PRIMARY KEY (business, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE billing_windows (
    business TEXT NOT NULL, conversation BLOB NOT NULL, category TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (business, conversation, category)
) STRICT, WITHOUT ROWID;
CREATE TABLE notes (
    business TEXT NOT NULL, conversation BLOB NOT NULL, n INTEGER NOT NULL,
    agent TEXT, content_key INTEGER NOT NULL, content BLOB NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (business, conversation, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE episodes (
    business TEXT NOT NULL, conversation BLOB NOT NULL, n INTEGER NOT NULL,
    opened_ms INTEGER NOT NULL, resolved_ms INTEGER NOT NULL, resolved_by TEXT,
    PRIMARY KEY (business, conversation, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE assignments (
    business TEXT NOT NULL, conversation BLOB NOT NULL,
    item_conversation BLOB NOT NULL, item_n INTEGER NOT NULL, n INTEGER NOT NULL,
    agent TEXT NOT NULL, assigned_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,
    PRIMARY KEY (business, conversation, item_conversation, item_n, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letters (
    business TEXT NOT NULL,
    partition INTEGER NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL, step INTEGER NOT NULL,
    entity_kind INTEGER NOT NULL, entity BLOB NOT NULL, error TEXT NOT NULL, at_ms INTEGER NOT NULL,
    input BLOB NOT NULL, replayed_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (business, partition, generation, seq, step)
) STRICT, WITHOUT ROWID;
";

/// Creates the tables in an empty file; checks or empties an existing one.
pub(super) fn create(
    db: &mut Connection,
    path: &Path,
    installation: [u8; 8],
) -> Result<(), ArchiveError> {
    let foreign =
        |why: &str| ArchiveError::Foreign { path: path.display().to_string(), why: why.to_owned() };
    let transaction = db.transaction()?;
    let number =
        |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables: i64 = transaction.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
        [],
        |row| row.get(0),
    )?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    if tables > 0 && application != APPLICATION_ID {
        return Err(foreign("it was not made by Tandem"));
    }
    if version > SCHEMA_VERSION {
        return Err(foreign("a newer build wrote it"));
    }
    if tables > 0 && version < SCHEMA_VERSION {
        tracing::info!(
            from = version,
            to = SCHEMA_VERSION,
            "the read model's tables changed; projecting anew"
        );
        for table in TABLES {
            transaction.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
        }
    }
    if tables == 0 || version < SCHEMA_VERSION {
        transaction.execute_batch(DDL)?;
        transaction.execute("INSERT INTO installation VALUES (?1)", [installation])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    let stored: Vec<u8> =
        transaction.query_row("SELECT fingerprint FROM installation", [], |row| row.get(0))?;
    if stored != installation {
        return Err(foreign("another installation wrote it"));
    }
    transaction.commit()?;
    Ok(())
}

/// Empties every table but the installation's.
pub(super) fn clear(db: &mut Connection) -> Result<(), ArchiveError> {
    let transaction = db.transaction()?;
    for table in TABLES.iter().filter(|table| **table != "installation") {
        transaction.execute_batch(&format!("DELETE FROM {table}"))?;
    }
    transaction.commit()?;
    Ok(())
}
