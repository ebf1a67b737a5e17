//! A group of batches, one transaction: rows and positions together, or nothing.
//!
//! Writers of all processes take turns at the row of `installation`: what one batch makes of a row may depend on what
//! another partition's made of it, and a turn costs less than finding out that two of them met.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bus::{Incarnation, PartitionId};
use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Row;

use super::{
    codes::{get, hash, unsigned, unsigned32},
    database::Database,
    load, project, write,
};
use crate::{
    ArchiveError,
    chain::Cursor,
    codes::int,
    group::{Answer, Together},
    repository::{Applied, Batch},
};

/// A writer whose client vanished holds its turn so long at the most. Longer than a client waits for an answer, so that it
/// is the client that gives up first. A commit waits for the disk, or for the standbys, as the server is set: where it loses
/// commits all the same, what it lost is projected again from the position that went with it. Every statement finds its rows by
/// an index, and is planned each time, by the size that the tables have then: a plan that is kept from when they were empty takes
/// any index that has the business in it, and reads all of that business. None is compiled: to read from end to end what has no
/// index (the one row of `installation`) counts as so dear here that the server would compile it anew in each turn.
pub(crate) const TURN_SETTINGS: &str = "SET LOCAL idle_in_transaction_session_timeout = '60s'; \
     SET LOCAL lock_timeout = '30s'; SET LOCAL jit = off; \
     SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
     SET LOCAL plan_cache_mode = force_custom_plan";
pub(crate) const TURN: &str = "SELECT fingerprint FROM installation FOR UPDATE";
const POSITIONS: &str = "SELECT * FROM positions WHERE partition = ANY($1)";
const ALL_POSITIONS: &str = "SELECT * FROM positions";

#[async_trait]
impl Together for Database {
    async fn apply_all(&self, batches: Vec<Batch>) -> Vec<Answer> {
        match self.write(async |client| together(client, &batches).await).await {
            Ok(applied) => applied.into_iter().map(Ok).collect(),
            Err(error) if batches.len() == 1 => vec![Err(error)],
            // Nobody's batch is at fault, and each would wait as long again.
            Err(ArchiveError::Unreachable(why)) => {
                batches.iter().map(|_| Err(ArchiveError::Unreachable(why.clone()))).collect()
            }
            Err(_) => {
                let mut answers = Vec::new();
                for batch in &batches {
                    let one = std::slice::from_ref(batch);
                    let applied = self.write(async |client| together(client, one).await).await;
                    let applied = applied.map(|applied| applied.first().copied());
                    answers.push(applied.and_then(|applied| applied.ok_or(ArchiveError::Closed)));
                }
                answers
            }
        }
    }
}

/// Last record applied of a partition.
pub(super) async fn cursor(
    transaction: &Transaction<'_>,
    partition: PartitionId,
) -> Result<Option<Cursor>, ArchiveError> {
    let statement = transaction.prepare_cached(POSITIONS).await?;
    let row = transaction.query_opt(&statement, &[&vec![i32::from(partition.0)]]).await?;
    row.map(|row| position(&row)).transpose()
}

/// Last record applied of every partition.
pub(super) async fn all_cursors(
    transaction: &Transaction<'_>,
) -> Result<BTreeMap<PartitionId, Cursor>, ArchiveError> {
    let statement = transaction.prepare_cached(ALL_POSITIONS).await?;
    positions(&transaction.query(&statement, &[]).await?)
}

fn positions(rows: &[Row]) -> Result<BTreeMap<PartitionId, Cursor>, ArchiveError> {
    let pairs = rows.iter().map(|row| {
        let partition: i32 = get(row, "partition")?;
        let partition = u16::try_from(partition)
            .map_err(|_| ArchiveError::Row(format!("partition {partition}")))?;
        Ok((PartitionId(partition), position(row)?))
    });
    pairs.collect()
}

fn position(row: &Row) -> Result<Cursor, ArchiveError> {
    Ok(Cursor {
        seq: unsigned(row, "seq")?,
        generation: unsigned32(row, "generation")?,
        epoch: unsigned(row, "epoch")?,
        incarnation: Incarnation(hash(row, "incarnation")?),
        number: unsigned(row, "number")?,
    })
}

/// Begins a transaction and waits for the turn to write.
pub(super) async fn begin(client: &mut Object) -> Result<Transaction<'_>, ArchiveError> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(TURN_SETTINGS).await?;
    let statement = transaction.prepare_cached(TURN).await?;
    transaction.query_one(&statement, &[]).await?;
    Ok(transaction)
}

async fn together(client: &mut Object, batches: &[Batch]) -> Result<Vec<Applied>, ArchiveError> {
    let transaction = begin(client).await?;
    let mut stored = cursors(&transaction, batches).await?;
    let (mut applied, mut taken) = (Vec::new(), Vec::new());
    for batch in batches {
        let at = stored.get(&batch.partition).copied();
        if at == batch.after {
            stored.insert(batch.partition, batch.last);
            applied.push(Applied::Done);
            taken.push(batch);
        } else {
            applied.push(Applied::Elsewhere(at));
        }
    }
    if taken.is_empty() {
        return Ok(applied);
    }
    let mut work = load::load(&transaction, &taken).await?;
    for batch in &taken {
        project::batch(&mut work, batch)?;
    }
    write::write(&transaction, &work).await?;
    let moved = taken.iter().map(|batch| (batch.partition, batch.last));
    store_cursors(&transaction, &moved.collect()).await?;
    transaction.commit().await?;
    Ok(applied)
}

async fn cursors(
    transaction: &Transaction<'_>,
    batches: &[Batch],
) -> Result<BTreeMap<PartitionId, Cursor>, ArchiveError> {
    let partitions: Vec<i32> = batches.iter().map(|batch| i32::from(batch.partition.0)).collect();
    let statement = transaction.prepare_cached(POSITIONS).await?;
    positions(&transaction.query(&statement, &[&partitions]).await?)
}

async fn store_cursors(
    transaction: &Transaction<'_>,
    cursors: &BTreeMap<PartitionId, Cursor>,
) -> Result<(), ArchiveError> {
    let partitions: Vec<i32> = cursors.keys().map(|key| i32::from(key.0)).collect();
    let column = |of: fn(&Cursor) -> i64| cursors.values().map(of).collect::<Vec<i64>>();
    let incarnations: Vec<&[u8]> =
        cursors.values().map(|cursor| cursor.incarnation.0.as_slice()).collect();
    let sql = "INSERT INTO positions (partition, seq, generation, epoch, incarnation, number)
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[])
        ON CONFLICT (partition) DO UPDATE SET seq = excluded.seq, generation = excluded.generation,
        epoch = excluded.epoch, incarnation = excluded.incarnation, number = excluded.number";
    let statement = transaction.prepare_cached(sql).await?;
    let seqs = column(|cursor| int(cursor.seq));
    let generations = column(|cursor| i64::from(cursor.generation));
    let (epochs, numbers) =
        (column(|cursor| int(cursor.epoch)), column(|cursor| int(cursor.number)));
    transaction
        .execute(&statement, &[&partitions, &seqs, &generations, &epochs, &incarnations, &numbers])
        .await?;
    Ok(())
}
