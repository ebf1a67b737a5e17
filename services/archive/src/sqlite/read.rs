//! Conversations and what hangs on them.
//!
//! `CROSS JOIN` holds SQLite to the order that is written: first the few addresses of one conversation, by the index on
//! their root, then what each has. Left to itself it may read all episodes of the business for every conversation.

use bus::{PartitionId, Position};
use domain::{AgentId, BusinessId, Hash16, QueueId};
use rusqlite::{Connection, Row, params, types::Value};

use super::{
    billing,
    codes::{agent_opt, floor, hash, hash_opt, sealed, unsigned, unsigned32},
    forward::resolve,
};
use crate::{
    ArchiveError,
    codes::int,
    model::{
        ConversationCursor, ConversationFilter, ConversationRow, EpisodeRow, NoteRow,
        StoredConversation,
    },
};

pub(super) fn conversation(
    db: &Connection,
    business: &BusinessId,
    id: Hash16,
) -> Result<Option<StoredConversation>, ArchiveError> {
    let Some(root) = resolve(db, business, id)? else { return Ok(None) };
    let row = db
        .prepare_cached("SELECT * FROM conversations WHERE business = ?1 AND id = ?2")?
        .query_and_then(params![business.0, root.0], |row| conversation_row(db, business, row))?
        .next()
        .transpose()?;
    let Some(row) = row else { return Ok(None) };
    let episodes = episodes(db, business, root)?;
    let notes = db
        .prepare_cached(
            "SELECT n.* FROM conversations c CROSS JOIN notes n
             ON c.business = n.business AND c.id = n.conversation
             WHERE c.business = ?1 AND c.root = ?2 ORDER BY n.at_ms, n.conversation, n.n",
        )?
        .query_and_then(params![business.0, root.0], note_row)?
        .collect::<Result<_, _>>()?;
    Ok(Some(StoredConversation { row, episodes, notes }))
}

/// Episodes of all addresses of a conversation.
fn episodes(
    db: &Connection,
    business: &BusinessId,
    root: Hash16,
) -> Result<Vec<EpisodeRow>, ArchiveError> {
    db.prepare_cached(
        "SELECT e.* FROM conversations c CROSS JOIN episodes e
         ON c.business = e.business AND c.id = e.conversation
         WHERE c.business = ?1 AND c.root = ?2 ORDER BY e.opened_ms, e.conversation, e.n",
    )?
    .query_and_then(params![business.0, root.0], episode_row)?
    .collect()
}

pub(super) fn list(
    db: &Connection,
    business: &BusinessId,
    filter: &ConversationFilter,
    after: Option<ConversationCursor>,
    limit: usize,
) -> Result<Vec<StoredConversation>, ArchiveError> {
    // Addresses that only ever saw a status have nothing to show.
    let mut sql = "SELECT * FROM conversations WHERE business = ?1 AND forwarded_to IS NULL
         AND last_message_ms > 0"
        .to_owned();
    let mut values = vec![Value::from(business.0.clone())];
    let mut condition = |text: &str, value: Value| {
        values.push(value);
        sql.push_str(&text.replace('#', &format!("?{}", values.len())));
    };
    if let Some(number) = filter.number {
        condition(" AND number = #", Value::from(number.0.to_vec()));
    }
    if let Some(agent) = &filter.assigned {
        condition(" AND assigned_agent = #", Value::from(agent.0.clone()));
    }
    if let Some(vip) = filter.vip {
        condition(" AND vip = #", Value::from(vip));
    }
    if let Some(snoozed) = filter.snoozed {
        condition(" AND (snoozed_until_ms > 0) = #", Value::from(snoozed));
    }
    if let Some(cursor) = after {
        condition(" AND (last_message_ms, id) < (#,", Value::from(int(cursor.last_message_ms)));
        condition(" #)", Value::from(cursor.id.0.to_vec()));
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    condition(" ORDER BY last_message_ms DESC, id DESC LIMIT #", Value::from(limit));
    db.prepare_cached(&sql)?
        .query_and_then(rusqlite::params_from_iter(values), |row| {
            let row = conversation_row(db, business, row)?;
            let episodes = episodes(db, business, row.id)?;
            Ok(StoredConversation { row, episodes, notes: Vec::new() })
        })?
        .collect()
}

fn conversation_row(
    db: &Connection,
    business: &BusinessId,
    row: &Row<'_>,
) -> Result<ConversationRow, ArchiveError> {
    let id = hash(row, "id")?;
    let contacts = db
        .prepare_cached(
            "SELECT k.* FROM conversations c CROSS JOIN contacts k
             ON c.business = k.business AND c.id = k.conversation
             WHERE c.business = ?1 AND c.root = ?2 ORDER BY k.conversation <> ?2, k.conversation",
        )?
        .query_and_then(params![business.0, id.0], |contact| sealed(contact, "who"))?
        .collect::<Result<_, ArchiveError>>()?;
    let queue: Option<String> = row.get("waiting_queue")?;
    let since_ms = unsigned(row, "waiting_since_ms")?;
    let partition: Option<u16> = row.get("partition")?;
    let position = match partition {
        Some(partition) => Some((
            PartitionId(partition),
            Position {
                generation: unsigned32(row, "generation")?,
                seq: unsigned(row, "seq")?,
                index: unsigned32(row, "step")?,
            },
        )),
        None => None,
    };
    Ok(ConversationRow {
        id,
        number: hash_opt(row, "number")?,
        contacts,
        floor: floor(row)?,
        window_until_ms: unsigned(row, "window_until_ms")?,
        assigned: agent_opt(row, "assigned_agent")?,
        waiting: queue.map(|queue| (QueueId(queue), since_ms)),
        last_message_ms: unsigned(row, "last_message_ms")?,
        billing_windows: billing::windows(db, business, id)?,
        free_entry_until_ms: unsigned(row, "free_entry_until_ms")?,
        marketing: match row.get::<_, u8>("marketing")? {
            0 => None,
            code => Some((code == 1, unsigned(row, "marketing_ms")?)),
        },
        vip: row.get("vip")?,
        snoozed_until_ms: unsigned(row, "snoozed_until_ms")?,
        position,
    })
}

fn episode_row(row: &Row<'_>) -> Result<EpisodeRow, ArchiveError> {
    Ok(EpisodeRow {
        conversation: hash(row, "conversation")?,
        n: unsigned32(row, "n")?,
        opened_ms: unsigned(row, "opened_ms")?,
        resolved_ms: unsigned(row, "resolved_ms")?,
        resolved_by: agent_opt(row, "resolved_by")?,
    })
}

fn note_row(row: &Row<'_>) -> Result<NoteRow, ArchiveError> {
    Ok(NoteRow {
        n: unsigned(row, "n")?,
        agent: row.get::<_, Option<String>>("agent")?.map(AgentId),
        content: sealed(row, "content")?,
        at_ms: unsigned(row, "at_ms")?,
    })
}
