//! One batch, one transaction: rows and position together, or nothing.

use bus::{Incarnation, PartitionId};
use domain::{BusinessId, Hash16, conversation::ConversationEvent as Event};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    billing,
    codes::{floor_columns, int, unsigned, unsigned32},
    forward, messages, routing,
};
use crate::{
    ArchiveError,
    chain::Cursor,
    repository::{Applied, Batch, DecodedStep},
};

/// Last record applied of a partition.
pub(super) fn cursor(
    db: &Connection,
    partition: PartitionId,
) -> Result<Option<Cursor>, ArchiveError> {
    let mut query = db.prepare_cached("SELECT * FROM positions WHERE partition = ?1")?;
    let mut rows = query.query([partition.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Cursor {
        seq: unsigned(row, "seq")?,
        generation: unsigned32(row, "generation")?,
        epoch: unsigned(row, "epoch")?,
        incarnation: Incarnation(row.get("incarnation")?),
        number: unsigned(row, "number")?,
    }))
}

pub(super) fn apply(db: &mut Connection, batch: &Batch) -> Result<Applied, ArchiveError> {
    let transaction = db.transaction()?;
    let stored = cursor(&transaction, batch.partition)?;
    if stored != batch.after {
        return Ok(Applied::Elsewhere(stored));
    }
    for step in &batch.steps {
        apply_step(&transaction, batch.partition, step)?;
    }
    let last = &batch.last;
    transaction
        .prepare_cached(
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
    transaction.commit()?;
    Ok(Applied::Done)
}

/// The conversation whose events are applied.
pub(super) struct At<'a> {
    pub(super) db: &'a Transaction<'a>,
    pub(super) business: &'a BusinessId,
    pub(super) id: Hash16,
    pub(super) now_ms: u64,
}

fn apply_step(
    db: &Transaction<'_>,
    partition: PartitionId,
    step: &DecodedStep,
) -> Result<(), ArchiveError> {
    if let Some(letter) = &step.dead_letter {
        let input = bus::encode(&letter.input).map_err(|e| ArchiveError::Row(e.to_string()))?;
        db.prepare_cached(
            "INSERT INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
    if step.events.is_empty() {
        return Ok(());
    }
    let id = Hash16(step.entity.hash);
    let at = At { db, business: &step.business, id, now_ms: step.now_ms };
    at.ensure(id)?;
    for event in &step.events {
        at.apply(event)?;
    }
    db.prepare_cached(
        "UPDATE conversations SET partition = ?3, generation = ?4, seq = ?5, step = ?6
         WHERE business = ?1 AND id = ?2",
    )?
    .execute(params![
        step.business.0,
        id.0,
        partition.0,
        step.position.generation,
        int(step.position.seq),
        step.position.index
    ])?;
    Ok(())
}

impl At<'_> {
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
                let report = messages::Report { status: *status, at_ms: *at_ms, error: *error };
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
            Event::FloorChanged { floor, .. } => {
                let (code, agent, turn) = floor_columns(floor);
                self.update(
                    "UPDATE conversations SET floor = ?3, floor_agent = ?4, floor_turn = ?5
                     WHERE business = ?1 AND id = ?2",
                    params![self.business.0, self.id.0, code, agent, turn],
                )
            }
            Event::WindowMoved { until_ms } => forward::raise(self, "window_until_ms", *until_ms),
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
            | Event::HandedOver { .. }
            | Event::TimerSet { .. }
            | Event::Joining { .. }
            | Event::JoinEnded { .. }
            | Event::Absorbed { .. }
            | Event::RoutingActed { .. }
            | Event::SnoozeEnded { .. }
            | Event::AgentGone { .. }
            | Event::KeySeen { .. } => Ok(()),
        }
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
        self.db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}
