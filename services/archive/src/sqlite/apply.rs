//! One batch, one transaction: rows and position together, or nothing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bus::{Incarnation, PartitionId};
use domain::{
    BusinessId, Hash16,
    conversation::{CommandAnswer, ConversationEvent as Event, Floor},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    billing,
    codes::{unsigned, unsigned32},
    connections::Connections,
    forward, messages, operator, routing,
};
use crate::{
    ArchiveError,
    chain::Cursor,
    codes::{floor_columns, int, raised},
    delivery::Report,
    group::{Answer, Together},
    repository::{Applied, Batch, DecodedStep},
};

/// Last record applied of a partition.
pub(super) fn cursor(
    db: &Connection,
    partition: PartitionId,
) -> Result<Option<Cursor>, ArchiveError> {
    let mut query = db.prepare_cached("SELECT * FROM positions WHERE partition = ?1")?;
    let mut rows = query.query([partition.0])?;
    rows.next()?.map(position).transpose()
}

/// Last record applied of every partition.
pub(super) fn cursors(db: &Connection) -> Result<BTreeMap<PartitionId, Cursor>, ArchiveError> {
    let mut query = db.prepare_cached("SELECT * FROM positions")?;
    let mut rows = query.query([])?;
    let mut cursors = BTreeMap::new();
    while let Some(row) = rows.next()? {
        cursors.insert(PartitionId(row.get("partition")?), position(row)?);
    }
    Ok(cursors)
}

fn position(row: &Row<'_>) -> Result<Cursor, ArchiveError> {
    Ok(Cursor {
        seq: unsigned(row, "seq")?,
        generation: unsigned32(row, "generation")?,
        epoch: unsigned(row, "epoch")?,
        incarnation: Incarnation(row.get("incarnation")?),
        number: unsigned(row, "number")?,
    })
}

#[async_trait]
impl Together for Connections {
    async fn apply_all(&self, batches: Vec<Batch>) -> Vec<Answer> {
        // Where this fails as a whole, nobody is answered, which is an answer.
        self.write(move |db| Ok(apply_all(db, &batches))).await.unwrap_or_default()
    }
}

/// All in one transaction; where that fails, each in its own, so that one bad batch stops only its partition.
fn apply_all(db: &mut Connection, batches: &[Batch]) -> Vec<Answer> {
    match together(db, batches) {
        Ok(applied) => applied.into_iter().map(Ok).collect(),
        Err(error) if batches.len() == 1 => vec![Err(error)],
        Err(_) => batches.iter().map(|batch| apply(db, batch)).collect(),
    }
}

/// Applies a batch in a transaction of its own.
fn apply(db: &mut Connection, batch: &Batch) -> Result<Applied, ArchiveError> {
    let transaction = db.transaction()?;
    let applied = apply_in(&transaction, batch)?;
    transaction.commit()?;
    Ok(applied)
}

/// Applies several batches in one transaction: all of them or none.
fn together(db: &mut Connection, batches: &[Batch]) -> Result<Vec<Applied>, ArchiveError> {
    let transaction = db.transaction()?;
    let applied =
        batches.iter().map(|batch| apply_in(&transaction, batch)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(applied)
}

fn apply_in(db: &Transaction<'_>, batch: &Batch) -> Result<Applied, ArchiveError> {
    let stored = cursor(db, batch.partition)?;
    if stored != batch.after {
        return Ok(Applied::Elsewhere(stored));
    }
    for step in &batch.steps {
        apply_step(db, batch.partition, step)?;
    }
    let last = &batch.last;
    db.prepare_cached(
        "INSERT INTO positions VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (partition) DO UPDATE SET seq = excluded.seq, generation = excluded.generation,
         epoch = excluded.epoch, incarnation = excluded.incarnation, number = excluded.number",
    )?
    .execute(params![
        batch.partition.0,
        int(last.seq),
        last.generation,
        int(last.epoch),
        last.incarnation.0,
        int(last.number)
    ])?;
    Ok(Applied::Done)
}

/// The conversation whose events are applied.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) db: &'a Transaction<'a>,
    pub(super) business: &'a BusinessId,
    pub(super) id: Hash16,
    pub(super) now_ms: u64,
    /// Whose thread it is in, where no event of this step can change that.
    thread: Option<Hash16>,
}

fn apply_step(
    db: &Transaction<'_>,
    partition: PartitionId,
    step: &DecodedStep,
) -> Result<(), ArchiveError> {
    if let Some(letter) = &step.dead_letter {
        let input = bus::encode(&letter.input).map_err(|e| ArchiveError::Row(e.to_string()))?;
        db.prepare_cached(
            "INSERT INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0)",
        )?
        .execute(params![
            step.business.0,
            partition.0,
            step.position.generation,
            int(step.position.seq),
            step.position.index,
            step.entity.kind,
            step.entity.hash,
            letter.error,
            int(step.now_ms),
            input.as_ref()
        ])?;
    }
    if let Some(letter) = step.replays {
        operator::replayed(db, partition, letter, step.now_ms)?;
    }
    if step.events.is_empty() {
        return Ok(());
    }
    let at = At::begin(db, partition, step)?;
    for event in &step.events {
        at.apply(event)?;
    }
    Ok(())
}

impl<'a> At<'a> {
    /// Writes what a step says of its conversation as a whole in one statement: that it is there, where it stands, and what
    /// its messages and windows raise. Raising is a maximum, so it does not matter that other events come later.
    fn begin(
        db: &'a Transaction<'a>,
        partition: PartitionId,
        step: &'a DecodedStep,
    ) -> Result<Self, ArchiveError> {
        let (message_ms, window_ms) = raised(&step.events);
        let id = Hash16(step.entity.hash);
        db.prepare_cached(
            "INSERT INTO conversations (business, id, root, partition, generation, seq, step,
                 last_message_ms, window_until_ms)
             VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET partition = excluded.partition,
                 generation = excluded.generation, seq = excluded.seq, step = excluded.step,
                 last_message_ms = max(last_message_ms, excluded.last_message_ms),
                 window_until_ms = max(window_until_ms, excluded.window_until_ms)",
        )?
        .execute(params![
            step.business.0,
            id.0,
            partition.0,
            step.position.generation,
            int(step.position.seq),
            step.position.index,
            int(message_ms),
            int(window_ms)
        ])?;
        // Not by RETURNING: SQLite opens a temporary table for it, which costs more than to look the row up.
        let (root, joined): ([u8; 16], Option<[u8; 16]>) = db
            .prepare_cached(
                "SELECT root, joined_to FROM conversations WHERE business = ?1 AND id = ?2",
            )?
            .query_row(params![step.business.0, id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let stays = !step.events.iter().any(|event| matches!(event, Event::Forwarding { .. }));
        let thread = stays.then_some(Hash16(root));
        let at = Self { db, business: &step.business, id, now_ms: step.now_ms, thread };
        if let Some(joined) = joined {
            let at = At { id: Hash16(joined), ..at };
            for (column, value) in [("last_message_ms", message_ms), ("window_until_ms", window_ms)]
            {
                if value > 0 {
                    forward::raise(&at, column, value)?;
                }
            }
        }
        Ok(at)
    }

    /// The conversation whose thread this one's messages are in.
    pub(super) fn thread(&self) -> Result<Hash16, ArchiveError> {
        self.thread.map_or_else(|| self.root(self.id), Ok)
    }

    /// Makes sure that a conversation has a row.
    pub(super) fn ensure(&self, id: Hash16) -> Result<(), ArchiveError> {
        self.db
            .prepare_cached(
                "INSERT INTO conversations (business, id, root) VALUES (?1, ?2, ?2)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![self.business.0, id.0])?;
        Ok(())
    }

    /// The conversation that holds this one's thread.
    pub(super) fn root(&self, id: Hash16) -> Result<Hash16, ArchiveError> {
        let root: Option<[u8; 16]> = self
            .db
            .prepare_cached("SELECT root FROM conversations WHERE business = ?1 AND id = ?2")?
            .query_row(params![self.business.0, id.0], |row| row.get(0))
            .optional()?;
        Ok(root.map_or(id, Hash16))
    }

    fn apply(&self, event: &Event) -> Result<(), ArchiveError> {
        match event {
            Event::IdentitySeen { via, who, .. } => self.identity_seen(via.number.hash, who),
            Event::MessageRecorded(record) => messages::recorded(self, record),
            Event::StatusMerged { message, request, status, at_ms, error, content } => {
                let report = Report { status: *status, at_ms: *at_ms, error: *error };
                messages::status(self, *message, *request, report, content)
            }
            Event::EchoAutomatic { message } => self.update(
                "UPDATE messages SET author = 5 WHERE business = ?1 AND message = ?2 AND author = 4",
                params![self.business.0, message.0.0],
            ),
            Event::SendRequested(record) => messages::requested(self, record),
            Event::SendResolved { request, outcome, .. } => {
                messages::resolved(self, *request, outcome)
            }
            Event::NoteAdded { n, agent, content, at_ms } => {
                let agent = agent.as_ref().map(|agent| agent.0.as_str());
                routing::note(self, *n, agent, content, *at_ms)
            }
            Event::EpisodeOpened { n, at_ms } => routing::episode_opened(self, *n, *at_ms),
            Event::EpisodeResolved { n, by, at_ms } => {
                routing::episode_resolved(self, *n, by, *at_ms)
            }
            Event::FloorChanged { floor, .. } => self.floor_changed(floor),
            // Told with the step as a whole.
            Event::WindowMoved { .. } => Ok(()),
            Event::ItemWanted { item, queue, since_ms, .. } => {
                routing::item_wanted(self, *item, queue, *since_ms)
            }
            Event::ItemAssigned { item, agent, at_ms } => {
                routing::item_assigned(self, *item, agent, *at_ms)
            }
            Event::ItemEnded { item, at_ms } => routing::item_ended(self, *item, *at_ms),
            Event::Forwarding { to, .. } => forward::forwarding(self, to.hash),
            Event::IdentityChanged { via, who, .. } => self.identity_seen(via.number.hash, who),
            Event::BillingRecorded { .. }
            | Event::BillingWindowMoved { .. }
            | Event::FreeEntryMoved { .. }
            | Event::MarketingWished { .. } => billing::told(self, event),
            Event::CommandAnswered { id, answer: CommandAnswer::Sent { request } } => {
                messages::submitted(self, *id, *request)
            }
            Event::RoutingActed { act, .. } => routing::acted(self, act),
            Event::SnoozeEnded { .. } => routing::snoozed(self, 0),
            // Told by events of their own where they change what is shown (a cancelled send by its end).
            Event::SendCancelled { .. }
            | Event::CommandAnswered { .. }
            | Event::WaitChanged { .. }
            | Event::PhoneSpoke { .. }
            | Event::ReferralSeen { .. }
            | Event::Retired { .. }
            | Event::Unretired { .. }
            | Event::LowerMoved { .. }
            | Event::TurnTaken { .. }
            | Event::BotMoved { .. }
            | Event::BotHeard { .. }
            | Event::BotAsked { .. }
            | Event::BotAnswered { .. }
            | Event::BotFailed { .. }
            | Event::HandedOver { .. }
            | Event::TimerSet { .. }
            | Event::Joining { .. }
            | Event::JoinEnded { .. }
            | Event::Absorbed { .. }
            | Event::AgentGone { .. }
            | Event::KeySeen { .. } => Ok(()),
        }
    }

    fn floor_changed(&self, floor: &Floor) -> Result<(), ArchiveError> {
        let (code, agent, turn) = floor_columns(floor);
        self.update(
            "UPDATE conversations SET floor = ?3, floor_agent = ?4, floor_turn = ?5
             WHERE business = ?1 AND id = ?2",
            params![self.business.0, self.id.0, code, agent, turn],
        )
    }

    fn identity_seen(&self, number: Hash16, who: &domain::Sealed) -> Result<(), ArchiveError> {
        self.update(
            "UPDATE conversations SET number = ?3 WHERE business = ?1 AND id = ?2",
            params![self.business.0, self.id.0, number.0],
        )?;
        self.update(
            "INSERT INTO contacts VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET who_key = excluded.who_key, who = excluded.who",
            params![self.business.0, self.id.0, who.key_id, who.bytes],
        )
    }

    /// Runs one cached statement.
    pub(super) fn update(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<(), ArchiveError> {
        self.changed(sql, values).map(drop)
    }

    /// Runs one cached statement and answers how many rows it wrote.
    pub(super) fn changed(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<usize, ArchiveError> {
        Ok(self.db.prepare_cached(sql)?.execute(values)?)
    }
}
