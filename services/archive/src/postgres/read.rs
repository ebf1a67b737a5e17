//! Conversations and what hangs on them: a page is a fixed number of queries, however many conversations it has.

use std::collections::BTreeMap;

use bus::{PartitionId, Position};
use deadpool_postgres::Transaction;
use domain::{AgentId, BusinessId, Hash16, QueueId, Sealed};
use tokio_postgres::{Row, types::ToSql};

use super::{
    codes::{
        agent_opt, code, floor, get, hash, hash_opt, hash16_opt, limit as rows_max, sealed, text,
        unsigned, unsigned32,
    },
    work::Hash,
};
use crate::{
    ArchiveError,
    codes::{HOPS_MAX, int},
    model::{
        BillingWindowRow, ConversationCursor, ConversationFilter, ConversationRow, EpisodeRow,
        NoteRow, StoredConversation,
    },
};

/// The conversation that answers for `id`: where its forwards end. `None` when the business has no such one.
pub(super) async fn resolve(
    transaction: &Transaction<'_>,
    business: &BusinessId,
    id: Hash16,
) -> Result<Option<Hash>, ArchiveError> {
    let sql = "
        WITH RECURSIVE chain (id, forwarded_to, hop) AS (
            SELECT c.id, c.forwarded_to, 1 FROM conversations c WHERE c.business = $1 AND c.id = $2
            UNION ALL
            SELECT c.id, c.forwarded_to, chain.hop + 1 FROM chain
            JOIN conversations c ON c.business = $1 AND c.id = chain.forwarded_to
            WHERE chain.hop < $3
        )
        SELECT id, forwarded_to, hop FROM chain ORDER BY hop DESC LIMIT 1";
    let hops = i32::try_from(HOPS_MAX).unwrap_or(i32::MAX);
    let statement = transaction.prepare_cached(sql).await?;
    let values: [&(dyn ToSql + Sync); 3] = [&text(&business.0), &id.0.as_slice(), &hops];
    let Some(last) = transaction.query_opt(&statement, &values).await? else { return Ok(None) };
    match hash_opt(&last, "forwarded_to")? {
        None => Ok(Some(hash(&last, "id")?)),
        Some(_) if get::<i32>(&last, "hop")? < hops => Ok(None),
        Some(_) => Err(ArchiveError::Row("a loop of forwards".to_owned())),
    }
}

pub(super) async fn conversation(
    transaction: &Transaction<'_>,
    business: &BusinessId,
    id: Hash16,
) -> Result<Option<StoredConversation>, ArchiveError> {
    let Some(root) = resolve(transaction, business, id).await? else { return Ok(None) };
    let shop = text(&business.0);
    let one = "SELECT * FROM conversations WHERE business = $1 AND id = $2";
    let statement = transaction.prepare_cached(one).await?;
    let found = transaction.query(&statement, &[&shop, &root.as_slice()]).await?;
    let Some(mut stored) = with_attachments(transaction, &shop, &found).await?.pop() else {
        return Ok(None);
    };
    let notes = "SELECT n.* FROM conversations c JOIN notes n
         ON c.business = n.business AND c.id = n.conversation
         WHERE c.business = $1 AND c.root = $2 ORDER BY n.at_ms, n.conversation, n.n";
    let statement = transaction.prepare_cached(notes).await?;
    let notes = transaction.query(&statement, &[&shop, &root.as_slice()]).await?;
    stored.notes = notes.iter().map(note_row).collect::<Result<_, _>>()?;
    Ok(Some(stored))
}

pub(super) async fn list(
    transaction: &Transaction<'_>,
    business: &BusinessId,
    filter: &ConversationFilter,
    after: Option<ConversationCursor>,
    limit: usize,
) -> Result<Vec<StoredConversation>, ArchiveError> {
    let shop = text(&business.0);
    let number = filter.number.map(|number| number.0.to_vec());
    let agent = filter.assigned.as_ref().map(|agent| text(&agent.0).into_owned());
    let after = after.map(|cursor| (int(cursor.last_message_ms), cursor.id.0.to_vec()));
    let limit = rows_max(limit);
    // Addresses that only ever saw a status have nothing to show.
    let mut sql = "SELECT * FROM conversations WHERE business = $1 AND forwarded_to IS NULL
         AND last_message_ms > 0"
        .to_owned();
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&shop];
    let mut condition = |text: &str, value| {
        values.push(value);
        sql.push_str(&text.replace('#', &format!("${}", values.len())));
    };
    if let Some(number) = &number {
        condition(" AND number = #", number);
    }
    if let Some(agent) = &agent {
        condition(" AND assigned_agent = #", agent);
    }
    if let Some(vip) = &filter.vip {
        condition(" AND vip = #", vip);
    }
    if let Some(snoozed) = &filter.snoozed {
        condition(" AND (snoozed_until_ms > 0) = #", snoozed);
    }
    if let Some((last_message_ms, id)) = &after {
        condition(" AND (last_message_ms, id) < (#,", last_message_ms);
        condition(" #)", id);
    }
    condition(" ORDER BY last_message_ms DESC, id DESC LIMIT #", &limit);
    let statement = transaction.prepare_cached(&sql).await?;
    let found = transaction.query(&statement, &values).await?;
    with_attachments(transaction, &shop, &found).await
}

/// What hangs on conversations, by the one that holds the thread.
#[derive(Default)]
struct Attachments {
    contacts: BTreeMap<Hash, Vec<Sealed>>,
    episodes: BTreeMap<Hash, Vec<EpisodeRow>>,
    windows: BTreeMap<Hash, Vec<BillingWindowRow>>,
}

/// Contacts and episodes of all addresses of some conversations, and the billing windows, which a conversation has taken
/// over from what joined it.
async fn with_attachments(
    transaction: &Transaction<'_>,
    shop: &str,
    found: &[Row],
) -> Result<Vec<StoredConversation>, ArchiveError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ids = found.iter().map(|row| hash(row, "id")).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&[u8]> = ids.iter().map(<[u8; 16]>::as_slice).collect();
    let of = async |sql: &str| {
        let statement = transaction.prepare_cached(sql).await?;
        Ok::<_, ArchiveError>(transaction.query(&statement, &[&shop, &ids]).await?)
    };
    let mut all = Attachments::default();
    let contacts = "SELECT c.root, k.* FROM conversations c JOIN contacts k
         ON c.business = k.business AND c.id = k.conversation
         WHERE c.business = $1 AND c.root = ANY($2) ORDER BY k.conversation <> c.root, k.conversation";
    for row in of(contacts).await? {
        all.contacts.entry(hash(&row, "root")?).or_default().push(sealed(&row, "who")?);
    }
    let episodes = "SELECT c.root, e.* FROM conversations c JOIN episodes e
         ON c.business = e.business AND c.id = e.conversation
         WHERE c.business = $1 AND c.root = ANY($2) ORDER BY e.opened_ms, e.conversation, e.n";
    for row in of(episodes).await? {
        all.episodes.entry(hash(&row, "root")?).or_default().push(episode_row(&row)?);
    }
    let windows = "SELECT * FROM billing_windows WHERE business = $1 AND conversation = ANY($2)
         ORDER BY until_ms DESC, category";
    for row in of(windows).await? {
        let window = BillingWindowRow {
            category: get(&row, "category")?,
            until_ms: unsigned(&row, "until_ms")?,
        };
        all.windows.entry(hash(&row, "conversation")?).or_default().push(window);
    }
    found.iter().map(|row| stored(row, &mut all)).collect()
}

fn stored(row: &Row, all: &mut Attachments) -> Result<StoredConversation, ArchiveError> {
    let id = hash(row, "id")?;
    let queue: Option<String> = get(row, "waiting_queue")?;
    let since_ms = unsigned(row, "waiting_since_ms")?;
    let row = ConversationRow {
        id: Hash16(id),
        number: hash16_opt(row, "number")?,
        contacts: all.contacts.remove(&id).unwrap_or_default(),
        floor: floor(row)?,
        window_until_ms: unsigned(row, "window_until_ms")?,
        assigned: agent_opt(row, "assigned_agent")?,
        waiting: queue.map(|queue| (QueueId(queue), since_ms)),
        last_message_ms: unsigned(row, "last_message_ms")?,
        billing_windows: all.windows.remove(&id).unwrap_or_default(),
        free_entry_until_ms: unsigned(row, "free_entry_until_ms")?,
        marketing: match code(row, "marketing")? {
            0 => None,
            code => Some((code == 1, unsigned(row, "marketing_ms")?)),
        },
        vip: get(row, "vip")?,
        snoozed_until_ms: unsigned(row, "snoozed_until_ms")?,
        position: position(row)?,
    };
    let episodes = all.episodes.remove(&id).unwrap_or_default();
    Ok(StoredConversation { row, episodes, notes: Vec::new() })
}

fn position(row: &Row) -> Result<Option<(PartitionId, Position)>, ArchiveError> {
    let Some(partition) = get::<Option<i32>>(row, "partition")? else { return Ok(None) };
    let partition = u16::try_from(partition)
        .map_err(|_| ArchiveError::Row(format!("partition {partition}")))?;
    let position = Position {
        generation: unsigned32(row, "generation")?,
        seq: unsigned(row, "seq")?,
        index: unsigned32(row, "step")?,
    };
    Ok(Some((PartitionId(partition), position)))
}

fn episode_row(row: &Row) -> Result<EpisodeRow, ArchiveError> {
    Ok(EpisodeRow {
        conversation: Hash16(hash(row, "conversation")?),
        n: unsigned32(row, "n")?,
        opened_ms: unsigned(row, "opened_ms")?,
        resolved_ms: unsigned(row, "resolved_ms")?,
        resolved_by: agent_opt(row, "resolved_by")?,
    })
}

fn note_row(row: &Row) -> Result<NoteRow, ArchiveError> {
    Ok(NoteRow {
        n: unsigned(row, "n")?,
        agent: get::<Option<String>>(row, "agent")?.map(AgentId),
        content: sealed(row, "content")?,
        at_ms: unsigned(row, "at_ms")?,
    })
}
